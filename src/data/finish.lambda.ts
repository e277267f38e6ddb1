import { ConditionalCheckFailedException, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { Env } from './environment';
import { DatasetStatus, Ingestion, shorten } from './ingestion.lambda-shared';

const table = DynamoDBDocumentClient.from(new DynamoDBClient({}), { marshallOptions: { removeUndefinedValues: true } });

/** What the workflow knows at its end; after a failure, whatever it had until then. */
export interface FinishRequest {
  readonly status: Extract<DatasetStatus, 'SUCCEEDED' | 'FAILED'>;
  readonly executionArn: string;
  readonly state: {
    readonly ingestion?: Ingestion;
    readonly verdict?: { readonly rows: number };
    readonly training?: { readonly pipelineExecutionArn: string };
    readonly error?: { readonly Error?: string; readonly Cause?: string };
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

/** The sentence in an error of Step Functions: services wrap theirs in JSON, each in its own way. */
export function causeOf(error: { readonly Error?: string; readonly Cause?: string }): string {
  const text = error.Cause ?? '';
  try {
    const cause = JSON.parse(text) as { errorMessage?: string; ErrorMessage?: string; JobName?: string; JobRunState?: string };
    const sentence = cause.errorMessage ?? cause.ErrorMessage;
    const job = cause.JobName ? `job ${cause.JobName} ended ${cause.JobRunState ?? 'in error'}: ` : '';
    return shorten(`${job}${sentence ?? text}`, 1000);
  } catch {
    return shorten(text || error.Error || 'unknown error', 1000);
  }
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
  try {
    await table.send(new UpdateCommand({
      TableName: process.env[Env.TABLE_NAME],
      Key: { id },
      UpdateExpression: update,
      // Another execution may have taken over what this one gave up.
      ConditionExpression: 'executionArn = :me',
      ExpressionAttributeNames: names,
      ExpressionAttributeValues: values,
    }));
  } catch (error) {
    if (!(error instanceof ConditionalCheckFailedException)) {
      throw error;
    }
  }
}
