import * as path from 'node:path';
import { describeResponse } from './api-client';
import { Ingestion, deliverAgain, ingest } from './data';
import { HeldOut, heldOutRows } from './instances';
import { RegisteredModel, approve, awaitEndpoint, deploymentsSoFar, findRegistered, listed } from './models';
import { PredictionResult, predictHeldOut, refuse, takesPredictions } from './predictions';
import { noRetraining, retrain } from './retraining';
import { RunContext } from './run-context';
import { StepRunner } from './step-runner';
import { EvaluationResult, overrideParameters, startTraining, train } from './training';
import { SchemaDocument } from '../../data/schema-document';
import { RehearsalError } from '../command/errors';
import { count } from '../command/text';
import { Leftover } from '../emulator/emulator';

/** What the report shows besides the steps. Filled as the rehearsal goes, so that a failed one shows what it reached. */
export interface ScenarioResults {
  schema?: SchemaDocument;
  ingested?: Ingestion;
  evaluated?: EvaluationResult;
  model?: RegisteredModel;
  endpointName?: string;
  predicted?: PredictionResult;
}

/** Runs all steps that the app has parts for, from the upload to the last check before it is destroyed. */
export async function runScenario(runner: StepRunner, context: RunContext, results: ScenarioResults): Promise<void> {
  const { parts, options } = context;
  const { data, training } = parts;
  results.schema = (data?.facts.schema ?? parts.endpoint?.facts.schema) as SchemaDocument | undefined;
  if (training) {
    await overrideParameters(context.aws.sageMaker, training.facts.pipelineName, options.parameters);
  } else if (Object.keys(options.parameters).length > 0) {
    throw new RehearsalError('--parameter changes a training pipeline, but the app has none');
  }
  results.ingested = await runDataSteps(runner, context);
  if (!training || !results.ingested) {
    runner.skip(['training', 'gate', 'registration', 'approval', 'endpoint', 'predictions', 'refusals'],
      training ? 'no data set to train on' : 'the app has no training pipeline that the data starts');
  } else {
    await runModelSteps(runner, context, results);
  }
  await runReadSteps(runner, context, results);
  const why = noRetraining(context, training);
  if (why === undefined && results.model) {
    await retrain(runner, context, training!, results.ingested);
  } else {
    runner.skip(['retraining'], why ?? 'no model was trained before');
  }
  if (data && results.ingested) {
    await deliverAgain(runner, context, data, results.ingested);
  } else {
    runner.skip(['duplicate'], 'nothing was uploaded');
  }
}

async function runDataSteps(runner: StepRunner, context: RunContext): Promise<Ingestion | undefined> {
  const { parts: { data }, options } = context;
  if (data && options.data) {
    return ingest(runner, context, data, path.resolve(options.data));
  }
  runner.skip(['upload', 'data'], data ? 'no file was named with --data' : 'the app has no data pipeline');
  return undefined;
}

async function runModelSteps(runner: StepRunner, context: RunContext, results: ScenarioResults): Promise<void> {
  const { parts, aws } = context;
  const { dataSet } = results.ingested!;
  const training = parts.training!;
  const started = parts.data?.facts.pipelineName ? dataSet.pipelineExecutionArn : await startTraining(aws.sageMaker, training.facts.pipelineName);
  const trained = await train(runner, context, training, started, (evaluated) => results.evaluated = evaluated);
  const model = results.model = await findRegistered(runner, context, trained);
  const before = parts.endpoint ? await deploymentsSoFar(context, parts.endpoint) : [];
  await approve(runner, context, model);
  if (!parts.endpoint) {
    runner.skip(['endpoint', 'predictions', 'refusals'], 'the app has no endpoint for this data');
    return;
  }
  results.endpointName = await awaitEndpoint(runner, context, parts.endpoint, model, before);
  const schema = parts.endpoint.facts.schema as SchemaDocument;
  let held: HeldOut[] = [];
  const rows = async () => held = await heldOutRows(context, schema, dataSet.id);
  results.predicted = await predictHeldOut(runner, context, schema, results.endpointName, rows, trained.evaluation);
  if (takesPredictions(context)) {
    await refuse(runner, context, schema, held[0]);
  } else {
    runner.skip(['refusals'], 'the app has no API that predicts');
  }
}

/** GET /health, /models and /datasets agree with what happened. */
async function runReadSteps(runner: StepRunner, context: RunContext, results: ScenarioResults): Promise<void> {
  const { api } = context;
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
    const { model, endpointName, ingested } = results;
    if (model && api.has('GET /models')) {
      const models = await listed(context);
      const mine = models.find(({ version }) => version === model.version);
      if (mine?.status !== 'Approved' || (endpointName && mine.serving !== true)) {
        throw new RehearsalError(`GET /models should list version ${model.version} as Approved${endpointName ? ' and serving' : ''}, but says ${JSON.stringify(mine)}`);
      }
      seen.push(`${count(models.length, 'model')}, version ${model.version} ${endpointName ? 'serves' : 'approved'}`);
    }
    if (ingested && api.has('GET /datasets')) {
      const answer = await api.get('/datasets');
      if (answer.status !== 200 || !answer.text.includes(ingested.dataSet.id)) {
        throw new RehearsalError(`GET /datasets should list ${ingested.dataSet.id}, but answered ${describeResponse(answer)}`);
      }
      seen.push('the data set is listed');
    }
    step.summary(seen.join('; '));
  });
}

/** Destroys the stacks and checks that nothing outlives them. */
export async function tearDown(runner: StepRunner, context: RunContext): Promise<void> {
  await runner.run('destroy', async (step) => {
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
