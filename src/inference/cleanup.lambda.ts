import { ApplicationAutoScalingClient, DeregisterScalableTargetCommand } from '@aws-sdk/client-application-auto-scaling';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import {
  DeleteEndpointCommand, DeleteEndpointConfigCommand, DeleteModelCommand, DescribeEndpointCommand, paginateListEndpointConfigs, paginateListModels,
  SageMakerClient,
} from '@aws-sdk/client-sagemaker';
import { paginateListExecutions, SFNClient, StopExecutionCommand } from '@aws-sdk/client-sfn';
import { DeleteCommand, DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { CleanupProperties, RELEASE_DIGITS, SCALABLE_DIMENSION, scalableResourceId } from './environment';
import { lockKey, servingKey } from '../registry/catalog.lambda-shared';
import { customResourceHandler, isGone, Time } from '../shared/custom-resource.lambda-shared';

const retries = { maxAttempts: 8 };
const sagemaker = new SageMakerClient(retries);
const autoscaling = new ApplicationAutoScalingClient(retries);
const sfn = new SFNClient(retries);
const dynamodb = DynamoDBDocumentClient.from(new DynamoDBClient(retries));

/** First and longest pause between two looks at what is being deleted. */
const PAUSE_MILLIS = { first: 500, longest: 15_000 };

/** Removes everything that the workflow made, and comes back only when it is gone. */
export async function removeAll(properties: CleanupProperties, time: Time): Promise<void> {
  await stopExecutions(properties.StateMachineArn);
  await deregister(properties.EndpointName);
  for (let pause = PAUSE_MILLIS.first; ; pause = Math.min(pause * 2, PAUSE_MILLIS.longest)) {
    const left = await sweep(properties);
    if (left.length === 0) {
      break;
    }
    if (time.remainingMillis() < pause) {
      throw new Error(`still there: ${left.join(', ')}; delete the stack again once they are in a state that can be deleted`);
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
  for (const keyOf of [servingKey, lockKey]) {
    const Key = keyOf(properties.GroupName, properties.EndpointName);
    await dynamodb.send(new DeleteCommand({ TableName: properties.TableName, Key })).catch(unlessGone);
  }
}

/** Asks to delete what is there. Returns what was found: only an empty hand says that all is gone. */
async function sweep({ EndpointName, Prefix }: CleanupProperties): Promise<string[]> {
  const endpoint = await endpointStatus(EndpointName);
  if (endpoint !== undefined) {
    if (endpoint !== 'Deleting') {
      // An endpoint that SageMaker is at work on cannot be deleted yet; the next sweep asks again.
      await sagemaker.send(new DeleteEndpointCommand({ EndpointName })).catch(unlessValidation);
    }
    // Its config and model stay until it is gone, or SageMaker loses sight of the instances.
    return [`endpoint ${EndpointName} (${endpoint})`];
  }
  const ours = new RegExp(`^${Prefix}-[0-9a-f]{${RELEASE_DIGITS}}$`);
  const found: string[] = [];
  for await (const page of paginateListEndpointConfigs({ client: sagemaker, pageSize: 100 }, { NameContains: Prefix })) {
    for (const { EndpointConfigName } of (page.EndpointConfigs ?? []).filter((config) => ours.test(config.EndpointConfigName ?? ''))) {
      found.push(`endpoint config ${EndpointConfigName}`);
      await sagemaker.send(new DeleteEndpointConfigCommand({ EndpointConfigName })).catch(unlessGone);
    }
  }
  for await (const page of paginateListModels({ client: sagemaker, pageSize: 100 }, { NameContains: Prefix })) {
    for (const { ModelName } of (page.Models ?? []).filter((model) => ours.test(model.ModelName ?? ''))) {
      found.push(`model ${ModelName}`);
      await sagemaker.send(new DeleteModelCommand({ ModelName })).catch(unlessGone);
    }
  }
  return found;
}

async function endpointStatus(EndpointName: string): Promise<string | undefined> {
  try {
    return (await sagemaker.send(new DescribeEndpointCommand({ EndpointName }))).EndpointStatus;
  } catch (error) {
    return unlessGone(error);
  }
}

/** The state machine is deleted before; what still runs of it must not make anything behind our back. */
async function stopExecutions(stateMachineArn: string): Promise<void> {
  try {
    for await (const page of paginateListExecutions({ client: sfn, pageSize: 100 }, { stateMachineArn, statusFilter: 'RUNNING' })) {
      for (const { executionArn } of page.executions ?? []) {
        await sfn.send(new StopExecutionCommand({ executionArn, cause: 'the endpoint is being deleted with its stack' })).catch(unlessGone);
      }
    }
  } catch (error) {
    unlessGone(error);
  }
}

async function deregister(endpointName: string): Promise<void> {
  await autoscaling.send(new DeregisterScalableTargetCommand({
    ServiceNamespace: 'sagemaker',
    ResourceId: scalableResourceId(endpointName),
    ScalableDimension: SCALABLE_DIMENSION,
  })).catch(unlessGone);
}

/** An endpoint of this name that somebody else made is not ours to update, nor to delete. */
async function refuseForeign({ EndpointName }: CleanupProperties): Promise<void> {
  const status = await endpointStatus(EndpointName);
  if (status !== undefined) {
    throw new Error(`endpoint ${EndpointName} (${status}) exists already and was not made by this stack; delete it or choose another endpointName`);
  }
}

const GONE = ['ObjectNotFoundException', 'StateMachineDoesNotExist', 'ExecutionDoesNotExist', 'ResourceNotFoundException'];

function unlessGone(error: unknown): undefined {
  if (isGone(error) || (error instanceof Error && GONE.includes(error.name))) {
    return undefined;
  }
  throw error;
}

function unlessValidation(error: unknown): undefined {
  if (error instanceof Error && error.name === 'ValidationException') {
    return undefined;
  }
  return unlessGone(error);
}

const of = (properties: Record<string, unknown>) => properties as unknown as CleanupProperties;

export const handler = customResourceHandler({
  physicalId: (properties) => of(properties).EndpointName,
  create: (properties) => refuseForeign(of(properties)),
  delete: (properties, time) => removeAll(of(properties), time),
});
