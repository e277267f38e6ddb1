import { Duration } from 'aws-cdk-lib';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import * as events from 'aws-cdk-lib/aws-events';
import * as targets from 'aws-cdk-lib/aws-events-targets';
import * as sns from 'aws-cdk-lib/aws-sns';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import { Env } from './environment';
import { executionArns } from '../shared/arns';
import type { CommonSettings } from '../shared/common-settings';
import { grantTableKey } from '../shared/encryption';
import { executionsOf } from '../shared/event-rule';
import { HandlerFunction } from '../shared/handler-function';

export interface InterruptionProps {
  readonly settings: CommonSettings;
  readonly datasetName: string;
  readonly datasetTable: dynamodb.ITableV2;
  readonly topic: sns.ITopic;
  readonly stateMachine: sfn.StateMachine;
  readonly deadLetterQueue: sqs.IQueue;
}

/** Sets right what an execution that was stopped, timed out or broke could not: its data set fails and can be processed again. */
export class Interruption extends Construct {
  constructor(scope: Construct, id: string, { settings, datasetName, datasetTable, topic, stateMachine, deadLetterQueue }: InterruptionProps) {
    super(scope, id);
    const handler = new HandlerFunction(this, 'Handler', {
      ...settings,
      handler: 'data/interrupted',
      description: `Records ${datasetName} data whose processing was interrupted as failed`,
      environment: { [Env.TABLE_NAME]: datasetTable.tableName, [Env.DATASET_NAME]: datasetName, [Env.TOPIC_ARN]: topic.topicArn },
      timeout: Duration.minutes(5),
    });
    const actions = ['dynamodb:Scan', 'dynamodb:UpdateItem'];
    datasetTable.grant(handler, ...actions);
    grantTableKey(datasetTable, handler, actions);
    topic.grantPublish(handler);
    handler.allow(['states:DescribeExecution'], [executionArns(this, stateMachine.stateMachineName)]);
    new events.Rule(this, 'OnInterrupted', {
      description: `Processing of ${datasetName} data ended without success`,
      eventPattern: executionsOf(stateMachine, { status: ['ABORTED', 'TIMED_OUT', 'FAILED'] }),
      targets: [new targets.LambdaFunction(handler, { deadLetterQueue, maxEventAge: Duration.hours(24), retryAttempts: 20 })],
    });
  }
}
