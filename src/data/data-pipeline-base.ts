import { IResource, Resource } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import * as events from 'aws-cdk-lib/aws-events';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as s3 from 'aws-cdk-lib/aws-s3';
import * as sns from 'aws-cdk-lib/aws-sns';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import { DataAccess } from './data-access';
import { Prefix } from './environment';
import { DatasetSchema } from './schema';
import { eventRule } from '../shared/event-rule';
import { warningsOf } from '../shared/warning-metric';

/** A data pipeline, made here or one that exists. */
export interface IDataPipeline extends IResource {
  /** Where the data lie: `raw/`, `manifests/`, `reports/`, `quarantine/`, `processed/`, below the prefix. */
  readonly bucket: s3.IBucket;

  /** What the keys of its data begin with: empty, or folders and a slash. */
  readonly prefix: string;

  /** One item per data set, its partition key `id` the id of its manifest. */
  readonly datasetTable: dynamodb.ITableV2;

  /** Is told of data that are ready, quarantined or failed. */
  readonly topic: sns.ITopic;

  /** The workflow, one execution per uploaded object version. */
  readonly stateMachine: sfn.IStateMachine;

  /** The contract. */
  readonly schema: DatasetSchema;

  /** Grants the given identity permission to upload raw data: each CSV file below `raw/` starts the workflow. */
  grantUpload(grantee: iam.IGrantable): iam.Grant;

  /** Grants the given identity permission to list and read processed data, reports and manifests. The table of data sets grants its own reading. */
  grantRead(grantee: iam.IGrantable): iam.Grant;

  /** A rule for executions that succeeded: data that are ready, and events that had nothing new. */
  onSucceeded(id: string, options?: events.OnEventOptions): events.Rule;

  /** A rule for executions that failed: data in quarantine, and what broke. */
  onFailed(id: string, options?: events.OnEventOptions): events.Rule;

  /** Executions that succeeded. Sum over 5 minutes by default. */
  metricSucceeded(options?: cloudwatch.MetricOptions): cloudwatch.Metric;

  /** Executions that failed: data in quarantine, and what broke. */
  metricFailed(options?: cloudwatch.MetricOptions): cloudwatch.Metric;

  /**
   * What failed without failing the execution: nobody could be notified, the crawler was not started. The attribute `warnings` of the data set
   * says what. Sum over 5 minutes by default.
   */
  metricWarnings(options?: cloudwatch.MetricOptions): cloudwatch.Metric;
}

/** What is known of a data pipeline that exists. */
export interface DataPipelineAttributes {
  /** The contract, as the pipeline was given it. */
  readonly schema: DatasetSchema;

  /** Its bucket, with its customer key if it has one. */
  readonly bucket: s3.IBucket;

  /**
   * What the keys of its data begin with, such as `abalone/`.
   * @default - nothing
   */
  readonly prefix?: string;

  /** Its table of data sets, with its customer key if it has one. */
  readonly datasetTable: dynamodb.ITableV2;

  /** Its topic. */
  readonly topic: sns.ITopic;

  /** Its workflow. */
  readonly stateMachine: sfn.IStateMachine;
}

/**
 * What does not depend on where the pipeline was made.
 * @internal
 */
export abstract class DataPipelineBase extends Resource implements IDataPipeline {
  public abstract readonly bucket: s3.IBucket;
  public abstract readonly prefix: string;
  public abstract readonly datasetTable: dynamodb.ITableV2;
  public abstract readonly topic: sns.ITopic;
  public abstract readonly stateMachine: sfn.IStateMachine;
  public abstract readonly schema: DatasetSchema;

  /** Grants the given identity permission to upload raw data: each CSV file below `raw/` starts the workflow. */
  public grantUpload(grantee: iam.IGrantable): iam.Grant {
    return new DataAccess(this.bucket, this.prefix).write(grantee, Prefix.RAW);
  }

  /** Grants the given identity permission to list and read processed data, reports and manifests. The table of data sets grants its own reading. */
  public grantRead(grantee: iam.IGrantable): iam.Grant {
    const access = new DataAccess(this.bucket, this.prefix);
    const prefixes = [Prefix.PROCESSED, Prefix.REPORTS, Prefix.MANIFESTS];
    return access.read(grantee, ...prefixes).combine(access.list(grantee, ...prefixes));
  }

  /** A rule for executions that succeeded: data that are ready, and events that had nothing new. */
  public onSucceeded(id: string, options: events.OnEventOptions = {}): events.Rule {
    return this.onStatus(id, ['SUCCEEDED'], options);
  }

  /** A rule for executions that failed: data in quarantine, and what broke. */
  public onFailed(id: string, options: events.OnEventOptions = {}): events.Rule {
    return this.onStatus(id, ['FAILED', 'TIMED_OUT', 'ABORTED'], options);
  }

  /** Executions that succeeded. Sum over 5 minutes by default. */
  public metricSucceeded(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.stateMachine.metricSucceeded(options);
  }

  /** Executions that failed: data in quarantine, and what broke. */
  public metricFailed(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.stateMachine.metricFailed(options);
  }

  /**
   * What failed without failing the execution: nobody could be notified, the crawler was not started. The attribute `warnings` of the data set
   * says what. Sum over 5 minutes by default.
   */
  public metricWarnings(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return warningsOf(this.stateMachine, options);
  }

  private onStatus(id: string, statuses: string[], options: events.OnEventOptions): events.Rule {
    return eventRule(this, id, options, {
      source: ['aws.states'],
      detailType: ['Step Functions Execution Status Change'],
      detail: { stateMachineArn: [this.stateMachine.stateMachineArn], status: statuses },
    });
  }
}
