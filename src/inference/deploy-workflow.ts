import { ArnFormat, Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import type { Capacity } from './capacity';
import { DEPLOYED_EVENT, SCALABLE_DIMENSION } from './environment';
import { decisionStates } from './workflow-decision';
import { failureStates } from './workflow-failure';
import { lockStates } from './workflow-lock';
import { releaseStates } from './workflow-release';
import type { WorkflowSettings } from './workflow-settings';
import type { IModelRegistry } from '../registry';
import { grantCatalog } from '../registry/catalog-grants';
import { HandlerFunction } from '../shared/handler-function';

export interface DeployWorkflowProps {
  readonly registry: IModelRegistry;
  readonly endpointName: string;
  readonly prefix: string;
  readonly capacity: Capacity;
  readonly modelRole: iam.IRole;
  readonly smoke: HandlerFunction;
  readonly pollInterval: Duration;
  readonly timeout: Duration;
}

/** The state machine that brings an approved model version into service, and its role. */
export class DeployWorkflow extends Construct {
  public readonly stateMachine: sfn.StateMachine;
  private readonly stack: Stack;

  constructor(scope: Construct, id: string, private readonly props: DeployWorkflowProps) {
    super(scope, id);
    this.stack = Stack.of(this);
    const role = new iam.Role(this, 'Role', {
      assumedBy: new iam.ServicePrincipal('states.amazonaws.com'),
      description: `Deploys approved models to ${props.endpointName}`,
    });
    this.stateMachine = new sfn.StateMachine(this, 'Resource', {
      // Known in advance: an execution looks at others of its own state machine, and the cleanup stops them.
      stateMachineName: stateMachineName(props.prefix),
      definitionBody: sfn.DefinitionBody.fromString(this.stack.toJsonString(workflowDefinition(this.settings()))),
      role,
      tracingEnabled: true,
      logs: {
        level: sfn.LogLevel.ALL,
        includeExecutionData: true,
        destination: new logs.LogGroup(this, 'Logs', {
          retention: logs.RetentionDays.THREE_MONTHS,
          removalPolicy: RemovalPolicy.DESTROY,
        }),
      },
    });
    this.grant(role);
  }

  private settings(): WorkflowSettings {
    const { props } = this;
    const integration = (name: string) => `arn:${this.stack.partition}:states:::${name}`;
    return {
      endpointName: props.endpointName,
      modelPackageGroupName: props.registry.modelPackageGroupName,
      prefix: props.prefix,
      modelRoleArn: props.modelRole.roleArn,
      smokeFunctionArn: props.smoke.functionArn,
      tableName: props.registry.catalogTable.tableName,
      capacity: props.capacity._settings(),
      capacityText: props.capacity.toString(),
      pollSeconds: props.pollInterval.toSeconds(),
      timeoutSeconds: props.timeout.toSeconds(),
      services: {
        sagemaker: integration('aws-sdk:sagemaker'),
        autoscaling: integration('aws-sdk:applicationautoscaling'),
        dynamodb: integration('dynamodb'),
        lambda: integration('lambda'),
        sfn: integration('aws-sdk:sfn'),
        events: integration('aws-sdk:eventbridge'),
      },
    };
  }

  private grant(role: iam.Role): void {
    const { registry, endpointName, prefix, smoke, modelRole } = this.props;
    const endpoint = sagemakerArns(this.stack, 'endpoint', endpointName);
    const configs = sagemakerArns(this.stack, 'endpoint-config', `${prefix}-*`);
    const models = sagemakerArns(this.stack, 'model', `${prefix}-*`);
    registry.grantDeploy(role);
    grantCatalog(registry, role, ['SERVING', 'LOCK', 'DEPLOYMENT'], ['dynamodb:GetItem', 'dynamodb:PutItem', 'dynamodb:DeleteItem']);
    smoke.grantInvoke(role);
    allow(role, ['sagemaker:CreateModel', 'sagemaker:DeleteModel'], models);
    allow(role, ['sagemaker:CreateEndpointConfig', 'sagemaker:DeleteEndpointConfig'], configs);
    allow(role, ['sagemaker:DescribeEndpoint', 'sagemaker:DeleteEndpoint'], endpoint);
    // Both are checked: the endpoint and the config that it gets.
    allow(role, ['sagemaker:CreateEndpoint', 'sagemaker:UpdateEndpoint'], [...endpoint, ...configs]);
    allow(role, ['iam:PassRole'], [modelRole.roleArn], { StringEquals: { 'iam:PassedToService': 'sagemaker.amazonaws.com' } });
    allow(role, ['states:DescribeExecution'], [executionArns(this.stack, prefix)]);
    allow(role, ['events:PutEvents'], [this.stack.formatArn({ service: 'events', resource: 'event-bus', resourceName: 'default' })],
      { StringEquals: { 'events:source': DEPLOYED_EVENT.source } });
    this.grantScaling(role, endpoint, configs);
  }

  /** Application Auto Scaling acts with its own service-linked role, but checks that the caller might do the same. */
  private grantScaling(role: iam.Role, endpoint: string[], configs: string[]): void {
    const target = this.stack.formatArn({ service: 'application-autoscaling', resource: 'scalable-target', resourceName: '*' });
    const onlyVariants = {
      StringEquals: {
        'application-autoscaling:service-namespace': 'sagemaker',
        'application-autoscaling:scalable-dimension': SCALABLE_DIMENSION,
      },
    };
    if (!this.props.capacity.isAutoscaled) {
      allow(role, ['application-autoscaling:DeregisterScalableTarget'], [target], onlyVariants);
      return;
    }
    allow(role, [
      'application-autoscaling:DeregisterScalableTarget', 'application-autoscaling:PutScalingPolicy', 'application-autoscaling:RegisterScalableTarget',
    ], [target], onlyVariants);
    allow(role, ['sagemaker:DescribeEndpointConfig'], configs);
    allow(role, ['sagemaker:UpdateEndpointWeightsAndCapacities'], endpoint);
    const alarm = (name: string) => this.stack.formatArn({
      service: 'cloudwatch', resource: 'alarm', resourceName: name, arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    });
    allow(role, ['cloudwatch:DeleteAlarms', 'cloudwatch:PutMetricAlarm'], [alarm(`TargetTracking-endpoint/${this.props.endpointName}/*`)]);
    allow(role, ['cloudwatch:DescribeAlarms'], [alarm('*')]);
    allow(role, ['iam:CreateServiceLinkedRole'], [this.stack.formatArn({
      service: 'iam',
      region: '',
      resource: 'role',
      resourceName: 'aws-service-role/sagemaker.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint',
    })], { StringLike: { 'iam:AWSServiceName': 'sagemaker.application-autoscaling.amazonaws.com' } });
  }
}

/** The whole workflow. */
export function workflowDefinition(settings: WorkflowSettings): object {
  return {
    Comment: `Brings approved model versions into service on ${settings.endpointName}`,
    QueryLanguage: 'JSONata',
    StartAt: 'Begin',
    TimeoutSeconds: settings.timeoutSeconds,
    States: {
      ...decisionStates(settings, 'CreateModel'),
      ...lockStates(settings, 'DescribePackage'),
      ...releaseStates(settings),
      ...failureStates(settings),
    },
  };
}

export function stateMachineName(prefix: string): string {
  return `${prefix}-deploy`;
}

export function stateMachineArn(stack: Stack, prefix: string): string {
  return stack.formatArn({
    service: 'states', resource: 'stateMachine', resourceName: stateMachineName(prefix), arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });
}

export function executionArns(stack: Stack, prefix: string): string {
  return stack.formatArn({
    service: 'states', resource: 'execution', resourceName: `${stateMachineName(prefix)}:*`, arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });
}

/** ARNs of SageMaker things of this name, which SageMaker may write in lower case. */
export function sagemakerArns(stack: Stack, resource: string, name: string): string[] {
  // A token must not be put into lower case; the names that this library derives are.
  const spellings = /\$\{Token\[/.test(name) ? [name] : [...new Set([name, name.toLowerCase()])];
  return spellings.map((resourceName) => stack.formatArn({ service: 'sagemaker', resource, resourceName }));
}

function allow(role: iam.IRole, actions: string[], resources: string[], conditions?: { [operator: string]: unknown }): void {
  role.addToPrincipalPolicy(new iam.PolicyStatement({ actions, resources, conditions }));
}
