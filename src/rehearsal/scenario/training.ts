import {
  DescribePipelineCommand, DescribePipelineExecutionCommand, DescribeProcessingJobCommand, ListEndpointsCommand, ListModelPackagesCommand,
  ListPipelineParametersForExecutionCommand, PipelineExecutionStep, SageMakerClient, UpdatePipelineCommand,
  paginateListPipelineExecutionSteps, paginateListPipelineExecutions,
} from '@aws-sdk/client-sagemaker';
import { RunContext } from './run-context';
import { getText, parseS3Uri } from './s3-objects';
import { StepRunner, Step, poll } from './step-runner';
import { nearest, suggestion } from '../../shared/validation';
import { Part, groupOf } from '../app/app-parts';
import { GateRejected, RehearsalError, UsageError } from '../command/errors';
import { seconds, short } from '../command/text';

type TrainingPart = Part<'cdk-mlops:training-pipeline'>;

/** One limit of the gate against what was measured. */
export interface GateCheck {
  readonly metric: string;
  readonly value?: number;
  readonly operator: '<=' | '>=';
  readonly limit?: number;
  readonly passed: boolean;
}

/** What the pipeline measured, and the limits of its gate. */
export interface EvaluationResult {
  readonly evaluation: unknown;
  readonly checks: readonly GateCheck[];
}

export interface TrainingResult extends EvaluationResult {
  readonly executionArn: string;
  /** From the step that registered the model. */
  readonly modelPackageArn?: string;
}

/** ARNs of the executions of a pipeline, newest first. */
export async function pipelineExecutions(client: SageMakerClient, PipelineName: string): Promise<string[]> {
  const arns: string[] = [];
  for await (const page of paginateListPipelineExecutions({ client }, { PipelineName })) {
    arns.push(...(page.PipelineExecutionSummaries ?? []).map(({ PipelineExecutionArn }) => PipelineExecutionArn!));
  }
  return arns;
}

/** A parameter in a pipeline's definition. */
export interface DefinedParameter {
  readonly Name: string;
  readonly Type: string;
  DefaultValue?: unknown;
}

interface Definition {
  readonly Parameters?: DefinedParameter[];
}

async function definitionOf(client: SageMakerClient, PipelineName: string): Promise<Definition> {
  const { PipelineDefinition } = await client.send(new DescribePipelineCommand({ PipelineName }));
  return JSON.parse(PipelineDefinition ?? '{}') as Definition;
}

/** The parameters that a pipeline takes when it starts. */
export async function definedParameters(client: SageMakerClient, PipelineName: string): Promise<readonly DefinedParameter[]> {
  return (await definitionOf(client, PipelineName)).Parameters ?? [];
}

/** Gives parameters of the deployed pipelines other defaults, so that whoever starts them gets them: in each pipeline that has the parameter. */
export async function overrideParameters(
  pipelines: readonly { readonly name: string; readonly client: SageMakerClient }[], values: Readonly<Record<string, string>>,
): Promise<void> {
  if (Object.keys(values).length === 0) {
    return;
  }
  if (pipelines.length === 0) {
    throw new RehearsalError('--parameter changes a training pipeline, but the app has none');
  }
  const definitions = await Promise.all(pipelines.map(async ({ client, name }) => definitionOf(client, name)));
  const declared = definitions.flatMap(({ Parameters = [] }) => Parameters);
  for (const [name, text] of Object.entries(values)) {
    const parameters = declared.filter(({ Name }) => Name === name);
    if (parameters.length === 0) {
      const known = [...new Set(declared.map(({ Name }) => Name))];
      const which = pipelines.length === 1 ? `pipeline ${pipelines[0].name} has no` : `none of the pipelines ${pipelines.map((pipeline) => pipeline.name).join(', ')} has a`;
      throw new UsageError(`${which} parameter "${name}": ${nearest(name, known) ? suggestion(name, known) : `known are ${known.join(', ')}`}`);
    }
    parameters.forEach((parameter) => (parameter.DefaultValue = typed(name, parameter.Type, text)));
  }
  for (const [i, { client, name: PipelineName }] of pipelines.entries()) {
    await client.send(new UpdatePipelineCommand({ PipelineName, PipelineDefinition: JSON.stringify(definitions[i]) }));
  }
}

function typed(name: string, type: string, text: string): unknown {
  const value = type === 'Boolean' ? { true: true, false: false }[text.toLowerCase()] : type === 'String' ? text : Number(text);
  const wrong = value === undefined || text.trim() === '' && type !== 'String' || Number.isNaN(value) || (type === 'Integer' && !Number.isInteger(value));
  if (wrong) {
    throw new UsageError(`--parameter ${name}="${text}" is not ${type === 'Integer' ? 'an' : 'a'} ${type}`);
  }
  return value;
}

/** Follows the execution to its end and checks the decision of the gate. */
export async function train(
  runner: StepRunner, context: RunContext, training: TrainingPart, executionArn: string | undefined,
  onEvaluated: (evaluated: EvaluationResult) => void,
): Promise<TrainingResult> {
  const client = context.aws.sageMaker;
  const { pipelineName } = training.facts;
  const { arn, steps, status, reason } = await runner.run('training', async (step) => {
    const found = executionArn ?? await poll(step.signal, async () => (await pipelineExecutions(client, pipelineName))[0], {
      within: 60_000, otherwise: () => `no execution of the pipeline ${pipelineName} began within 60 s after the data was ready`,
    });
    const followed = await follow(client, step, found);
    const failed = followed.steps.find(({ StepName, StepStatus }) => StepStatus === 'Failed' && !isVerdict(followed.steps, StepName));
    if (failed || (followed.status !== 'Succeeded' && !followed.steps.some(({ StepName }) => isVerdict(followed.steps, StepName)))) {
      const why = failed?.FailureReason ?? followed.reason ?? `it ended ${followed.status}`;
      throw new RehearsalError(`${pipelineName}${failed ? `, step ${failed.StepName}` : ''}: ${why}`);
    }
    step.summary(`${pipelineName}: ${followed.steps.map(({ StepName }) => StepName).join(' → ')}`);
    return { arn: found, ...followed };
  });
  return runner.run('gate', async (step) => {
    const evaluation = await readEvaluation(context, steps);
    const checks = await judge(client, training, arn, evaluation);
    onEvaluated({ evaluation, checks });
    if (status !== 'Succeeded') {
      const verdict = steps.find(({ StepName }) => isVerdict(steps, StepName));
      throw await rejected(context, arn, checks, verdict?.Metadata?.Fail?.ErrorMessage ?? verdict?.FailureReason ?? reason ?? `the pipeline ended ${status}`);
    }
    const wrong = checks.find(({ passed }) => !passed);
    if (wrong) {
      throw new RehearsalError(`the gate let a model pass that misses its limit: ${sentence(wrong)}`);
    }
    step.summary(checks.map(sentence).join(', ') || 'the pipeline has no gate');
    return { executionArn: arn, evaluation, checks, modelPackageArn: steps.map(({ Metadata }) => Metadata?.RegisterModel?.Arn).find(Boolean) };
  });
}

/** A Fail step after a condition is a decision; any other failed step is an error. */
function isVerdict(steps: readonly PipelineExecutionStep[], name?: string): boolean {
  const step = steps.find(({ StepName }) => StepName === name);
  return step?.StepStatus === 'Failed' && step.Metadata?.Fail !== undefined;
}

async function follow(client: SageMakerClient, step: Step, PipelineExecutionArn: string) {
  const shown = new Set<string>();
  return poll(step.signal, async () => {
    const execution = await client.send(new DescribePipelineExecutionCommand({ PipelineExecutionArn }));
    const steps: PipelineExecutionStep[] = [];
    for await (const page of paginateListPipelineExecutionSteps({ client }, { PipelineExecutionArn, SortOrder: 'Ascending' })) {
      steps.push(...page.PipelineExecutionSteps ?? []);
    }
    steps.sort((a, b) => Number(a.StartTime ?? Infinity) - Number(b.StartTime ?? Infinity));
    for (const { StepName, StepStatus, StartTime, EndTime } of steps) {
      if (StepName && StartTime && EndTime && !shown.has(StepName)) {
        shown.add(StepName);
        step.detail(`${StepName.padEnd(20)} ${StepStatus?.toLowerCase().padEnd(10)} ${seconds(Number(EndTime) - Number(StartTime))}`);
        step.span(StepName, StartTime, EndTime, StepStatus === 'Failed');
      }
    }
    step.now(steps.filter(({ StepStatus }) => StepStatus === 'Executing').map(({ StepName }) => StepName).join(', '));
    const status = execution.PipelineExecutionStatus;
    return status === 'Executing' || status === 'Stopping' ? undefined : { steps, status, reason: execution.FailureReason };
  }, { every: 400 });
}

/** `evaluation.json`, from whichever processing step wrote one. */
async function readEvaluation({ aws }: RunContext, steps: readonly PipelineExecutionStep[]): Promise<unknown> {
  for (const arn of steps.map(({ Metadata }) => Metadata?.ProcessingJob?.Arn).filter((found) => found !== undefined)) {
    const job = await aws.sageMaker.send(new DescribeProcessingJobCommand({ ProcessingJobName: arn.split('/').at(-1) }));
    for (const output of job.ProcessingOutputConfig?.Outputs ?? []) {
      const { bucket, key } = parseS3Uri(output.S3Output?.S3Uri ?? 's3://none');
      const text = await getText(aws.s3, { bucket, key: `${key.replace(/\/?$/, '/')}evaluation.json` }).catch(() => undefined);
      if (text !== undefined) {
        return JSON.parse(text);
      }
    }
  }
  return undefined;
}

async function judge(client: SageMakerClient, { facts }: TrainingPart, PipelineExecutionArn: string, evaluation: unknown): Promise<GateCheck[]> {
  const { PipelineParameters = [] } = await client.send(new ListPipelineParametersForExecutionCommand({ PipelineExecutionArn }));
  const defaults = await definedParameters(client, facts.pipelineName);
  return facts.gate.map(({ metric, path, parameter, operator }) => {
    const given = PipelineParameters.find(({ Name }) => Name === parameter)?.Value ?? defaults.find(({ Name }) => Name === parameter)?.DefaultValue;
    const limit = given === undefined ? undefined : Number(given);
    const value = valueAt(evaluation, path);
    const passed = value !== undefined && limit !== undefined && (operator === '<=' ? value <= limit : value >= limit);
    return { metric, value, operator, limit, passed };
  });
}

/** The number at `$.a.b.value` or `a.b.value`. */
export function valueAt(document: unknown, path: string): number | undefined {
  const found = path.replace(/^\$\.?/, '').split(/[.[\]'"]+/).filter(Boolean)
    .reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], document);
  return typeof found === 'number' ? found : undefined;
}

/** `mse 4.75 <= 6`, or what is true instead: `mse 4.75 > 1`. */
export function sentence({ metric, value, operator, limit, passed }: GateCheck): string {
  const sign = passed ? operator : operator === '<=' ? '>' : '<';
  return `${metric} ${value === undefined ? '(not measured)' : short(value)} ${sign} ${limit ?? '(no limit)'}`;
}

/** The error of a rejected model, after a check that nothing was registered and no endpoint made. */
async function rejected(
  { aws, parts }: RunContext, PipelineExecutionArn: string, checks: readonly GateCheck[], reason: string,
): Promise<RehearsalError> {
  const missed = checks.filter(({ passed }) => !passed).map(sentence);
  if (missed.length === 0 && checks.length > 0) {
    return new RehearsalError(`the gate rejected a model that keeps all its limits (${checks.map(sentence).join(', ')}): ${reason}`);
  }
  const { CreationTime: began = new Date(0) } = await aws.sageMaker.send(new DescribePipelineExecutionCommand({ PipelineExecutionArn }));
  const isNew = ({ CreationTime }: { CreationTime?: Date }) => CreationTime === undefined || CreationTime >= began;
  const group = groupOf(parts);
  const { ModelPackageSummaryList: packages = [] } = group
    ? await aws.sageMaker.send(new ListModelPackagesCommand({ ModelPackageGroupName: group }))
    : {};
  const registered = packages.find(isNew);
  if (registered) {
    return new RehearsalError(`the gate rejected the model (${missed.join(', ')}), yet ${registered.ModelPackageArn} was registered`);
  }
  const { Endpoints = [] } = await aws.sageMaker.send(new ListEndpointsCommand({}));
  const made = Endpoints.filter(isNew).find(({ EndpointName }) => parts.endpoints.some(({ facts }) => facts.endpointName === EndpointName));
  if (made) {
    return new RehearsalError(`the gate rejected the model (${missed.join(', ')}), yet there is an endpoint ${made.EndpointName}`);
  }
  return new GateRejected(`${missed.join(', ') || reason}: the gate rejected the model, nothing was registered, there is no endpoint${missed.length > 0 ? ` (${reason})` : ''}`);
}
