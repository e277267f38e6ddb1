import { DynamoDBDocumentClient, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { Env } from './environment';
import { conditionHeld } from '../shared/conditional-write.lambda-shared';
import { warn } from '../shared/warning.lambda-shared';

/** Says that something failed without which the data set is as good as before, and notes it in the data set, where there is one. */
export async function warnOf(table: DynamoDBDocumentClient, executionArn: string, id: string | undefined, warning: string): Promise<void> {
  warn(executionArn, warning);
  if (id === undefined) {
    return;
  }
  // Another execution may have taken the data set over.
  await conditionHeld(table.send(new UpdateCommand({
    TableName: process.env[Env.TABLE_NAME],
    Key: { id },
    UpdateExpression: 'SET warnings = list_append(if_not_exists(warnings, :none), :warnings), updatedAt = :now',
    ConditionExpression: 'executionArn = :me',
    ExpressionAttributeValues: { ':none': [], ':warnings': [warning], ':now': new Date().toISOString(), ':me': executionArn },
  })));
}
