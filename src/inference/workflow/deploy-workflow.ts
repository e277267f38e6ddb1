import * as iam from 'aws-cdk-lib/aws-iam';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import { IAM_MINIMIZE_POLICIES } from 'aws-cdk-lib/cx-api';
import { Construct } from 'constructs';
import { stateMachineName } from './arns';
import { Decision } from './decision';
import { DeploySettings, outcome, releaseOf } from './deploy-states';
import { Failure } from './failure';
import { Lock } from './lock';
import { Recording } from './recording';
import { Release } from './release';
import { INTERRUPTED, Restoration } from './restoration';
import { ServiceLogGroup } from '../../shared/service-log-group';
import { serviceOfAccount } from '../../shared/service-principal';
import { condition, expr, orElse } from '../../shared/workflow/jsonata';

/** All settings but the role, which is made here. */
export type DeployWorkflowProps = Omit<DeploySettings, 'role'>;

/**
 * The state machine that brings an approved model version into service, and its role. Each state carries the permissions that
 * its call needs.
 */
export class DeployWorkflow extends Construct {
  public readonly stateMachine: sfn.StateMachine;
  private readonly settings: DeploySettings;
  private readonly lock: Lock;
  private readonly failed: sfn.IChainable;
  private readonly failure: sfn.IChainable;
  private readonly done: sfn.IChainable;

  constructor(scope: Construct, id: string, props: DeployWorkflowProps) {
    super(scope, id);
    // Many states bring the same statement: merged, all of them fit into one inline policy.
    this.node.setContext(IAM_MINIMIZE_POLICIES, true);
    const role = new iam.Role(this, 'Role', {
      assumedBy: serviceOfAccount(this, 'states.amazonaws.com'),
      description: `Deploys approved models to ${props.endpointName}`,
    });
    this.settings = { ...props, role };
    this.lock = new Lock(this, 'Lock', this.settings);
    this.failed = sfn.Fail.jsonata(this, 'Failed', { error: expr('$errorName'), cause: expr('$cause') });
    const report = this.report();
    this.failure = new Failure(this, 'Failure', this.settings, this.lock.release('ReleaseLockAfterFailure', this.wasItRestored(report))).start;
    this.done = this.lock.release('ReleaseLock', report);
    this.stateMachine = new sfn.StateMachine(this, 'Resource', {
      // Known in advance: an execution looks at others of its own state machine, and the cleanup stops them.
      stateMachineName: stateMachineName(props.prefix),
      comment: `Brings approved model versions into service on ${props.endpointName}`,
      queryLanguage: sfn.QueryLanguage.JSONATA,
      definitionBody: sfn.DefinitionBody.fromChainable(this.begin()),
      timeout: props.timeout,
      role,
      tracingEnabled: true,
      logs: {
        level: sfn.LogLevel.ALL,
        includeExecutionData: true,
        destination: new ServiceLogGroup(this, 'Logs', props.common),
      },
    });
  }

  private begin(): sfn.IChainable {
    return sfn.Pass.jsonata(this, 'Begin', {
      assign: {
        package: expr(orElse('$states.input.modelPackageArn', "''")),
        interrupted: expr(orElse('$states.input.interrupted', "''")),
        release: expr(releaseOf(this.settings.prefix, '$states.context.Execution.Id')),
        there: false,
        status: '',
        served: '',
        previous: '',
        asked: false,
        restored: false,
        undone: false,
        outcome: '',
        message: '',
        errorName: '',
        cause: '',
        version: 0,
      },
    }).next(this.lock.take(this.deployOrRestore(), this.failed));
  }

  private deployOrRestore(): sfn.IChainable {
    const recording = new Recording(this, 'Recording', this.settings, { done: this.done, failure: this.failure });
    const restoration = new Restoration(this, 'Restoration', this.settings, {
      undo: this.failure, deleteOld: recording.deleteOld, failure: this.failure,
    });
    return sfn.Choice.jsonata(this, 'IsRestoration')
      .when(condition("$interrupted != ''"), restoration.start)
      .otherwise(this.decide(recording.start));
  }

  /** To undo an interrupted deployment is a failure of that, and a success of the restoration. */
  private wasItRestored(report: sfn.IChainable): sfn.IChainable {
    return sfn.Choice.jsonata(this, 'WasItRestored')
      .when(condition(`$undone and $errorName = '${INTERRUPTED}'`), report, { assign: outcome('RESTORED', '$cause') })
      .otherwise(this.failed);
  }

  private decide(serves: sfn.IChainable): sfn.IChainable {
    const deploy = new Release(this, 'Release', this.settings, { serves, failure: this.failure }).start;
    return new Decision(this, 'Decision', this.settings, { deploy, done: this.done, failure: this.failure }).start;
  }

  private report(): sfn.IChainable {
    return sfn.Pass.jsonata(this, 'Report', {
      outputs: {
        outcome: expr('$outcome'), message: expr('$message'), modelPackageArn: expr('$package'), endpointName: this.settings.endpointName,
      },
    }).next(sfn.Succeed.jsonata(this, 'Done'));
  }
}
