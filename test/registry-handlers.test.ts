import * as http from 'http';
import type { AddressInfo } from 'net';
import { ConditionalCheckFailedException } from '@aws-sdk/client-dynamodb';
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import {
  DeleteModelPackageCommand, DescribeModelPackageCommand, ListModelPackagesCommand, SageMakerClient,
} from '@aws-sdk/client-sagemaker';
import { DeleteCommand, DynamoDBDocumentClient, QueryCommand, UpdateCommand, UpdateCommandInput } from '@aws-sdk/lib-dynamodb';
import type { CloudFormationCustomResourceEvent, CloudFormationCustomResourceResponse, Context } from 'aws-lambda';
import { mockClient } from 'aws-sdk-client-mock';
import * as fc from 'fast-check';
import { logLines } from './log-lines';
import { handler as catalog } from '../src/registry/catalog.lambda';
import { flattenMetrics, versionKey, versionOf } from '../src/registry/catalog.lambda-shared';
import { deleteItems, deleteVersions } from '../src/registry/cleanup.lambda';
import { customResourceHandler, isGone, NEVER_MADE, sendResponse } from '../src/shared/custom-resource.lambda-shared';

const sagemaker = mockClient(SageMakerClient);
const s3 = mockClient(S3Client);
const dynamodb = mockClient(DynamoDBDocumentClient);

const arnOf = (version: number) => `arn:aws:sagemaker:eu-west-1:111122223333:model-package/abalone/${version}`;
const eventOf = (version: number) => ({ detail: { ModelPackageArn: arnOf(version), ModelPackageGroupName: 'Abalone' } });

function awsError(name: string, message: string): Error {
  return Object.assign(new Error(message), { name });
}

/** What the handlers log. */
let log: string[];

beforeEach(() => {
  sagemaker.reset();
  s3.reset();
  dynamodb.reset();
  process.env.MODEL_PACKAGE_GROUP_NAME = 'Abalone';
  log = logLines();
});

afterEach(() => jest.restoreAllMocks());

/** A table that understands the one condition that the handler uses. */
function table() {
  const items = new Map<string, Record<string, unknown>>();
  const writes: Record<string, unknown>[] = [];
  dynamodb.on(UpdateCommand).callsFake((input: UpdateCommandInput) => {
    expect(input.ConditionExpression).toBe('attribute_not_exists(#updatedAt) OR #updatedAt <= :updatedAt');
    const id = `${input.Key!.pk}/${input.Key!.sk}`;
    const old = items.get(id);
    const values = input.ExpressionAttributeValues!;
    if (old && !((old.updatedAt as string) <= values[':updatedAt'])) {
      throw new ConditionalCheckFailedException({ message: 'The conditional request failed', $metadata: {} });
    }
    const next: Record<string, unknown> = { ...old };
    const [, set, , remove] = /^SET (.*?)( REMOVE (.*))?$/.exec(input.UpdateExpression!)!;
    for (const part of set.split(', ')) {
      const [name, value] = part.split(' = ');
      next[input.ExpressionAttributeNames![name]] = values[value];
    }
    for (const name of remove?.split(', ') ?? []) {
      delete next[input.ExpressionAttributeNames![name]];
    }
    items.set(id, next);
    writes.push(next);
    return {};
  });
  return { items, writes, model: (version: number) => items.get(`MODEL#Abalone/${versionKey(version)}`) };
}

function reportIs(text: string) {
  s3.on(GetObjectCommand).callsFake(() => ({ Body: { transformToString: async () => text } }));
}

const described = (version: number, extra: object = {}) => ({
  ModelPackageName: 'abalone',
  ModelPackageGroupName: 'Abalone',
  ModelPackageArn: arnOf(version),
  ModelPackageVersion: version,
  ModelPackageStatus: 'Completed' as const,
  ModelPackageStatusDetails: { ValidationStatuses: [] },
  CreationTime: new Date('2026-01-01T00:00:00Z'),
  ...extra,
});
const withReport = { ModelMetrics: { ModelQuality: { Statistics: { ContentType: 'application/json', S3Uri: 's3://models/p/e/evaluation.json' } } } };

describe('catalog', () => {
  test('writes version, metrics and lineage', async () => {
    const { model } = table();
    reportIs('{"regression_metrics":{"mse":{"value":4.7,"standard_deviation":0.1},"r2":{"value":0.54}}}');
    sagemaker.on(DescribeModelPackageCommand, { ModelPackageName: arnOf(12) }).resolves(described(12, {
      ...withReport,
      ModelApprovalStatus: 'Approved',
      ApprovalDescription: 'looks good',
      LastModifiedTime: new Date('2026-01-02T00:00:00Z'),
      LastModifiedBy: { UserProfileName: 'ada' },
      CustomerMetadataProperties: { 'ManifestId': 'abc', 'PipelineExecutionArn': 'arn:execution', 'Gate.mse': 'at most 6' },
    }));
    await expect(catalog(eventOf(12))).resolves.toMatchObject({ written: true });
    expect(log.map((line) => JSON.parse(line))).toMatchObject([{ message: 'catalog item written', modelPackageArn: arnOf(12), status: 'Approved' }]);
    expect(model(12)).toEqual({
      version: 12,
      modelPackageArn: arnOf(12),
      status: 'Approved',
      packageStatus: 'Completed',
      metrics: { mse: 4.7, r2: 0.54 },
      gate: { mse: 'at most 6' },
      manifestId: 'abc',
      pipelineExecutionArn: 'arn:execution',
      createdAt: '2026-01-01T00:00:00.000Z',
      updatedAt: '2026-01-02T00:00:00.000Z',
      approvedBy: 'ada',
      approvalDescription: 'looks good',
    });
    expect(s3.commandCalls(GetObjectCommand)[0].args[0].input).toEqual({ Bucket: 'models', Key: 'p/e/evaluation.json' });
  });

  test.each([
    ['there is none', {}, undefined, 'registered without an evaluation report'],
    ['it is not valid JSON', withReport, 'oops', 's3://models/p/e/evaluation.json is not JSON'],
    ['it has no metrics', withReport, '{}', 's3://models/p/e/evaluation.json holds no metrics'],
    ['it is not an object', withReport, '[1]', 's3://models/p/e/evaluation.json holds no metrics'],
    ['it is not in S3', { ModelMetrics: { ModelQuality: { Statistics: { S3Uri: 'https://x' } } } }, '{}', 'https://x is not a place in S3'],
  ])('writes a version without metrics and says why when %s', async (_, metrics, text, problem) => {
    const { model } = table();
    reportIs(text ?? '');
    sagemaker.on(DescribeModelPackageCommand).resolves(described(1, metrics));
    await catalog(eventOf(1));
    expect(model(1)).toMatchObject({ status: 'PendingManualApproval', metrics: {}, metricsProblem: problem });
  });

  test('property: whatever a report holds, the item fits into DynamoDB and the version appears', async () => {
    const { model } = table();
    sagemaker.on(DescribeModelPackageCommand).resolves(described(1, withReport));
    await fc.assert(fc.asyncProperty(fc.integer({ min: 1, max: 6000 }), fc.integer({ min: 1, max: 400 }), async (count, length) => {
      const entries = Array.from({ length: count }, (_, i) => [`${i}`.padEnd(length, 'é'), { value: i }]);
      reportIs(JSON.stringify({ regression_metrics: Object.fromEntries(entries) }));
      await catalog(eventOf(1));
      const item = model(1)!;
      expect(Object.keys(item.metrics as object)).toHaveLength(Math.min(count, 200));
      expect(Buffer.byteLength(JSON.stringify(item))).toBeLessThan(400 * 1024);
      expect(item.metricsProblem).toEqual(count > 200 ? `s3://models/p/e/evaluation.json holds ${count} metrics, of which 200 are shown` : undefined);
    }), { numRuns: 20 });
  });

  test('does not read a report that is too large, and says so', async () => {
    const { model } = table();
    sagemaker.on(DescribeModelPackageCommand).resolves(described(1, withReport));
    s3.on(GetObjectCommand).callsFake(() => ({ ContentLength: 2 ** 30, Body: { transformToString: () => Promise.reject(new Error('read')) } }));
    await catalog(eventOf(1));
    expect(model(1)).toMatchObject({ metrics: {}, metricsProblem: expect.stringContaining('1073741824 bytes') });
  });

  test('notes a report that is forbidden, and throws when S3 is in trouble', async () => {
    const { model } = table();
    sagemaker.on(DescribeModelPackageCommand).resolves(described(1, withReport));
    s3.on(GetObjectCommand).rejects(awsError('AccessDenied', 'no'));
    await catalog(eventOf(1));
    expect(model(1)).toMatchObject({ metricsProblem: 's3://models/p/e/evaluation.json cannot be read: AccessDenied' });
    s3.on(GetObjectCommand).rejects(awsError('SlowDown', 'slow down'));
    await expect(catalog(eventOf(1))).rejects.toThrow('slow down');
  });

  test('marks a version whose package is gone, and keeps what was known of it', async () => {
    const { model } = table();
    reportIs('{"regression_metrics":{"mse":{"value":1}}}');
    sagemaker.on(DescribeModelPackageCommand).resolvesOnce(described(1, withReport))
      .rejects(awsError('ValidationException', `ModelPackage ${arnOf(1)} does not exist.`));
    await catalog(eventOf(1));
    await catalog(eventOf(1));
    expect(model(1)).toMatchObject({ status: 'Deleted', metrics: { mse: 1 } });
  });

  test('does not take missing permissions or throttling for a deletion', async () => {
    table();
    for (const [name, message] of [['AccessDeniedException', 'not authorized'], ['ThrottlingException', 'Rate exceeded'], ['ValidationException', 'x']]) {
      sagemaker.on(DescribeModelPackageCommand).rejects(awsError(name, message));
      await expect(catalog(eventOf(1))).rejects.toThrow(message);
    }
    expect(dynamodb.commandCalls(UpdateCommand)).toHaveLength(0);
  });

  test('an absent attribute is removed: a report that came late leaves no problem behind', async () => {
    const { model } = table();
    sagemaker.on(DescribeModelPackageCommand).resolves(described(1, withReport));
    s3.on(GetObjectCommand).rejects(awsError('NoSuchKey', 'no'));
    await catalog(eventOf(1));
    expect(model(1)).toHaveProperty('metricsProblem');
    reportIs('{"regression_metrics":{"mse":{"value":1}}}');
    await catalog(eventOf(1));
    expect(model(1)).not.toHaveProperty('metricsProblem');
  });

  test.each([
    [{}], [{ detail: {} }],
    [{ detail: { ModelPackageArn: 'arn:aws:sagemaker:eu-west-1:111122223333:model-package/unversioned' } }],
    [{ detail: { ModelPackageArn: 'arn:aws:sagemaker:eu-west-1:111122223333:model-package/wine/1' } }],
  ])(
    'fails when the event names no version of the group: %j', async (event) => {
      await expect(catalog(event)).rejects.toThrow(/names no version of the model package group Abalone/);
    });

  test('property: whatever order and number events come in, and however old what they see, the newest state stays', async () => {
    const states = ['PendingManualApproval', 'Approved', 'Rejected'] as const;
    await fc.assert(fc.asyncProperty(
      fc.array(fc.constantFrom(...states), { minLength: 1, maxLength: 6 }).chain((history) => fc.record({
        history: fc.constant(history),
        // Which state of the history each handler happened to see before it wrote; some handlers see the same.
        seen: fc.array(fc.nat(history.length - 1), { minLength: 1, maxLength: 8 }),
      })),
      async ({ history, seen }) => {
        sagemaker.reset();
        dynamodb.reset();
        const { model } = table();
        for (const at of [...seen, history.length - 1]) {
          sagemaker.on(DescribeModelPackageCommand).resolves(described(1, {
            ModelApprovalStatus: history[at], LastModifiedTime: new Date(Date.UTC(2026, 0, 1, 0, 0, at)),
          }));
          await catalog(eventOf(1));
        }
        for (const at of seen) {
          sagemaker.on(DescribeModelPackageCommand).resolves(described(1, {
            ModelApprovalStatus: history[at], LastModifiedTime: new Date(Date.UTC(2026, 0, 1, 0, 0, at)),
          }));
          await catalog(eventOf(1));
        }
        expect(model(1)).toMatchObject({ status: history[history.length - 1] });
      },
    ), { numRuns: 25 });
  });

  test('property: a deletion is not undone by a state that was seen before it', async () => {
    await fc.assert(fc.asyncProperty(fc.array(fc.nat(5), { maxLength: 6 }), async (late) => {
      sagemaker.reset();
      dynamodb.reset();
      const { model } = table();
      sagemaker.on(DescribeModelPackageCommand).rejects(awsError('ValidationException', 'does not exist'));
      await catalog(eventOf(1));
      for (const second of late) {
        sagemaker.on(DescribeModelPackageCommand).resolves(described(1, { LastModifiedTime: new Date(Date.UTC(2020, 0, 1, 0, 0, second)) }));
        await catalog(eventOf(1));
      }
      expect(model(1)).toMatchObject({ status: 'Deleted' });
    }), { numRuns: 20 });
  });
});

describe('metrics and keys', () => {
  test('flattens every section, and leaves out what is not a number', () => {
    expect(flattenMetrics({
      regression_metrics: { mse: { value: 4.7 }, mae: 1.5, bad: { value: 'x' }, none: null, list: [1], big: { value: 1e300 }, tiny: { value: 1e-300 } },
      multiclass_classification_metrics: { accuracy: { value: 0.9 }, confusion_matrix: { 0: { 0: 3 } } },
      other: { mse: { value: 1 } },
    })).toEqual({ mse: 4.7, mae: 1.5, tiny: 0, accuracy: 0.9 });
  });

  test('property: any JSON is read without an error, into finite numbers', () => {
    fc.assert(fc.property(fc.jsonValue(), (value) => {
      expect(Object.values(flattenMetrics({ x_metrics: value })).every(Number.isFinite)).toBe(true);
      flattenMetrics(value);
    }));
  });

  test('property: keys sort as versions do', () => {
    fc.assert(fc.property(fc.nat(999_999), fc.nat(999_999), (a, b) => {
      expect(versionKey(a) < versionKey(b)).toBe(a < b);
    }));
  });

  test('versions of ARNs', () => {
    expect(versionOf(arnOf(12), 'Abalone')).toBe(12);
    expect(versionOf('arn:aws:sagemaker:eu-west-1:111122223333:model-package/abalone', 'abalone')).toBeUndefined();
    expect(versionOf('abalone/12', 'abalone')).toBeUndefined();
    expect(versionOf(arnOf(12), 'abalon')).toBeUndefined();
  });
});

describe('deletion of versions', () => {
  const time = { remainingMillis: () => 60_000 };

  test('deletes every page, and accepts what is gone already', async () => {
    sagemaker.on(ListModelPackagesCommand).resolvesOnce({ ModelPackageSummaryList: [described(1), described(2)], NextToken: 't' })
      .resolves({ ModelPackageSummaryList: [described(3)] });
    sagemaker.on(DeleteModelPackageCommand).resolves({});
    sagemaker.on(DeleteModelPackageCommand, { ModelPackageName: arnOf(2) }).rejects(awsError('ValidationException', 'does not exist'));
    await expect(deleteVersions('Abalone', time)).resolves.toBe(3);
    expect(sagemaker.commandCalls(DeleteModelPackageCommand).map((call) => call.args[0].input.ModelPackageName)).toEqual([1, 2, 3].map(arnOf));
    expect(sagemaker.commandCalls(ListModelPackagesCommand)[0].args[0].input).toMatchObject({ ModelPackageGroupName: 'Abalone' });
  });

  test('deletes what a table that stays holds of the group, and nothing of another', async () => {
    dynamodb.on(QueryCommand).resolves({});
    dynamodb.on(QueryCommand, { ExpressionAttributeValues: { ':pk': 'MODEL#Abalone' } })
      .resolvesOnce({ Items: [{ sk: 'v#000001' }], LastEvaluatedKey: { pk: 'MODEL#Abalone', sk: 'v#000001' } }).resolves({ Items: [{ sk: 'v#000002' }] });
    dynamodb.on(QueryCommand, { ExpressionAttributeValues: { ':pk': 'DEPLOYMENT#Abalone' } }).resolves({ Items: [{ sk: 'e#t#r' }] });
    await deleteItems('catalog', 'Abalone');
    expect(dynamodb.commandCalls(DeleteCommand).map((call) => call.args[0].input)).toEqual([
      { TableName: 'catalog', Key: { pk: 'MODEL#Abalone', sk: 'v#000001' } },
      { TableName: 'catalog', Key: { pk: 'MODEL#Abalone', sk: 'v#000002' } },
      { TableName: 'catalog', Key: { pk: 'DEPLOYMENT#Abalone', sk: 'e#t#r' } },
    ]);
    expect(dynamodb.commandCalls(QueryCommand).every((call) => `${call.args[0].input.ExpressionAttributeValues![':pk']}`.endsWith('#Abalone'))).toBe(true);
  });

  test('a group that does not exist has none', async () => {
    sagemaker.on(ListModelPackagesCommand).rejects(awsError('ValidationException', 'Model Package Group does not exist'));
    await expect(deleteVersions('Abalone', time)).resolves.toBe(0);
  });

  test('fails when a version may not be deleted, and when time runs out', async () => {
    sagemaker.on(ListModelPackagesCommand).resolves({ ModelPackageSummaryList: [described(1), described(2)] });
    sagemaker.on(DeleteModelPackageCommand).rejects(awsError('AccessDeniedException', 'not authorized'));
    await expect(deleteVersions('Abalone', time)).rejects.toThrow('not authorized');
    await expect(deleteVersions('Abalone', { remainingMillis: () => -1 })).rejects.toThrow('0 of 2 model versions of Abalone');
  });
});

describe('answers to CloudFormation', () => {
  const context = { getRemainingTimeInMillis: () => 60_000, logStreamName: 'stream' } as unknown as Context;
  const event = (type: string, extra: object = {}) => ({
    RequestType: type,
    ResponseURL: 'http://127.0.0.1/',
    StackId: 'stack',
    RequestId: 'request',
    LogicalResourceId: 'Thing',
    ResourceProperties: { ServiceToken: 'x', name: 'one' },
    ...(type === 'Create' ? {} : { PhysicalResourceId: 'one' }),
    ...extra,
  }) as unknown as CloudFormationCustomResourceEvent;

  async function answerTo(parts: Partial<Parameters<typeof customResourceHandler>[0]>, request: CloudFormationCustomResourceEvent, ctx = context) {
    const sent: CloudFormationCustomResourceResponse[] = [];
    await customResourceHandler(
      { physicalId: (properties) => `${properties.name}`, delete: async () => undefined, ...parts },
      async (_, response) => void sent.push(response),
    )(request, ctx);
    expect(sent).toHaveLength(1);
    return sent[0];
  }

  test('create, update and delete succeed with the name of the thing', async () => {
    for (const type of ['Create', 'Update', 'Delete']) {
      await expect(answerTo({}, event(type))).resolves.toMatchObject({
        Status: 'SUCCESS', PhysicalResourceId: 'one', StackId: 'stack', RequestId: 'request', LogicalResourceId: 'Thing',
      });
    }
  });

  test('another name in an update is a new thing, which is created', async () => {
    const create = jest.fn(async () => undefined);
    const update = jest.fn(async () => undefined);
    const request = event('Update', { PhysicalResourceId: 'old' });
    await expect(answerTo({ create, update }, request)).resolves.toMatchObject({ Status: 'SUCCESS', PhysicalResourceId: 'one' });
    expect(create).toHaveBeenCalledTimes(1);
    expect(update).not.toHaveBeenCalled();
  });

  test('a create that fails says why, and its delete touches nothing', async () => {
    const remove = jest.fn(async () => undefined);
    const failed = await answerTo({ create: async () => { throw new Error('no luck'); } }, event('Create'));
    expect(failed).toMatchObject({ Status: 'FAILED', PhysicalResourceId: NEVER_MADE, Reason: expect.stringContaining('no luck') });
    expect(JSON.parse(log[0])).toMatchObject({ level: 'ERROR', message: 'custom resource failed', requestType: 'Create', error: { message: 'no luck' } });
    await expect(answerTo({ delete: remove }, event('Delete', { PhysicalResourceId: failed.PhysicalResourceId })))
      .resolves.toMatchObject({ Status: 'SUCCESS' });
    expect(remove).not.toHaveBeenCalled();
  });

  test('a delete that fails keeps the name, and a long reason is cut', async () => {
    const answer = await answerTo({ delete: async () => { throw new Error('x'.repeat(9_000)); } }, event('Delete'));
    expect(answer).toMatchObject({ Status: 'FAILED', PhysicalResourceId: 'one' });
    expect((answer as { Reason: string }).Reason.length).toBeLessThanOrEqual(1_000);
  });

  test('answers before the function is stopped', async () => {
    const late = { ...context, getRemainingTimeInMillis: () => 5_010 } as unknown as Context;
    const answer = await answerTo({ delete: () => new Promise(() => undefined) }, event('Delete'), late);
    expect(answer).toMatchObject({ Status: 'FAILED', Reason: expect.stringContaining('not finished within the time') });
  });

  test('is sent over HTTP, again when it is refused', async () => {
    const bodies: string[] = [];
    const server = http.createServer((request, response) => {
      let body = '';
      request.on('data', (chunk) => { body += chunk; });
      request.on('end', () => {
        bodies.push(body);
        expect(request.method).toBe('PUT');
        expect(request.headers['content-length']).toBe(`${body.length}`);
        response.writeHead(bodies.length === 1 ? 503 : 200).end();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/answer?signature=1`;
    await sendResponse(url, { Status: 'SUCCESS' } as CloudFormationCustomResourceResponse);
    server.close();
    expect(bodies).toEqual(['{"Status":"SUCCESS"}', '{"Status":"SUCCESS"}']);
  });

  test('what is gone and what is not', () => {
    expect(isGone(awsError('ValidationException', 'Could not find endpoint "x".'))).toBe(true);
    expect(isGone(awsError('ResourceNotFound', 'x'))).toBe(true);
    expect(isGone(awsError('ValidationException', 'Cannot update in-progress endpoint'))).toBe(false);
    expect(isGone(awsError('AccessDeniedException', 'role not found'))).toBe(false);
    expect(isGone('text')).toBe(false);
  });
});
