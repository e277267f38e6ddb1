import { Duration, Names, Stack, Token } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as events from 'aws-cdk-lib/aws-events';
import * as targets from 'aws-cdk-lib/aws-events-targets';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as sagemaker from 'aws-cdk-lib/aws-sagemaker';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import { CleanupProperties, RELEASE_DIGITS, SCALABLE_DIMENSION, SCHEMA_FILE, VARIANT } from './environment';
import { endpointArn, EndpointBase, IInferenceEndpoint, InferenceEndpointAttributes, InferenceEndpointBase } from './inference-endpoint-base';
import { grantToModelRole } from './model-role';
import { Verification } from './verification';
import { DatasetSchema } from '../data';
import { Capacity, CommonProps } from '../profile';
import { Settings, settingsOf } from '../profile/settings';
import { IModelRegistry } from '../registry';
import { grantCatalog } from '../registry/catalog-grants';
import { scalingAlarms, stateMachineArn, stateMachineName } from './workflow/arns';
import { DeployWorkflow } from './workflow/deploy-workflow';
import { checkHistory } from './workflow/history';
import { executionArns, sageMakerArns } from '../shared/arns';
import { Cleanup } from '../shared/cleanup';
import { DeadLetterQueue } from '../shared/dead-letter-queue';
import { executionsOf, LONGEST_DELIVERY, eventRule } from '../shared/event-rule';
import { HandlerFunction } from '../shared/handler-function';
import { connectionsOf, Network } from '../shared/network';
import { describeForRehearsal } from '../shared/rehearsal-facts';
import { ServiceLogGroup } from '../shared/service-log-group';
import { serviceOfAccount } from '../shared/service-principal';
import { Problems } from '../shared/validation';

/** Properties of an `InferenceEndpoint`. */
export interface InferenceEndpointProps extends CommonProps {
  /** The data contract: each model must answer a row of it before it serves. */
  readonly schema: DatasetSchema;

  /** Where approved model versions come from. */
  readonly registry: IModelRegistry;

  /**
   * How many instances of which type serve. A change takes effect with the next approval.
   *
   * @default - as the profile says
   */
  readonly capacity?: Capacity;

  /**
   * Name of the endpoint: letters, digits and hyphens, at most 63. No endpoint of this name may exist.
   *
   * @default - derived from the construct's path
   */
  readonly endpointName?: string;

  /**
   * Role that the model's containers act as. A role made elsewhere gets the same grants, unless it is imported as immutable.
   *
   * @default - a new role that may read the registry's copies of the artifacts, pull SageMaker's own images, and write logs and metrics
   */
  readonly role?: iam.IRole;

  /**
   * Time between two looks at an endpoint that is being created or updated. Each look makes events, of which an execution may have
   * 25,000: at most 2,666 looks fit into `deploymentTimeout`.
   * @default Duration.seconds(15)
   */
  readonly pollInterval?: Duration;

  /**
   * Longest time that one deployment may take.
   * @default Duration.hours(2)
   */
  readonly deploymentTimeout?: Duration;
}

const POLL_INTERVAL = Duration.seconds(15);
const DEPLOYMENT_TIMEOUT = Duration.hours(2);
const NAME = /^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$/;
/** A release is named `<prefix>-<16 digits>`, in 63 characters. */
const PREFIX_LENGTH = 63 - 1 - RELEASE_DIGITS;

/**
 * An endpoint that serves the highest model version that is approved.
 *
 * The stack deploys before there is any model: the endpoint itself is made by a workflow (Step Functions), which each
 * approval starts. It verifies that the version is what was registered, creates the model from the registry's copies of the artifacts
 * and an endpoint config, creates or updates the endpoint, waits, compares the config that serves with the one asked for (SageMaker may
 * roll back and say nothing), asks for a prediction, registers autoscaling and records in the registry's catalog what serves. If any of
 * that fails, what served before serves again, provided that it is still what was registered.
 *
 * - One deployment at a time: approvals that come together are deployed one after the other.
 * - A deployment that is stopped or times out is undone by another execution of the workflow: what served before serves again.
 * - Repeated and late events change nothing: a version that serves is not deployed again, and an older one than the one that serves
 *   is skipped. To go back, reject the version that serves and approve the older one (again).
 * - The endpoint goes with the stack, and with it all that the workflow made.
 * - Models, endpoint configs and the endpoint get the tags of the app, the stack and this construct (`Tags.of`) when they are made.
 *
 * An endpoint costs as long as it exists, see `Capacity`. Until the first approval there is none.
 *
 * @see https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints.html
 *
 * @example
 * declare const animals: DatasetSchema;
 * declare const registry: ModelRegistry;
 * const endpoint = new InferenceEndpoint(this, 'Endpoint', { schema: animals, registry, profile: StageProfile.prod() });
 */
export class InferenceEndpoint extends InferenceEndpointBase implements iam.IGrantable, ec2.IConnectable {
  /** Any endpoint that exists, by its name, in the account and region of the stack. */
  public static fromEndpointName(scope: Construct, id: string, endpointName: string): sagemaker.IEndpoint {
    class Import extends EndpointBase {
      public readonly endpointName = endpointName;
      public readonly endpointArn = endpointArn(Stack.of(scope), endpointName);
    }
    return new Import(scope, id);
  }

  /** An endpoint that another stack's `InferenceEndpoint` made. */
  public static fromInferenceEndpointAttributes(scope: Construct, id: string, attributes: InferenceEndpointAttributes): IInferenceEndpoint {
    class Import extends InferenceEndpointBase {
      public readonly endpointName = attributes.endpointName;
      public readonly endpointArn = endpointArn(Stack.of(scope), attributes.endpointName);
      public readonly schema = attributes.schema;
    }
    return new Import(scope, id);
  }

  /** Name of the endpoint. */
  public readonly endpointName: string;

  /** ARN of the endpoint. */
  public readonly endpointArn: string;

  /** The workflow that deploys an approved version. Start it with `{"modelPackageArn": "..."}` to deploy by hand. */
  public readonly stateMachine: sfn.IStateMachine;

  /** Role that the model's containers act as. Grant it what your own container needs, e.g. to pull its image. */
  public readonly role: iam.IRole;

  public readonly grantPrincipal: iam.IPrincipal;

  /** Name of the one variant, as metrics know it. */
  public readonly variantName: string = VARIANT;

  /** The data contract of requests and answers. */
  public readonly schema: DatasetSchema;

  /** Approvals that could not be handed to the workflow. */
  public readonly deadLetterQueue: sqs.IQueue;

  private readonly prefix: string;
  private readonly network?: Network;

  constructor(scope: Construct, id: string, props: InferenceEndpointProps) {
    super(scope, id);
    const settings = settingsOf(this, props);
    const capacity = props.capacity ?? settings.profile.capacity;
    checkProps(this, `InferenceEndpoint "${id}"`, props, capacity);
    this.schema = props.schema;
    this.endpointName = props.endpointName ?? Names.uniqueResourceName(this, { maxLength: PREFIX_LENGTH - 6, separator: '-' }).toLowerCase();
    this.prefix = releasePrefix(this, this.endpointName);
    this.endpointArn = endpointArn(Stack.of(this), this.endpointName);
    this.network = settings.network;
    const containerLogs = this.createLogGroup(settings);
    this.role = props.role ?? this.createRole();
    this.grantPrincipal = this.role.grantPrincipal;
    const roleGrants = grantToModelRole(this, this.role, props.registry, this.endpointName, this.network);
    const cleanup = this.createCleanup(props.registry, settings);
    // Deleted with the stack: workflow, then endpoint, then what its containers still need while they end.
    cleanup.resource.node.addDependency(this.role, roleGrants, containerLogs);
    const workflow = this.createWorkflow(props, capacity, settings);
    workflow.stateMachine.node.addDependency(cleanup.resource);
    this.stateMachine = workflow.stateMachine;
    this.node.defaultChild = workflow.stateMachine.node.defaultChild;
    this.deadLetterQueue = new DeadLetterQueue(this, 'DeadLetters', settings);
    this.startOnApproval(props.registry);
    this.restoreOnInterruption();
    describeForRehearsal(this, 'cdk-mlops:inference-endpoint', {
      endpointName: this.endpointName,
      modelPackageGroupName: props.registry.modelPackageGroupName,
      stateMachineArn: this.stateMachine.stateMachineArn,
      schema: props.schema._document(),
    });
  }

  /** The security groups of the models and of the functions. Fails where they run in no VPC. */
  public get connections(): ec2.Connections {
    return connectionsOf(this, this.network);
  }

  /** A rule for each deployment that failed, timed out or was stopped. Its event's `detail.cause` says why. */
  public onDeploymentFailed(id: string, options: events.OnEventOptions = {}): events.Rule {
    return eventRule(this, id, options, {
      source: ['aws.states'],
      detailType: ['Step Functions Execution Status Change'],
      detail: { stateMachineArn: [this.stateMachine.stateMachineArn], status: ['FAILED', 'TIMED_OUT', 'ABORTED'] },
    });
  }

  /** SageMaker writes to a log group of this name: made here, it ends some day and goes with the stack. */
  private createLogGroup(settings: Settings): ServiceLogGroup {
    return new ServiceLogGroup(this, 'ContainerLogs', {
      ...settings,
      logGroupName: `/aws/sagemaker/Endpoints/${this.endpointName}`,
    });
  }

  private createRole(): iam.Role {
    return new iam.Role(this, 'Role', {
      assumedBy: serviceOfAccount(this, 'sagemaker.amazonaws.com'),
      description: `Model containers of ${this.endpointName}`,
    });
  }

  private createWorkflow(props: InferenceEndpointProps, capacity: Capacity, settings: Settings): DeployWorkflow {
    const smoke = new HandlerFunction(this, 'Smoke', {
      ...settings,
      handler: 'inference/smoke',
      description: `Asks ${this.endpointName} for a prediction before a model is said to serve`,
      documents: { [SCHEMA_FILE]: props.schema._document() },
      timeout: Duration.minutes(3),
    });
    this.grantInvoke(smoke);
    const artifacts = new Verification(this, 'Artifacts', { settings, registry: props.registry, endpointName: this.endpointName, prefix: this.prefix });
    return new DeployWorkflow(this, 'Deploy', {
      common: settings,
      registry: props.registry,
      endpointName: this.endpointName,
      prefix: this.prefix,
      capacity,
      modelRole: this.role,
      smoke,
      artifacts,
      pollInterval: props.pollInterval ?? POLL_INTERVAL,
      timeout: props.deploymentTimeout ?? DEPLOYMENT_TIMEOUT,
    });
  }

  private createCleanup(registry: IModelRegistry, settings: Settings): Cleanup {
    const stack = Stack.of(this);
    const allow = (actions: string[], resources: string[], conditions?: { [operator: string]: unknown }) =>
      new iam.PolicyStatement({ actions, resources, conditions });
    const properties: CleanupProperties = {
      EndpointName: this.endpointName,
      Prefix: this.prefix,
      // Not a reference: the state machine is deleted before this.
      StateMachineArn: stateMachineArn(stack, this.prefix),
      TableName: registry.catalogTable.tableName,
      GroupName: registry.modelPackageGroupName,
    };
    const scalableTargets = stack.formatArn({ service: 'application-autoscaling', resource: 'scalable-target', resourceName: '*' });
    const cleanup = new Cleanup(this, 'Cleanup', {
      ...settings,
      handler: 'inference/cleanup',
      description: `Deletes ${this.endpointName} and what the deployments left when the stack is deleted`,
      resourceType: 'Custom::InferenceEndpoint',
      properties: { ...properties },
      timeout: Duration.minutes(15),
      statements: [
        allow(['sagemaker:DescribeEndpoint', 'sagemaker:DeleteEndpoint'], sageMakerArns(this, 'endpoint', this.endpointName)),
        allow(['sagemaker:DeleteEndpointConfig'], sageMakerArns(this, 'endpoint-config', `${this.prefix}-*`)),
        allow(['sagemaker:DeleteModel'], sageMakerArns(this, 'model', `${this.prefix}-*`)),
        // Listing has no resource-level permissions.
        allow(['sagemaker:ListEndpointConfigs', 'sagemaker:ListModels'], ['*']),
        allow(['states:ListExecutions'], [properties.StateMachineArn]),
        allow(['states:StopExecution'], [executionArns(this, stateMachineName(this.prefix))]),
        allow(['application-autoscaling:DeregisterScalableTarget'], [scalableTargets], {
          StringEquals: {
            'application-autoscaling:service-namespace': 'sagemaker',
            'application-autoscaling:scalable-dimension': SCALABLE_DIMENSION,
          },
        }),
        // The alarms of its scaling policies go with a scalable target, in the name of who deregisters it.
        allow(['cloudwatch:DeleteAlarms'], [scalingAlarms(this, this.endpointName)]),
      ],
    });
    grantCatalog(registry, cleanup, ['SERVING', 'LOCK'], ['dynamodb:DeleteItem']);
    return cleanup;
  }

  private startOnApproval(registry: IModelRegistry): void {
    registry.onApproved('OnApproved', {
      crossStackScope: this,
      description: `Approved versions of ${registry.modelPackageGroupName} go to ${this.endpointName}`,
      target: new targets.SfnStateMachine(this.stateMachine, {
        input: events.RuleTargetInput.fromObject({ modelPackageArn: events.EventField.fromPath('$.detail.ModelPackageArn') }),
        deadLetterQueue: this.deadLetterQueue,
        retryAttempts: 8,
        maxEventAge: Duration.hours(2),
      }),
    });
  }

  /** An execution that is stopped, times out or breaks cannot set right what it left: another one does. */
  private restoreOnInterruption(): void {
    new events.Rule(this, 'OnInterrupted', {
      description: `A deployment to ${this.endpointName} was interrupted`,
      eventPattern: executionsOf(this.stateMachine, {
        // Errors of the workflow's own have passed through its failure path.
        $or: [{ status: ['ABORTED', 'TIMED_OUT'] }, { status: ['FAILED'], error: [{ prefix: 'States.' }] }],
      }),
      targets: [new targets.SfnStateMachine(this.stateMachine, {
        input: events.RuleTargetInput.fromObject({ interrupted: events.EventField.fromPath('$.detail.executionArn') }),
        deadLetterQueue: this.deadLetterQueue,
        ...LONGEST_DELIVERY,
      })],
    });
  }
}

/** The name itself where it is short enough, else its beginning and what makes it unique. */
function releasePrefix(endpoint: Construct, endpointName: string): string {
  return Token.isUnresolved(endpointName) || endpointName.length <= PREFIX_LENGTH
    ? endpointName
    : `${endpointName.slice(0, PREFIX_LENGTH - 9).replace(/-+$/, '')}-${Names.uniqueResourceName(endpoint, { maxLength: 8 }).toLowerCase().slice(-8)}`;
}

function checkProps(scope: Construct, subject: string, props: InferenceEndpointProps, capacity: Capacity): void {
  const problems = new Problems(subject);
  const { endpointName } = props;
  problems.check(endpointName === undefined || Token.isUnresolved(endpointName) || NAME.test(endpointName), () =>
    `endpointName "${endpointName}" must be 1 to 63 letters, digits and hyphens, with a letter or digit first and last`);
  capacity._check(scope, problems);
  checkDuration(problems, 'pollInterval', props.pollInterval, 1, 3600);
  checkDuration(problems, 'deploymentTimeout', props.deploymentTimeout, 600, 7 * 24 * 3600);
  checkHistory(problems, props.pollInterval ?? POLL_INTERVAL, props.deploymentTimeout ?? DEPLOYMENT_TIMEOUT);
  problems.throwIfAny();
}

function checkDuration(problems: Problems, name: string, value: Duration | undefined, least: number, largest: number): void {
  if (value !== undefined && !value.isUnresolved()) {
    const seconds = value.toSeconds({ integral: false });
    problems.check(Number.isInteger(seconds) && seconds >= least && seconds <= largest, () =>
      `${name} of ${seconds} s must be whole seconds, from ${least} to ${largest}`);
  }
}
