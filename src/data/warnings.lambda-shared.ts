import { ConditionalCheckFailedException } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { Env } from './environment';
import { warn } from '../shared/warning.lambda-shared';

/** Says that something failed without which the data set is as good as before, and notes it in the data set, where there is one. */
export async function warnOf(table: DynamoDBDocumentClient, executionArn: string, id: string | undefined, warning: string): Promise<void> {
  warn(executionArn, warning);
  if (id === undefined) {
    return;
  }
  try {
    await table.send(new UpdateCommand({
      TableName: process.env[Env.TABLE_NAME],
      Key: { id },
      UpdateExpression: 'SET warnings = list_append(if_not_exists(warnings, :none), :warnings), updatedAt = :now',
      ConditionExpression: 'executionArn = :me',
      ExpressionAttributeValues: { ':none': [], ':warnings': [warning], ':now': new Date().toISOString(), ':me': executionArn },
    }));
  } catch (error) {
    // Another execution has taken the data set over.
    if (!(error instanceof ConditionalCheckFailedException)) {
      throw error;
    }
  }
}
