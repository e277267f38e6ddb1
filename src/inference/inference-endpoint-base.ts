import { IResource, Resource, Stack } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as events from 'aws-cdk-lib/aws-events';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as sagemaker from 'aws-cdk-lib/aws-sagemaker';
import { DEPLOYED_EVENT } from './environment';
import { endpointMetric } from './metrics';
import { DatasetSchema } from '../data/schema';
import { sageMakerArns } from '../shared/arns';
import { eventRule } from '../shared/event-rule';

/** An endpoint that serves approved model versions, made here or one that exists. */
export interface IInferenceEndpoint extends IResource, sagemaker.IEndpoint {
  /** The data contract of requests and answers. */
  readonly schema: DatasetSchema;

  /**
   * A rule for each model version that came into service. Its event's `detail` has `endpointName`, `modelPackageGroupName`, `version` and
   * `modelPackageArn`.
   */
  onDeployed(id: string, options?: events.OnEventOptions): events.Rule;

  /** Any metric of the endpoint's variant, of the namespace `AWS/SageMaker`. Average over 5 minutes by default. */
  metric(metricName: string, options?: cloudwatch.MetricOptions): cloudwatch.Metric;
}

/** What is known of an endpoint that an `InferenceEndpoint` made. */
export interface InferenceEndpointAttributes {
  /** Name of the endpoint, in the account and region of the stack. */
  readonly endpointName: string;

  /** The data contract of requests and answers. */
  readonly schema: DatasetSchema;
}

/**
 * What every endpoint can do, whoever made it.
 * @internal
 */
export abstract class EndpointBase extends Resource implements sagemaker.IEndpoint {
  public abstract readonly endpointName: string;
  public abstract readonly endpointArn: string;

  /** Reference to the endpoint for other constructs. */
  public get endpointRef(): sagemaker.EndpointReference {
    return { endpointArn: this.endpointArn };
  }

  /** Grants the given identity permission to ask for predictions. */
  public grantInvoke(grantee: iam.IGrantable): iam.Grant {
    return iam.Grant.addToPrincipal({
      grantee,
      actions: ['sagemaker:InvokeEndpoint'],
      resourceArns: sageMakerArns(this, 'endpoint', this.endpointName),
    });
  }
}

/**
 * What does not depend on where the endpoint was made.
 * @internal
 */
export abstract class InferenceEndpointBase extends EndpointBase implements IInferenceEndpoint {
  public abstract readonly schema: DatasetSchema;

  /**
   * A rule for each model version that came into service. Its event's `detail` has `endpointName`, `modelPackageGroupName`, `version` and
   * `modelPackageArn`.
   */
  public onDeployed(id: string, options: events.OnEventOptions = {}): events.Rule {
    return eventRule(this, id, options, {
      source: [DEPLOYED_EVENT.source],
      detailType: [DEPLOYED_EVENT.detailType],
      detail: { endpointName: [this.endpointName] },
    });
  }

  /** Any metric of the endpoint's variant, of the namespace `AWS/SageMaker`. Average over 5 minutes by default. */
  public metric(metricName: string, options: cloudwatch.MetricOptions = {}): cloudwatch.Metric {
    return endpointMetric(this, metricName, options);
  }

  /** Requests. Sum over 5 minutes by default. */
  public metricInvocations(options: cloudwatch.MetricOptions = {}): cloudwatch.Metric {
    return this.metric('Invocations', { statistic: cloudwatch.Stats.SUM, ...options });
  }

  /** Requests per instance: what autoscaling follows. Sum over 5 minutes by default. */
  public metricInvocationsPerInstance(options: cloudwatch.MetricOptions = {}): cloudwatch.Metric {
    return this.metric('InvocationsPerInstance', { statistic: cloudwatch.Stats.SUM, ...options });
  }

  /** Time that the model took, in microseconds. Average over 5 minutes by default. */
  public metricModelLatency(options: cloudwatch.MetricOptions = {}): cloudwatch.Metric {
    return this.metric('ModelLatency', options);
  }

  /** Time that SageMaker took beside the model, in microseconds. Average over 5 minutes by default. */
  public metricOverheadLatency(options: cloudwatch.MetricOptions = {}): cloudwatch.Metric {
    return this.metric('OverheadLatency', options);
  }

  /** Requests that failed by the caller's fault. Sum over 5 minutes by default. */
  public metricClientErrors(options: cloudwatch.MetricOptions = {}): cloudwatch.Metric {
    return this.metric('Invocation4XXErrors', { statistic: cloudwatch.Stats.SUM, ...options });
  }

  /** Requests that failed by the model's or SageMaker's fault. Sum over 5 minutes by default. */
  public metricServerErrors(options: cloudwatch.MetricOptions = {}): cloudwatch.Metric {
    return this.metric('Invocation5XXErrors', { statistic: cloudwatch.Stats.SUM, ...options });
  }
}

/** ARN of an endpoint of this name in the account and region of the stack. */
export function endpointArn(stack: Stack, endpointName: string): string {
  return stack.formatArn({ service: 'sagemaker', resource: 'endpoint', resourceName: endpointName });
}
