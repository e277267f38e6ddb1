import { DescribeExecutionCommand, SFNClient } from '@aws-sdk/client-sfn';
import { DynamoDBDocumentClient, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { Env } from './environment';
import { conditionHeld } from '../shared/conditional-write.lambda-shared';

/** Whether an execution is at work, or was asked to go on: one that was stopped or timed out cannot give back what it claimed. */
export async function isRunning(executions: SFNClient, executionArn: string): Promise<boolean> {
  try {
    const { status } = await executions.send(new DescribeExecutionCommand({ executionArn }));
    return status === 'RUNNING' || status === 'PENDING_REDRIVE';
  } catch (error) {
    if ((error as Error).name === 'ExecutionDoesNotExist') {
      return false;
    }
    throw error;
  }
}

/**
 * Records that a data set failed, unless its execution has ended it itself or another execution has taken it over.
 *
 * @returns whether it was recorded
 */
export async function recordInterrupted(table: DynamoDBDocumentClient, id: string, executionArn: string, cause: string): Promise<boolean> {
  return conditionHeld(table.send(new UpdateCommand({
    TableName: process.env[Env.TABLE_NAME],
    Key: { id },
    UpdateExpression: 'SET #status = :failed, #error = :error, updatedAt = :now',
    ConditionExpression: '#status = :running AND executionArn = :owner',
    ExpressionAttributeNames: { '#status': 'status', '#error': 'error' },
    ExpressionAttributeValues: {
      ':failed': 'FAILED', ':running': 'RUNNING', ':owner': executionArn, ':error': cause, ':now': new Date().toISOString(),
    },
  })));
}
