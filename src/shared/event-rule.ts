import { Duration } from 'aws-cdk-lib';
import * as events from 'aws-cdk-lib/aws-events';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';

/** As long and as often as EventBridge tries: what cannot start now waits for its turn. */
export const LONGEST_DELIVERY = { maxEventAge: Duration.hours(24), retryAttempts: 185 } as const;

/** The events of how executions of a state machine go on, those with this detail. */
export function executionsOf(stateMachine: sfn.IStateMachine, detail: { readonly [field: string]: unknown }): events.EventPattern {
  return {
    source: ['aws.states'],
    detailType: ['Step Functions Execution Status Change'],
    detail: { stateMachineArn: [stateMachine.stateMachineArn], ...detail },
  };
}

/** A rule for an `onX` method: what the method means, and what the caller wants beside it. */
export function eventRule(scope: Construct, id: string, options: events.OnEventOptions, pattern: events.EventPattern): events.Rule {
  const rule = new events.Rule(options.crossStackScope ?? scope, id, {
    description: options.description,
    ruleName: options.ruleName,
    eventPattern: options.eventPattern,
  });
  rule.addEventPattern(pattern);
  rule.addTarget(options.target);
  return rule;
}
