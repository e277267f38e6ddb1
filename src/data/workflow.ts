import { Duration, Names, Stack } from 'aws-cdk-lib';
import * as glue from 'aws-cdk-lib/aws-glue';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as sns from 'aws-cdk-lib/aws-sns';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import * as tasks from 'aws-cdk-lib/aws-stepfunctions-tasks';
import { Construct } from 'constructs';
import { IngestionFunctions } from './ingestion-functions';
import { SparkJobs } from './spark-jobs';
import type { CommonSettings } from '../shared/common-settings';
import { ServiceLogGroup } from '../shared/service-log-group';
import { condition, expr, inputWith, KEEP_INPUT } from '../shared/workflow/jsonata';
import { Fields, permit, ServiceTask } from '../shared/workflow/service-task';
import { GLUE, GLUE_JOBS, LAMBDA_TRANSIENT_ERRORS, retry, SNS_TRANSIENT_ERRORS } from '../shared/workflow/services';

export interface WorkflowProps {
  readonly settings: CommonSettings;
  readonly datasetName: string;
  readonly functions: IngestionFunctions;
  readonly jobs: SparkJobs;
  readonly jobTimeout: Duration;
  readonly topic: sns.ITopic;
  /** Name of the crawler to start when data are ready. */
  readonly crawlerName?: string;
}

/** The error of an execution whose data went to quarantine. */
export const QUARANTINED = 'DataQuarantined';
/** The error of an execution that broke. */
export const BROKEN = 'DataPipelineFailed';

/** More calls at once than a service takes: of Lambda, and of what the handlers call. SageMaker limits the executions that run at once. */
const THROTTLES = [
  'Lambda.TooManyRequestsException', 'ThrottlingException', 'TooManyRequestsException', 'SlowDown', 'ProvisionedThroughputExceededException',
  'RequestLimitExceeded', 'ResourceLimitExceeded',
];
/** Errors that go away by themselves: of Lambda, and of the SDK inside the handlers. */
const HANDLER_ERRORS = [
  ...LAMBDA_TRANSIENT_ERRORS, 'Sandbox.Timedout', 'ServiceUnavailable', 'InternalError', 'InternalServerError', 'TimeoutError',
];
/**
 * No room at the moment: other runs of the same job, or of other jobs of the account. Waited for here: Glue's own queue gives up after
 * a while, and a run that waits in it would use up the time-out of the state.
 */
const GLUE_BUSY = ['Glue.ConcurrentRunsExceededException', 'Glue.ResourceNumberLimitExceededException', 'Glue.ThrottlingException'];

/**
 * Many files at once are a queue: each waits for its turn. Each attempt is 3 of the 25,000 events that an execution may have, which has
 * two jobs and at most five calls of handlers. At 2.5 minutes from one to the next on average, an execution waits five days for a job.
 */
const ATTEMPTS = { job: 3000, handler: 300, warning: 10 };

const EXECUTION = expr('$states.context.Execution.Id');
const INGESTION = expr('$states.input.ingestion');

/** The states from the event of an upload to a data set that trains, or to quarantine, or to a failure that says why. */
export class Workflow extends Construct {
  public readonly stateMachine: sfn.StateMachine;
  private readonly broken: sfn.IChainable;

  constructor(scope: Construct, id: string, private readonly props: WorkflowProps) {
    super(scope, id);
    this.broken = this.failurePath();
    const logGroup = new ServiceLogGroup(this, 'Logs', {
      ...props.settings,
      // Log groups with this prefix do not use up the few resource policies that an account may have for logs.
      logGroupName: `/aws/vendedlogs/states/${Names.uniqueResourceName(this, { maxLength: 200, separator: '-' })}`,
    });
    this.stateMachine = new sfn.StateMachine(this, 'Resource', {
      comment: `From a raw ${props.datasetName} file to a data set that is ready for training`,
      queryLanguage: sfn.QueryLanguage.JSONATA,
      definitionBody: sfn.DefinitionBody.fromChainable(this.manifestState()),
      logs: { destination: logGroup, level: sfn.LogLevel.ALL, includeExecutionData: true },
      tracingEnabled: true,
    });
    // The task knows of no keys.
    props.topic.grantPublish(this.stateMachine);
  }

  private manifestState(): sfn.IChainable {
    return this.invoke('WriteManifest', this.props.functions.manifest, 'ingestion', { event: KEEP_INPUT, executionArn: EXECUTION })
      .next(sfn.Choice.jsonata(this, 'IsNew')
        .when(condition("$states.input.ingestion.outcome = 'NEW'"), this.validateStates())
        .when(condition("$states.input.ingestion.outcome = 'DUPLICATE'"), sfn.Succeed.jsonata(this, 'AlreadyIngested', {
          comment: 'The same object version was or is processed by another execution',
        }))
        .otherwise(sfn.Succeed.jsonata(this, 'NothingToIngest', { comment: 'No CSV file, or deleted in the meantime' })));
  }

  private validateStates(): sfn.IChainable {
    const { functions: { verdict }, jobs: { validate } } = this.props;
    return this.runJob('Validate', validate, ['manifest', 'report'])
      .next(this.invoke('ReadVerdict', verdict, 'verdict', { ingestion: INGESTION, executionArn: EXECUTION }))
      .next(sfn.Choice.jsonata(this, 'IsValid')
        .when(condition('$states.input.verdict.valid'), this.preprocessStates())
        .otherwise(this.quarantineStates()));
  }

  private preprocessStates(): sfn.IChainable {
    const { functions: { startTraining }, jobs: { preprocess }, crawlerName } = this.props;
    const record = this.finishState('RecordSuccess', 'SUCCEEDED').addCatch(this.broken, kept('error'));
    const ready = sfn.Succeed.jsonata(this, 'DataReady');
    let chain = sfn.Chain.start(this.runJob('Preprocess', preprocess, ['manifest', 'output', 'summary']));
    if (startTraining) {
      chain = chain.next(this.invoke('StartTraining', startTraining, 'training', { ingestion: INGESTION }));
    }
    if (crawlerName) {
      // Not a reason to fail: the crawler may still be at the data before.
      chain = chain.next(this.startCrawler(crawlerName).addCatch(record, kept('crawlerError')));
    }
    return chain
      .next(record)
      // Training runs by now: that nobody could be told must not fail the execution.
      .next(this.publish('NotifyReady', 'ready', 'finish', ready));
  }

  private quarantineStates(): sfn.IChainable {
    const quarantined = sfn.Fail.jsonata(this, 'Quarantined', { error: QUARANTINED, cause: expr('$states.input.verdict.cause') });
    return this.publish('NotifyQuarantine', 'quarantined', 'verdict', quarantined);
  }

  /** Where every catch leads: the table says so, people are told, and the execution fails with the cause. */
  private failurePath(): sfn.IChainable {
    const failed = sfn.Fail.jsonata(this, 'Failed', { error: BROKEN, cause: expr('$states.input.finish.cause') });
    const failedUnrecorded = sfn.Fail.jsonata(this, 'FailedUnrecorded', { error: BROKEN, cause: expr('$states.input.error.Cause') });
    return this.finishState('RecordFailure', 'FAILED')
      .addCatch(failedUnrecorded, kept('recordError'))
      .next(this.publish('NotifyFailure', 'failed', 'finish', failed));
  }

  private finishState(id: string, status: 'SUCCEEDED' | 'FAILED'): sfn.TaskStateBase {
    return this.bareInvoke(id, this.props.functions.finish, 'finish', { status, executionArn: EXECUTION, state: KEEP_INPUT });
  }

  private invoke(id: string, handler: lambda.IFunction, field: string, payload: Fields): sfn.TaskStateBase {
    return this.bareInvoke(id, handler, field, payload).addCatch(this.broken, kept('error'));
  }

  private bareInvoke(id: string, handler: lambda.IFunction, field: string, payload: Fields, attempts = ATTEMPTS.handler): sfn.TaskStateBase {
    return tasks.LambdaInvoke.jsonata(this, id, {
      lambdaFunction: handler,
      payload: sfn.TaskInput.fromObject(payload),
      payloadResponseOnly: true,
      outputs: inputWith(field, '$states.result'),
      retryOnServiceExceptions: false,
    })
      .addRetry(retry(THROTTLES, Duration.seconds(2), attempts))
      .addRetry(retry(HANDLER_ERRORS, Duration.seconds(2), 5));
  }

  /** @param places that the script is told, of those that the manifest handler answered */
  private runJob(id: string, { jobName }: glue.IJob, places: string[]): sfn.TaskStateBase {
    const job = [Stack.of(this).formatArn({ service: 'glue', resource: 'job', resourceName: jobName })];
    return new ServiceTask(this, id, {
      service: GLUE_JOBS,
      action: 'startJobRun',
      waitsForJob: true,
      // Beside the time of the job that for its start.
      timeout: this.props.jobTimeout.plus(Duration.minutes(30)),
      parameters: {
        JobName: jobName,
        Arguments: Object.fromEntries(places.map((place) => [`--${place}`, expr(`$states.input.ingestion.${place}`)])),
      },
      resources: job,
      alsoPermits: [permit(['glue:GetJobRun', 'glue:GetJobRuns', 'glue:BatchStopJobRun'], job)],
      retry: false,
    })
      .addRetry(retry(GLUE_BUSY, Duration.seconds(30), ATTEMPTS.job, Duration.minutes(5)))
      .addRetry(retry(GLUE_JOBS.transientErrors, Duration.seconds(5), 5))
      .addCatch(this.broken, kept('error'));
  }

  /** Not waited for. */
  private startCrawler(name: string): sfn.TaskStateBase {
    return new ServiceTask(this, 'DiscoverSchema', {
      service: GLUE,
      action: 'startCrawler',
      parameters: { Name: name },
      resources: [Stack.of(this).formatArn({ service: 'glue', resource: 'crawler', resourceName: name })],
      retry: false,
    });
  }

  /**
   * Tells people, and goes on whether or not that succeeds; where it does not, that is recorded.
   *
   * @param field of the state's input that has the words
   */
  private publish(id: string, event: string, field: 'finish' | 'verdict', end: sfn.IChainable): sfn.IChainable {
    const unnotified = this.bareInvoke(
      `${id}Failed`, this.props.functions.unnotified, 'unnotified', { executionArn: EXECUTION, state: KEEP_INPUT }, ATTEMPTS.warning,
    );
    unnotified.addCatch(end, kept('recordError')).next(end);
    return tasks.SnsPublish.jsonata(this, id, {
      topic: this.props.topic,
      subject: expr(`$states.input.${field}.subject`),
      message: sfn.TaskInput.fromText(expr(`$states.input.${field}.message`)),
      messageAttributes: { event: { value: event }, dataset: { value: this.props.datasetName } },
      outputs: KEEP_INPUT,
    })
      .addRetry(retry(SNS_TRANSIENT_ERRORS, Duration.seconds(2), 4))
      .addCatch(unnotified, kept('notificationError'))
      .next(end);
  }
}

/** Any error, kept in this field of the state. */
function kept(field: string): sfn.CatchProps {
  return { outputs: inputWith(field, '$states.errorOutput') };
}
