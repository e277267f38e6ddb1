import * as path from 'node:path';
import { SchemaDocument } from '../../data/schema-document';
import { Leftover } from '../emulator';
import { RehearsalError } from '../failures';
import { said } from './api-client';
import { Ingested, deliverAgain, ingest } from './data';
import { HeldOut, heldOutRows } from './instances';
import { RegisteredModel, approve, awaitEndpoint, deploymentsSoFar, findRegistered, listed } from './models';
import { Predicted, predictHeldOut, refuse, takesPredictions } from './predictions';
import { noRetraining, retrain } from './retraining';
import { count } from './set-up';
import { Stage } from './stage';
import { Evaluated, overrideParameters, startTraining, train } from './training';
import { World } from './world';

/** What the report shows besides the steps. Filled as the rehearsal goes, so that a failed one shows what it reached. */
export interface Findings {
  schema?: SchemaDocument;
  ingested?: Ingested;
  evaluated?: Evaluated;
  model?: RegisteredModel;
  endpointName?: string;
  predicted?: Predicted;
}

/** Plays what the app contains, from the upload to the last check before it is destroyed. */
export async function play(stage: Stage, world: World, findings: Findings): Promise<void> {
  const { cast, options } = world;
  const { data, training } = cast;
  findings.schema = (data?.facts.schema ?? cast.endpoint?.facts.schema) as SchemaDocument | undefined;
  if (training) {
    await overrideParameters(world.aws.sageMaker, training.facts.pipelineName, options.parameters);
  } else if (Object.keys(options.parameters).length > 0) {
    throw new RehearsalError('--parameter changes a training pipeline, but the app has none');
  }
  findings.ingested = await playData(stage, world);
  if (!training || !findings.ingested) {
    stage.skip(['training', 'gate', 'registration', 'approval', 'endpoint', 'predictions', 'refusals'],
      training ? 'no data set to train on' : 'the app has no training pipeline that the data starts');
  } else {
    await playModel(stage, world, findings);
  }
  await playReads(stage, world, findings);
  const why = noRetraining(world, training);
  if (why === undefined && findings.model) {
    await retrain(stage, world, training!, findings.ingested);
  } else {
    stage.skip(['retraining'], why ?? 'no model was trained before');
  }
  if (data && findings.ingested) {
    await deliverAgain(stage, world, data, findings.ingested);
  } else {
    stage.skip(['duplicate'], 'nothing was uploaded');
  }
}

async function playData(stage: Stage, world: World): Promise<Ingested | undefined> {
  const { cast: { data }, options } = world;
  if (data && options.data) {
    return ingest(stage, world, data, path.resolve(options.data));
  }
  stage.skip(['upload', 'data'], data ? 'no file was named with --data' : 'the app has no data pipeline');
  return undefined;
}

async function playModel(stage: Stage, world: World, findings: Findings): Promise<void> {
  const { cast, aws } = world;
  const { dataSet } = findings.ingested!;
  const training = cast.training!;
  const started = cast.data?.facts.pipelineName ? dataSet.pipelineExecutionArn : await startTraining(aws.sageMaker, training.facts.pipelineName);
  const trained = await train(stage, world, training, started, (evaluated) => findings.evaluated = evaluated);
  const model = findings.model = await findRegistered(stage, world, trained);
  const before = cast.endpoint ? await deploymentsSoFar(world, cast.endpoint) : [];
  await approve(stage, world, model);
  if (!cast.endpoint) {
    stage.skip(['endpoint', 'predictions', 'refusals'], 'the app has no endpoint for this data');
    return;
  }
  findings.endpointName = await awaitEndpoint(stage, world, cast.endpoint, model, before);
  const schema = cast.endpoint.facts.schema as SchemaDocument;
  let held: HeldOut[] = [];
  const rows = async () => held = await heldOutRows(world, schema, dataSet.id);
  findings.predicted = await predictHeldOut(stage, world, schema, findings.endpointName, rows, trained.evaluation);
  if (takesPredictions(world)) {
    await refuse(stage, world, schema, held[0]);
  } else {
    stage.skip(['refusals'], 'the app has no API that predicts');
  }
}

/** GET /health, /models and /datasets agree with what happened. */
async function playReads(stage: Stage, world: World, findings: Findings): Promise<void> {
  const { api } = world;
  if (!api) {
    stage.skip(['reads'], 'the app has no API');
    return;
  }
  await stage.play('reads', async (step) => {
    const health = await api.get('/health');
    if (health.status !== 200) {
      throw new RehearsalError(`GET /health answered ${said(health)}`);
    }
    const told = ['healthy'];
    const { model, endpointName, ingested } = findings;
    if (model && api.has('GET /models')) {
      const models = await listed(world);
      const mine = models.find(({ version }) => version === model.version);
      if (mine?.status !== 'Approved' || (endpointName && mine.serving !== true)) {
        throw new RehearsalError(`GET /models should list version ${model.version} as Approved${endpointName ? ' and serving' : ''}, but says ${JSON.stringify(mine)}`);
      }
      told.push(`${count(models.length, 'model')}, version ${model.version} ${endpointName ? 'serves' : 'approved'}`);
    }
    if (ingested && api.has('GET /datasets')) {
      const answer = await api.get('/datasets');
      if (answer.status !== 200 || !answer.text.includes(ingested.dataSet.id)) {
        throw new RehearsalError(`GET /datasets should list ${ingested.dataSet.id}, but answered ${said(answer)}`);
      }
      told.push('the data set is listed');
    }
    step.summary(told.join('; '));
  });
}

/** Removes the app and checks that it took everything along. */
export async function takeDown(stage: Stage, world: World): Promise<void> {
  await stage.play('destroy', async (step) => {
    await world.cdk.destroy(step.signal);
    step.summary('all stacks are gone');
  });
  await stage.play('leftovers', async (step) => {
    const found = await world.emulator.leftovers();
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
