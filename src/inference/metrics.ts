import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type * as sagemaker from 'aws-cdk-lib/aws-sagemaker';
import { VARIANT } from './environment';

/** A metric of the endpoint's one variant, in its account and region. */
export function endpointMetric(endpoint: sagemaker.IEndpoint, metricName: string, options: cloudwatch.MetricOptions): cloudwatch.Metric {
  return new cloudwatch.Metric({
    namespace: 'AWS/SageMaker',
    metricName,
    dimensionsMap: { EndpointName: endpoint.endpointName, VariantName: VARIANT },
    statistic: cloudwatch.Stats.AVERAGE,
    period: Duration.minutes(5),
    ...options,
  }).attachTo(endpoint);
}
