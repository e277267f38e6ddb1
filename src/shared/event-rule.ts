import * as events from 'aws-cdk-lib/aws-events';
import { Construct } from 'constructs';

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
