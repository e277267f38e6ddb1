import * as crypto from 'crypto';
import * as http from 'http';
import type { AddressInfo } from 'net';
import { isDeepStrictEqual } from 'util';
import { ConditionalCheckFailedException } from '@aws-sdk/client-dynamodb';
import {
  CopyObjectCommand, CopyObjectCommandInput, GetObjectCommand, HeadObjectCommand, HeadObjectCommandInput, ListObjectsV2Command,
  ListObjectsV2CommandInput, S3Client,
} from '@aws-sdk/client-s3';
import {
  DeleteModelPackageCommand, DescribeModelCommand, DescribeModelPackageCommand, ListModelPackagesCommand, ListTagsCommand, SageMakerClient,
} from '@aws-sdk/client-sagemaker';
import { DeleteCommand, DynamoDBDocumentClient, GetCommand, GetCommandInput, QueryCommand, UpdateCommand, UpdateCommandInput } from '@aws-sdk/lib-dynamodb';
import type { CloudFormationCustomResourceEvent, CloudFormationCustomResourceResponse, Context } from 'aws-lambda';
import { mockClient } from 'aws-sdk-client-mock';
import * as fc from 'fast-check';
import { logLines } from './log-lines';
import { handler as verify } from '../src/inference/artifacts.lambda';
import { handler as catalog } from '../src/registry/catalog.lambda';
import { flattenMetrics, versionKey, versionOf } from '../src/registry/catalog.lambda-shared';
import { deleteItems, deleteVersions } from '../src/registry/cleanup.lambda';
import { digestOf, VersionArtifacts, VersionContainer } from '../src/registry/version-artifacts.lambda-shared';
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
  process.env.ARTIFACT_BUCKET = 'models';
  log = logLines();
});

afterEach(() => jest.restoreAllMocks());

/** A table that understands the conditions that the handler uses. */
function table() {
  const items = new Map<string, Record<string, unknown>>();
  const writes: Record<string, unknown>[] = [];
  dynamodb.on(UpdateCommand).callsFake(async (input: UpdateCommandInput) => {
    const id = `${input.Key!.pk}/${input.Key!.sk}`;
    const old = items.get(id);
    const values = input.ExpressionAttributeValues!;
    const met: Record<string, () => boolean> = {
      'attribute_not_exists(#updatedAt) OR #updatedAt <= :updatedAt': () => !old || (old.updatedAt as string) <= values[':updatedAt'],
      'attribute_not_exists(artifacts) OR artifacts.prefix <> :prefix': () =>
        !old?.artifacts || (old.artifacts as VersionArtifacts).prefix !== values[':prefix'],
    };
    if (!met[input.ConditionExpression!]()) {
      throw new ConditionalCheckFailedException({ message: 'The conditional request failed', $metadata: {} });
    }
    const next: Record<string, unknown> = { ...old };
    const [, set, , remove] = /^SET (.*?)( REMOVE (.*))?$/.exec(input.UpdateExpression!)!;
    for (const part of set.split(', ')) {
      const [name, value] = part.split(' = ');
      next[input.ExpressionAttributeNames?.[name] ?? name] = values[value];
    }
    for (const name of remove?.split(', ') ?? []) {
      delete next[input.ExpressionAttributeNames?.[name] ?? name];
    }
    items.set(id, next);
    writes.push(next);
    return { Attributes: next };
  });
  return { items, writes, model: (version: number) => items.get(`MODEL#Abalone/${versionKey(version)}`) };
}

/** S3 that knows conditions and checksums, with `bucket/key` to bytes. Who writes into it directly lets S3 compute no SHA-256. */
function storage(bytes: Record<string, string>) {
  const objects = new Map(Object.entries(bytes).map(([name, text]) => [name, { text, hashed: false }]));
  const sha256 = (text: string) => crypto.createHash('sha256').update(text).digest('base64');
  const s3Error = (name: string, httpStatusCode: number) => Object.assign(new Error(name), { name, $metadata: { httpStatusCode } });
  const found = (name: string) => {
    if (name.startsWith('secret/')) {
      throw s3Error('Forbidden', 403);
    }
    const object = objects.get(name);
    if (!object) {
      throw s3Error('NotFound', 404);
    }
    return object;
  };
  s3.on(HeadObjectCommand).callsFake(({ Bucket, Key }: HeadObjectCommandInput) => {
    const { text, hashed } = found(`${Bucket}/${Key}`);
    return { ETag: `"${text}"`, ContentLength: text.length, ChecksumSHA256: hashed ? sha256(text) : undefined };
  });
  s3.on(CopyObjectCommand).callsFake((input: CopyObjectCommandInput) => {
    const { text } = found(decodeURIComponent(input.CopySource!));
    const to = `${input.Bucket}/${input.Key}`;
    if (input.CopySourceIfMatch !== text || (input.IfNoneMatch === '*' && objects.has(to))) {
      throw s3Error('PreconditionFailed', 412);
    }
    objects.set(to, { text, hashed: input.ChecksumAlgorithm === 'SHA256' });
    return {};
  });
  s3.on(ListObjectsV2Command).callsFake(({ Bucket, Prefix }: ListObjectsV2CommandInput) => ({
    Contents: [...objects.keys()].filter((name) => name.startsWith(`${Bucket}/${Prefix}`)).map((name) => ({ Key: name.slice(Bucket!.length + 1) })),
  }));
  const put = (name: string, text: string, hashed = false) => void objects.set(name, { text, hashed });
  return { put, sha256, text: (name: string) => objects.get(name)?.text, remove: (name: string) => objects.delete(name), s3Error };
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
  InferenceSpecification: { Containers: [{ Image: 'image' }], SupportedContentTypes: [], SupportedResponseMIMETypes: [] },
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
      artifacts: { digest: expect.stringMatching(/^[0-9a-f]{64}$/), prefix: '_versions/Abalone/12-20260101T000000000Z/', containers: [{ image: 'image', environment: {}, objects: [] }] },
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

describe('copies of artifacts', () => {
  const PREFIX = '_versions/Abalone/1-20260101T000000000Z/';
  const containers = [
    { Image: 'prepare', ModelDataUrl: 's3://models/run/pre/model.tar.gz', Environment: { B: '2', A: '1' }, ModelDataETag: 'p' },
    { Image: 'predict', ModelDataUrl: 's3://models/run/train/model.tar.gz' },
  ];
  const withContainers = (Containers: object[], extra: object = {}) =>
    described(1, { InferenceSpecification: { Containers, SupportedContentTypes: [], SupportedResponseMIMETypes: [] }, ...extra });
  const JOBS = { 'models/run/pre/model.tar.gz': 'p', 'models/run/train/model.tar.gz': 't' };
  const artifactsOf = (item: Record<string, unknown> | undefined) => item?.artifacts as VersionArtifacts;

  test('are made of every container, with a digest, and stay what they are when the event comes again after the artifacts changed', async () => {
    const { model } = table();
    const { put, sha256, text } = storage(JOBS);
    sagemaker.on(DescribeModelPackageCommand).resolves(withContainers(containers));
    await catalog(eventOf(1));
    const first = artifactsOf(model(1));
    expect(first.containers.flatMap(({ objects }) => objects)).toEqual([
      { key: `${PREFIX}0/model.tar.gz`, sha256: sha256('p') }, { key: `${PREFIX}1/model.tar.gz`, sha256: sha256('t') },
    ]);
    put('models/run/train/model.tar.gz', 'another');
    await catalog(eventOf(1));
    expect(artifactsOf(model(1))).toEqual(first);
    expect(text(`models/${PREFIX}1/model.tar.gz`)).toBe('t');
    expect(s3.commandCalls(CopyObjectCommand)).toHaveLength(2);
  });

  test('property: calls that come together, or after one that was stopped half-way, give one digest over the first bytes', async () => {
    await fc.assert(fc.asyncProperty(fc.integer({ min: 1, max: 4 }), fc.boolean(), async (calls, interrupted) => {
      s3.reset();
      dynamodb.reset();
      const { model } = table();
      const { put, sha256, text } = storage(JOBS);
      sagemaker.on(DescribeModelPackageCommand).resolves(withContainers(containers));
      if (interrupted) {
        put(`models/${PREFIX}0/model.tar.gz`, 'p', true);
        put('models/run/pre/model.tar.gz', 'another');
      }
      await Promise.all(Array.from({ length: calls }, async () => catalog(eventOf(1))));
      expect(text(`models/${PREFIX}0/model.tar.gz`)).toBe('p');
      expect(artifactsOf(model(1)).containers[0].objects[0].sha256).toBe(sha256('p'));
    }), { numRuns: 20 });
  });

  test.each<[string, object[], Record<string, string>, RegExp]>([
    ['an artifact is gone', containers, { 'models/run/pre/model.tar.gz': 'p' }, /^s3:\/\/models\/run\/train\/model\.tar\.gz cannot be copied: it does not exist$/],
    ['an artifact may not be read', [{ Image: 'i', ModelDataUrl: 's3://secret/model.tar.gz' }], {}, /^s3:\/\/secret\/model\.tar\.gz cannot be copied: the registry is not granted to read it$/],
    ['an artifact was changed before it was copied', containers, { ...JOBS, 'models/run/pre/model.tar.gz': 'q' },
      /^s3:\/\/models\/run\/pre\/model\.tar\.gz was changed after the version was registered: its ETag is q instead of p$/],
    ['the copy is somebody else\'s', containers, { ...JOBS, [`models/${PREFIX}0/model.tar.gz`]: 'x' },
      /^s3:\/\/models\/_versions\/.*\/0\/model\.tar\.gz has no SHA-256: somebody else than the registry wrote it$/],
    ['the place is not in S3', [{ Image: 'i', ModelDataUrl: 'https://x/y' }], {}, /^https:\/\/x\/y is not a place in S3$/],
    ['a prefix is empty', [{ Image: 'i', ModelDataSource: { S3DataSource: { S3Uri: 's3://models/none/', S3DataType: 'S3Prefix', CompressionType: 'None' } } }], {},
      /^s3:\/\/models\/none\/ holds no objects$/],
    ['a prefix holds too much', [{ Image: 'i', ModelDataSource: { S3DataSource: { S3Uri: 's3://models/all/', S3DataType: 'S3Prefix', CompressionType: 'None' } } }],
      Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`models/all/${i}`, 'x'])), /^s3:\/\/models\/all\/ holds more than 100 objects/],
    ['there is data of a kind that is not copied', [{ Image: 'i', AdditionalS3DataSource: { S3DataType: 'S3Object', S3Uri: 's3://models/a' } }], {},
      /^container 0 has AdditionalS3DataSource, of which no copy can be made/],
    ['there are no containers', [], {}, /^the version has no InferenceSpecification/],
  ])('a version says why it has none when %s, and gets them with a later event', async (_, given, objects, problem) => {
    const { model } = table();
    storage(objects);
    sagemaker.on(DescribeModelPackageCommand).resolves(withContainers(given));
    await catalog(eventOf(1));
    expect(model(1)).toMatchObject({ status: 'PendingManualApproval', artifactsProblem: expect.stringMatching(problem) });
    expect(model(1)).not.toHaveProperty('artifacts');
    expect(log.map((line) => JSON.parse(line))).toContainEqual(expect.objectContaining({ level: 'ERROR', message: 'the artifacts of a version cannot be copied' }));
    storage(JOBS);
    sagemaker.on(DescribeModelPackageCommand).resolves(withContainers(containers));
    await catalog(eventOf(1));
    expect(model(1)).not.toHaveProperty('artifactsProblem');
    expect(artifactsOf(model(1)).containers).toHaveLength(2);
  });

  test('a fault of S3 is thrown, so that the event is tried again; the version is there already', async () => {
    const { model } = table();
    const { s3Error } = storage(JOBS);
    s3.on(CopyObjectCommand).rejects(s3Error('SlowDown', 503));
    sagemaker.on(DescribeModelPackageCommand).resolves(withContainers(containers));
    await expect(catalog(eventOf(1))).rejects.toThrow('SlowDown');
    expect(model(1)).toMatchObject({ status: 'PendingManualApproval' });
    expect(model(1)).not.toHaveProperty('artifactsProblem');
  });

  test('a group that is made anew counts from 1 again: its first version gets copies of its own', async () => {
    const { model } = table();
    const { put, text } = storage(JOBS);
    sagemaker.on(DescribeModelPackageCommand).resolves(withContainers(containers));
    await catalog(eventOf(1));
    const old = artifactsOf(model(1));
    put('models/run/train/model.tar.gz', 'new');
    sagemaker.on(DescribeModelPackageCommand).resolves(withContainers(containers, { CreationTime: new Date('2026-03-01T00:00:00Z') }));
    await catalog(eventOf(1));
    const fresh = artifactsOf(model(1));
    expect(fresh.prefix).not.toBe(old.prefix);
    expect(text(`models/${fresh.prefix}1/model.tar.gz`)).toBe('new');
    expect(fresh.digest).not.toBe(old.digest);
  });

  describe('before they serve', () => {
    const approved = (extra: object = {}) => withContainers(containers, { ModelApprovalStatus: 'Approved', ...extra });

    /** A version that was registered and approved, with its copies. */
    async function registered() {
      const made = { ...table(), ...storage(JOBS) };
      dynamodb.on(GetCommand).callsFake(({ Key }: GetCommandInput) => ({ Item: made.items.get(`${Key!.pk}/${Key!.sk}`) }));
      sagemaker.on(DescribeModelPackageCommand).resolves(approved());
      await catalog(eventOf(1));
      return made;
    }

    test('are what the model is made from, whatever became of the artifacts', async () => {
      const { put } = await registered();
      put('models/run/train/model.tar.gz', 'another');
      await expect(verify({ modelPackageArn: arnOf(1) })).resolves.toEqual({
        containers: [
          { Image: 'prepare', ModelDataUrl: `s3://models/${PREFIX}0/model.tar.gz`, Environment: { A: '1', B: '2' } },
          { Image: 'predict', ModelDataUrl: `s3://models/${PREFIX}1/model.tar.gz`, Environment: {} },
        ],
      });
    });

    test('a prefix is copied and served as a prefix', async () => {
      const { put } = await registered();
      put('models/weights/a/one', '1');
      put('models/weights/two', '2');
      sagemaker.on(DescribeModelPackageCommand).resolves(described(2, {
        ModelApprovalStatus: 'Approved',
        InferenceSpecification: { Containers: [{ Image: 'i', ModelDataSource: { S3DataSource: { S3Uri: 's3://models/weights/', S3DataType: 'S3Prefix', CompressionType: 'None' } } }] },
      }));
      await catalog(eventOf(2));
      await expect(verify({ modelPackageArn: arnOf(2) })).resolves.toEqual({
        containers: [{ Image: 'i', Environment: {}, ModelDataSource: { S3DataSource: { S3Uri: `s3://models/${PREFIX.replace('/1-', '/2-')}0/`, S3DataType: 'S3Prefix', CompressionType: 'None' } } }],
      });
    });

    test.each<[string, (made: Awaited<ReturnType<typeof registered>>) => void, (sha256: (text: string) => string) => string]>([
      ['was overwritten', ({ put }) => put(`models/${PREFIX}1/model.tar.gz`, 'evil', true), (sha256) => `has the SHA-256 ${sha256('evil')}, and had ${sha256('t')} at the registration`],
      ['was overwritten without a checksum', ({ put }) => put(`models/${PREFIX}1/model.tar.gz`, 't'), (sha256) => `has no SHA-256 (it is gone, or was written by somebody else), and had ${sha256('t')} at the registration`],
      ['is gone', ({ remove }) => remove(`models/${PREFIX}1/model.tar.gz`), (sha256) => `has no SHA-256 (it is gone, or was written by somebody else), and had ${sha256('t')} at the registration`],
    ])('a copy that %s is a problem that names version, object and both digests', async (_, attack, told) => {
      const made = await registered();
      attack(made);
      await expect(verify({ modelPackageArn: arnOf(1) })).resolves.toEqual({
        problem: `version 1 is not what was registered: s3://models/${PREFIX}1/model.tar.gz ${told(made.sha256)}`,
      });
    });

    test.each([
      ['image', [{ ...containers[0], Image: 'evil' }, containers[1]]],
      ['environment', [{ ...containers[0], Environment: { A: '1', B: '3' } }, containers[1]]],
      ['place of the model data', [containers[0], { ...containers[1], ModelDataUrl: 's3://models/evil/model.tar.gz' }]],
      ['order', [containers[1], containers[0]]],
      ['number', [containers[0]]],
    ])('a version whose %s was updated after it was registered is a problem', async (_, changed) => {
      await registered();
      sagemaker.on(DescribeModelPackageCommand).resolves(withContainers(changed, { ModelApprovalStatus: 'Approved' }));
      await catalog(eventOf(1));
      const { problem, containers: served } = await verify({ modelPackageArn: arnOf(1) });
      expect(problem).toMatch(/^version 1 is not what was registered: its images, environments and places of model data have the digest [0-9a-f]{64}, and had [0-9a-f]{64}$/);
      expect(served).toBeUndefined();
    });

    test('are waited for until the registry has seen the approval; after that its problem is told', async () => {
      const { remove } = await registered();
      sagemaker.on(DescribeModelPackageCommand).resolves(described(2, {
        ...withContainers(containers), ModelPackageArn: arnOf(2), ModelPackageVersion: 2, ModelApprovalStatus: 'PendingManualApproval',
      }));
      remove('models/run/train/model.tar.gz');
      await catalog(eventOf(2));
      sagemaker.on(DescribeModelPackageCommand).resolves(described(2, {
        ...withContainers(containers), ModelPackageArn: arnOf(2), ModelPackageVersion: 2, ModelApprovalStatus: 'Approved', LastModifiedTime: new Date('2026-02-01T00:00:00Z'),
      }));
      await expect(verify({ modelPackageArn: arnOf(2) })).resolves.toMatchObject({ pending: true });
      await catalog(eventOf(2));
      await expect(verify({ modelPackageArn: arnOf(2) })).resolves.toEqual({
        problem: 'the artifacts of version 2 could not be copied: s3://models/run/train/model.tar.gz cannot be copied: it does not exist; approve it again once they can',
      });
    });

    test('a version that the registry does not know yet is waited for, and one that is not approved does not serve', async () => {
      await registered();
      sagemaker.on(DescribeModelPackageCommand).resolves(described(3, { ModelApprovalStatus: 'Approved' }));
      await expect(verify({ modelPackageArn: arnOf(3) })).resolves.toMatchObject({ pending: true });
      sagemaker.on(DescribeModelPackageCommand).resolves(withContainers(containers, { ModelApprovalStatus: 'Rejected' }));
      await expect(verify({ modelPackageArn: arnOf(1) })).resolves.toEqual({ problem: 'version 1 is not approved (any more): its status is Rejected' });
    });

    test('what served before is found by the tag of its model, and verified though its version is rejected or gone', async () => {
      const { put } = await registered();
      sagemaker.on(DescribeModelCommand, { ModelName: 'endpoint-1' }).resolves({ ModelArn: 'arn:model' });
      sagemaker.on(ListTagsCommand, { ResourceArn: 'arn:model' }).resolves({ Tags: [{ Key: 'cdk-mlops:model-package', Value: arnOf(1) }] });
      sagemaker.on(DescribeModelPackageCommand).resolves(withContainers(containers, { ModelApprovalStatus: 'Rejected' }));
      await expect(verify({ modelName: 'endpoint-1' })).resolves.not.toHaveProperty('problem');
      sagemaker.on(DescribeModelPackageCommand).rejects(awsError('ValidationException', 'does not exist'));
      await expect(verify({ modelName: 'endpoint-1' })).resolves.not.toHaveProperty('problem');
      put(`models/${PREFIX}0/model.tar.gz`, 'evil', true);
      await expect(verify({ modelName: 'endpoint-1' })).resolves.toMatchObject({ problem: expect.stringMatching(/^version 1 is not what was registered: s3:/) });
      sagemaker.on(ListTagsCommand).resolves({ Tags: [] });
      await expect(verify({ modelName: 'endpoint-1' })).resolves.toEqual({
        problem: 'model endpoint-1 does not say which version of Abalone it is, so that its artifacts cannot be verified',
      });
    });
  });

  test('property: the digest does not depend on the order of an environment, and on everything else', () => {
    const container = fc.record<VersionContainer>({
      image: fc.string(),
      environment: fc.dictionary(fc.string(), fc.string()),
      objects: fc.array(fc.record({ key: fc.string(), sha256: fc.string() }), { maxLength: 3 }),
    });
    fc.assert(fc.property(fc.array(container, { minLength: 1, maxLength: 3 }), fc.array(container, { minLength: 1, maxLength: 3 }), (one, other) => {
      const turned = one.map((each) => ({ ...each, environment: Object.fromEntries(Object.entries(each.environment).reverse()) }));
      expect(digestOf(turned)).toBe(digestOf(one));
      const canonical = (list: readonly VersionContainer[]) => JSON.parse(JSON.stringify(list)) as unknown;
      expect(digestOf(one) === digestOf(other)).toBe(isDeepStrictEqual(canonical(one), canonical(other)));
    }));
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
