import { randomUUID } from 'node:crypto';
import {
  DescribePipelineExecutionCommand, ListPipelineParametersForExecutionCommand, StopPipelineExecutionCommand,
} from '@aws-sdk/client-sagemaker';
import { ApiClient, describeResponse } from './api-client';
import { Ingestion } from './data';
import { RunContext } from './run-context';
import { StepRunner, poll } from './step-runner';
import { definedParameters, pipelineExecutions } from './training';
import { TrainingParameter } from '../../data/environment';
import { datasetOf } from '../app/app-parts';
import { RehearsalError } from '../command/errors';

const ROUTE = 'POST /training/start';

/** Why the API of this app does not start the training that is rehearsed; undefined when it does. */
export function noRetraining({ api, parts }: RunContext): string | undefined {
  if (!api?.facts.routes.includes(ROUTE)) {
    return 'the app has no API that starts trainings';
  }
  return api.pathOf(ROUTE, parts.training?.facts.pipelineName) ? undefined : 'the API starts another pipeline than the one that is rehearsed';
}

/**
 * Asks the API for a training: with a parameter that the pipeline lacks, which it must refuse; then rightly, and the same
 * once more. The one execution that begins is looked at and stopped, for the same data were trained on before.
 */
export async function retrain(runner: StepRunner, context: RunContext, ingested: Ingestion): Promise<void> {
  const client = context.aws.sageMaker;
  const { pipelineName } = context.parts.training!.facts;
  await runner.run('retraining', async (step) => {
    const api = context.api!;
    const path = api.pathOf(ROUTE, pipelineName)!;
    const parameter = (await definedParameters(client, pipelineName))
      .find(({ Name, DefaultValue }) => DefaultValue !== undefined && Name.length > 4 && api.maySet(pipelineName, Name));
    const dataset = api.pathOf('GET /datasets', datasetOf(context.parts)) && ingested.dataSet.id;
    const seen: string[] = [];
    if (parameter) {
      const wrong = parameter.Name.slice(0, -1);
      await refuse(api, path, wrong, parameter.DefaultValue, `"${parameter.Name}"`);
      seen.push(`${wrong}: 400 that names ${parameter.Name}`);
    }
    const limit = context.parts.training!.facts.gate.find((one) => !api.maySet(pipelineName, one.parameter));
    if (limit) {
      // Whoever could set the gate's limit could let any model pass.
      await refuse(api, path, limit.parameter, 1e9);
      seen.push(`${limit.parameter}: 400`);
    }
    const before = await pipelineExecutions(client, pipelineName);

    const body = { dataset, ...(parameter ? { parameters: { [parameter.Name]: parameter.DefaultValue } } : {}) };
    const idempotencyKey = randomUUID();
    const started = await start(api, path, body, idempotencyKey);
    const again = await start(api, path, body, idempotencyKey);
    const begun = (await pipelineExecutions(client, pipelineName)).filter((arn) => !before.includes(arn));
    if (again !== started || begun.length !== 1 || begun[0] !== started) {
      throw new RehearsalError(`two equal requests with one idempotency key should start one training, but answered ${started} and ${again}, and started ${begun.join(', ') || 'none'}`);
    }
    await client.send(new StopPipelineExecutionCommand({ PipelineExecutionArn: started, ClientRequestToken: randomUUID() }));
    const { PipelineParameters: given = [] } = await client.send(new ListPipelineParametersForExecutionCommand({ PipelineExecutionArn: started }));
    const valueOf = (name: string) => given.find(({ Name }) => Name === name)?.Value;
    if (parameter && valueOf(parameter.Name) !== String(parameter.DefaultValue)) {
      throw new RehearsalError(`the training was asked for ${parameter.Name} = ${String(parameter.DefaultValue)}, but began with ${valueOf(parameter.Name) ?? 'none'}`);
    }
    if (dataset && !Object.values(TrainingParameter).some((name) => valueOf(name)?.includes(dataset))) {
      throw new RehearsalError(`the training was asked for data set ${dataset}, but began with ${JSON.stringify(given)}`);
    }
    await poll(step.signal, async () => {
      const { PipelineExecutionStatus } = await client.send(new DescribePipelineExecutionCommand({ PipelineExecutionArn: started }));
      return PipelineExecutionStatus === 'Stopped' || undefined;
    });
    seen.push(`asked twice${dataset ? ` with data set ${dataset.slice(0, 12)}` : ''}: started once, then stopped`);
    step.summary(seen.join('; '));
  });
}

/** Asks with a parameter that must be refused with a 400 that has these words. */
async function refuse(api: ApiClient, path: string, name: string, value: unknown, ...words: string[]): Promise<void> {
  const answer = await api.post(path, { parameters: { [name]: value } });
  if (answer.status !== 400 || ![name, ...words].every((word) => answer.text.includes(word))) {
    throw new RehearsalError(`the parameter ${name} should be refused with a 400 that names ${words.join(' and ') || 'it'}, but the answer was ${describeResponse(answer)}`);
  }
}

async function start(api: ApiClient, path: string, body: unknown, idempotencyKey: string): Promise<string> {
  const answer = await api.post(path, body, { idempotencyKey });
  const { executionArn } = (answer.body ?? {}) as { executionArn?: string };
  if (answer.status !== 202 || !executionArn) {
    throw new RehearsalError(`${ROUTE} answered ${describeResponse(answer)}`);
  }
  return executionArn;
}
