import { choice, expr, ignore, note, orElse, States, task, wait } from './asl';
import { attributesOf, WorkflowSettings } from './workflow-settings';
import { lockKey } from '../registry/catalog.lambda-shared';

/**
 * One deployment at a time and endpoint. An execution that holds the lock and no longer runs (stopped, timed out) loses
 * it to the next one that asks; should its history be gone too, the lock ends by itself.
 */
export function lockStates(settings: WorkflowSettings, locked: string): States {
  const { dynamodb, sfn } = settings.services;
  const lock = attributesOf(lockKey(settings.modelPackageGroupName, settings.endpointName));
  return {
    TakeLock: task({
      resource: `${dynamodb}:putItem`,
      args: {
        TableName: settings.tableName,
        Item: {
          ...lock,
          owner: { S: expr('$states.context.Execution.Id') },
          since: { S: expr('$now()') },
          expiresAt: { N: expr(`$string($millis() + ${settings.timeoutSeconds * 1000})`) },
        },
        ConditionExpression: 'attribute_not_exists(pk) OR #owner = :me OR expiresAt < :now',
        ExpressionAttributeNames: { '#owner': 'owner' },
        ExpressionAttributeValues: { ':me': { S: expr('$states.context.Execution.Id') }, ':now': { N: expr('$string($millis())') } },
      },
      next: locked,
      on: [ignore('SeeHolder', 'DynamoDB.ConditionalCheckFailedException'), note('Failed', 'take the lock')],
    }),
    SeeHolder: task({
      resource: `${dynamodb}:getItem`,
      args: { TableName: settings.tableName, Key: lock, ConsistentRead: true },
      assign: { holder: expr(orElse('$states.result.Item.owner.S', "''")) },
      next: 'IsHeld',
      on: [note('Failed', 'read the lock')],
    }),
    IsHeld: choice([{ when: "$holder = ''", next: 'TakeLock' }], 'LookAtHolder'),
    LookAtHolder: task({
      resource: `${sfn}:describeExecution`,
      args: { ExecutionArn: expr('$holder') },
      assign: { holderStatus: expr('$states.result.Status') },
      next: 'IsHolderAtWork',
      on: [
        {
          ErrorEquals: ['Sfn.ExecutionDoesNotExistException', 'Sfn.ExecutionDoesNotExist'],
          Assign: { holderStatus: 'GONE' },
          Output: expr('$states.input'),
          Next: 'BreakLock',
        },
        note('Failed', 'look at the execution that holds the lock'),
      ],
    }),
    IsHolderAtWork: choice([{ when: "$holderStatus in ['RUNNING', 'PENDING_REDRIVE']", next: 'WaitForLock' }], 'BreakLock'),
    WaitForLock: wait(settings.pollSeconds, 'TakeLock'),
    BreakLock: task({
      resource: `${dynamodb}:deleteItem`,
      args: {
        TableName: settings.tableName,
        Key: lock,
        ConditionExpression: '#owner = :holder',
        ExpressionAttributeNames: { '#owner': 'owner' },
        ExpressionAttributeValues: { ':holder': { S: expr('$holder') } },
      },
      next: 'TakeLock',
      on: [ignore('TakeLock', 'DynamoDB.ConditionalCheckFailedException'), note('Failed', 'break the lock')],
    }),
    ...releaseLock(settings, 'ReleaseLock', 'Report'),
    ...releaseLock(settings, 'ReleaseLockAfterFailure', 'Failed'),
    Report: {
      Type: 'Pass',
      Output: { outcome: expr('$outcome'), message: expr('$message'), modelPackageArn: expr('$package'), endpointName: settings.endpointName },
      Next: 'Done',
    },
    Done: { Type: 'Succeed' },
    Failed: { Type: 'Fail', Error: expr('$errorName'), Cause: expr('$cause') },
  };
}

function releaseLock(settings: WorkflowSettings, name: string, next: string): States {
  return {
    [name]: task({
      resource: `${settings.services.dynamodb}:deleteItem`,
      args: {
        TableName: settings.tableName,
        Key: attributesOf(lockKey(settings.modelPackageGroupName, settings.endpointName)),
        ConditionExpression: '#owner = :me',
        ExpressionAttributeNames: { '#owner': 'owner' },
        ExpressionAttributeValues: { ':me': { S: expr('$states.context.Execution.Id') } },
      },
      next,
      // A lock that is not given back is taken from an execution that no longer runs.
      on: [ignore(next)],
    }),
  };
}

/** The text of an outcome that is no deployment. */
export function outcome(name: string, sentence: string): { [variable: string]: string } {
  return { outcome: name, message: expr(sentence) };
}

