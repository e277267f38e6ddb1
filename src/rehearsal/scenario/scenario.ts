import * as path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { describeResponse } from './api-client';
import { Ingestion, deliverAgain, ingest } from './data';
import { HeldOut, heldOutRows } from './instances';
import { RegisteredModel, approve, awaitEndpoint, deploymentsSoFar, findRegistered, listed } from './models';
import { PredictionResult, predictHeldOut, refuse } from './predictions';
import { liftProtections } from './protections';
import { noRetraining, retrain } from './retraining';
import { DeployedApp, RunContext } from './run-context';
import { ReachedUntil, StepRunner } from './step-runner';
import { EvaluationResult, TrainingResult, overrideParameters, train } from './training';
import { SchemaDocument } from '../../data/schema-document';
import { datasetOf } from '../app/app-parts';
import { urlOf } from '../app/environment';
import { RehearsalError } from '../command/errors';
import { count } from '../command/text';
import { Leftover } from '../emulator/emulator';

/** What the report shows of a model, besides the steps. Filled as the rehearsal goes, so that a failed one shows what it reached. */
export interface ModelResults {
  /** Name of the model. */
  readonly name: string;
  file?: string;
  schema?: SchemaDocument;
  ingested?: Ingestion;
  evaluated?: EvaluationResult;
  model?: RegisteredModel;
  endpointName?: string;
  predicted?: PredictionResult;
}

/** Runs all steps that the app has parts for, model after model, from the upload to the last check before it is destroyed. */
export async function runScenario(runner: StepRunner, { models, options }: DeployedApp, results: ModelResults[]): Promise<void> {
  const pipelines = models.flatMap(({ parts: { training, environment }, aws }) =>
    training ? [{ name: training.facts.pipelineName, client: aws.sageMaker, url: urlOf(environment) }] : []);
  const each = new Map(pipelines.map((pipeline) => [`${pipeline.url} ${pipeline.name}`, pipeline]));
  await overrideParameters([...each.values()], options.parameters);
  let until: ReachedUntil | undefined;
  for (const context of models) {
    const { name } = context.parts;
    runner.model = models.length > 1 ? name : undefined;
    try {
      await runModel(runner, context, results);
    } catch (thrown) {
      if (!(thrown instanceof ReachedUntil)) {
        throw thrown;
      }
      until = thrown;
    }
  }
  runner.model = undefined;
  if (until) {
    throw until;
  }
}

async function runModel(runner: StepRunner, context: RunContext, results: ModelResults[]): Promise<void> {
  const { parts: { name, data, training, endpoints }, file } = context;
  const result: ModelResults = { name, file, schema: (data ?? endpoints[0])?.facts.schema as SchemaDocument | undefined };
  results.push(result);
  result.ingested = await runDataSteps(runner, context);
  if (!training || !result.ingested) {
    runner.skip(['training', 'gate', 'registration', 'approval', 'endpoint', 'predictions', 'refusals'],
      training ? 'no data set to train on' : 'the app has no training pipeline that the data starts');
  } else {
    await runModelSteps(runner, context, result, results);
  }
  await runReadSteps(runner, context, result);
  const why = noRetraining(context);
  if (why === undefined && result.model && result.ingested) {
    await retrain(runner, context, result.ingested);
  } else {
    runner.skip(['retraining'], why ?? 'no model was trained before');
  }
  if (data && result.ingested) {
    await deliverAgain(runner, context, data, result.ingested);
  } else {
    runner.skip(['duplicate'], 'nothing was uploaded');
  }
}

async function runDataSteps(runner: StepRunner, context: RunContext): Promise<Ingestion | undefined> {
  const { parts: { data }, file } = context;
  if (data && file !== undefined) {
    return ingest(runner, context, data, path.resolve(file));
  }
  runner.skip(['upload', 'data'], data ? 'no file was named with --data' : 'the app has no data pipeline');
  return undefined;
}

async function runModelSteps(runner: StepRunner, context: RunContext, result: ModelResults, results: ModelResults[]): Promise<void> {
  const { endpoints, training } = context.parts;
  const { dataSet } = result.ingested!;
  const trained = await train(runner, context, training!, dataSet.pipelineExecutionArn, (evaluated) => result.evaluated = evaluated);
  const model = result.model = await findRegistered(runner, context, trained);
  const before = await Promise.all(endpoints.map(async (endpoint) => deploymentsSoFar(context, endpoint)));
  await approve(runner, context, model);
  if (endpoints.length === 0) {
    runner.skip(['endpoint', 'predictions', 'refusals'], 'the app has no endpoint for this data');
    return;
  }
  for (const [i, endpoint] of endpoints.entries()) {
    // Of a model that several endpoints serve, each is a result of its own.
    const served = i === 0 ? result : { ...result, name: `${result.name} at ${endpoint.facts.endpointName}` };
    if (i > 0) {
      results.push(served);
    }
    served.endpointName = await awaitEndpoint(runner, context, endpoint, model, before[i]);
    await predict(runner, context, served, endpoint.facts.schema as SchemaDocument, trained);
  }
}

async function predict(
  runner: StepRunner, context: RunContext, result: ModelResults, schema: SchemaDocument, trained: TrainingResult,
): Promise<void> {
  const { api } = context;
  let held: HeldOut[] = [];
  const rows = async () => held = await heldOutRows(context, schema, result.ingested!.dataSet.id);
  result.predicted = await predictHeldOut(runner, context, schema, result.endpointName!, rows, trained.evaluation);
  const route = api?.pathOf('POST /inference/predict', result.endpointName);
  if (api && route) {
    await refuse(runner, api, route, schema, held[0]);
  } else {
    runner.skip(['refusals'], 'the app has no API that predicts');
  }
}

/** The routes that only read agree with what happened. */
async function runReadSteps(runner: StepRunner, { api, parts }: RunContext, { model, endpointName, ingested }: ModelResults): Promise<void> {
  if (!api) {
    runner.skip(['reads'], 'the app has no API');
    return;
  }
  await runner.run('reads', async (step) => {
    const health = await api.get('/health');
    if (health.status !== 200) {
      throw new RehearsalError(`GET /health answered ${describeResponse(health)}`);
    }
    const seen = ['healthy'];
    const models = api.pathOf('GET /models', model?.group);
    if (model && models) {
      const all = await listed(api, models);
      const mine = all.find(({ version }) => version === model.version);
      const one = await api.get(api.pathOf('GET /models/{group}/versions/{version}', model.group, { group: model.group, version: model.version })!);
      if (mine?.status !== 'Approved' || (endpointName && mine.serving !== true) || !isDeepStrictEqual(one.body, mine)) {
        throw new RehearsalError(`GET ${models} should list version ${model.version} as Approved${endpointName ? ' and serving' : ''}, but says ${JSON.stringify(mine)}, `
          + `and of the version itself ${describeResponse(one)}`);
      }
      seen.push(`${count(all.length, 'model')}, version ${model.version} ${endpointName ? 'serves' : 'approved'}`);
    }
    const datasets = api.pathOf('GET /datasets', datasetOf(parts));
    if (ingested && datasets) {
      const answer = await api.get(datasets);
      if (answer.status !== 200 || !answer.text.includes(ingested.dataSet.id)) {
        throw new RehearsalError(`GET ${datasets} should list ${ingested.dataSet.id}, but answered ${describeResponse(answer)}`);
      }
      seen.push('the data set is listed');
    }
    step.summary(seen.join('; '));
  });
}

/** Destroys the stacks and checks that nothing outlives them. */
export async function tearDown(runner: StepRunner, context: DeployedApp): Promise<void> {
  await runner.run('destroy', async (step) => {
    (await liftProtections(context.environments, context.stacks)).forEach((protection) => step.detail(`lifted first: ${protection}`));
    await context.cdk.destroy(step.signal);
    step.summary('all stacks are gone');
  });
  await runner.run('leftovers', async (step) => {
    const found = await context.emulator.leftovers();
    const left = found.filter(({ why }) => why === undefined);
    if (left.length > 0) {
      throw new RehearsalError(`${count(left.length, 'thing')} outlived the stacks: ${left.slice(0, 5).map(named).join(', ')}`, { log: left.map(named) });
    }
    found.forEach((kept) => step.detail(`stays: ${named(kept)}, ${kept.why}`));
    step.summary(found.length > 0 ? 'none, but for what stays on AWS too' : 'none');
  });
}

function named({ service, kind, id }: Leftover): string {
  return `${service} ${kind} ${id}`;
}
