import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DescribeModelPackageCommand, DescribeModelPackageCommandOutput, SageMakerClient, UpdateModelPackageCommand, UpdateModelPackageCommandInput } from '@aws-sdk/client-sagemaker';
import { DynamoDBDocumentClient, GetCommand, paginateQuery, QueryCommand } from '@aws-sdk/lib-dynamodb';
import { ApiEnvironment } from './environment';
import { Answer, environment, HttpError, HttpRequest, invalid, isObject, jsonObject, nameOfError, serve } from './http.lambda-shared';
import { callerOf, requireApprover } from './identity.lambda-shared';
import { approvalDescription, CatalogItem, decidedBy, Decision, decisionOf, toResponse, versionOf } from './models.lambda-shared';
import { pageOf, tokenOf } from './paging.lambda-shared';
import { catalogPartition, modelKey } from '../registry/catalog.lambda-shared';
import { logger } from '../shared/logger.lambda-shared';

const catalog = DynamoDBDocumentClient.from(new DynamoDBClient({}));
const sagemaker = new SageMakerClient({});

/** `GET /models` and `POST /models/{version}/approval` */
export const handler = serve({
  'GET /models': models,
  'POST /models/{version}/approval': approval,
});

async function models(request: HttpRequest): Promise<Answer> {
  const { limit, after } = pageOf(request, ['sk']);
  if (after && !/^v#\d+$/.test(after.sk)) {
    throw invalid('nextToken must be one that this list gave; leave it out to begin anew');
  }
  const group = environment(ApiEnvironment.MODEL_PACKAGE_GROUP_NAME);
  const [page, serving] = await Promise.all([
    catalog.send(new QueryCommand({
      TableName: environment(ApiEnvironment.CATALOG_TABLE),
      KeyConditionExpression: 'pk = :pk',
      ExpressionAttributeValues: { ':pk': catalogPartition('MODEL', group) },
      ScanIndexForward: false,
      Limit: limit,
      ...(after ? { ExclusiveStartKey: { pk: catalogPartition('MODEL', group), sk: after.sk } } : {}),
    })),
    whatServes(group),
  ]);
  const next = page.LastEvaluatedKey?.sk as string | undefined;
  return {
    status: 200,
    body: { models: (page.Items ?? []).map((item) => toResponse(item, serving)), ...(next ? { nextToken: tokenOf({ sk: next }) } : {}) },
  };
}

async function whatServes(group: string): Promise<CatalogItem[]> {
  const items: CatalogItem[] = [];
  for await (const page of paginateQuery({ client: catalog }, {
    TableName: environment(ApiEnvironment.CATALOG_TABLE),
    KeyConditionExpression: 'pk = :pk',
    ExpressionAttributeValues: { ':pk': catalogPartition('SERVING', group) },
  })) {
    items.push(...page.Items ?? []);
  }
  return items;
}

async function approval(request: HttpRequest): Promise<Answer> {
  const caller = callerOf(request);
  // Before anything is looked up: who may not decide learns nothing of what there is.
  requireApprover(caller);
  const version = versionOf(request.pathParameters?.version);
  const { status, comment } = decisionOf(jsonObject(request, ['status', 'comment']));
  const arn = await packageArn(version);
  const described = await describe(arn, version);
  const before = described.ModelApprovalStatus;
  if (before !== status) {
    await decide({
      ModelPackageArn: arn,
      ModelApprovalStatus: status,
      ApprovalDescription: approvalDescription(caller, status, comment),
      CustomerMetadataProperties: decidedBy(described.CustomerMetadataProperties, caller),
    }, version);
    logger.info('approval status changed', { version, status, before, by: caller.id });
  }
  return { status: 200, body: { version, status, changed: before !== status } };
}

async function packageArn(version: number): Promise<string> {
  const { Item } = await catalog.send(new GetCommand({
    TableName: environment(ApiEnvironment.CATALOG_TABLE),
    Key: modelKey(environment(ApiEnvironment.MODEL_PACKAGE_GROUP_NAME), version),
    ConsistentRead: true,
  }));
  if (typeof Item?.modelPackageArn !== 'string') {
    throw noSuchVersion(version);
  }
  return Item.modelPackageArn;
}

/** Asked of SageMaker itself: the catalog follows it by events, and may be a moment late. */
async function describe(arn: string, version: number): Promise<DescribeModelPackageCommandOutput> {
  let described: DescribeModelPackageCommandOutput;
  try {
    described = await sagemaker.send(new DescribeModelPackageCommand({ ModelPackageName: arn }));
  } catch (error) {
    throw translated(error, version);
  }
  if (described.ModelPackageStatus === 'Failed') {
    throw new HttpError(409, 'Conflict', `version ${version} was not registered completely: train again`);
  }
  return described;
}

async function decide(update: UpdateModelPackageCommandInput & { ModelApprovalStatus: Decision }, version: number): Promise<void> {
  try {
    await sagemaker.send(new UpdateModelPackageCommand(update));
  } catch (error) {
    throw translated(error, version);
  }
}

function translated(error: unknown, version: number): unknown {
  const message = isObject(error) && typeof error.message === 'string' ? error.message : '';
  switch (nameOfError(error)) {
    case 'ConflictException':
      return new HttpError(409, 'Conflict', `somebody else is changing version ${version}: look at it and try again`);
    case 'ResourceNotFound':
      return noSuchVersion(version);
    case 'ValidationException':
      return /not exist|not found/i.test(message) ? noSuchVersion(version) : error;
    default:
      return error;
  }
}

function noSuchVersion(version: number): HttpError {
  return new HttpError(404, 'NotFound', `there is no model version ${version}: GET /models lists them`);
}
