import { Duration, IResource, Resource } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as events from 'aws-cdk-lib/aws-events';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as sagemaker from 'aws-cdk-lib/aws-sagemaker';
import { ITrainingTarget } from '../data/training-target';
import { sageMakerArns } from '../shared/arns';
import { eventRule } from '../shared/event-rule';

/** A training pipeline, made here or one that exists. Its grant principal is the role of its jobs. */
export interface ITrainingPipeline extends IResource, sagemaker.IPipeline, ITrainingTarget {
  /** A rule for executions that succeeded: a model was registered. */
  onSucceeded(id: string, options?: events.OnEventOptions): events.Rule;

  /** A rule for executions that failed: a step went wrong or the model missed its gate. */
  onFailed(id: string, options?: events.OnEventOptions): events.Rule;

  /** A CloudWatch metric that SageMaker sends for this pipeline. */
  metric(metricName: string, options?: cloudwatch.MetricOptions): cloudwatch.Metric;
}

/** What is known of a training pipeline that exists. */
export interface TrainingPipelineAttributes {
  /** Name of the pipeline. */
  readonly pipelineName: string;

  /**
   * Role of its jobs, which is granted to read the data of a `DataPipeline` that starts it.
   * @default - not known: grant it yourself
   */
  readonly jobRole?: iam.IRole;
}

/**
 * What does not depend on where the pipeline was made.
 * @internal
 */
export abstract class TrainingPipelineBase extends Resource implements ITrainingPipeline {
  public abstract readonly pipelineName: string;
  public abstract readonly pipelineArn: string;
  public abstract readonly grantPrincipal: iam.IPrincipal;

  /** Reference to the pipeline for other constructs. */
  public get pipelineRef(): sagemaker.PipelineReference {
    return { pipelineName: this.pipelineName };
  }

  /** Grants the given identity permission to start executions of the pipeline. */
  public grantStartPipelineExecution(grantee: iam.IGrantable): iam.Grant {
    return iam.Grant.addToPrincipal({
      grantee,
      actions: ['sagemaker:StartPipelineExecution'],
      resourceArns: sageMakerArns(this, 'pipeline', this.pipelineName),
    });
  }

  /** A rule for executions that succeeded: a model was registered. */
  public onSucceeded(id: string, options: events.OnEventOptions = {}): events.Rule {
    return this.onStatus(id, 'Succeeded', options);
  }

  /** A rule for executions that failed: a step went wrong or the model missed its gate. */
  public onFailed(id: string, options: events.OnEventOptions = {}): events.Rule {
    return this.onStatus(id, 'Failed', options);
  }

  /** A CloudWatch metric that SageMaker sends for this pipeline. */
  public metric(metricName: string, options: cloudwatch.MetricOptions = {}): cloudwatch.Metric {
    return new cloudwatch.Metric({
      namespace: 'AWS/Sagemaker/ModelBuildingPipeline',
      metricName,
      dimensionsMap: { PipelineName: this.pipelineName },
      statistic: cloudwatch.Stats.SUM,
      period: Duration.minutes(5),
      ...options,
    }).attachTo(this);
  }

  /** Executions that started. Sum over 5 minutes by default. */
  public metricStarted(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric('ExecutionStarted', options);
  }

  /** Executions that succeeded. Sum over 5 minutes by default. */
  public metricSucceeded(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric('ExecutionSucceeded', options);
  }

  /** Executions that failed, those whose model missed the gate included. Sum over 5 minutes by default. */
  public metricFailed(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric('ExecutionFailed', options);
  }

  /** How long executions take, in milliseconds. Average over 5 minutes by default. */
  public metricDuration(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric('ExecutionDuration', { statistic: cloudwatch.Stats.AVERAGE, ...options });
  }

  private onStatus(id: string, status: string, options: events.OnEventOptions): events.Rule {
    return eventRule(this, id, options, {
      source: ['aws.sagemaker'],
      detailType: ['SageMaker Model Building Pipeline Execution Status Change'],
      detail: { pipelineArn: sageMakerArns(this, 'pipeline', this.pipelineName), currentPipelineExecutionStatus: [status] },
    });
  }
}
