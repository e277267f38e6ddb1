import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as events from 'aws-cdk-lib/aws-events';
import * as targets from 'aws-cdk-lib/aws-events-targets';
import * as glue from 'aws-cdk-lib/aws-glue';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as s3 from 'aws-cdk-lib/aws-s3';
import * as sns from 'aws-cdk-lib/aws-sns';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import { DataAccess } from './data-access';
import { DataPipelineAttributes, DataPipelineBase, IDataPipeline } from './data-pipeline-base';
import { checkDataRules, DataSplit, rulesOf, splitOf, ValidationRules } from './data-rules';
import { Prefix } from './environment';
import { GlueNetwork } from './glue-network';
import { GlueTable } from './glue-table';
import { IngestionFunctions } from './ingestion-functions';
import { Interruption } from './interruption';
import { NotificationTopic } from './notification-topic';
import { checkPrefix, prefixOf } from './prefix';
import { DatasetSchema } from './schema';
import { SparkJobs, SparkJobsProps } from './spark-jobs';
import { ITrainingTarget } from './training-target';
import { Workflow } from './workflow';
import { CommonProps } from '../profile';
import { settingsOf } from '../profile/settings';
import { DeadLetterQueue } from '../shared/dead-letter-queue';
import { checkTopicKey } from '../shared/encryption';
import { LONGEST_DELIVERY } from '../shared/event-rule';
import { connectionsOf, Network } from '../shared/network';
import { describeForRehearsal } from '../shared/rehearsal-facts';
import { SecureBucket } from '../shared/secure-bucket';
import { SecureTable } from '../shared/secure-table';
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
   * What the keys of the data begin with: `raw/`, `processed/` and the others lie below it. Data pipelines that share a bucket have a prefix
   * each, none of which is below another's.
   * @default - nothing
   */
  readonly prefix?: string;
  /**
   * Topic that is told of data that are ready, quarantined or failed (message attribute `event`: `ready`, `quarantined`, `failed`). Import
   * one that a customer key encrypts with its key (`Topic.fromTopicAttributes`), so that the key is granted too.
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
   * Longest time of one Glue job, in whole minutes, less than 7 days. Time in which it waits for its turn or starts does not count.
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
 * Takes every CSV file that is put below `raw/` of its bucket (with a prefix below `<prefix>/raw/`):
 * writes a manifest, checks the file against its contract
 * with Spark on Glue, moves what does not keep it to `quarantine/` with a report, cleans and splits what does into
 * `processed/`, starts training and tells people. Each object version is processed once, however often its event comes. Where the
 * execution is stopped, its data set becomes FAILED; start one with the same input to process it again.
 *
 * Makes: a bucket and a topic (unless given), a DynamoDB table of data sets, a Step Functions state machine, two Glue jobs,
 * six Lambda functions, a Glue database with the processed table, a dead-letter queue for events. Idle it costs next to nothing; a
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
export class DataPipeline extends DataPipelineBase implements iam.IGrantable, ec2.IConnectable {
  /** A data pipeline that exists, made by another stack. */
  public static fromDataPipelineAttributes(scope: Construct, id: string, attributes: DataPipelineAttributes): IDataPipeline {
    class Import extends DataPipelineBase {
      public readonly bucket = attributes.bucket;
      public readonly prefix = prefixOf(attributes.prefix);
      public readonly datasetTable = attributes.datasetTable;
      public readonly topic = attributes.topic;
      public readonly stateMachine = attributes.stateMachine;
      public readonly schema = attributes.schema;
    }
    return new Import(scope, id);
  }

  /** Where the data lie: `raw/`, `manifests/`, `reports/`, `quarantine/`, `processed/`, below the prefix. */
  public readonly bucket: s3.IBucket;
  /** What the keys of its data begin with: empty, or folders and a slash. */
  public readonly prefix: string;
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
  private readonly network?: Network;

  constructor(scope: Construct, id: string, props: DataPipelineProps) {
    super(scope, id);
    this.prefix = prefixOf(props.prefix);
    this.validate(id, props);
    const settings = settingsOf(this, props);
    const removalPolicy = props.removalPolicy ?? settings.profile.removalPolicy;
    const { encryptionKey } = settings;
    this.network = settings.network;
    this.schema = props.schema;
    this.bucket = this.dataBucket(props.bucket, removalPolicy, encryptionKey);
    this.topic = props.topic ?? new NotificationTopic(this, 'Notifications', { datasetName: props.schema.datasetName, encryptionKey });
    checkTopicKey(this, this.topic, 'the role of the state machine and that of its function for interruptions');
    this.datasetTable = new SecureTable(this, 'Datasets', { partitionKey: 'id', removalPolicy, encryptionKey });
    const access = new DataAccess(this.bucket, this.prefix);
    const network = this.network && new GlueNetwork(this, 'GlueNetwork', this.network);
    const jobTimeout = props.jobTimeout ?? Duration.hours(1);
    const jobs = this.jobs(props, { settings, access, network, timeout: jobTimeout });
    this.validateJob = jobs.validate;
    this.preprocessJob = jobs.preprocess;
    const glueTable = new GlueTable(this, 'GlueTable', {
      schema: props.schema._document(), bucket: this.bucket, prefix: this.prefix, access, network, crawlRawData: props.crawlRawData ?? false,
    });
    this.database = glueTable.database;

    const functions = new IngestionFunctions(this, 'Functions', {
      settings, access, prefix: this.prefix, datasetName: props.schema.datasetName, datasetTable: this.datasetTable, training: props.training,
    });
    const { stateMachine } = new Workflow(this, 'Workflow', {
      settings, datasetName: props.schema.datasetName, functions, jobs, jobTimeout, topic: this.topic, crawlerName: glueTable.crawlerName,
    });
    functions.grantSeeExecutions(stateMachine);
    this.stateMachine = stateMachine;
    this.node.defaultChild = stateMachine.node.defaultChild;
    this.grantPrincipal = stateMachine.grantPrincipal;
    this.deadLetterQueue = new DeadLetterQueue(this, 'UndeliveredEvents', { encryptionKey });
    this.startOnUpload();
    new Interruption(this, 'Interruption', {
      settings,
      datasetName: props.schema.datasetName,
      datasetTable: this.datasetTable,
      topic: this.topic,
      stateMachine,
      deadLetterQueue: this.deadLetterQueue,
    });
    this.describe(props.training);
  }

  /** The security groups of its functions and jobs. Fails where it runs in no VPC. */
  public get connections(): ec2.Connections {
    return connectionsOf(this, this.network);
  }

  private validate(id: string, props: DataPipelineProps): void {
    const problems = new Problems(`DataPipeline "${id}"`);
    checkDataRules(problems, rulesOf(props.rules), splitOf(props.split));
    const workers = props.workerConfiguration?.numberOfWorkers ?? 2;
    problems.check(Number.isInteger(workers) && workers >= 2, () => `workerConfiguration.numberOfWorkers is ${workers}; Spark on Glue takes at least 2`);
    const runs = props.maxConcurrentRuns ?? 10;
    problems.check(Number.isInteger(runs) && runs >= 1, () => `maxConcurrentRuns is ${runs}; it must be a whole number of at least 1`);
    const minutes = props.jobTimeout === undefined || props.jobTimeout.isUnresolved() ? 60 : props.jobTimeout.toMinutes({ integral: false });
    problems.check(Number.isInteger(minutes) && minutes >= 1 && minutes < 7 * 24 * 60, () =>
      `jobTimeout of ${minutes} minutes must be whole minutes, from 1 to 10079: Glue takes less than 7 days`);
    checkPrefix(problems, this.prefix, props.bucket, this.node.root.node.findAll().filter((construct): construct is DataPipeline =>
      construct instanceof DataPipeline && construct.bucket !== undefined));
    problems.throwIfAny();
  }

  private dataBucket(given: s3.IBucket | undefined, removalPolicy: RemovalPolicy, encryptionKey?: kms.IKey): s3.IBucket {
    given?.enableEventBridgeNotification();
    return given ?? new SecureBucket(this, 'Bucket', { removalPolicy, encryptionKey, eventBridgeEnabled: true });
  }

  private jobs(props: DataPipelineProps, common: Pick<SparkJobsProps, 'settings' | 'access' | 'network' | 'timeout'>): SparkJobs {
    const { train, validation, test, seed } = splitOf(props.split);
    const { minimumRows, maxDuplicates } = rulesOf(props.rules);
    return new SparkJobs(this, 'Jobs', {
      ...common,
      schema: props.schema._document(),
      workerConfiguration: props.workerConfiguration ?? { workerType: glue.WorkerType.G_1X, numberOfWorkers: 2 },
      maxConcurrentRuns: props.maxConcurrentRuns ?? 10,
      role: props.jobRole,
      validateArguments: {
        '--minimum-rows': String(minimumRows),
        '--max-duplicates': String(maxDuplicates),
      },
      preprocessArguments: { '--split': [train, validation, test].join(','), '--seed': String(seed) },
    });
  }

  private startOnUpload(): void {
    new events.Rule(this, 'OnUpload', {
      description: `A raw ${this.schema.datasetName} file was uploaded`,
      eventPattern: {
        source: ['aws.s3'],
        detailType: ['Object Created'],
        detail: { bucket: { name: [this.bucket.bucketName] }, object: { key: [{ prefix: `${this.prefix}${Prefix.RAW}` }] } },
      },
      targets: [new targets.SfnStateMachine(this.stateMachine, { deadLetterQueue: this.deadLetterQueue, ...LONGEST_DELIVERY })],
    });
  }

  private describe(training: ITrainingTarget | undefined): void {
    describeForRehearsal(this, 'cdk-mlops:data-pipeline', {
      bucket: this.bucket.bucketName,
      rawPrefix: `${this.prefix}${Prefix.RAW}`,
      processedPrefix: `${this.prefix}${Prefix.PROCESSED}`,
      quarantinePrefix: `${this.prefix}${Prefix.QUARANTINE}`,
      reportsPrefix: `${this.prefix}${Prefix.REPORTS}`,
      stateMachineArn: this.stateMachine.stateMachineArn,
      tableName: this.datasetTable.tableName,
      schema: this.schema._document(),
      pipelineName: training?.pipelineName,
    });
  }
}
