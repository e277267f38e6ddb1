import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import {
  DescribeModelPackageCommand, DescribeModelPackageCommandOutput, DescribePipelineExecutionCommand, SageMakerClient, UpdateModelPackageCommand,
  UpdateModelPackageCommandInput,
} from '@aws-sdk/client-sagemaker';
import { DynamoDBDocumentClient, GetCommand, paginateQuery, QueryCommand } from '@aws-sdk/lib-dynamodb';
import { ApiEnvironment, PartSettings } from './environment';
import { Answer, HttpError, HttpRequest, invalid, isObject, jsonObject, nameOfError, short } from './http.lambda-shared';
import { Caller, callerOf } from './identity.lambda-shared';
import { approvalDescription, CatalogItem, decidedBy, Decision, decisionOf, toResponse, versionOf } from './models.lambda-shared';
import { pageOf, tokenOf } from './paging.lambda-shared';
import { bodyFields } from './routes';
import { selected, served } from './selection.lambda-shared';
import { serve } from './serve.lambda-shared';
import { starterOf } from './starter.lambda-shared';
import { catalogPartition, LINEAGE, modelKey } from '../registry/catalog.lambda-shared';
import { logger } from '../shared/logger.lambda-shared';

const catalog = DynamoDBDocumentClient.from(new DynamoDBClient({}));
const sagemaker = new SageMakerClient({});

type Group = PartSettings['registry'];

/** A version that a path names. */
interface Named {
  readonly group: Group;
  readonly version: number;
}

/** The versions of model package groups. */
export const handler = serve('models', {
  'GET /models': models,
  'GET /models/{group}/versions/{version}': detail,
  'POST /models/{group}/versions/{version}/approval': approval,
});

async function models(request: HttpRequest): Promise<Answer> {
  const group = selected('registry', request);
  const { limit, after } = pageOf(request, ['sk']);
  if (after && !/^v#\d+$/.test(after.sk)) {
    throw invalid('nextToken must be one that this list gave; leave it out to begin anew');
  }
  const pk = catalogPartition('MODEL', group.name);
  const [page, serving] = await Promise.all([
    catalog.send(new QueryCommand({
      TableName: group.table,
      KeyConditionExpression: 'pk = :pk',
      ExpressionAttributeValues: { ':pk': pk },
      ScanIndexForward: false,
      Limit: limit,
      ...(after ? { ExclusiveStartKey: { pk, sk: after.sk } } : {}),
    })),
    whatServes(group),
  ]);
  const next = page.LastEvaluatedKey?.sk as string | undefined;
  return {
    status: 200,
    body: { models: (page.Items ?? []).map((item) => toResponse(group.name, item, serving)), ...(next ? { nextToken: tokenOf({ sk: next }) } : {}) },
  };
}

async function whatServes(group: Group): Promise<CatalogItem[]> {
  const items: CatalogItem[] = [];
  for await (const page of paginateQuery({ client: catalog }, {
    TableName: group.table,
    KeyConditionExpression: 'pk = :pk',
    ExpressionAttributeValues: { ':pk': catalogPartition('SERVING', group.name) },
  })) {
    items.push(...page.Items ?? []);
  }
  return items;
}

async function detail(request: HttpRequest): Promise<Answer> {
  const named = namedIn(request);
  const [item, serving] = await Promise.all([itemOf(named), whatServes(named.group)]);
  return { status: 200, body: toResponse(named.group.name, item, serving) };
}

async function approval(request: HttpRequest): Promise<Answer> {
  const caller = callerOf(request);
  const named = namedIn(request);
  const { group: { name: group }, version } = named;
  const { status, comment } = decisionOf(jsonObject(request, bodyFields('POST /models/{group}/versions/{version}/approval')));
  const { modelPackageArn: arn } = await itemOf(named);
  const described = await describe(arn, named);
  await refuseStarter(caller, described);
  const before = described.ModelApprovalStatus;
  if (before !== status) {
    await decide({
      ModelPackageArn: arn,
      ModelApprovalStatus: status,
      ApprovalDescription: approvalDescription(caller, status, comment),
      CustomerMetadataProperties: decidedBy(described.CustomerMetadataProperties, caller),
    }, named);
    logger.info('approval status changed', { group, version, status, before, by: caller.id });
  }
  return { status: 200, body: { group, version, status, changed: before !== status } };
}

/** Where the app separates duties: who started the training does not decide about what came of it. */
async function refuseStarter(caller: Caller, { CustomerMetadataProperties: metadata }: DescribeModelPackageCommandOutput): Promise<void> {
  const separated = JSON.parse(process.env[ApiEnvironment.SEPARATED_PIPELINES] ?? '[]') as string[];
  const PipelineExecutionArn = metadata?.[LINEAGE.pipelineExecutionArn];
  // SageMaker may have put the name of the pipeline into lower case there.
  const pipeline = /:pipeline\/([^/]+)\/execution\//.exec(PipelineExecutionArn ?? '')?.[1].toLowerCase();
  if (!separated.some((name) => name.toLowerCase() === pipeline)) {
    return;
  }
  const { PipelineExecutionDescription } = await sagemaker.send(new DescribePipelineExecutionCommand({ PipelineExecutionArn }));
  if (starterOf(PipelineExecutionDescription) === caller.id) {
    throw new HttpError(403, 'Forbidden', 'you started the training of this version: somebody else has to decide about it');
  }
}

function namedIn(request: HttpRequest): Named {
  const name = request.pathParameters?.group ?? '';
  const groups = served('registry');
  const group = groups.find((candidate) => candidate.name === name);
  if (!group) {
    const known = groups.map((candidate) => JSON.stringify(candidate.name)).join(', ');
    throw new HttpError(404, 'NotFound', `there is no model package group ${JSON.stringify(short(name))}; known are ${known}`);
  }
  return { group, version: versionOf(request.pathParameters?.version) };
}

async function itemOf(named: Named): Promise<CatalogItem & { readonly modelPackageArn: string }> {
  const { Item } = await catalog.send(new GetCommand({
    TableName: named.group.table, Key: modelKey(named.group.name, named.version), ConsistentRead: true,
  }));
  if (typeof Item?.modelPackageArn !== 'string') {
    throw noSuchVersion(named);
  }
  return { ...Item, modelPackageArn: Item.modelPackageArn };
}

/** Asked of SageMaker itself: the catalog follows it by events, and may be a moment late. */
async function describe(arn: string, named: Named): Promise<DescribeModelPackageCommandOutput> {
  let described: DescribeModelPackageCommandOutput;
  try {
    described = await sagemaker.send(new DescribeModelPackageCommand({ ModelPackageName: arn }));
  } catch (error) {
    throw translated(error, named);
  }
  if (described.ModelPackageStatus === 'Failed') {
    throw new HttpError(409, 'Conflict', `version ${named.version} was not registered completely: train again`);
  }
  return described;
}

async function decide(update: UpdateModelPackageCommandInput & { ModelApprovalStatus: Decision }, named: Named): Promise<void> {
  try {
    await sagemaker.send(new UpdateModelPackageCommand(update));
  } catch (error) {
    throw translated(error, named);
  }
}

function translated(error: unknown, named: Named): unknown {
  const message = isObject(error) && typeof error.message === 'string' ? error.message : '';
  switch (nameOfError(error)) {
    case 'ConflictException':
      return new HttpError(409, 'Conflict', `somebody else is changing version ${named.version}: look at it and try again`);
    case 'ResourceNotFound':
      return noSuchVersion(named);
    case 'ValidationException':
      return /not exist|not found/i.test(message) ? noSuchVersion(named) : error;
    default:
      return error;
  }
}

function noSuchVersion({ group, version }: Named): HttpError {
  return new HttpError(404, 'NotFound', `there is no version ${version} of ${group.name}: GET /models?group=${group.name} lists them`);
}
