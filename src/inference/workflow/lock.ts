import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import { DeployStates, ignored, noted } from './deploy-states';
import { lockInterval } from './history';
import { lockKey } from '../../registry/catalog.lambda-shared';
import { condition, expr, KEEP_INPUT, orElse } from '../../shared/workflow/jsonata';
import { ServiceTask } from '../../shared/workflow/service-task';

const ME = { S: expr('$states.context.Execution.Id') };
const OWNER = { '#owner': 'owner' };
const NOT_MET = ignored('DynamoDB.ConditionalCheckFailedException');

/**
 * One deployment at a time and endpoint. An execution that holds the lock and no longer runs (stopped, timed out) loses
 * it to the next one that asks; should its history be gone too, the lock ends by itself.
 */
export class Lock extends DeployStates {
  /** Takes the lock and goes on to `locked`. */
  public take(locked: sfn.IChainable, failed: sfn.IChainable): sfn.IChainable {
    const take = this.takeLock();
    const seeHolder = this.seeHolder();
    const lookAtHolder = this.describeExecution('LookAtHolder', '$holder', { holderStatus: expr('$states.result.Status') });
    const breakLock = this.breakLock();
    const wait = this.wait('WaitForLock', lockInterval(this.settings.pollInterval));
    wait.next(take);

    take
      .addCatch(seeHolder, NOT_MET)
      .addCatch(failed, noted('take the lock'))
      .next(locked);
    seeHolder
      .addCatch(failed, noted('read the lock'))
      .next(this.choice('IsHeld')
        .when(condition("$holder = ''"), wait)
        .otherwise(lookAtHolder));
    lookAtHolder
      .addCatch(breakLock, {
        errors: ['Sfn.ExecutionDoesNotExistException', 'Sfn.ExecutionDoesNotExist', 'Sfn.InvalidArnException'], assign: { holderStatus: 'GONE' }, outputs: KEEP_INPUT,
      })
      .addCatch(failed, noted('look at the execution that holds the lock'))
      .next(this.choice('IsHolderAtWork')
        .when(condition("$holderStatus in ['RUNNING', 'PENDING_REDRIVE']"), wait)
        .otherwise(breakLock));
    breakLock
      .addCatch(take, NOT_MET)
      .addCatch(failed, noted('break the lock'))
      .next(take);
    return take;
  }

  /** Gives the lock back and goes on to `next`. One that is not given back is taken from an execution that no longer runs. */
  public release(id: string, next: sfn.IChainable): sfn.IChainable {
    return this.catalog(id, 'LOCK', 'deleteItem', {
      Key: this.key(lockKey),
      ConditionExpression: '#owner = :me',
      ExpressionAttributeNames: OWNER,
      ExpressionAttributeValues: { ':me': ME },
    }).addCatch(next, ignored()).next(next);
  }

  private takeLock(): ServiceTask {
    return this.catalog('TakeLock', 'LOCK', 'putItem', {
      Item: {
        ...this.key(lockKey),
        owner: ME,
        since: { S: expr('$now()') },
        expiresAt: { N: expr(`$string($millis() + ${this.settings.timeout.toMilliseconds()})`) },
      },
      ConditionExpression: 'attribute_not_exists(#owner) OR #owner = :me OR expiresAt < :now',
      ExpressionAttributeNames: OWNER,
      ExpressionAttributeValues: { ':me': ME, ':now': { N: expr('$string($millis())') } },
    });
  }

  private seeHolder(): ServiceTask {
    return this.catalog('SeeHolder', 'LOCK', 'getItem', { Key: this.key(lockKey), ConsistentRead: true }, {
      assign: { holder: expr(orElse('$states.result.Item.owner.S', "''")) },
    });
  }

  private breakLock(): ServiceTask {
    return this.catalog('BreakLock', 'LOCK', 'deleteItem', {
      Key: this.key(lockKey),
      ConditionExpression: '#owner = :holder',
      ExpressionAttributeNames: OWNER,
      ExpressionAttributeValues: { ':holder': { S: expr('$holder') } },
    });
  }
}
