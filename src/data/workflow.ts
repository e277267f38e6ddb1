import { Duration, Names, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as glue from 'aws-cdk-lib/aws-glue';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as sns from 'aws-cdk-lib/aws-sns';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import * as tasks from 'aws-cdk-lib/aws-stepfunctions-tasks';
import { Construct } from 'constructs';
import { IngestionFunctions } from './ingestion-functions';
import { SparkJobs } from './spark-jobs';

export interface WorkflowProps {
  readonly datasetName: string;
  readonly functions: IngestionFunctions;
  readonly jobs: SparkJobs;
  readonly jobTimeout: Duration;
  readonly topic: sns.ITopic;
  /** Name of the crawler to start when data are ready. */
  readonly crawlerName?: string;
}

type Task = sfn.TaskStateBase;

/** The error of an execution whose data went to quarantine. */
export const QUARANTINED = 'DataQuarantined';
/** The error of an execution that broke. */
export const BROKEN = 'DataPipelineFailed';

/** Errors of services, and of the SDK inside the handlers, that go away by themselves. */
const PASSING = [
  'Lambda.ClientExecutionTimeoutException', 'Lambda.ServiceException', 'Lambda.AWSLambdaException', 'Lambda.SdkClientException',
  'Lambda.TooManyRequestsException', 'Sandbox.Timedout', 'ThrottlingException', 'TooManyRequestsException', 'SlowDown', 'ServiceUnavailable',
  'InternalError', 'InternalServerError', 'ProvisionedThroughputExceededException', 'RequestLimitExceeded', 'TimeoutError',
];
const GLUE_PASSING = [
  'Glue.ThrottlingException', 'Glue.InternalServiceException', 'Glue.OperationTimeoutException', 'Glue.AWSGlueException', 'Glue.SdkClientException',
];
const SNS_PASSING = ['SNS.ThrottledException', 'SNS.InternalErrorException', 'SNS.SdkClientException', 'SNS.AmazonSNSException'];
/** No room at the moment: other runs of the same job, or of other jobs of the account. */
const GLUE_BUSY = ['Glue.ConcurrentRunsExceededException', 'Glue.ResourceNumberLimitExceededException'];

/** The states from the event of an upload to a data set that trains, or to quarantine, or to a failure that says why. */
export class Workflow extends Construct {
  public readonly stateMachine: sfn.StateMachine;
  private readonly broken: sfn.IChainable;

  constructor(scope: Construct, id: string, private readonly props: WorkflowProps) {
    super(scope, id);
    this.broken = this.failurePath();
    const logGroup = new logs.LogGroup(this, 'Logs', {
      // Log groups with this prefix do not use up the few resource policies that an account may have for logs.
      logGroupName: `/aws/vendedlogs/states/${Names.uniqueResourceName(this, { maxLength: 200, separator: '-' })}`,
      retention: logs.RetentionDays.THREE_MONTHS,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    this.stateMachine = new sfn.StateMachine(this, 'Resource', {
      comment: `From a raw ${props.datasetName} file to a data set that is ready for training`,
      definitionBody: sfn.DefinitionBody.fromChainable(this.manifestState()),
      logs: { destination: logGroup, level: sfn.LogLevel.ALL, includeExecutionData: true },
      tracingEnabled: true,
    });
  }

  private manifestState(): sfn.IChainable {
    const manifest = this.invoke('WriteManifest', this.props.functions.manifest, '$.ingestion', {
      'event.$': '$',
      'executionArn.$': '$$.Execution.Id',
    });
    return manifest.next(new sfn.Choice(this, 'IsNew')
      .when(sfn.Condition.stringEquals('$.ingestion.outcome', 'NEW'), this.validateStates())
      .when(sfn.Condition.stringEquals('$.ingestion.outcome', 'DUPLICATE'), new sfn.Succeed(this, 'AlreadyIngested', {
        comment: 'The same object version was or is processed by another execution',
      }))
      .otherwise(new sfn.Succeed(this, 'NothingToIngest', { comment: 'No CSV file, or deleted in the meantime' })));
  }

  private validateStates(): sfn.IChainable {
    const validate = this.runJob('Validate', this.props.jobs.validate, {
      '--manifest.$': '$.ingestion.manifest',
      '--report.$': '$.ingestion.report',
    });
    const verdict = this.invoke('ReadVerdict', this.props.functions.verdict, '$.verdict', {
      'ingestion.$': '$.ingestion',
      'executionArn.$': '$$.Execution.Id',
    });
    return validate.next(verdict).next(new sfn.Choice(this, 'IsValid')
      .when(sfn.Condition.booleanEquals('$.verdict.valid', true), this.preprocessStates())
      .otherwise(this.quarantineStates()));
  }

  private preprocessStates(): sfn.IChainable {
    const { functions: { startTraining }, jobs: { preprocess }, crawlerName } = this.props;
    const chain = this.runJob('Preprocess', preprocess, {
      '--manifest.$': '$.ingestion.manifest',
      '--output.$': '$.ingestion.output',
      '--summary.$': '$.ingestion.summary',
    });
    const ready = new sfn.Succeed(this, 'DataReady');
    // Training runs by now: that nobody could be told must not turn the execution red.
    const notify = this.publish('NotifyReady', 'ready', '$.finish').addCatch(ready, { resultPath: '$.notificationError' });
    const last = this.finishState('RecordSuccess', 'SUCCEEDED').addCatch(this.broken, { resultPath: '$.error' });
    let tail: sfn.INextable = chain;
    if (startTraining) {
      tail = tail.next(this.invoke('StartTraining', startTraining, '$.training', { 'ingestion.$': '$.ingestion' }));
    }
    last.next(notify).next(ready);
    if (crawlerName) {
      tail = tail.next(this.crawlState(crawlerName, last));
    }
    tail.next(last);
    return chain;
  }

  private quarantineStates(): sfn.IChainable {
    const quarantined = new sfn.Fail(this, 'Quarantined', { error: QUARANTINED, causePath: '$.verdict.cause' });
    return this.publish('NotifyQuarantine', 'quarantined', '$.verdict')
      .addCatch(quarantined, { resultPath: '$.notificationError' })
      .next(quarantined);
  }

  /** Where every catch leads: the table says so, people are told, and the execution is red with the cause. */
  private failurePath(): sfn.IChainable {
    const failed = new sfn.Fail(this, 'Failed', { error: BROKEN, causePath: '$.finish.cause' });
    const failedUnrecorded = new sfn.Fail(this, 'FailedUnrecorded', { error: BROKEN, causePath: '$.error.Cause' });
    const record = this.finishState('RecordFailure', 'FAILED').addCatch(failedUnrecorded, { resultPath: '$.recordError' });
    return record.next(this.publish('NotifyFailure', 'failed', '$.finish')
      .addCatch(failed, { resultPath: '$.notificationError' })
      .next(failed));
  }

  private finishState(id: string, status: 'SUCCEEDED' | 'FAILED'): Task {
    return this.bareInvoke(id, this.props.functions.finish, '$.finish', { status, 'executionArn.$': '$$.Execution.Id', 'state.$': '$' });
  }

  private invoke(id: string, handler: lambda.IFunction, resultPath: string, payload: object): Task {
    return this.bareInvoke(id, handler, resultPath, payload).addCatch(this.broken, { resultPath: '$.error' });
  }

  private bareInvoke(id: string, handler: lambda.IFunction, resultPath: string, payload: object): Task {
    return tasks.LambdaInvoke.jsonPath(this, id, {
      lambdaFunction: handler,
      payload: sfn.TaskInput.fromObject(payload as { [key: string]: unknown }),
      payloadResponseOnly: true,
      resultPath,
      retryOnServiceExceptions: false,
    }).addRetry(retry(PASSING, Duration.seconds(2), 5));
  }

  private runJob(id: string, job: glue.IJob, jobArguments: { [name: string]: string }): Task {
    return tasks.GlueStartJobRun.jsonPath(this, id, {
      glueJobName: job.jobName,
      integrationPattern: sfn.IntegrationPattern.RUN_JOB,
      arguments: sfn.TaskInput.fromObject(jobArguments),
      resultPath: sfn.JsonPath.DISCARD,
      // The job's own limit counts from its start; a run may wait before it.
      taskTimeout: sfn.Timeout.duration(this.props.jobTimeout.plus(Duration.minutes(30))),
    })
      .addRetry(retry(GLUE_BUSY, Duration.seconds(30), 20, Duration.minutes(5)))
      .addRetry(retry(GLUE_PASSING, Duration.seconds(5), 5))
      .addCatch(this.broken, { resultPath: '$.error' });
  }

  /** Not waited for, and not a reason to fail: the crawler may still be at the data before. */
  private crawlState(name: string, next: sfn.IChainable): Task {
    return tasks.CallAwsService.jsonPath(this, 'DiscoverSchema', {
      service: 'glue',
      action: 'startCrawler',
      parameters: { Name: name },
      iamResources: [Stack.of(this).formatArn({ service: 'glue', resource: 'crawler', resourceName: name })],
      resultPath: sfn.JsonPath.DISCARD,
    }).addCatch(next, { resultPath: '$.crawlerError' });
  }

  private publish(id: string, event: string, path: string): Task {
    return tasks.SnsPublish.jsonPath(this, id, {
      topic: this.props.topic,
      subject: sfn.JsonPath.stringAt(`${path}.subject`),
      message: sfn.TaskInput.fromJsonPathAt(`${path}.message`),
      messageAttributes: { event: { value: event }, dataset: { value: this.props.datasetName } },
      resultPath: sfn.JsonPath.DISCARD,
    }).addRetry(retry(SNS_PASSING, Duration.seconds(2), 4));
  }
}

function retry(errors: string[], interval: Duration, maxAttempts: number, maxDelay = Duration.minutes(1)): sfn.RetryProps {
  return { errors, interval, maxAttempts, maxDelay, backoffRate: 2, jitterStrategy: sfn.JitterType.FULL };
}
