import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import * as events from 'aws-cdk-lib/aws-events';
import * as targets from 'aws-cdk-lib/aws-events-targets';
import * as glue from 'aws-cdk-lib/aws-glue';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as s3 from 'aws-cdk-lib/aws-s3';
import * as sns from 'aws-cdk-lib/aws-sns';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import { DataAccess } from './data-access';
import { checkDataRules, DataSplit, rulesOf, splitOf, ValidationRules } from './data-rules';
import { Prefix } from './environment';
import { GlueTable } from './glue-table';
import { IngestionFunctions } from './ingestion-functions';
import { DatasetSchema } from './schema';
import { SparkJobs } from './spark-jobs';
import { ITrainingTarget } from './training-target';
import { Workflow } from './workflow';
import { CommonProps } from '../profile';
import { Settings, settingsOf } from '../profile/settings';
import { describeForRehearsal } from '../shared/rehearsal-facts';
import { SecureBucket } from '../shared/secure-bucket';
import { Problems } from '../shared/validation';

/** Properties of a `DataPipeline`. */
export interface DataPipelineProps extends CommonProps {
  /** The contract that the data must keep. */
  readonly schema: DatasetSchema;
  /**
   * What is started when data are ready.
   * @default - nothing; the data lie in `processed/`
   */
  readonly training?: ITrainingTarget;
  /**
   * Bucket for the data. It is told to send its events to EventBridge; for quarantine to be exact it should keep versions.
   * @default - a bucket of its own: encrypted, versioned, TLS only
   */
  readonly bucket?: s3.IBucket;
  /**
   * Topic that is told of data that are ready, quarantined or failed (message attribute `event`: `ready`, `quarantined`, `failed`).
   * @default - a topic of its own
   */
  readonly topic?: sns.ITopic;
  /**
   * Further rules of validation.
   * @default - at least 50 rows, at most half of them duplicates
   */
  readonly rules?: ValidationRules;
  /**
   * How rows are divided.
   * @default - 70 % train, 15 % validation, 15 % test
   */
  readonly split?: DataSplit;
  /**
   * Workers of the Glue jobs.
   * @default - 2 of G.1X, the fewest that Spark takes
   */
  readonly workerConfiguration?: glue.WorkerConfiguration;
  /**
   * Longest time of one Glue job.
   * @default Duration.hours(1)
   */
  readonly jobTimeout?: Duration;
  /**
   * Most runs of the same Glue job at the same time. Further ones wait.
   * @default 10
   */
  readonly maxConcurrentRuns?: number;
  /**
   * Role of both Glue jobs. It is granted what they need.
   * @default - a role for each job
   */
  readonly jobRole?: iam.IRole;
  /**
   * Whether a Glue crawler looks at the raw files after each data set and writes the table it guesses beside the declared one.
   * @default false
   */
  readonly crawlRawData?: boolean;
  /**
   * What becomes of bucket and table with the stack. With `DESTROY` everything goes, the data too.
   * @default - as the profile says
   */
  readonly removalPolicy?: RemovalPolicy;
}

/**
 * Takes every CSV file that is put below `raw/` of its bucket: writes a manifest, checks the file against its contract
 * with Spark on Glue, moves what does not keep it to `quarantine/` with a report, cleans and splits what does into
 * `processed/`, starts training and tells people. Each object version is processed once, however often its event comes.
 *
 * Makes: a bucket and a topic (unless given), a DynamoDB table of data sets, a Step Functions state machine, two Glue jobs,
 * four Lambda functions, a Glue database with the processed table, a dead-letter queue for events. Idle it costs next to nothing; a
 * file costs two Glue runs (at 2 G.1X workers about 0.03 USD for two minutes).
 *
 * A row is one line: a line break inside quotes is reported as malformed.
 *
 * @see https://docs.aws.amazon.com/step-functions/latest/dg/connect-glue.html
 *
 * @example
 * declare const animals: DatasetSchema;
 * declare const training: TrainingPipeline;
 * const data = new DataPipeline(this, 'Data', { schema: animals, training });
 */
export class DataPipeline extends Construct implements iam.IGrantable {
  /** Where the data lie: `raw/`, `manifests/`, `reports/`, `quarantine/`, `processed/`. */
  public readonly bucket: s3.IBucket;
  /** The workflow, one execution per uploaded object version. */
  public readonly stateMachine: sfn.IStateMachine;
  /** Is told of data that are ready, quarantined or failed. */
  public readonly topic: sns.ITopic;
  /** One item per data set, its partition key `id` the id of its manifest. */
  public readonly datasetTable: dynamodb.ITableV2;
  /** The contract. */
  public readonly schema: DatasetSchema;
  /** Checks raw data. */
  public readonly validateJob: glue.IJob;
  /** Cleans and splits valid data. */
  public readonly preprocessJob: glue.IJob;
  /** Glue database with the table of processed data. */
  public readonly database: glue.IDatabase;
  /** Events that could not be handed to the workflow. */
  public readonly deadLetterQueue: sqs.IQueue;
  /** The role of the state machine. */
  public readonly grantPrincipal: iam.IPrincipal;
  private readonly access: DataAccess;

  constructor(scope: Construct, id: string, props: DataPipelineProps) {
    super(scope, id);
    validate(id, props);
    const settings = settingsOf(props);
    const removalPolicy = props.removalPolicy ?? settings.profile.removalPolicy;
    this.schema = props.schema;
    this.bucket = this.dataBucket(props.bucket, removalPolicy);
    this.access = new DataAccess(this.bucket);
    this.topic = props.topic ?? this.notificationTopic();
    this.datasetTable = this.createDatasetTable(removalPolicy);
    const jobTimeout = props.jobTimeout ?? Duration.hours(1);
    const jobs = this.jobs(props, settings, jobTimeout);
    this.validateJob = jobs.validate;
    this.preprocessJob = jobs.preprocess;
    const glueTable = new GlueTable(this, 'GlueTable', {
      schema: props.schema._document(), bucket: this.bucket, access: this.access, crawlRawData: props.crawlRawData ?? false,
    });
    this.database = glueTable.database;

    const functions = new IngestionFunctions(this, 'Functions', {
      settings, datasetName: props.schema.datasetName, access: this.access, datasetTable: this.datasetTable, training: props.training,
    });
    const { stateMachine } = new Workflow(this, 'Workflow', {
      settings, datasetName: props.schema.datasetName, functions, jobs, jobTimeout, topic: this.topic, crawlerName: glueTable.crawlerName,
    });
    functions.grantSeeExecutions(stateMachine);
    this.stateMachine = stateMachine;
    this.grantPrincipal = stateMachine.grantPrincipal;
    this.deadLetterQueue = this.trigger();
    this.describe(props.training);
  }

  /** Grants the given identity permission to upload raw data: each CSV file below `raw/` starts the workflow. */
  public grantUpload(grantee: iam.IGrantable): iam.Grant {
    return this.access.write(grantee, Prefix.RAW);
  }

  /** Grants the given identity permission to list and read processed data, reports and manifests. The table of data sets grants its own reading. */
  public grantRead(grantee: iam.IGrantable): iam.Grant {
    const prefixes = [Prefix.PROCESSED, Prefix.REPORTS, Prefix.MANIFESTS];
    return this.access.read(grantee, ...prefixes).combine(this.access.list(grantee, ...prefixes));
  }

  /** A rule for executions that ended green: data that are ready, and events that had nothing new. */
  public onSucceeded(id: string, options: events.OnEventOptions = {}): events.Rule {
    return this.onStatus(id, ['SUCCEEDED'], options);
  }

  /** A rule for executions that ended red: data in quarantine, and what broke. */
  public onFailed(id: string, options: events.OnEventOptions = {}): events.Rule {
    return this.onStatus(id, ['FAILED', 'TIMED_OUT', 'ABORTED'], options);
  }

  /** Executions that ended red: data in quarantine, and what broke. */
  public metricFailed(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.stateMachine.metricFailed(options);
  }

  /** Executions that ended green. */
  public metricSucceeded(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.stateMachine.metricSucceeded(options);
  }

  private dataBucket(given: s3.IBucket | undefined, removalPolicy: RemovalPolicy): s3.IBucket {
    given?.enableEventBridgeNotification();
    return given ?? new SecureBucket(this, 'Bucket', { removalPolicy, eventBridgeEnabled: true });
  }

  private notificationTopic(): sns.ITopic {
    return new sns.Topic(this, 'Notifications', {
      displayName: `Data of ${this.schema.datasetName}`,
      enforceSSL: true,
      masterKey: kms.Alias.fromAliasName(this, 'SnsKey', 'alias/aws/sns'),
    });
  }

  private createDatasetTable(removalPolicy: RemovalPolicy): dynamodb.ITableV2 {
    return new dynamodb.TableV2(this, 'Datasets', {
      partitionKey: { name: 'id', type: dynamodb.AttributeType.STRING },
      billing: dynamodb.Billing.onDemand(),
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      removalPolicy,
    });
  }

  private jobs(props: DataPipelineProps, settings: Settings, timeout: Duration): SparkJobs {
    const { train, validation, test, seed } = splitOf(props.split);
    const { minimumRows, maxDuplicates } = rulesOf(props.rules);
    return new SparkJobs(this, 'Jobs', {
      settings,
      schema: props.schema._document(),
      access: this.access,
      workerConfiguration: props.workerConfiguration ?? { workerType: glue.WorkerType.G_1X, numberOfWorkers: 2 },
      timeout,
      maxConcurrentRuns: props.maxConcurrentRuns ?? 10,
      role: props.jobRole,
      validateArguments: {
        '--minimum-rows': String(minimumRows),
        '--max-duplicates': String(maxDuplicates),
      },
      preprocessArguments: { '--split': [train, validation, test].join(','), '--seed': String(seed) },
    });
  }

  private trigger(): sqs.IQueue {
    const deadLetterQueue = new sqs.Queue(this, 'UndeliveredEvents', {
      enforceSSL: true,
      encryption: sqs.QueueEncryption.SQS_MANAGED,
      retentionPeriod: Duration.days(14),
    });
    new events.Rule(this, 'OnUpload', {
      description: `A raw ${this.schema.datasetName} file was uploaded`,
      eventPattern: {
        source: ['aws.s3'],
        detailType: ['Object Created'],
        detail: { bucket: { name: [this.bucket.bucketName] }, object: { key: [{ prefix: Prefix.RAW }] } },
      },
      targets: [new targets.SfnStateMachine(this.stateMachine, { deadLetterQueue, maxEventAge: Duration.hours(24), retryAttempts: 20 })],
    });
    return deadLetterQueue;
  }

  private describe(training: ITrainingTarget | undefined): void {
    describeForRehearsal(this, 'cdk-mlops:data-pipeline', {
      bucket: this.bucket.bucketName,
      rawPrefix: Prefix.RAW,
      processedPrefix: Prefix.PROCESSED,
      quarantinePrefix: Prefix.QUARANTINE,
      stateMachineArn: this.stateMachine.stateMachineArn,
      tableName: this.datasetTable.tableName,
      schema: this.schema._document(),
      pipelineName: training?.pipelineName,
    });
  }

  private onStatus(id: string, statuses: string[], options: events.OnEventOptions): events.Rule {
    const rule = new events.Rule(this, id, { description: options.description, ruleName: options.ruleName });
    rule.addEventPattern(options.eventPattern);
    rule.addEventPattern({
      source: ['aws.states'],
      detailType: ['Step Functions Execution Status Change'],
      detail: { stateMachineArn: [this.stateMachine.stateMachineArn], status: statuses },
    });
    rule.addTarget(options.target);
    return rule;
  }
}

function validate(id: string, props: DataPipelineProps): void {
  const problems = new Problems(`DataPipeline "${id}"`);
  checkDataRules(problems, rulesOf(props.rules), splitOf(props.split));
  const workers = props.workerConfiguration?.numberOfWorkers ?? 2;
  problems.check(Number.isInteger(workers) && workers >= 2, () => `workerConfiguration.numberOfWorkers is ${workers}; Spark on Glue takes at least 2`);
  const runs = props.maxConcurrentRuns ?? 10;
  problems.check(Number.isInteger(runs) && runs >= 1, () => `maxConcurrentRuns is ${runs}; it must be a whole number of at least 1`);
  problems.throwIfAny();
}
