import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { causeOf, StateError } from './cause.lambda-shared';
import { Env } from './environment';
import { DatasetStatus, Ingestion } from './ingestion.lambda-shared';
import { warnOf } from './warnings.lambda-shared';
import { conditionHeld } from '../shared/conditional-write.lambda-shared';

const table = DynamoDBDocumentClient.from(new DynamoDBClient({}), { marshallOptions: { removeUndefinedValues: true } });

/** The crawler is still at the data before. */
const CRAWLER_AT_WORK = 'Glue.CrawlerRunningException';

/** What the workflow knows at its end; after a failure, whatever it had until then. */
export interface FinishRequest {
  readonly status: Extract<DatasetStatus, 'SUCCEEDED' | 'FAILED'>;
  readonly executionArn: string;
  readonly state: {
    readonly ingestion?: Ingestion;
    readonly verdict?: { readonly rows: number };
    readonly training?: { readonly pipelineExecutionArn: string };
    readonly error?: StateError;
    /** Why the crawler was not started. */
    readonly crawlerError?: StateError;
    /** The event, where nothing else is known. */
    readonly detail?: { readonly bucket?: { readonly name?: string }; readonly object?: { readonly key?: string } };
  };
}

/** What the notification and the failed state say. */
export interface Finish {
  readonly subject: string;
  readonly message: string;
  readonly cause: string;
}

/** Records how the processing of a data set ended and finds the words for it. */
export async function handler({ status, executionArn, state }: FinishRequest): Promise<Finish> {
  const cause = state.error ? causeOf(state.error) : '';
  const id = state.ingestion?.id;
  if (id) {
    await record(id, status, executionArn, state, cause);
  }
  if (state.crawlerError && state.crawlerError.Error !== CRAWLER_AT_WORK) {
    await warnOf(table, executionArn, id, `the crawler was not started: ${causeOf(state.crawlerError)}`);
  }
  const object = state.detail?.object?.key;
  const what = state.ingestion?.files?.map((file) => file.key).join(', ') ?? object ?? 'an event without an object';
  if (status === 'FAILED') {
    return {
      subject: 'Data processing failed',
      message: `${what} was not processed: ${cause}\nIt is still in its place. Execution: ${executionArn}`,
      cause,
    };
  }
  const training = state.training ? `Training was started: ${state.training.pipelineExecutionArn}` : 'No training pipeline is attached.';
  return {
    subject: 'Data ready',
    message: `${what}: ${state.verdict?.rows} rows are valid and lie in ${state.ingestion?.output}/.\n${training}`,
    cause,
  };
}

async function record(id: string, status: DatasetStatus, executionArn: string, state: FinishRequest['state'], cause: string): Promise<void> {
  const values: { [placeholder: string]: unknown } = { ':status': status, ':now': new Date().toISOString(), ':me': executionArn };
  const names: { [placeholder: string]: string } = { '#status': 'status' };
  let update = 'SET #status = :status, updatedAt = :now';
  const set = (attribute: string, value: unknown) => {
    if (value !== undefined && value !== '') {
      names[`#${attribute}`] = attribute;
      values[`:${attribute}`] = value;
      update += `, #${attribute} = :${attribute}`;
    }
  };
  set('rows', state.verdict?.rows);
  set('pipelineExecutionArn', state.training?.pipelineExecutionArn);
  set('error', cause);
  // Another execution may have taken over what this one gave up.
  await conditionHeld(table.send(new UpdateCommand({
    TableName: process.env[Env.TABLE_NAME],
    Key: { id },
    UpdateExpression: update,
    ConditionExpression: 'executionArn = :me',
    ExpressionAttributeNames: names,
    ExpressionAttributeValues: values,
  })));
}
