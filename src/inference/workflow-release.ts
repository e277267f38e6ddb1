import { choice, expr, Fields, ignore, note, orElse, States, task, text, wait } from './asl';
import { DEPLOYED_EVENT, SCALABLE_DIMENSION, scalableResourceId, VARIANT } from './environment';
import { BUSY, ENDPOINT_VARIABLES } from './workflow-decision';
import { attributesOf, WorkflowSettings } from './workflow-settings';
import { catalogPartition, servingKey } from '../registry/catalog.lambda-shared';

/** Creates the model and its endpoint config, moves the endpoint to it, and believes nothing before it has seen it. */
export function releaseStates(settings: WorkflowSettings): States {
  return {
    ...creation(settings),
    ...rollout(settings),
    ...proof(settings),
    ...scaling(settings, '', 'RecordServing', [note('NoteFailure', 'set up autoscaling')]),
    ...recording(settings),
  };
}

function creation(settings: WorkflowSettings): States {
  const { sagemaker } = settings.services;
  return {
    CreateModel: task({
      resource: `${sagemaker}:createModel`,
      args: {
        ModelName: expr('$release'),
        ExecutionRoleArn: settings.modelRoleArn,
        Containers: [{ ModelPackageName: expr('$package') }],
      },
      next: 'CreateEndpointConfig',
      on: [note('IsModelThere', 'create the model')],
    }),
    // The name is this execution's own: if it is there, an attempt succeeded whose answer was lost.
    IsModelThere: choice([{ when: ALREADY_THERE, next: 'CreateEndpointConfig' }], 'NoteFailure'),
    CreateEndpointConfig: task({
      resource: `${sagemaker}:createEndpointConfig`,
      args: {
        EndpointConfigName: expr('$release'),
        ProductionVariants: [{
          VariantName: VARIANT,
          ModelName: expr('$release'),
          InstanceType: settings.capacity.instanceType,
          InitialInstanceCount: settings.capacity.instanceCount,
          InitialVariantWeight: 1,
        }],
      },
      next: 'IsFirst',
      on: [note('IsConfigThere', 'create the endpoint config')],
    }),
    IsConfigThere: choice([{ when: ALREADY_THERE, next: 'IsFirst' }], 'NoteFailure'),
  };
}

const ALREADY_THERE = '$contains($cause, /already exist/i)';

function rollout(settings: WorkflowSettings): States {
  const { sagemaker, autoscaling } = settings.services;
  return {
    IsFirst: choice([{ when: '$there', assign: { asked: true }, next: 'PauseAutoscaling' }], 'CreateEndpoint', { asked: true }),
    CreateEndpoint: task({
      resource: `${sagemaker}:createEndpoint`,
      args: { EndpointName: settings.endpointName, EndpointConfigName: expr('$release') },
      next: 'WaitForRelease',
      on: [note('IsEndpointAsked', 'create the endpoint')],
    }),
    // A variant that is a scalable target may not change its instance type; registering comes after the update.
    PauseAutoscaling: task({
      resource: `${autoscaling}:deregisterScalableTarget`,
      args: scalableTarget(settings),
      next: 'UpdateEndpoint',
      on: [ignore('UpdateEndpoint', 'ApplicationAutoScaling.ObjectNotFoundException'), note('NoteFailure', 'pause autoscaling')],
    }),
    UpdateEndpoint: task({
      resource: `${sagemaker}:updateEndpoint`,
      args: {
        EndpointName: settings.endpointName,
        EndpointConfigName: expr('$release'),
        // The number of instances that the load asked for stays; a fixed number is the config's.
        RetainAllVariantProperties: settings.capacity.autoscaling !== undefined,
        // A rollout (canary, linear, rolling) is its `DeploymentConfig`, and goes here.
      },
      next: 'WaitForRelease',
      on: [note('IsEndpointAsked', 'update the endpoint')],
    }),
    // Nobody else deploys here, so this is an attempt of ours whose answer was lost; what serves is compared below.
    IsEndpointAsked: choice([{ when: '$contains($cause, /already exist|in-progress/i)', next: 'WaitForRelease' }], 'NoteFailure'),
    WaitForRelease: wait(settings.pollSeconds, 'LookAtRelease'),
    LookAtRelease: task({
      resource: `${sagemaker}:describeEndpoint`,
      args: { EndpointName: settings.endpointName },
      assign: ENDPOINT_VARIABLES,
      next: 'SeeRelease',
      on: [note('NoteFailure', 'describe the endpoint')],
    }),
    SeeRelease: choice([
      { when: `$status in ${BUSY}`, next: 'WaitForRelease' },
      { when: "$status = 'InService' and $served = $release", next: 'SmokePrediction' },
      {
        when: "$status = 'InService'",
        assign: failure('RolledBack', "'SageMaker rolled the endpoint back without saying so: it is in service with config ' & $served"
          + " & ' instead of ' & $release & ', which was asked for'"),
        next: 'NoteFailure',
      },
    ], 'NoteFailure', failure('EndpointFailed', "'the endpoint is ' & $status & ' with version ' & $string($version) & ': ' & $reason")),
  };
}

function proof(settings: WorkflowSettings): States {
  return {
    SmokePrediction: task({
      resource: `${settings.services.lambda}:invoke`,
      args: { FunctionName: settings.smokeFunctionArn, Payload: { endpointName: settings.endpointName } },
      assign: { problem: expr(orElse('$states.result.Payload.problem', "''")) },
      next: 'IsSmokeGood',
      on: [note('NoteFailure', 'ask for a smoke prediction')],
    }),
    IsSmokeGood: choice(
      [{ when: "$problem = ''", next: settings.capacity.autoscaling ? 'RegisterTarget' : 'RecordServing' }],
      'NoteFailure',
      failure('SmokePredictionFailed', "'version ' & $string($version) & ' does not predict: ' & $problem"),
    ),
  };
}

/** Registers the variant as a scalable target. No states where the capacity is fixed. */
export function scaling(settings: WorkflowSettings, suffix: string, next: string, on: States[string][string][]): States {
  const { autoscaling: service } = settings.services;
  const scale = settings.capacity.autoscaling;
  if (!scale) {
    return {};
  }
  return {
    [`RegisterTarget${suffix}`]: task({
      resource: `${service}:registerScalableTarget`,
      args: { ...scalableTarget(settings), MinCapacity: scale.minCapacity, MaxCapacity: scale.maxCapacity },
      next: `PutScalingPolicy${suffix}`,
      on,
    }),
    [`PutScalingPolicy${suffix}`]: task({
      resource: `${service}:putScalingPolicy`,
      args: {
        ...scalableTarget(settings),
        PolicyName: `${settings.prefix}-invocations`,
        PolicyType: 'TargetTrackingScaling',
        TargetTrackingScalingPolicyConfiguration: {
          TargetValue: scale.invocationsPerInstance,
          PredefinedMetricSpecification: { PredefinedMetricType: 'SageMakerVariantInvocationsPerInstance' },
          ScaleOutCooldown: scale.scaleOutSeconds,
          ScaleInCooldown: scale.scaleInSeconds,
        },
      },
      next,
      on,
    }),
  };
}

function scalableTarget(settings: WorkflowSettings): Fields {
  return {
    ServiceNamespace: 'sagemaker',
    ResourceId: scalableResourceId(settings.endpointName),
    ScalableDimension: SCALABLE_DIMENSION,
  };
}

function recording(settings: WorkflowSettings): States {
  const { dynamodb, events, sagemaker } = settings.services;
  return {
    RecordServing: task({
      resource: `${dynamodb}:putItem`,
      args: {
        TableName: settings.tableName,
        Item: {
          ...attributesOf(servingKey(settings.modelPackageGroupName, settings.endpointName)),
          modelPackageArn: { S: expr('$package') },
          version: { N: expr('$string($version)') },
          since: { S: expr('$now()') },
          release: { S: expr('$release') },
          capacity: { S: settings.capacityText },
          executionArn: { S: expr('$states.context.Execution.Id') },
        },
      },
      assign: { outcome: 'DEPLOYED', message: expr("'version ' & $string($version) & ' serves'") },
      next: 'RecordDeployment',
      on: [note('NoteFailure', 'record what serves')],
    }),
    ...history(settings, 'RecordDeployment', 'Announce'),
    Announce: task({
      resource: `${events}:putEvents`,
      args: {
        Entries: [{
          Source: DEPLOYED_EVENT.source,
          DetailType: DEPLOYED_EVENT.detailType,
          Detail: expr(`$string({ 'endpointName': ${text(settings.endpointName)}, 'modelPackageGroupName': ${text(settings.modelPackageGroupName)}`
            + ", 'modelPackageArn': $package, 'version': $version })"),
        }],
      },
      next: 'IsOldThere',
      on: [ignore('IsOldThere')],
    }),
    // After a broken endpoint was deleted, the catalog still knows what it served.
    IsOldThere: choice([
      { when: "$previous != ''", assign: { old: expr('$previous') }, next: 'DeleteOldConfig' },
      { when: "$servingRelease != ''", assign: { old: expr('$servingRelease') }, next: 'DeleteOldConfig' },
    ], 'ReleaseLock'),
    // What cannot be deleted now costs nothing, and goes with the stack.
    DeleteOldConfig: task({
      resource: `${sagemaker}:deleteEndpointConfig`,
      args: { EndpointConfigName: expr('$old') },
      next: 'DeleteOldModel',
      on: [ignore('DeleteOldModel')],
    }),
    DeleteOldModel: task({
      resource: `${sagemaker}:deleteModel`,
      args: { ModelName: expr('$old') },
      next: 'IsRecordedThere',
      on: [ignore('IsRecordedThere')],
    }),
    // A deployment that was stopped on its way left two: what the endpoint served, and what the catalog knew.
    IsRecordedThere: choice(
      [{ when: "$servingRelease != '' and $servingRelease != $old", assign: { old: expr('$servingRelease') }, next: 'DeleteOldConfig' }],
      'ReleaseLock',
    ),
  };
}

/** One item a deployment, good or bad. */
export function history(settings: WorkflowSettings, name: string, next: string): States {
  return {
    [name]: task({
      resource: `${settings.services.dynamodb}:putItem`,
      args: {
        TableName: settings.tableName,
        Item: {
          pk: { S: catalogPartition('DEPLOYMENT', settings.modelPackageGroupName) },
          sk: { S: expr(`${text(`${settings.endpointName}#`)} & $now() & '#' & $release`) },
          modelPackageArn: { S: expr('$package') },
          version: { N: expr('$string($version)') },
          outcome: { S: expr("$outcome = '' ? 'FAILED' : $outcome") },
          message: { S: expr("$outcome = '' ? $cause : $message") },
          executionArn: { S: expr('$states.context.Execution.Id') },
        },
      },
      next,
      on: [ignore(next)],
    }),
  };
}

function failure(error: string, cause: string): Fields {
  return { errorName: error, cause: expr(cause) };
}
