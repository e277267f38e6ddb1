import { Duration, Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import * as tasks from 'aws-cdk-lib/aws-stepfunctions-tasks';
import { Construct } from 'constructs';
import { scalingAlarms, stateMachineName } from './arns';
import type { Capacity } from '../../profile/capacity';
import type { IModelRegistry } from '../../registry';
import { CatalogKey, CatalogKind, catalogPartition, servingKey } from '../../registry/catalog.lambda-shared';
import { executionArns, sageMakerArns } from '../../shared/arns';
import type { CommonSettings } from '../../shared/common-settings';
import { grantTableKey, volumeKeyStatements } from '../../shared/encryption';
import { expr, KEEP_INPUT, orElse, text } from '../../shared/workflow/jsonata';
import { Fields, permit, ServiceTask } from '../../shared/workflow/service-task';
import { APPLICATION_AUTO_SCALING, callRetry, DYNAMODB, LAMBDA_TRANSIENT_ERRORS, SAGEMAKER, STEP_FUNCTIONS } from '../../shared/workflow/services';
import { RELEASE_DIGITS, SCALABLE_DIMENSION, scalableResourceId } from '../environment';

/** What every part of the deploy workflow knows. */
export interface DeploySettings {
  /** Key and network of what the workflow makes, and how long its logs are kept. */
  readonly common: CommonSettings;
  readonly registry: IModelRegistry;
  readonly endpointName: string;
  /** Models and endpoint configs are named by it and a random suffix. */
  readonly prefix: string;
  readonly capacity: Capacity;
  readonly modelRole: iam.IRole;
  readonly smoke: lambda.IFunction;
  /** Verifies the artifacts of a version: `inference/artifacts`. */
  readonly artifacts: lambda.IFunction;
  readonly pollInterval: Duration;
  readonly timeout: Duration;
  /** Role of the state machine. */
  readonly role: iam.IRole;
}

/** Status of an endpoint at which SageMaker is at work on it. */
export const BUSY = "['Creating', 'Updating', 'SystemUpdating', 'RollingBack', 'Deleting']";

/** Options of a call that several states make. */
export interface CallOptions {
  readonly assign?: Fields;
  readonly retry?: boolean;
}

/** States of the deploy workflow that belong together, with the calls that more than one part makes. */
export abstract class DeployStates extends Construct {
  protected readonly endpoint: string[];
  protected readonly configs: string[];
  protected readonly models: string[];

  constructor(scope: Construct, id: string, protected readonly settings: DeploySettings) {
    super(scope, id);
    this.endpoint = sageMakerArns(this, 'endpoint', settings.endpointName);
    this.configs = sageMakerArns(this, 'endpoint-config', `${settings.prefix}-*`);
    this.models = sageMakerArns(this, 'model', `${settings.prefix}-*`);
  }

  /** What decides the endpoint beside the model, as a text that is recorded: where it changes, the same version is deployed again. */
  protected get hosting(): string {
    const { capacity, common: { encryptionKey, network } } = this.settings;
    return [
      capacity.toString(), ...encryptionKey ? [encryptionKey.keyArn] : [], ...network ? [...network.subnetIds, ...network.securityGroupIds] : [],
    ].join(' ');
  }

  /** Reads what the endpoint serves into variables. */
  protected describeEndpoint(id: string, { assign, retry }: CallOptions = {}): ServiceTask {
    return new ServiceTask(this, id, {
      service: SAGEMAKER,
      action: 'describeEndpoint',
      parameters: { EndpointName: this.settings.endpointName },
      resources: this.endpoint,
      assign: {
        ...assign,
        status: expr('$states.result.EndpointStatus'),
        served: expr(orElse('$states.result.EndpointConfigName', "''")),
        reason: expr(orElse('$states.result.FailureReason', "'no reason given'")),
      },
      retry,
    });
  }

  /** @param config JSONata for the name of the endpoint config */
  protected createEndpoint(id: string, config: string, { assign }: CallOptions = {}): ServiceTask {
    return new ServiceTask(this, id, {
      service: SAGEMAKER,
      action: 'createEndpoint',
      parameters: { EndpointName: this.settings.endpointName, EndpointConfigName: expr(config) },
      // Both are checked: the endpoint and the config that it gets.
      resources: [...this.endpoint, ...this.configs],
      tags: { resourceType: 'AWS::SageMaker::Endpoint', resources: this.endpoint },
      alsoPermits: this.storageKey(),
      assign,
    });
  }

  /** @param config JSONata for the name of the endpoint config */
  protected updateEndpoint(id: string, config: string, { assign }: CallOptions = {}): ServiceTask {
    return new ServiceTask(this, id, {
      service: SAGEMAKER,
      action: 'updateEndpoint',
      parameters: {
        EndpointName: this.settings.endpointName,
        EndpointConfigName: expr(config),
        // The number of instances that the load asked for stays; a fixed number is the config's.
        RetainAllVariantProperties: this.settings.capacity.isAutoscaled,
        // A rollout (canary, linear, rolling) is its `DeploymentConfig`, and goes here.
      },
      resources: [...this.endpoint, ...this.configs],
      alsoPermits: this.storageKey(),
      assign,
    });
  }

  protected deleteEndpoint(id: string, { assign }: CallOptions = {}): ServiceTask {
    return new ServiceTask(this, id, {
      service: SAGEMAKER,
      action: 'deleteEndpoint',
      parameters: { EndpointName: this.settings.endpointName },
      resources: this.endpoint,
      assign,
    });
  }

  /** @param name JSONata for the name of the endpoint config */
  protected deleteEndpointConfig(id: string, name: string, { retry }: CallOptions = {}): ServiceTask {
    return new ServiceTask(this, id, {
      service: SAGEMAKER,
      action: 'deleteEndpointConfig',
      parameters: { EndpointConfigName: expr(name) },
      resources: this.configs,
      retry,
    });
  }

  /** @param name JSONata for the name of the model */
  protected deleteModel(id: string, name: string, { retry }: CallOptions = {}): ServiceTask {
    return new ServiceTask(this, id, {
      service: SAGEMAKER,
      action: 'deleteModel',
      parameters: { ModelName: expr(name) },
      resources: this.models,
      retry,
    });
  }

  /** A call about the endpoint's variant as a scalable target. */
  protected scalableTarget(
    id: string, action: 'registerScalableTarget' | 'deregisterScalableTarget' | 'putScalingPolicy', parameters: Fields = {}, alsoPermits: iam.PolicyStatement[] = [],
  ): ServiceTask {
    return new ServiceTask(this, id, {
      service: APPLICATION_AUTO_SCALING,
      action,
      parameters: {
        ServiceNamespace: 'sagemaker',
        ResourceId: scalableResourceId(this.settings.endpointName),
        ScalableDimension: SCALABLE_DIMENSION,
        ...parameters,
      },
      // The ids of scalable targets are random: what they scale is told by conditions.
      resources: [Stack.of(this).formatArn({ service: 'application-autoscaling', resource: 'scalable-target', resourceName: '*' })],
      conditions: {
        StringEquals: {
          'application-autoscaling:service-namespace': 'sagemaker',
          'application-autoscaling:scalable-dimension': SCALABLE_DIMENSION,
        },
      },
      alsoPermits,
    });
  }

  /** The alarms of a target-tracking policy go with it, in the name of who deregisters. */
  protected deregisterTarget(id: string): ServiceTask {
    return this.scalableTarget(id, 'deregisterScalableTarget', {}, [
      permit(['cloudwatch:DeleteAlarms'], [scalingAlarms(this, this.settings.endpointName)]),
    ]);
  }

  /** A key of the catalog as DynamoDB takes it. */
  protected key(keyOf: (modelPackageGroupName: string, endpointName: string) => CatalogKey): Fields {
    const { pk, sk } = keyOf(this.settings.registry.modelPackageGroupName, this.settings.endpointName);
    return { pk: { S: pk }, sk: { S: sk } };
  }

  /** A call about one item of a kind. The table may hold other groups too: only this group's items of the kind are permitted. */
  protected catalog(
    id: string, kind: CatalogKind, action: 'getItem' | 'putItem' | 'deleteItem', parameters: Fields, { assign }: CallOptions = {},
  ): ServiceTask {
    const { catalogTable, modelPackageGroupName } = this.settings.registry;
    grantTableKey(catalogTable, this.settings.role, [`dynamodb:${action[0].toUpperCase()}${action.slice(1)}`]);
    return new ServiceTask(this, id, {
      service: DYNAMODB,
      action,
      parameters: { TableName: catalogTable.tableName, ...parameters },
      resources: [catalogTable.tableArn],
      conditions: { 'ForAllValues:StringEquals': { 'dynamodb:LeadingKeys': [catalogPartition(kind, modelPackageGroupName)] } },
      assign,
    });
  }

  /** Reads what the catalog says that the endpoint serves into variables. */
  protected readServing(id: string): ServiceTask {
    return this.catalog(id, 'SERVING', 'getItem', { Key: this.key(servingKey), ConsistentRead: true }, {
      assign: {
        servingPackage: expr(orElse('$states.result.Item.modelPackageArn.S', "''")),
        servingVersion: expr('$exists($states.result.Item.version.N) ? $number($states.result.Item.version.N) : 0'),
        servingRelease: expr(orElse('$states.result.Item.release.S', "''")),
        servingReplaces: expr(orElse('$states.result.Item.replaces.S', "''")),
        servingHosting: expr(orElse('$states.result.Item.capacity.S', "''")),
      },
    });
  }

  /** Compares what is there of a version with what was registered, into `$problem`; `$pending` while the registry still copies. */
  protected verifyArtifacts(id: string, version: { readonly modelPackageArn: string } | { readonly modelName: string }): tasks.LambdaInvoke {
    return this.invoke(id, this.settings.artifacts, { ...version }, {
      problem: expr(orElse('$states.result.Payload.problem', "''")),
      pending: expr('$exists($states.result.Payload.pending)'),
      containers: expr(orElse('$states.result.Payload.containers', '[]')),
    });
  }

  protected invoke(id: string, lambdaFunction: lambda.IFunction, payload: { readonly [name: string]: string }, assign: Fields): tasks.LambdaInvoke {
    const task = tasks.LambdaInvoke.jsonata(this, id, {
      lambdaFunction, payload: sfn.TaskInput.fromObject(payload), retryOnServiceExceptions: false, assign, outputs: KEEP_INPUT,
    });
    task.addRetry(callRetry(LAMBDA_TRANSIENT_ERRORS));
    return task;
  }

  /** Describes an execution of this workflow. @param arn JSONata for its ARN */
  protected describeExecution(id: string, arn: string, assign: Fields): ServiceTask {
    return new ServiceTask(this, id, {
      service: STEP_FUNCTIONS,
      action: 'describeExecution',
      parameters: { ExecutionArn: expr(arn) },
      resources: [executionArns(this, stateMachineName(this.settings.prefix))],
      assign,
    });
  }

  /** Records a deployment in the catalog, good or bad. */
  protected recordDeployment(id: string): ServiceTask {
    return this.catalog(id, 'DEPLOYMENT', 'putItem', {
      Item: {
        pk: { S: catalogPartition('DEPLOYMENT', this.settings.registry.modelPackageGroupName) },
        sk: { S: expr(`${text(`${this.settings.endpointName}#`)} & $now() & '#' & $release`) },
        modelPackageArn: { S: expr('$package') },
        version: { N: expr('$string($version)') },
        outcome: { S: expr("$outcome = '' ? 'FAILED' : $outcome") },
        message: { S: expr("$outcome = '' ? $cause : $message") },
        executionArn: { S: expr('$states.context.Execution.Id') },
      },
    });
  }

  /** Who creates or updates an endpoint hands the key of its storage to SageMaker. */
  private storageKey(): iam.PolicyStatement[] {
    const key = this.settings.common.encryptionKey;
    return key ? volumeKeyStatements(key.keyArn) : [];
  }

  protected wait(id: string, interval = this.settings.pollInterval): sfn.Wait {
    return sfn.Wait.jsonata(this, id, { time: sfn.WaitTime.duration(interval) });
  }

  protected choice(id: string, assign?: Fields): sfn.Choice {
    return sfn.Choice.jsonata(this, id, { assign });
  }
}

/** JSONata for the name of the model and the endpoint config of an execution: it follows from its ARN, so that others can undo what it did. */
export function releaseOf(prefix: string, executionArn: string): string {
  return `${text(`${prefix}-`)} & $substring($hash(${executionArn}, 'SHA-256'), 0, ${RELEASE_DIGITS})`;
}

/** Keeps any error as `$errorName` and `$cause`; the cause begins with what was tried. */
export function noted(tried: string, assign: Fields = {}): sfn.CatchProps {
  return {
    assign: {
      errorName: expr('$states.errorOutput.Error'),
      cause: expr(`${text(`${tried}: `)} & (${orElse('$states.errorOutput.Cause', "'no cause given'")})`),
      ...assign,
    },
    outputs: KEEP_INPUT,
  };
}

/** Keeps nothing of one of these errors. @param errors any error, where none is named */
export function ignored(...errors: string[]): sfn.CatchProps {
  return { errors: errors.length > 0 ? errors : undefined, outputs: KEEP_INPUT };
}

/** Why the workflow fails where no call did. */
export function failure(error: string, cause: string): Fields {
  return { errorName: error, cause: expr(cause) };
}

/** How the workflow ends without a failure. */
export function outcome(name: string, sentence: string): Fields {
  return { outcome: name, message: expr(sentence) };
}
