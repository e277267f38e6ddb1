import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DescribePipelineCommand, SageMakerClient, StartPipelineExecutionCommand } from '@aws-sdk/client-sagemaker';
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { allDatasets, dataset, DatasetItem } from './datasets.lambda-shared';
import { ApiEnvironment } from './environment';
import { Answer, environment, header, HttpError, HttpRequest, jsonObject, nameOfError, serve } from './http.lambda-shared';
import { callerOf } from './identity.lambda-shared';
import { datasetIdOf, declaredParameters, DeclaredParameter, parametersOf, requestToken, startFailure } from './training.lambda-shared';
import { TrainingParameter } from '../data/environment';
import { logger } from '../shared/logger.lambda-shared';

const sagemaker = new SageMakerClient({});
const tables = DynamoDBDocumentClient.from(new DynamoDBClient({}));

/** `POST /training/start` */
export const handler = serve({ 'POST /training/start': start });

async function start(request: HttpRequest): Promise<Answer> {
  const caller = callerOf(request);
  const withData = process.env[ApiEnvironment.DATASETS_TABLE] !== undefined;
  const body = isEmpty(request) ? {} : jsonObject(request, withData ? ['dataset', 'parameters'] : ['parameters']);
  const asked = datasetIdOf(body.dataset);
  const token = requestToken(header(request, 'idempotency-key'), caller.id, body);
  const declared = await parametersOfPipeline();
  const reserved: string[] = withData ? Object.values(TrainingParameter) : [];
  const parameters = parametersOf(body.parameters, declared, reserved);
  const chosen = withData ? await choose(asked) : undefined;
  if (chosen) {
    parameters.push(...dataParameters(chosen.id, declared));
  }
  const executionArn = await execute(parameters, token);
  logger.info('training started', { executionArn, dataset: chosen?.id, by: caller.id });
  return { status: 202, body: { executionArn, ...(chosen ? { dataset: chosen.id } : {}) } };
}

/** Starting with everything as it is by default needs no body. */
function isEmpty(request: HttpRequest): boolean {
  return request.body === undefined || request.body === null || request.body === '';
}

/** Asked of the pipeline itself, so that it is right for any pipeline and after each of its updates. */
async function parametersOfPipeline(): Promise<DeclaredParameter[]> {
  try {
    const described = await sagemaker.send(new DescribePipelineCommand({ PipelineName: environment(ApiEnvironment.PIPELINE_NAME) }));
    const declared = declaredParameters(described.PipelineDefinition);
    if (!declared) {
      throw new Error('the definition of the pipeline is not JSON with a list "Parameters"');
    }
    return declared;
  } catch (error) {
    throw nameOfError(error) === 'ResourceNotFound' ? startFailure(error) : error;
  }
}

async function choose(asked: string | undefined): Promise<DatasetItem> {
  const table = environment(ApiEnvironment.DATASETS_TABLE);
  if (asked === undefined) {
    const newest = (await allDatasets(tables, table)).find((item) => item.status === 'SUCCEEDED');
    if (!newest) {
      throw new HttpError(409, 'NoDataset', 'there is no data set to train on: upload a file and wait until it is processed');
    }
    return newest;
  }
  const item = await dataset(tables, table, asked);
  if (!item) {
    throw new HttpError(404, 'NotFound', `there is no data set ${asked}: GET /datasets lists them`);
  }
  if (item.status !== 'SUCCEEDED') {
    throw new HttpError(409, 'DatasetNotReady', `the data set ${asked} is ${item.status}; only one that is SUCCEEDED can be trained on`);
  }
  return item;
}

/** A pipeline of one's own may know the place of the data only. */
function dataParameters(id: string, declared: readonly DeclaredParameter[]): { Name: string; Value: string }[] {
  return [
    { Name: TrainingParameter.INPUT_DATA, Value: `${environment(ApiEnvironment.PROCESSED_DATA)}/${id}` },
    { Name: TrainingParameter.MANIFEST_ID, Value: id },
  ].filter(({ Name }) => declared.some((parameter) => parameter.Name === Name));
}

async function execute(parameters: { Name: string; Value: string }[], token: string): Promise<string | undefined> {
  try {
    const { PipelineExecutionArn } = await sagemaker.send(new StartPipelineExecutionCommand({
      PipelineName: environment(ApiEnvironment.PIPELINE_NAME),
      PipelineParameters: parameters,
      ClientRequestToken: token,
    }));
    return PipelineExecutionArn;
  } catch (error) {
    logger.error('the training did not start', error as Error);
    throw startFailure(error);
  }
}
