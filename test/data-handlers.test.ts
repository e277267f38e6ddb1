import { Readable } from 'stream';
import { ConditionalCheckFailedException, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import {
  AbortMultipartUploadCommand, CompleteMultipartUploadCommand, CopyObjectCommand, CreateMultipartUploadCommand, DeleteObjectCommand, GetObjectCommand,
  HeadObjectCommand, PutObjectCommand, S3Client, S3ServiceException, UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import { SageMakerClient, StartPipelineExecutionCommand } from '@aws-sdk/client-sagemaker';
import { DescribeExecutionCommand, SFNClient, SFNServiceException } from '@aws-sdk/client-sfn';
import { PublishCommand, SNSClient } from '@aws-sdk/client-sns';
import { DynamoDBDocumentClient, GetCommand, ScanCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { mockClient } from 'aws-sdk-client-mock';
import * as fc from 'fast-check';
import { logLines } from './log-lines';
import { causeOf } from '../src/data/cause.lambda-shared';
import { handler as finish } from '../src/data/finish.lambda';
import { ClaimedIngestion, keyOf, ManifestFile, manifestId, placesOf } from '../src/data/ingestion.lambda-shared';
import { handler as interrupted } from '../src/data/interrupted.lambda';
import { handler as writeManifest, reasonToSkip } from '../src/data/manifest.lambda';
import { handler as startTraining } from '../src/data/start-training.lambda';
import { handler as unnotified } from '../src/data/unnotified.lambda';
import { handler as readVerdict, judge } from '../src/data/verdict.lambda';

const s3 = mockClient(S3Client);
const table = mockClient(DynamoDBDocumentClient);
mockClient(DynamoDBClient);
const executions = mockClient(SFNClient);
const sagemaker = mockClient(SageMakerClient);
const sns = mockClient(SNSClient);

const ME = 'arn:aws:states:eu-west-1:123456789012:execution:data:me';
const OTHER = 'arn:aws:states:eu-west-1:123456789012:execution:data:other';
const KEY = 'raw/größe 1+1%20.csv';
const file: ManifestFile = { bucket: 'b', key: KEY, versionId: 'v1', etag: 'e1', size: 9 };
const id = manifestId([file]);
const ingestion: ClaimedIngestion = { outcome: 'NEW', reason: '', id, bucket: 'b', files: [file], ...placesOf('b', id) };

beforeEach(() => {
  [s3, table, executions, sagemaker, sns].forEach((client) => client.reset());
  process.env.TABLE_NAME = 'datasets';
  process.env.DATASET_NAME = 'animals';
  process.env.PIPELINE_NAME = 'training';
  process.env.TOPIC_ARN = 'topic';
  process.env.PREFIX = '';
  executions.on(DescribeExecutionCommand, { executionArn: ME }).resolves({ status: 'RUNNING' });
});

function conditionFailed(): ConditionalCheckFailedException {
  return new ConditionalCheckFailedException({ message: 'The conditional request failed', $metadata: {} });
}

function s3Error(status: number): S3ServiceException {
  return new S3ServiceException({ name: String(status), $fault: 'client', $metadata: { httpStatusCode: status } });
}

function upload(key = KEY) {
  return { event: { detail: { bucket: { name: 'b' }, object: { key, 'version-id': 'v1' } } }, executionArn: ME };
}

describe('the manifest', () => {
  beforeEach(() => {
    s3.on(HeadObjectCommand).resolves({ ETag: '"e1"', ContentLength: 9, VersionId: 'v1', LastModified: new Date(0) });
  });

  test('names exactly the version of the event, keys as they are, and is claimed before it is written', async () => {
    const result = await writeManifest(upload());
    expect(s3.commandCalls(HeadObjectCommand)[0].args[0].input).toEqual({ Bucket: 'b', Key: KEY, VersionId: 'v1' });
    expect(result).toMatchObject({ outcome: 'NEW', id, manifest: `s3://b/manifests/${id}.json`, output: `s3://b/processed/${id}` });
    const put = s3.commandCalls(PutObjectCommand)[0].args[0].input;
    expect(put.Key).toBe(`manifests/${id}.json`);
    const file1 = { key: KEY, versionId: 'v1', etag: 'e1', size: 9 };
    expect(JSON.parse(String(put.Body))).toMatchObject({ version: 1, id, dataset: 'animals', files: [file1] });
    const claim = table.commandCalls(UpdateCommand)[0];
    expect(claim.args[0].input.ConditionExpression).toBe('attribute_not_exists(id) OR #status = :failed OR executionArn = :me');
    expect(claim.args[0].input.ExpressionAttributeValues).toMatchObject({ ':failed': 'FAILED', ':me': ME, ':running': 'RUNNING' });
    expect(claim.calledBefore(s3.commandCalls(PutObjectCommand)[0])).toBe(true);
  });

  test.each(['SUCCEEDED', 'QUARANTINED'])('of a version that is %s makes a duplicate, and nothing is written', async (status) => {
    table.on(UpdateCommand).rejects(conditionFailed());
    table.on(GetCommand).resolves({ Item: { id, status, executionArn: OTHER } });
    expect(await writeManifest(upload())).toMatchObject({ outcome: 'DUPLICATE', id });
    expect(s3.commandCalls(PutObjectCommand)).toHaveLength(0);
    expect(executions.calls()).toHaveLength(0);
  });

  test('of a version that another execution works on makes a duplicate', async () => {
    table.on(UpdateCommand).rejects(conditionFailed());
    table.on(GetCommand).resolves({ Item: { id, status: 'RUNNING', executionArn: OTHER } });
    executions.on(DescribeExecutionCommand, { executionArn: OTHER }).resolves({ status: 'RUNNING' });
    expect((await writeManifest(upload())).outcome).toBe('DUPLICATE');
  });

  test.each([
    ['was stopped', () => executions.on(DescribeExecutionCommand, { executionArn: OTHER }).resolves({ status: 'ABORTED' })],
    ['is forgotten', () => executions.on(DescribeExecutionCommand, { executionArn: OTHER }).rejects(
      new SFNServiceException({ name: 'ExecutionDoesNotExist', $fault: 'client', $metadata: {} }))],
  ])('is taken over from an execution that %s, once', async (_, given) => {
    given();
    table.on(UpdateCommand).rejectsOnce(conditionFailed()).resolves({});
    table.on(GetCommand).resolves({ Item: { id, status: 'RUNNING', executionArn: OTHER } });
    expect((await writeManifest(upload())).outcome).toBe('NEW');
    const second = table.commandCalls(UpdateCommand)[1].args[0].input;
    expect(second.ConditionExpression).toContain('(#status = :running AND executionArn = :gone)');
    expect(second.ExpressionAttributeValues).toMatchObject({ ':gone': OTHER });
  });

  test('is not made for an execution that was stopped before it had claimed: the claim is given back', async () => {
    executions.on(DescribeExecutionCommand, { executionArn: ME }).resolves({ status: 'ABORTED' });
    expect((await writeManifest(upload())).outcome).toBe('SKIPPED');
    expect(s3.commandCalls(PutObjectCommand)).toHaveLength(0);
    const [claim, back] = table.commandCalls(UpdateCommand);
    expect(claim.args[0].input.ExpressionAttributeValues).toMatchObject({ ':running': 'RUNNING', ':me': ME });
    expect(back.args[0].input.ExpressionAttributeValues).toMatchObject({ ':failed': 'FAILED', ':owner': ME });
  });

  test.each([
    ['raw/', 'folder marker'], ['raw/x/', 'folder marker'], ['raw/readme.txt', 'not a CSV file'], ['other/x.csv', 'not below raw/'],
  ])('is not made for %s', async (key, reason) => {
    const result = await writeManifest(upload(key));
    expect(result).toEqual({ outcome: 'SKIPPED', reason: expect.stringContaining(reason) });
    expect(s3.calls()).toHaveLength(0);
  });

  test('lies below the prefix of its data pipeline, and is not made for files of another one', async () => {
    process.env.PREFIX = 'team/animals/';
    const places = {
      manifest: `s3://b/team/animals/manifests/${id}.json`,
      report: `s3://b/team/animals/reports/${id}/validation.json`,
      summary: `s3://b/team/animals/reports/${id}/preprocess.json`,
      output: `s3://b/team/animals/processed/${id}`,
    };
    expect(placesOf('b', id)).toEqual(places);
    const key = 'team/animals/raw/x.csv';
    expect(await writeManifest(upload(key))).toMatchObject({ outcome: 'NEW', files: [{ key }] });
    expect(s3.commandCalls(PutObjectCommand)[0].args[0].input.Key).toMatch(/^team\/animals\/manifests\//);
    for (const other of ['raw/x.csv', 'team/raw/x.csv', 'team/animals2/raw/x.csv']) {
      expect(await writeManifest(upload(other))).toEqual({ outcome: 'SKIPPED', reason: `${other} is not below team/animals/raw/` });
    }
  });

  test.each([404, 405])('is not made for an object that is gone (%i)', async (status) => {
    s3.on(HeadObjectCommand).rejects(s3Error(status));
    expect(await writeManifest(upload())).toMatchObject({ outcome: 'SKIPPED', reason: expect.stringContaining('is gone') });
  });

  test('fails when it may not look: that is not a deleted object', async () => {
    s3.on(HeadObjectCommand).rejects(s3Error(403));
    await expect(writeManifest(upload())).rejects.toThrow();
  });

  test('fails when the event is none, and says so', async () => {
    await expect(writeManifest({ event: {}, executionArn: ME })).rejects.toThrow(/the event names no bucket and object/);
  });

  test('fails when the table fails: no silent duplicate', async () => {
    table.on(UpdateCommand).rejects(new Error('ProvisionedThroughputExceededException'));
    await expect(writeManifest(upload())).rejects.toThrow(/Throughput/);
  });

  test('names no version where the bucket keeps none', async () => {
    s3.on(HeadObjectCommand).resolves({ ETag: '"e1"', ContentLength: 0, VersionId: 'null' });
    const result = await writeManifest({ event: { detail: { bucket: { name: 'b' }, object: { key: 'raw/x.CSV' } } }, executionArn: ME });
    expect(result.files).toEqual([{ bucket: 'b', key: 'raw/x.CSV', etag: 'e1', size: 0 }]);
  });

  const version = fc.record({ bucket: fc.string(), key: fc.string(), versionId: fc.string(), etag: fc.string(), size: fc.nat() });
  const files = fc.array(version, { minLength: 1 });

  test('has an id that follows from the versions, not from their order', () => {
    fc.assert(fc.property(files, (some) => {
      expect(manifestId(some)).toMatch(/^[0-9a-f]{64}$/);
      expect(manifestId([...some].reverse())).toBe(manifestId(some));
      expect(manifestId([{ ...some[0], etag: `${some[0].etag}x` }, ...some.slice(1)])).not.toBe(manifestId(some));
    }));
  });

  test('takes every key that ends in .csv below raw/', () => {
    fc.assert(fc.property(fc.string(), (name) => reasonToSkip(`raw/${name}.csv`) === undefined));
  });
});

describe('the verdict', () => {
  const finding = { column: 'sex', rule: 'allowed_values', count: 2, share: 0.1, severity: 'error' as const, message: 'two are X' };
  const warning = { ...finding, column: null, rule: 'duplicates', severity: 'warning' as const };

  function report(content: unknown): void {
    const text = JSON.stringify(content);
    s3.on(GetObjectCommand, { Bucket: 'b', Key: `reports/${id}/validation.json` })
      .callsFake(() => ({ Body: Object.assign(Readable.from([text]), { transformToString: async () => text }) }));
  }

  test('on valid data moves nothing', async () => {
    report({ valid: true, rows: 7, findings: [warning] });
    expect(await readVerdict({ ingestion, executionArn: ME })).toMatchObject({ valid: true, rows: 7 });
    expect(s3.calls()).toHaveLength(1);
    expect(table.calls()).toHaveLength(0);
  });

  test('on invalid data names column, rule and count, and moves exactly the version that was judged, last of all', async () => {
    report({ valid: false, rows: 7, findings: [warning, finding] });
    const verdict = await readVerdict({ ingestion, executionArn: ME });
    expect(verdict).toMatchObject({ valid: false, cause: 'column "sex": allowed_values, 2 times (two are X)', subject: 'Data quarantined' });
    expect(verdict.message).toContain(`s3://b/quarantine/${id}/validation.json`);
    const copy = s3.commandCalls(CopyObjectCommand)[0].args[0].input;
    expect(copy).toMatchObject({ Key: `quarantine/${id}/größe 1+1%20.csv`, CopySource: 'b/raw/gr%C3%B6%C3%9Fe%201%2B1%2520.csv?versionId=v1' });
    expect(s3.commandCalls(PutObjectCommand)[0].args[0].input).toMatchObject({ Key: `quarantine/${id}/validation.json` });
    expect(table.commandCalls(UpdateCommand)[0].args[0].input).toMatchObject({
      Key: { id }, ConditionExpression: 'executionArn = :me', ExpressionAttributeValues: expect.objectContaining({ ':status': 'QUARANTINED', ':rows': 7 }),
    });
    const removal = s3.commandCalls(DeleteObjectCommand)[0];
    expect(removal.args[0].input).toEqual({ Bucket: 'b', Key: KEY, VersionId: 'v1' });
    expect(removal.calledAfter(table.commandCalls(UpdateCommand)[0])).toBe(true);
  });

  test('moves invalid data to quarantine below the prefix of its data pipeline', async () => {
    process.env.PREFIX = 'team/animals/';
    report({ valid: false, rows: 7, findings: [finding] });
    const { message } = await readVerdict({ ingestion, executionArn: ME });
    const folder = `team/animals/quarantine/${id}/`;
    expect(message).toContain(`s3://b/${folder}.`);
    expect(s3.commandCalls(PutObjectCommand)[0].args[0].input.Key).toBe(`${folder}validation.json`);
    expect(s3.commandCalls(CopyObjectCommand)[0].args[0].input.Key).toBe(`${folder}größe 1+1%20.csv`);
  });

  test('can be repeated after a crash that came after the move', async () => {
    report({ valid: false, rows: 7, findings: [finding] });
    s3.on(CopyObjectCommand).rejects(s3Error(404));
    expect((await readVerdict({ ingestion, executionArn: ME })).valid).toBe(false);
  });

  test('leaves alone what replaced the file in a bucket without versions', async () => {
    report({ valid: false, rows: 7, findings: [finding] });
    s3.on(CopyObjectCommand).rejects(s3Error(412));
    const { versionId: _, ...unversioned } = file;
    await readVerdict({ ingestion: { ...ingestion, files: [unversioned] }, executionArn: ME });
    expect(s3.commandCalls(CopyObjectCommand)[0].args[0].input).toMatchObject({ CopySourceIfMatch: 'e1' });
    expect(s3.commandCalls(DeleteObjectCommand)).toHaveLength(0);
  });

  test('moves what S3 does not copy at once part by part, and cleans up when that fails', async () => {
    report({ valid: false, rows: 7, findings: [finding] });
    s3.on(CreateMultipartUploadCommand).resolves({ UploadId: 'u' });
    s3.on(UploadPartCopyCommand).callsFake(({ PartNumber }: { PartNumber: number }) => ({ CopyPartResult: { ETag: `p${PartNumber}` } }));
    const large = { ...ingestion, files: [{ ...file, size: 6 * 1024 ** 3 + 1 }] };
    await readVerdict({ ingestion: large, executionArn: ME });
    const parts = s3.commandCalls(UploadPartCopyCommand).map((call) => call.args[0].input);
    expect(parts).toHaveLength(7);
    expect(parts[6]).toMatchObject({ CopySourceRange: 'bytes=6442450944-6442450944', PartNumber: 7 });
    expect(s3.commandCalls(CompleteMultipartUploadCommand)[0].args[0].input.MultipartUpload?.Parts?.map((part) => part.ETag))
      .toEqual(['p1', 'p2', 'p3', 'p4', 'p5', 'p6', 'p7']);
    s3.on(UploadPartCopyCommand).rejects(s3Error(500));
    await expect(readVerdict({ ingestion: large, executionArn: ME })).rejects.toThrow();
    expect(s3.commandCalls(AbortMultipartUploadCommand)).toHaveLength(1);
  });

  test('fails when the move fails, and leaves the data where they are', async () => {
    report({ valid: false, rows: 7, findings: [finding] });
    s3.on(CopyObjectCommand).rejects(s3Error(403));
    await expect(readVerdict({ ingestion, executionArn: ME })).rejects.toThrow();
    expect(s3.commandCalls(DeleteObjectCommand)).toHaveLength(0);
  });

  test('fails when the report is none', async () => {
    report({});
    await expect(readVerdict({ ingestion, executionArn: ME })).rejects.toThrow(/is not a validation report/);
  });

  test('has a cause that a state machine can hold', () => {
    const many = Array.from({ length: 5000 }, () => finding);
    expect(judge({ valid: false, rows: 1, findings: many }, ingestion).cause.length).toBeLessThanOrEqual(1000);
    expect(judge({ valid: false, rows: 1, findings: [] }, ingestion).cause).not.toBe('');
  });
});

describe('training', () => {
  test('starts with the manifest id as token', async () => {
    sagemaker.on(StartPipelineExecutionCommand).resolves({ PipelineExecutionArn: 'arn:run' });
    expect(await startTraining({ ingestion })).toEqual({ pipelineExecutionArn: 'arn:run' });
    expect(sagemaker.commandCalls(StartPipelineExecutionCommand)[0].args[0].input).toEqual({
      PipelineName: 'training',
      ClientRequestToken: id,
      PipelineExecutionDisplayName: `data-${id.slice(0, 12)}`,
      PipelineParameters: [{ Name: 'InputData', Value: `s3://b/processed/${id}` }, { Name: 'ManifestId', Value: id }],
    });
  });
});

describe('the end', () => {
  test('is recorded with rows and training', async () => {
    const state = { ingestion, verdict: { rows: 7 }, training: { pipelineExecutionArn: 'arn:run' } };
    const result = await finish({ status: 'SUCCEEDED', executionArn: ME, state });
    expect(result).toMatchObject({ subject: 'Data ready', message: expect.stringContaining('arn:run'), cause: '' });
    expect(table.commandCalls(UpdateCommand)[0].args[0].input).toMatchObject({
      Key: { id },
      UpdateExpression: 'SET #status = :status, updatedAt = :now, #rows = :rows, #pipelineExecutionArn = :pipelineExecutionArn',
      ExpressionAttributeValues: expect.objectContaining({ ':status': 'SUCCEEDED', ':rows': 7, ':me': ME }),
    });
  });

  test('is recorded with its cause', async () => {
    const error = { Error: 'States.TaskFailed', Cause: '{"JobName":"j","JobRunState":"FAILED","ErrorMessage":"no room"}' };
    const result = await finish({ status: 'FAILED', executionArn: ME, state: { ingestion, error } });
    expect(result.cause).toBe('job j ended FAILED: no room');
    expect(table.commandCalls(UpdateCommand)[0].args[0].input.ExpressionAttributeValues).toMatchObject({ ':status': 'FAILED', ':error': result.cause });
  });

  test('of what was never claimed is told, not recorded', async () => {
    const state = { error: { Error: 'X', Cause: '' }, detail: { bucket: { name: 'b' }, object: { key: KEY } } };
    const result = await finish({ status: 'FAILED', executionArn: ME, state });
    expect(result).toMatchObject({ cause: 'X', message: expect.stringContaining(KEY) });
    expect(table.calls()).toHaveLength(0);
  });

  test('leaves alone what another execution took over', async () => {
    table.on(UpdateCommand).rejects(conditionFailed());
    await expect(finish({ status: 'FAILED', executionArn: ME, state: { ingestion, error: { Error: 'X' } } })).resolves.toBeDefined();
  });

  test.each([
    [{ Cause: '{"errorMessage":"boom","errorType":"Error"}' }, 'boom'],
    [{ Cause: 'plain' }, 'plain'],
    [{ Cause: '"text"' }, '"text"'],
    [{ Cause: 'null' }, 'null'],
    [{}, 'unknown error'],
  ])('has a sentence in %j', (error, cause) => {
    expect(causeOf(error)).toBe(cause);
  });

  test('has a cause whatever the error', () => {
    fc.assert(fc.property(fc.record({ Error: fc.string(), Cause: fc.oneof(fc.string(), fc.json()) }), (error) => {
      const cause = causeOf(error);
      return cause.length > 0 && cause.length <= 1000;
    }));
  });

  test('keys and URIs agree', () => {
    expect(keyOf(ingestion.report)).toBe(`reports/${id}/validation.json`);
  });
});

describe('a warning', () => {
  const notificationError = { Error: 'SNS.KmsAccessDeniedException', Cause: 'no permission for kms:GenerateDataKey' };
  let lines: string[];

  beforeEach(() => {
    lines = logLines();
  });

  afterEach(() => {
    jest.restoreAllMocks();
  });

  /** Checks the one line: an error for people, and a count for CloudWatch. */
  function expectWarning(message: string): void {
    const [line, ...more] = lines.map((each) => JSON.parse(each));
    expect(more).toEqual([]);
    expect(line).toMatchObject({ level: 'ERROR', message: expect.stringContaining(message), StateMachineName: 'data', Warnings: 1 });
    expect(line._aws.CloudWatchMetrics).toEqual([{
      Namespace: 'cdk-mlops', Dimensions: [['StateMachineName']], Metrics: [{ Name: 'Warnings', Unit: 'Count' }],
    }]);
    expect(Math.abs(line._aws.Timestamp - Date.now())).toBeLessThan(60_000);
  }

  test('says that nobody was told, in the log, the metric and the data set', async () => {
    await unnotified({ executionArn: ME, state: { ingestion, notificationError } });
    expectWarning('nobody was notified: no permission for kms:GenerateDataKey');
    expect(table.commandCalls(UpdateCommand)[0].args[0].input).toMatchObject({
      Key: { id },
      ConditionExpression: 'executionArn = :me',
      ExpressionAttributeValues: { ':me': ME, ':warnings': ['nobody was notified: no permission for kms:GenerateDataKey'] },
    });
  });

  test('is said too where there is no data set, or another execution has it', async () => {
    await unnotified({ executionArn: ME, state: { notificationError } });
    expect(table.calls()).toHaveLength(0);
    expectWarning('nobody was notified');
    table.on(UpdateCommand).rejects(conditionFailed());
    await expect(unnotified({ executionArn: ME, state: { ingestion, notificationError } })).resolves.toBeUndefined();
  });

  test('fails where the table fails', async () => {
    table.on(UpdateCommand).rejects(new Error('AccessDenied'));
    await expect(unnotified({ executionArn: ME, state: { ingestion, notificationError } })).rejects.toThrow('AccessDenied');
  });

  test('says that the crawler was not started, unless it is at work', async () => {
    const state = { ingestion, verdict: { rows: 3 } };
    await finish({ status: 'SUCCEEDED', executionArn: ME, state: { ...state, crawlerError: { Error: 'Glue.CrawlerRunningException' } } });
    expect([lines, table.commandCalls(UpdateCommand).length]).toEqual([[], 1]);
    await finish({ status: 'SUCCEEDED', executionArn: ME, state: { ...state, crawlerError: { Error: 'Glue.AccessDeniedException', Cause: 'not you' } } });
    expectWarning('the crawler was not started: not you');
    expect(table.commandCalls(UpdateCommand)).toHaveLength(3);
  });

  test('says that nobody was told of an interruption, which stays recorded', async () => {
    executions.on(DescribeExecutionCommand, { executionArn: ME }).resolves({ status: 'ABORTED' });
    table.on(ScanCommand).resolves({ Items: [{ id: 'x' }, { id: 'y' }] });
    sns.on(PublishCommand).rejectsOnce(new Error('no permission')).resolves({});
    await interrupted({ detail: { executionArn: ME, status: 'ABORTED' } });
    expectWarning('nobody was notified: Error: no permission');
    expect(table.commandCalls(UpdateCommand).map((call) => call.args[0].input.ExpressionAttributeValues?.[':warnings']))
      .toEqual([undefined, ['nobody was notified: Error: no permission'], undefined]);
    expect(sns.commandCalls(PublishCommand)).toHaveLength(2);
  });
});

describe('an interruption', () => {
  interface Item { id: string; status: string; executionArn: string; error?: string }
  const ended = (executionArn: string, status = 'ABORTED') => ({ detail: { executionArn, status, error: null, cause: 'by hand' } });

  /** A table that does what the conditions say. */
  function tableOf(items: Item[]): void {
    table.on(ScanCommand).callsFake(({ ConsistentRead, ExpressionAttributeValues: values }) => {
      expect(ConsistentRead).toBe(true);
      return { Items: items.filter((item) => item.status === values[':running'] && item.executionArn === values[':owner']) };
    });
    table.on(UpdateCommand).callsFake(({ Key, ConditionExpression, ExpressionAttributeValues: values }) => {
      expect(ConditionExpression).toBe('#status = :running AND executionArn = :owner');
      const item = items.find((one) => one.id === Key.id)!;
      if (item.status !== values[':running'] || item.executionArn !== values[':owner']) {
        throw conditionFailed();
      }
      Object.assign(item, { status: values[':failed'], error: values[':error'] });
    });
  }

  test.each(['ABORTED', 'TIMED_OUT', 'FAILED'])('(%s) makes the data set fail with its cause, and tells people', async (status) => {
    executions.on(DescribeExecutionCommand, { executionArn: ME }).resolves({ status: 'ABORTED' });
    const items = [{ id: 'x', status: 'RUNNING', executionArn: ME }, { id: 'y', status: 'RUNNING', executionArn: OTHER }];
    tableOf(items);
    await interrupted(ended(ME, status));
    expect(items).toEqual([
      { id: 'x', status: 'FAILED', executionArn: ME, error: `the execution ended ${status} before the data set was done (by hand)` }, items[1],
    ]);
    expect(items[1].status).toBe('RUNNING');
    expect(sns.commandCalls(PublishCommand)[0].args[0].input).toMatchObject({
      TopicArn: 'topic', Message: expect.stringContaining(ME), MessageAttributes: { event: { StringValue: 'failed' }, dataset: { StringValue: 'animals' } },
    });
  });

  test('is forgotten where the execution was asked to go on', async () => {
    await interrupted(ended(ME));
    expect(table.calls()).toHaveLength(0);
  });

  test('leaves alone what was done or taken over between its look and its write', async () => {
    executions.on(DescribeExecutionCommand, { executionArn: ME }).resolves({ status: 'ABORTED' });
    table.on(ScanCommand).resolves({ Items: [{ id: 'x' }] });
    table.on(UpdateCommand).rejects(conditionFailed());
    await interrupted(ended(ME));
    expect(sns.calls()).toHaveLength(0);
  });

  test('never touches a newer execution, and tells once, in whatever order events come', async () => {
    const arn = (n: number) => `${ME}${n}`;
    const step = fc.oneof(
      fc.record({ kind: fc.constant('claim' as const), n: fc.nat(3) }),
      fc.record({ kind: fc.constant('stop' as const), n: fc.nat(3) }),
      fc.record({ kind: fc.constant('event' as const), n: fc.nat(3) }),
    );
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
      [table, executions, sns].forEach((client) => client.reset());
      const item: Item = { id: 'x', status: 'FAILED', executionArn: 'none' };
      const gone = new Set<string>();
      tableOf([item]);
      executions.on(DescribeExecutionCommand).callsFake(({ executionArn }) => ({ status: gone.has(executionArn) ? 'ABORTED' : 'RUNNING' }));
      let failures = 0;
      for (const { kind, n } of steps) {
        if (kind === 'claim' && !gone.has(arn(n)) && item.status === 'FAILED') {
          Object.assign(item, { status: 'RUNNING', executionArn: arn(n) });
        } else if (kind === 'stop') {
          gone.add(arn(n));
        } else if (kind === 'event') {
          const right = item.status === 'RUNNING' && item.executionArn === arn(n) && gone.has(arn(n));
          failures += Number(right);
          const before = { ...item };
          await interrupted(ended(arn(n)));
          expect(item).toEqual(right ? { ...before, status: 'FAILED', error: expect.any(String) } : before);
        }
      }
      expect(sns.commandCalls(PublishCommand)).toHaveLength(failures);
      // Once each event has come, nothing is left RUNNING that runs no longer.
      for (const executionArn of gone) {
        await interrupted(ended(executionArn));
      }
      expect(item.status === 'RUNNING' && gone.has(item.executionArn)).toBe(false);
    }), { numRuns: 200 });
  });
});
