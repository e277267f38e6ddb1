import { randomUUID } from 'crypto';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DescribePipelineCommand, SageMakerClient, StartPipelineExecutionCommand } from '@aws-sdk/client-sagemaker';
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { allDatasets, dataset, DatasetItem } from './datasets.lambda-shared';
import { documentIn } from './document-file.lambda-shared';
import type { CallerParameter, PartSettings } from './environment';
import { Answer, header, HttpError, HttpRequest, jsonObject, nameOfError } from './http.lambda-shared';
import { idempotencyId, once } from './idempotency.lambda-shared';
import { Caller, callerOf } from './identity.lambda-shared';
import { bodyFields } from './routes';
import { selected, served } from './selection.lambda-shared';
import { serve } from './serve.lambda-shared';
import { startDescription } from './starter.lambda-shared';
import { datasetIdOf, declaredParameters, DeclaredParameter, parametersOf, startFailure } from './training.lambda-shared';
import { TrainingParameter } from '../data/environment';
import { logger } from '../shared/logger.lambda-shared';

const sagemaker = new SageMakerClient({});
const tables = DynamoDBDocumentClient.from(new DynamoDBClient({}));

type Data = PartSettings['data'];

/** `POST /training/start` */
export const handler = serve('training', { 'POST /training/start': answer });

/** What is to be started. */
interface Start {
  readonly pipeline: string;
  readonly parametersFile: string;
  readonly data?: Data;
  /** Id of the data set that the caller named. */
  readonly asked?: string;
  /** The caller's parameters. */
  readonly given: unknown;
  /** Makes SageMaker start one execution only, even where the first answer was lost. */
  readonly token: string;
  readonly caller: Caller;
}

async function answer(request: HttpRequest): Promise<Answer> {
  const caller = callerOf(request);
  const { name: pipeline, dataset: dataName, parametersFile } = selected('training', request);
  const data = dataName === undefined ? undefined : served('data').find(({ name }) => name === dataName);
  const fields = bodyFields('POST /training/start').filter((field) => data || field !== 'dataset');
  const body = isEmpty(request) ? {} : jsonObject(request, fields);
  const asked = datasetIdOf(body.dataset);
  const start = (token: string) => startOn({ pipeline, parametersFile, data, asked, given: body.parameters, token, caller });
  const key = header(request, 'idempotency-key');
  if (key === undefined) {
    return start(randomUUID());
  }
  const id = idempotencyId(key, caller.id, pipeline);
  return once(tables, id, body, () => start(id));
}

async function startOn({ pipeline, parametersFile, data, asked, given, token, caller }: Start): Promise<Answer> {
  const declared = await parametersOfPipeline(pipeline);
  const reserved: string[] = data ? Object.values(TrainingParameter) : [];
  const parameters = parametersOf(given, declared, documentIn<CallerParameter[]>(parametersFile), reserved);
  const chosen = data && await choose(data, asked);
  if (data && chosen) {
    parameters.push(...dataParameters(data, chosen.id, declared));
  }
  const executionArn = await execute(pipeline, parameters, token, startDescription(caller));
  logger.info('training started', { pipeline, executionArn, dataset: chosen?.id, by: caller.id });
  return { status: 202, body: { executionArn, pipeline, ...(chosen ? { dataset: chosen.id } : {}) } };
}

/** Starting with everything as it is by default needs no body. */
function isEmpty(request: HttpRequest): boolean {
  return request.body === undefined || request.body === null || request.body === '';
}

/** Asked of the pipeline itself, so that it is right for any pipeline and after each of its updates. */
async function parametersOfPipeline(PipelineName: string): Promise<DeclaredParameter[]> {
  try {
    const described = await sagemaker.send(new DescribePipelineCommand({ PipelineName }));
    const declared = declaredParameters(described.PipelineDefinition);
    if (!declared) {
      throw new Error('the definition of the pipeline is not JSON with a list "Parameters"');
    }
    return declared;
  } catch (error) {
    throw nameOfError(error) === 'ResourceNotFound' ? startFailure(error) : error;
  }
}

async function choose({ table, name }: Data, asked: string | undefined): Promise<DatasetItem> {
  if (asked === undefined) {
    const newest = (await allDatasets(tables, table)).find((item) => item.status === 'SUCCEEDED');
    if (!newest) {
      throw new HttpError(409, 'NoDataset', `there is no data set of ${name} to train on: upload a file and wait until it is processed`);
    }
    return newest;
  }
  const item = await dataset(tables, table, asked);
  if (!item) {
    throw new HttpError(404, 'NotFound', `there is no data set ${asked} of ${name}: GET /datasets lists them`);
  }
  if (item.status !== 'SUCCEEDED') {
    throw new HttpError(409, 'DatasetNotReady', `the data set ${asked} is ${item.status}; only one that is SUCCEEDED can be trained on`);
  }
  return item;
}

/** A pipeline of one's own may know the place of the data only. */
function dataParameters({ processedData }: Data, id: string, declared: readonly DeclaredParameter[]): { Name: string; Value: string }[] {
  return [
    { Name: TrainingParameter.INPUT_DATA, Value: `${processedData}/${id}` },
    { Name: TrainingParameter.MANIFEST_ID, Value: id },
  ].filter(({ Name }) => declared.some((parameter) => parameter.Name === Name));
}

async function execute(
  PipelineName: string, parameters: { Name: string; Value: string }[], token: string, description: string,
): Promise<string | undefined> {
  try {
    const { PipelineExecutionArn } = await sagemaker.send(new StartPipelineExecutionCommand({
      PipelineName,
      PipelineParameters: parameters,
      ClientRequestToken: token,
      PipelineExecutionDescription: description,
    }));
    return PipelineExecutionArn;
  } catch (error) {
    logger.error('the training did not start', error as Error);
    throw startFailure(error);
  }
}
