import { Arn, ArnFormat } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import { WARNINGS } from './warnings';

/** The warnings of a state machine. Sum over 5 minutes by default. */
export function warningsOf({ stateMachineArn }: sfn.IStateMachine, options?: cloudwatch.MetricOptions): cloudwatch.Metric {
  const { namespace, metricName, dimension } = WARNINGS;
  const name = Arn.split(stateMachineArn, ArnFormat.COLON_RESOURCE_NAME).resourceName!;
  return new cloudwatch.Metric({ namespace, metricName, dimensionsMap: { [dimension]: name }, statistic: cloudwatch.Stats.SUM, ...options });
}
