import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { HeadObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { SFNClient } from '@aws-sdk/client-sfn';
import { DynamoDBDocumentClient, GetCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { Env, Prefix } from './environment';
import { Ingestion, keyOf, Manifest, ManifestFile, manifestId, pipelinePrefix, placesOf } from './ingestion.lambda-shared';
import { isRunning, recordInterrupted } from './interruption.lambda-shared';
import { conditionHeld } from '../shared/conditional-write.lambda-shared';
import { statusOf } from '../shared/copy-object.lambda-shared';

const s3 = new S3Client({});
const table = DynamoDBDocumentClient.from(new DynamoDBClient({}), { marshallOptions: { removeUndefinedValues: true } });
const executions = new SFNClient({});

/** What the workflow hands over: the event of EventBridge as it came, and who asks. */
export interface ManifestRequest {
  readonly event: {
    readonly detail?: {
      readonly bucket?: { readonly name?: string };
      /** EventBridge gives the key as it is; only S3's own notifications encode it. */
      readonly object?: { readonly 'key'?: string; readonly 'version-id'?: string };
    };
  };
  readonly executionArn: string;
}

/**
 * Writes the manifest of an uploaded object version and claims it for this execution. Events come at least once: who comes
 * second is told so. A version whose processing failed can be claimed again, and so can one whose execution is gone.
 */
export async function handler(request: ManifestRequest): Promise<Ingestion> {
  const { bucket, object } = request.event.detail ?? {};
  if (!bucket?.name || !object?.key) {
    throw new Error('the event names no bucket and object: the workflow takes S3 "Object Created" events as EventBridge sends them');
  }
  const ignored = reasonToSkip(object.key);
  if (ignored) {
    return { outcome: 'SKIPPED', reason: ignored };
  }
  const file = await describe(bucket.name, object.key, object['version-id']);
  if (!file) {
    return { outcome: 'SKIPPED', reason: `s3://${bucket.name}/${object.key} is gone: it was deleted or moved before it was read` };
  }
  const id = manifestId([file]);
  const places = placesOf(bucket.name, id);
  const now = new Date().toISOString();
  const other = await claim(id, [file], places.report, request.executionArn, now);
  if (other) {
    return { outcome: 'DUPLICATE', reason: `this version of ${file.key} is already ${other.status} by ${other.executionArn}`, id };
  }
  // Stopped before the claim was written, it got no event that would find the claim; stopped from here on, it gets one.
  if (!(await isRunning(executions, request.executionArn))) {
    await recordInterrupted(table, id, request.executionArn, 'the execution was stopped while it claimed the data set');
    return { outcome: 'SKIPPED', reason: 'the execution was stopped', id };
  }
  const manifest: Manifest = { version: 1, id, dataset: process.env[Env.DATASET_NAME]!, createdAt: now, files: [file] };
  await s3.send(new PutObjectCommand({
    Bucket: bucket.name, Key: keyOf(places.manifest), Body: JSON.stringify(manifest, undefined, 2), ContentType: 'application/json',
  }));
  return { outcome: 'NEW', reason: `${file.key}, ${file.size} bytes`, id, bucket: bucket.name, files: [file], ...places };
}

/** Why an object is not data, if it is not. */
export function reasonToSkip(key: string): string | undefined {
  const raw = `${pipelinePrefix()}${Prefix.RAW}`;
  if (!key.startsWith(raw)) {
    return `${key} is not below ${raw}`;
  }
  if (key.endsWith('/')) {
    return `${key} is a folder marker`;
  }
  return key.toLowerCase().endsWith('.csv') ? undefined : `${key} is not a CSV file: only names that end in .csv are read`;
}

/** The object version as it is now, or nothing where it is gone. */
async function describe(bucket: string, key: string, versionId: string | undefined): Promise<ManifestFile | undefined> {
  try {
    const head = await s3.send(new HeadObjectCommand({ Bucket: bucket, Key: key, VersionId: versionId }));
    const version = head.VersionId ?? versionId;
    return {
      bucket,
      key,
      // A bucket without versioning says "null", which names no version that could be read later.
      ...(version && version !== 'null' ? { versionId: version } : {}),
      etag: (head.ETag ?? '').replaceAll('"', ''),
      size: head.ContentLength ?? 0,
      ...(head.LastModified ? { lastModified: head.LastModified.toISOString() } : {}),
    };
  } catch (error) {
    const status = statusOf(error);
    // 405: the version is a delete marker. 400 answers a version id that this bucket never gave.
    if (status === 404 || status === 405) {
      return undefined;
    }
    throw error;
  }
}

interface Claim {
  readonly status: string;
  readonly executionArn: string;
}

/** Claims the data set for this execution; answers who has it where that is not possible. */
async function claim(id: string, files: readonly ManifestFile[], report: string, executionArn: string, now: string): Promise<Claim | undefined> {
  if (await tryClaim(id, files, report, executionArn, now)) {
    return undefined;
  }
  const { Item } = await table.send(new GetCommand({ TableName: process.env[Env.TABLE_NAME], Key: { id }, ConsistentRead: true }));
  const holder = { status: String(Item?.status), executionArn: String(Item?.executionArn) };
  if (holder.status === 'RUNNING' && !(await isRunning(executions, holder.executionArn))
    && await tryClaim(id, files, report, executionArn, now, holder.executionArn)) {
    return undefined;
  }
  return holder;
}

/** One conditional write decides between executions that come at the same time. */
async function tryClaim(
  id: string, files: readonly ManifestFile[], report: string, executionArn: string, now: string, gone?: string,
): Promise<boolean> {
  return conditionHeld(table.send(new UpdateCommand({
    TableName: process.env[Env.TABLE_NAME],
    Key: { id },
    UpdateExpression: 'SET #status = :running, #name = :name, files = :files, report = :report, executionArn = :me, '
      + 'createdAt = if_not_exists(createdAt, :now), updatedAt = :now REMOVE #error, #rows, warnings, pipelineExecutionArn',
    ConditionExpression: 'attribute_not_exists(id) OR #status = :failed OR executionArn = :me'
      + (gone ? ' OR (#status = :running AND executionArn = :gone)' : ''),
    ExpressionAttributeNames: { '#status': 'status', '#name': 'name', '#error': 'error', '#rows': 'rows' },
    ExpressionAttributeValues: {
      ':running': 'RUNNING',
      ':failed': 'FAILED',
      ':me': executionArn,
      ':now': now,
      ':report': report,
      ':name': process.env[Env.DATASET_NAME],
      ':files': files,
      ...(gone ? { ':gone': gone } : {}),
    },
  })));
}
