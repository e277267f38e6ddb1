import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { DescribeModelPackageCommandOutput, SageMakerClient } from '@aws-sdk/client-sagemaker';
import { DynamoDBDocumentClient, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { copyArtifacts } from './artifact-copies.lambda-shared';
import { CATALOG_ENVIRONMENT, DELETED, flattenMetrics, GATE_PREFIX, LINEAGE, MAX_METRICS, MAX_REPORT_BYTES, modelKey, ModelItem, versionOf } from './catalog.lambda-shared';
import { describeVersion } from './describe-version.lambda-shared';
import { ArtifactProblem, prefixOf } from './version-artifacts.lambda-shared';
import { conditionHeld, isConditionFailed } from '../shared/conditional-write.lambda-shared';
import { logger } from '../shared/logger.lambda-shared';

const sagemaker = new SageMakerClient({});
const s3 = new S3Client({});
const dynamodb = DynamoDBDocumentClient.from(new DynamoDBClient({}), { marshallOptions: { removeUndefinedValues: true } });

/** The event of a model version that changed. It says which one; how it is now is asked of SageMaker. */
export interface ModelPackageEvent {
  readonly detail?: { readonly ModelPackageArn?: string; readonly ModelPackageGroupName?: string };
}

type Change = { readonly item: ModelItem; readonly written: boolean };

/**
 * Brings one catalog item in step with SageMaker. Events come late, twice and in any order, so an event only says where
 * to look, and an item is never replaced by an older state of it.
 */
export async function handler(event: ModelPackageEvent): Promise<Change> {
  const modelPackageArn = event.detail?.ModelPackageArn;
  const group = process.env[CATALOG_ENVIRONMENT.modelPackageGroupName]!;
  const version = modelPackageArn === undefined ? undefined : versionOf(modelPackageArn, group);
  if (modelPackageArn === undefined || version === undefined) {
    throw new Error(`the event names no version of the model package group ${group}: ModelPackageArn is ${JSON.stringify(modelPackageArn)}`);
  }
  const key = { ...modelKey(group, version), version };
  // Before asking, so that a state which was asked for earlier can not win against a later deletion.
  const asked = new Date().toISOString();
  const described = await describeVersion(sagemaker, modelPackageArn);
  const item = described
    ? modelItem(key, described, await metricsOf(described))
    : { ...key, modelPackageArn, status: DELETED, updatedAt: asked };
  const before = await write(item);
  const written = before !== undefined;
  logger.info(written ? 'catalog item written' : 'the catalog has a newer state', { modelPackageArn, status: item.status });
  if (described && before && before.artifacts?.prefix !== prefixOf(group, described)) {
    await keepArtifacts(item, group, described);
  }
  return { item, written };
}

/** Copies the artifacts, so that what is approved stays what serves. What cannot be copied is noted, and tried again with the next event. */
async function keepArtifacts({ pk, sk, modelPackageArn }: ModelItem, group: string, described: DescribeModelPackageCommandOutput): Promise<void> {
  const artifacts = await copyArtifacts(s3, process.env[CATALOG_ENVIRONMENT.bucket]!, group, described).catch((error: unknown) => {
    if (error instanceof ArtifactProblem) {
      return error.message;
    }
    throw error;
  });
  const problem = typeof artifacts === 'string';
  await conditionHeld(dynamodb.send(new UpdateCommand({
    TableName: process.env[CATALOG_ENVIRONMENT.table],
    Key: { pk, sk },
    UpdateExpression: problem ? 'SET artifactsProblem = :artifacts' : 'SET artifacts = :artifacts REMOVE artifactsProblem',
    ConditionExpression: 'attribute_not_exists(artifacts) OR artifacts.prefix <> :prefix',
    ExpressionAttributeValues: { ':artifacts': artifacts, ':prefix': prefixOf(group, described) },
  })));
  if (problem) {
    logger.error('the artifacts of a version cannot be copied', { modelPackageArn, problem: artifacts });
  }
}

type ItemKey = Pick<ModelItem, 'pk' | 'sk' | 'version'>;
type Metrics = Pick<ModelItem, 'metrics' | 'metricsProblem'>;

/**
 * Reads the evaluation report. A report that will not come (absent, forbidden, not valid JSON) is noted in the item, since a
 * version without metrics is worth seeing too; a fault of the service is thrown, so that the event is tried again.
 */
async function metricsOf(described: DescribeModelPackageCommandOutput): Promise<Metrics> {
  const uri = described.ModelMetrics?.ModelQuality?.Statistics?.S3Uri;
  const place = /^s3:\/\/([^/]+)\/(.+)$/.exec(uri ?? '');
  if (!place) {
    return { metrics: {}, metricsProblem: uri === undefined ? 'registered without an evaluation report' : `${uri} is not a place in S3` };
  }
  try {
    const object = await s3.send(new GetObjectCommand({ Bucket: place[1], Key: place[2] }));
    if ((object.ContentLength ?? 0) > MAX_REPORT_BYTES) {
      return { metrics: {}, metricsProblem: `${uri} has ${object.ContentLength} bytes, of which at most ${MAX_REPORT_BYTES} are read` };
    }
    return shown(flattenMetrics(JSON.parse(await object.Body!.transformToString())), uri!);
  } catch (error) {
    if (error instanceof SyntaxError) {
      return { metrics: {}, metricsProblem: `${uri} is not JSON` };
    }
    if (error instanceof Error && ['NoSuchKey', 'NoSuchBucket', 'AccessDenied', 'NotFound'].includes(error.name)) {
      return { metrics: {}, metricsProblem: `${uri} cannot be read: ${error.name}` };
    }
    throw error;
  }
}

function shown(metrics: Record<string, number>, uri: string): Metrics {
  const all = Object.entries(metrics);
  if (all.length === 0) {
    return { metrics, metricsProblem: `${uri} holds no metrics` };
  }
  return all.length > MAX_METRICS
    ? { metrics: Object.fromEntries(all.slice(0, MAX_METRICS)), metricsProblem: `${uri} holds ${all.length} metrics, of which ${MAX_METRICS} are shown` }
    : { metrics };
}

function modelItem(key: ItemKey, described: DescribeModelPackageCommandOutput, metrics: Metrics): ModelItem {
  const lineage = described.CustomerMetadataProperties ?? {};
  const status = described.ModelApprovalStatus ?? 'PendingManualApproval';
  const by = described.LastModifiedBy;
  return {
    ...key,
    modelPackageArn: described.ModelPackageArn!,
    status,
    packageStatus: described.ModelPackageStatus,
    ...metrics,
    gate: gateOf(lineage),
    manifestId: lineage[LINEAGE.manifestId],
    pipelineExecutionArn: lineage[LINEAGE.pipelineExecutionArn],
    createdAt: described.CreationTime?.toISOString(),
    updatedAt: (described.LastModifiedTime ?? described.CreationTime ?? new Date(0)).toISOString(),
    approvedBy: status === 'PendingManualApproval'
      ? undefined
      : lineage[LINEAGE.approvedBy] ?? by?.UserProfileName ?? by?.IamIdentity?.Arn,
    approvalDescription: described.ApprovalDescription,
  };
}

/** The limits of the gate; undefined for a version that was registered without a gate. */
function gateOf(metadata: Record<string, string>): Record<string, string> | undefined {
  const limits = Object.entries(metadata).filter(([key]) => key.startsWith(GATE_PREFIX))
    .map(([key, limit]) => [key.slice(GATE_PREFIX.length), limit]);
  return limits.length > 0 ? Object.fromEntries(limits) : undefined;
}

/** Writes the item unless a newer state of it is there. Equal is written again, which changes nothing. Returns the whole item, if it was written. */
async function write(item: ModelItem): Promise<Pick<ModelItem, 'artifacts'> | undefined> {
  const { pk, sk, ...attributes } = item;
  const names = ['version', 'modelPackageArn', 'status', 'packageStatus', 'metrics', 'metricsProblem', 'gate', 'manifestId',
    'pipelineExecutionArn', 'createdAt', 'updatedAt', 'approvedBy', 'approvalDescription', 'artifactsProblem'] as const;
  // A deleted version keeps what was known of it.
  const present = names.filter((name) => attributes[name] !== undefined);
  const absent = item.status === DELETED ? [] : names.filter((name) => attributes[name] === undefined);
  try {
    const { Attributes = {} } = await dynamodb.send(new UpdateCommand({
      TableName: process.env[CATALOG_ENVIRONMENT.table],
      Key: { pk, sk },
      UpdateExpression: `SET ${present.map((name) => `#${name} = :${name}`).join(', ')}`
        + (absent.length > 0 ? ` REMOVE ${absent.map((name) => `#${name}`).join(', ')}` : ''),
      ConditionExpression: 'attribute_not_exists(#updatedAt) OR #updatedAt <= :updatedAt',
      ExpressionAttributeNames: Object.fromEntries([...present, ...absent].map((name) => [`#${name}`, name])),
      ExpressionAttributeValues: Object.fromEntries(present.map((name) => [`:${name}`, attributes[name]])),
      ReturnValues: 'ALL_NEW',
    }));
    return Attributes;
  } catch (error) {
    if (isConditionFailed(error)) {
      return undefined;
    }
    throw error;
  }
}
