import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { SFNClient } from '@aws-sdk/client-sfn';
import { PublishCommand, SNSClient } from '@aws-sdk/client-sns';
import { DynamoDBDocumentClient, paginateScan } from '@aws-sdk/lib-dynamodb';
import { Env } from './environment';
import { shorten } from './ingestion.lambda-shared';
import { isRunning, recordInterrupted } from './interruption.lambda-shared';
import { warnOf } from './warnings.lambda-shared';

const table = DynamoDBDocumentClient.from(new DynamoDBClient({}));
const executions = new SFNClient({});
const sns = new SNSClient({});

/** The part of "Step Functions Execution Status Change" that counts. */
export interface ExecutionEnded {
  readonly detail: {
    readonly executionArn: string;
    readonly status: string;
    readonly error?: string | null;
    readonly cause?: string | null;
  };
}

/**
 * Sets right the data sets of an execution that ended without doing so itself: it was stopped, timed out, or broke. Events come late,
 * repeated and in any order: only what is still RUNNING for this execution, which runs no longer, becomes FAILED.
 */
export async function handler({ detail }: ExecutionEnded): Promise<void> {
  const { executionArn } = detail;
  // Asked to go on (redrive) since the event.
  if (await isRunning(executions, executionArn)) {
    return;
  }
  const cause = shorten(`the execution ended ${detail.status} before the data set was done${because(detail)}`, 1000);
  for (const id of await claimedBy(executionArn)) {
    if (await recordInterrupted(table, id, executionArn, cause)) {
      await notify(id, executionArn, cause);
    }
  }
}

/** The status stands by now, so that a repeated event would tell nobody: what cannot be told is noted. */
async function notify(id: string, executionArn: string, cause: string): Promise<void> {
  try {
    await sns.send(new PublishCommand({
      TopicArn: process.env[Env.TOPIC_ARN],
      Subject: 'Data processing failed',
      Message: `Data set ${id} was not processed: ${cause}\nIts files are still in their place. Execution: ${executionArn}`,
      MessageAttributes: {
        event: { DataType: 'String', StringValue: 'failed' },
        dataset: { DataType: 'String', StringValue: process.env[Env.DATASET_NAME] },
      },
    }));
  } catch (error) {
    const { name, message } = error as Error;
    await warnOf(table, executionArn, id, `nobody was notified: ${name}: ${message}`);
  }
}

function because({ error, cause }: ExecutionEnded['detail']): string {
  const said = [error, cause].filter((text) => text).join(': ');
  return said ? ` (${said})` : '';
}

/** The table is keyed by content. It is read whole, which happens only after a failure: an index would be written with every data set. */
async function claimedBy(executionArn: string): Promise<string[]> {
  const ids: string[] = [];
  for await (const page of paginateScan({ client: table }, {
    TableName: process.env[Env.TABLE_NAME],
    ConsistentRead: true,
    ProjectionExpression: 'id',
    FilterExpression: '#status = :running AND executionArn = :owner',
    ExpressionAttributeNames: { '#status': 'status' },
    ExpressionAttributeValues: { ':running': 'RUNNING', ':owner': executionArn },
  })) {
    ids.push(...(page.Items ?? []).map((item) => String(item.id)));
  }
  return ids;
}
