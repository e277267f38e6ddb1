import { logger } from './logger.lambda-shared';
import { WARNINGS } from './warnings';

/**
 * Says that something failed without which the work goes on, such as a notification: as an error in the log, and, in CloudWatch's
 * embedded metric format in the same line, as a warning of the state machine that is at work.
 *
 * @see https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
 */
export function warn(executionArn: string, message: string): void {
  const { namespace, metricName, dimension } = WARNINGS;
  logger.error(message, {
    _aws: {
      Timestamp: Date.now(),
      CloudWatchMetrics: [{ Namespace: namespace, Dimensions: [[dimension]], Metrics: [{ Name: metricName, Unit: 'Count' }] }],
    },
    [dimension]: stateMachineName(executionArn),
    [metricName]: 1,
    execution_arn: executionArn,
  });
}

/** Of `arn:<partition>:states:<region>:<account>:execution:<state machine>:<name>`. */
function stateMachineName(executionArn: string): string {
  return executionArn.split(':')[6] ?? '';
}
