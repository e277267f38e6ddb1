import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DeleteObjectCommand, GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { DynamoDBDocumentClient, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { Env, Prefix, VALIDATION_REPORT } from './environment';
import { ClaimedIngestion, keyOf, ManifestFile, pipelinePrefix, shorten } from './ingestion.lambda-shared';
import { copyObject, statusOf } from '../shared/copy-object.lambda-shared';

const s3 = new S3Client({});
const table = DynamoDBDocumentClient.from(new DynamoDBClient({}), { marshallOptions: { removeUndefinedValues: true } });

/** What the validation job found against the data. */
export interface Finding {
  readonly column: string | null;
  readonly rule: string;
  readonly count: number;
  readonly share: number;
  readonly severity: 'error' | 'warning';
  readonly message: string;
}

/** The part of `validation.json` that decides. */
export interface ValidationReport {
  readonly valid: boolean;
  readonly rows: number;
  readonly findings: readonly Finding[];
}

/** What the workflow decides on. */
export interface Verdict {
  readonly valid: boolean;
  readonly rows: number;
  /** Column, rule and count of what is wrong, in one sentence. */
  readonly cause: string;
  readonly subject: string;
  readonly message: string;
}

/**
 * Reads the report of the validation job. Invalid data are moved to quarantine, the report beside them.
 * Can be repeated: each step leaves alone what an earlier try has done.
 */
export async function handler({ ingestion, executionArn }: { ingestion: ClaimedIngestion; executionArn: string }): Promise<Verdict> {
  const { bucket, id, files } = ingestion;
  const reportText = await readText(bucket, keyOf(ingestion.report));
  const report = JSON.parse(reportText) as ValidationReport;
  if (typeof report.valid !== 'boolean' || !Array.isArray(report.findings)) {
    throw new Error(`${ingestion.report} is not a validation report`);
  }
  const verdict = judge(report, ingestion);
  if (report.valid) {
    return verdict;
  }
  const folder = quarantineOf(id);
  await s3.send(new PutObjectCommand({ Bucket: bucket, Key: `${folder}${VALIDATION_REPORT}`, Body: reportText, ContentType: 'application/json' }));
  const copied = new Set<ManifestFile>();
  for (const file of files) {
    if (await copyIfThere(file, bucket, `${folder}${fileName(file.key)}`)) {
      copied.add(file);
    }
  }
  await record(id, executionArn, report, verdict.cause);
  // Last, so that a crash before it loses nothing: the data are then still where they were.
  for (const file of files) {
    // Without versions, what lies there may by now be another file, which nobody has judged.
    if (copied.has(file) || file.versionId) {
      await remove(file);
    }
  }
  return verdict;
}

/** Copies exactly this version. Returns whether it was there to copy. */
async function copyIfThere(file: ManifestFile, bucket: string, key: string): Promise<boolean> {
  try {
    await copyObject(s3, file, bucket, key);
    return true;
  } catch (error) {
    // Gone, a delete marker, or replaced in a bucket without versions.
    if ([404, 405, 412].includes(statusOf(error) ?? 0)) {
      return false;
    }
    throw error;
  }
}

/** What to say about a report. */
export function judge(report: ValidationReport, { id, files, bucket }: ClaimedIngestion): Verdict {
  const what = files.map((file) => file.key).join(', ');
  if (report.valid) {
    return { valid: true, rows: report.rows, cause: '', subject: '', message: `${what}: ${report.rows} rows are valid` };
  }
  const errors = report.findings.filter((finding) => finding.severity === 'error');
  const cause = shorten(errors.map(describe).join('; ') || 'the report names no finding', 1000);
  return {
    valid: false,
    rows: report.rows,
    cause,
    subject: 'Data quarantined',
    message: [
      `${what} does not keep its contract and was moved to s3://${bucket}/${quarantineOf(id)}.`,
      ...errors.map((finding) => `- ${describe(finding)}`),
      `Full report: s3://${bucket}/${quarantineOf(id)}${VALIDATION_REPORT}`,
    ].join('\n').slice(0, 200_000),
  };
}

function describe({ column, rule, count, message }: Finding): string {
  return `${column === null ? 'file' : `column "${column}"`}: ${rule}, ${count} ${count === 1 ? 'time' : 'times'} (${message})`;
}

/** The folder of invalid data. */
function quarantineOf(id: string): string {
  return `${pipelinePrefix()}${Prefix.QUARANTINE}${id}/`;
}

function fileName(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1);
}

async function readText(bucket: string, key: string): Promise<string> {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
  return Body!.transformToString();
}

/** Deletes exactly the version that was judged: a newer one under the same key stays. */
async function remove(file: ManifestFile): Promise<void> {
  await s3.send(new DeleteObjectCommand({ Bucket: file.bucket, Key: file.key, VersionId: file.versionId }));
}

async function record(id: string, executionArn: string, report: ValidationReport, cause: string): Promise<void> {
  await table.send(new UpdateCommand({
    TableName: process.env[Env.TABLE_NAME],
    Key: { id },
    UpdateExpression: 'SET #status = :status, #rows = :rows, #error = :error, updatedAt = :now',
    ConditionExpression: 'executionArn = :me',
    ExpressionAttributeNames: { '#status': 'status', '#rows': 'rows', '#error': 'error' },
    ExpressionAttributeValues: {
      ':status': 'QUARANTINED', ':rows': report.rows, ':error': cause, ':now': new Date().toISOString(), ':me': executionArn,
    },
  }));
}
