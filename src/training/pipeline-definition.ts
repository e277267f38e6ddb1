import * as fs from 'fs';
import * as iam from 'aws-cdk-lib/aws-iam';
import { checkDefinition } from './definition-checks';
import { isObject, listOf } from './definition-graph';
import { PipelineParameter } from './pipeline-parameter';
import { StepContext } from './step-context';
import { Problems } from '../shared/validation';
import { PipelineStep } from './steps/pipeline-step';
import { Json, JsonObject, renderReferences } from '../shared/pipeline-tokens';

const VERSION = '2020-12-01';

/** Props of `PipelineDefinition`. */
export interface PipelineDefinitionProps {
  /** The steps, but for those of branches, which stand in their `ConditionStep` only. The order does not matter: references decide it. */
  readonly steps: PipelineStep[];
  /** What a start may give. @default - nothing */
  readonly parameters?: PipelineParameter[];
}

/** How a definition that was written elsewhere is taken in. */
export interface DefinitionImportOptions {
  /**
   * Texts of the definition to replace, and what by: placeholders by bucket names, role ARNs and the like, CDK tokens included.
   * @default - nothing is replaced
   */
  readonly replacements?: { [text: string]: string };
  /**
   * Roles of the steps: those whose ARNs stand in the definition and, where a parameter says a role, all that may be given. They are
   * granted what their steps need, and the pipeline may pass them.
   * @default - the job role of the `TrainingPipeline` alone, where its ARN stands in the definition
   */
  readonly roles?: iam.IRole[];
}

/**
 * The definition of a SageMaker pipeline: parameters and steps, rendered as the official SDK renders them.
 *
 * Values of the run are ordinary strings and numbers (`step.property(...)`, `parameter.valueAsString`), so that `${...}` joins them; places
 * in S3, images, functions, queues and registries are values that carry permission: what a step is given, its role is granted. What points
 * nowhere, is named twice, waits for itself or lacks what it needs is an error here, at synth,
 * which names the step, the field, the value and the nearest right name.
 *
 * @example
 * declare const bucket: s3.IBucket;
 * declare const repository: ecr.IRepository;
 * const input = PipelineParameter.ofString('InputData');
 * const prepare = new ProcessingStep({
 *   name: 'Prepare',
 *   image: ContainerImage.fromEcrRepository(repository, '1'),
 *   instanceType: 'ml.m5.large',
 *   inputs: [{ name: 'raw', source: S3Location.fromUri(input.valueAsString) }],
 *   outputs: [{ name: 'train', destination: S3Location.fromBucket(bucket, `train/${ExecutionVariable.PIPELINE_EXECUTION_ID}`) }],
 * });
 * new PipelineDefinition({ parameters: [input], steps: [prepare] });
 */
export class PipelineDefinition {
  /**
   * A definition in the definition language, as the official SDK's `pipeline.definition()` prints it. Its references are checked like
   * those of a typed one.
   */
  public static fromJson(json: string, options: DefinitionImportOptions = {}): PipelineDefinition {
    return PipelineDefinition.foreign('PipelineDefinition.fromJson', json, options);
  }

  /** The same from a file, by its path. */
  public static fromFile(path: string, options: DefinitionImportOptions = {}): PipelineDefinition {
    const subject = `PipelineDefinition.fromFile "${path}"`;
    if (!fs.existsSync(path)) {
      throw new Error(`${subject}: there is no such file`);
    }
    return PipelineDefinition.foreign(subject, fs.readFileSync(path, 'utf8'), options);
  }

  private static foreign(subject: string, json: string, options: DefinitionImportOptions): PipelineDefinition {
    const content = parse(subject, json);
    if (!isObject(content) || !Array.isArray(content.Steps)) {
      throw new Error(`${subject}: a definition is an object with "Version", "Parameters" and "Steps"`);
    }
    const problems = new Problems(subject);
    problems.check(content.Version === VERSION, () => `its Version is ${JSON.stringify(content.Version)}; the definition language is "${VERSION}"`);
    const { Version, Metadata, Parameters, Steps, ...rest } = replaceTexts(content, options.replacements ?? {}, problems);
    problems.throwIfAny();
    const definition = new PipelineDefinition({
      parameters: listOf(Parameters).map((parameter) => PipelineParameter._fromJson(parameter)),
      steps: listOf(Steps).map((step) => PipelineStep.fromJson(JSON.stringify(step), { roles: options.roles })),
    });
    definition.further = rest;
    definition.check();
    return definition;
  }

  /** Names of the parameters that a start can give, in order. */
  public readonly parameterNames: string[];

  private further: JsonObject = { PipelineExperimentConfig: null };

  constructor(private readonly props: PipelineDefinitionProps) {
    this.parameterNames = (props.parameters ?? []).map(({ name }) => name);
    this.check();
  }

  /**
   * The definition as JSON; CDK tokens are still in it.
   * @internal
   */
  public _render(context: StepContext): JsonObject {
    const parameters = (this.props.parameters ?? []).map((parameter) => parameter._render());
    context.setParameters(parameters);
    return renderReferences({
      Version: VERSION,
      Metadata: {},
      Parameters: parameters,
      ...this.further,
      Steps: this.props.steps.map((step) => step._render(context)),
    }) as JsonObject;
  }

  private check(): void {
    const problems = new Problems('PipelineDefinition');
    checkDefinition(this._render(new StepContext()), problems);
    problems.throwIfAny();
  }
}

function parse(subject: string, json: string): Json {
  try {
    return JSON.parse(json) as Json;
  } catch (error) {
    throw new Error(`${subject}: it is not valid JSON: ${(error as Error).message}`);
  }
}

function replaceTexts(content: JsonObject, replacements: { [text: string]: string }, problems: Problems): JsonObject {
  const unused = new Set(Object.keys(replacements));
  const replaced = mapTexts(content, (text) => Object.entries(replacements).reduce((result, [from, to]) => {
    if (result.includes(from)) {
      unused.delete(from);
    }
    return result.split(from).join(to);
  }, text)) as JsonObject;
  unused.forEach((text) => problems.check(false, () => `replacements: "${text}" stands nowhere in the definition`));
  return replaced;
}

function mapTexts(value: Json, change: (text: string) => string): Json {
  if (typeof value === 'string') {
    return change(value);
  }
  if (Array.isArray(value)) {
    return value.map((item) => mapTexts(item, change));
  }
  return isObject(value) ? Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapTexts(item, change)])) : value;
}
