import { execFileSync } from 'child_process';
import * as fs from 'fs';
import * as http from 'http';
import { AddressInfo } from 'net';
import * as os from 'os';
import * as path from 'path';
import {
  DescribeModelPackageCommand, DescribePipelineCommand, DescribePipelineExecutionCommand, SageMakerClient, StartPipelineExecutionCommand,
  UpdateModelPackageCommand,
} from '@aws-sdk/client-sagemaker';
import {
  DeleteCommand, DeleteCommandInput, DynamoDBDocumentClient, GetCommand, GetCommandInput, PutCommand, PutCommandInput, QueryCommand, ScanCommand,
} from '@aws-sdk/lib-dynamodb';
import { mockClient } from 'aws-sdk-client-mock';
import * as fc from 'fast-check';
import { logLines } from './log-lines';
import { handler as datasets } from '../src/api/datasets.lambda';
import { handler as health } from '../src/api/health.lambda';
import { failure, Handler, HttpError, HttpRequest, jsonBody, respond, responding } from '../src/api/http.lambda-shared';
import { callerOf, groupsOf } from '../src/api/identity.lambda-shared';
import { handler as models } from '../src/api/models.lambda';
import { pageOf, tokenOf } from '../src/api/paging.lambda-shared';
import { endpointFailure, instancesOf, predictionsOf, requestCsv } from '../src/api/predictions.lambda-shared';
import { handler as training } from '../src/api/training.lambda';
import type { SchemaDocument } from '../src/data/schema-document';

const column = { kind: 'numeric', role: 'feature', required: true, maxMissing: 0 } as const;
const REGRESSION: SchemaDocument = {
  version: 1,
  name: 'animals',
  problemType: 'regression',
  columns: [
    { ...column, name: 'sex', kind: 'categorical', values: ['F', 'I', 'M'] },
    { ...column, name: 'length', min: 0, unit: 'mm', perUnit: 1 / 200 },
    { ...column, name: 'note', kind: 'categorical', values: ['a,b', 'c"d'], required: false, maxMissing: 1 },
    { ...column, name: 'rings', role: 'target', min: 1, max: 40, display: { name: 'age', unit: 'years', scale: 1, offset: 1.5 } },
  ],
};
const BINARY: SchemaDocument = {
  ...REGRESSION,
  problemType: 'binary_classification',
  columns: [...REGRESSION.columns.slice(0, 3), { ...column, name: 'species', kind: 'categorical', role: 'target', values: ['a', 'b'] }],
};
const MULTICLASS: SchemaDocument = {
  ...REGRESSION,
  problemType: 'multiclass_classification',
  columns: [...REGRESSION.columns.slice(0, 3), { ...column, name: 'species', kind: 'categorical', role: 'target', values: ['a', 'b', 'c'] }],
};

const ARN = 'arn:aws:sagemaker:us-east-1:111122223333:model-package/animals/2';
const EXECUTION = 'arn:aws:sagemaker:us-east-1:111122223333:pipeline/p/execution/abc';
const ID = 'a'.repeat(64);
const OTHER_ID = 'b'.repeat(64);

const tables = mockClient(DynamoDBDocumentClient);
const sagemaker = mockClient(SageMakerClient);

/** The table of answers to requests with an idempotency key, which understands the one condition that the handler uses. */
const answers = new Map<string, Record<string, unknown>>();

function rememberAnswers(): void {
  answers.clear();
  tables.on(PutCommand).callsFake(({ TableName, Item, ConditionExpression, ExpressionAttributeValues: values }: PutCommandInput) => {
    expect(TableName).toBe('answers');
    const old = answers.get(Item!.id as string);
    if (ConditionExpression !== undefined) {
      expect(ConditionExpression).toBe('attribute_not_exists(#id) OR #expiresAt < :now OR (#atWorkUntil < :now AND #request = :request)');
      const lapsed = (name: string) => old?.[name] !== undefined && Number(old[name]) < Number(values![':now']);
      if (old && !lapsed('expiresAt') && !(lapsed('atWorkUntil') && old.request === values![':request'])) {
        throw Object.assign(new Error(), { name: 'ConditionalCheckFailedException' });
      }
    }
    answers.set(Item!.id as string, { ...Item });
    return {};
  });
  tables.on(GetCommand, { TableName: 'answers' }).callsFake(({ Key }: GetCommandInput) => ({ Item: answers.get(Key!.id as string) }));
  tables.on(DeleteCommand, { TableName: 'answers' }).callsFake(({ Key }: DeleteCommandInput) => {
    answers.delete(Key!.id as string);
    return {};
  });
}

const ENVIRONMENT = { ...process.env };

/** Files of the parameters that callers may set, as they lie beside a deployed handler; `withPlace`: where no data set says the place. */
const parametersFolder = fs.mkdtempSync(path.join(os.tmpdir(), 'parameters-'));
const parametersFile = path.join(parametersFolder, 'parameters-0.json');
const withPlace = path.join(parametersFolder, 'parameters-1.json');
const FREE = [{ name: 'MaxDepth', min: 0, max: 10 }, { name: 'Eta', min: 0, exclusiveMin: true, max: 1 }, { name: 'ModelApprovalStatus' }, { name: 'Verbose' }];
fs.writeFileSync(parametersFile, JSON.stringify(FREE));
fs.writeFileSync(withPlace, JSON.stringify([...FREE, { name: 'InputData' }]));
afterAll(() => fs.rmSync(parametersFolder, { recursive: true }));

/** What the handlers log. */
let log: string[];

beforeEach(() => {
  tables.reset();
  sagemaker.reset();
  rememberAnswers();
  process.env = {
    ...ENVIRONMENT,
    AWS_REGION: 'us-east-1',
    ACCESS: 'cognito',
    IDEMPOTENCY_TABLE: 'answers',
    ROLE_GROUPS: JSON.stringify({ viewer: 'viewers', operator: 'operators', approver: 'approvers' }),
    DATASETS: JSON.stringify([{ name: 'animals', table: 'datasets', processedData: 's3://data/processed' }]),
    MODEL_PACKAGE_GROUPS: JSON.stringify([{ name: 'animals', table: 'catalog' }]),
    PIPELINES: JSON.stringify([{ name: 'p', dataset: 'animals', parametersFile }]),
    ENDPOINTS: JSON.stringify([{ name: 'e', schemaFile: 'schema-0.json' }]),
  };
  log = logLines();
});

afterEach(() => jest.restoreAllMocks());

afterAll(() => {
  process.env = ENVIRONMENT;
});

const APPROVER = { 'sub': 'u-1', 'email': 'ana@example.com', 'email_verified': 'true', 'cognito:groups': '[dev approvers]' };

const OPERATOR = { ...APPROVER, 'cognito:groups': '[operators]' };
const VIEWER = { ...APPROVER, 'cognito:groups': '[viewers]' };

function request(routeKey: string, options: {
  body?: unknown;
  text?: string;
  query?: Record<string, string>;
  path?: Record<string, string>;
  claims?: Record<string, string>;
  headers?: Record<string, string>;
} = {}): HttpRequest {
  const body = options.text ?? (options.body === undefined ? undefined : JSON.stringify(options.body));
  return {
    version: '2.0',
    routeKey,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...options.headers },
    queryStringParameters: options.query,
    pathParameters: options.path,
    requestContext: { requestId: 'r-1', authorizer: { jwt: { claims: options.claims ?? APPROVER, scopes: [] } } },
    isBase64Encoded: false,
    ...(body === undefined ? {} : { body }),
  } as unknown as HttpRequest;
}

/** What handlers answer, as far as the tests look into it. */
interface Body {
  readonly [field: string]: unknown;
  readonly requestId?: string;
  readonly nextToken?: string;
  readonly error: { readonly code: string; readonly message: string; readonly details?: unknown[] };
  readonly models: Record<string, unknown>[];
  readonly datasets: { readonly id: string }[];
}

async function call(handler: Handler, event: HttpRequest): Promise<{ status: number; body: Body; headers: Record<string, unknown> }> {
  const response = await handler(event);
  return { status: response.statusCode!, body: JSON.parse(response.body!), headers: response.headers as Record<string, unknown> };
}

describe('http', () => {
  test('a JSON body is read, plain and in base64, with and without a content type', () => {
    const event = request('POST /x', { body: { a: 'ü' } });
    expect(jsonBody(event)).toEqual({ a: 'ü' });
    expect(jsonBody({ ...event, body: Buffer.from('{"a":1}').toString('base64'), isBase64Encoded: true })).toEqual({ a: 1 });
    expect(jsonBody({ ...event, headers: {} })).toEqual({ a: 'ü' });
    expect(jsonBody({ ...event, headers: { 'Content-Type': 'application/vnd.api+json; charset=utf-8' } })).toEqual({ a: 'ü' });
  });

  test.each([
    ['another content type', { text: 'a=1', headers: { 'content-type': 'application/x-www-form-urlencoded' } }, /application\/json/],
    ['no body', {}, /empty/],
    ['a body that is not JSON', { text: '{"a":' }, /not JSON/],
  ])('fails when there is %s', async (_, options, message) => {
    const answer = await call(responding(async (event) => ({ status: 200, body: { got: jsonBody(event) } })), request('POST /x', options));
    expect(answer.status).toBe(400);
    expect(answer.body).toEqual({ error: expect.objectContaining({ code: 'ValidationError', message: expect.stringMatching(message) }), requestId: 'r-1' });
  });

  test('fails when the body in base64 is not UTF-8', () => {
    expect(() => jsonBody({ ...request('POST /x'), body: Buffer.from([0xff, 0xfe]).toString('base64'), isBase64Encoded: true })).toThrow(/UTF-8/);
  });

  test('whatever arrives, the handler answers a JSON response of status 200 to 599', async () => {
    const echo = responding(async (event) => ({ status: 200, body: { got: jsonBody(event) } }));
    await fc.assert(fc.asyncProperty(
      fc.record({
        routeKey: fc.oneof(fc.constant('POST /x'), fc.anything()),
        body: fc.oneof(fc.json(), fc.string(), fc.anything()),
        isBase64Encoded: fc.oneof(fc.boolean(), fc.anything()),
        headers: fc.oneof(fc.dictionary(fc.string(), fc.string()), fc.anything()),
        requestContext: fc.anything(),
      }, { requiredKeys: [] }),
      async (event) => {
        const answer = await call(echo, event as unknown as HttpRequest);
        expect(answer.status).toBeGreaterThanOrEqual(200);
        expect(answer.status).toBeLessThanOrEqual(599);
        expect(answer.status === 200 || typeof answer.body.error.message === 'string').toBe(true);
      },
    ));
    for (const nothing of [undefined, null, 1, 'x']) {
      expect((await call(echo, nothing as unknown as HttpRequest)).status).toBe(400);
      expect((await call(health, nothing as unknown as HttpRequest)).status).toBe(404);
    }
  });

  test('what nobody foresaw is a 500 that tells nothing but the request id, and is in the log', async () => {
    const answer = await call(responding(async () => { throw new Error('password is hunter2'); }), request('GET /x'));
    expect(answer.status).toBe(500);
    expect(JSON.stringify(answer.body)).not.toContain('hunter2');
    expect(answer.body.requestId).toBe('r-1');
    expect(log.map((line) => JSON.parse(line))).toMatchObject([
      { level: 'ERROR', message: 'unexpected error', service: 'cdk-mlops', requestId: 'r-1', error: { name: 'Error', message: 'password is hunter2' } },
      { level: 'INFO', message: 'request answered', service: 'cdk-mlops', requestId: 'r-1', route: 'GET /x', status: 500 },
    ]);
  });

  test('of an error of AWS the log has name, message and stack, not what came with it', async () => {
    const error = Object.assign(new Error('the model failed'), { name: 'ModelError', OriginalMessage: 'row 1: hunter2' });
    await call(responding(async () => { throw error; }), request('GET /x'));
    expect(Object.keys(JSON.parse(log[0]).error)).toEqual(['name', 'message', 'stack']);
    expect(log.join()).not.toContain('hunter2');
  });

  test('whatever is thrown becomes a valid response', () => {
    fc.assert(fc.property(fc.anything(), (thrown) => {
      const response = failure(thrown, 'r');
      expect(response.statusCode).toBeGreaterThanOrEqual(400);
      expect(response.statusCode).toBeLessThanOrEqual(599);
      expect(JSON.parse(response.body!).requestId).toBe('r');
    }));
  });

  test.each([
    ['has too many values', JSON.stringify({ instances: [Object.fromEntries(Array.from({ length: 130_000 }, (_, i) => [`f${i}`, i]))] }), /100000 values/],
    ['is nested too deep', `${'['.repeat(100_000)}${']'.repeat(100_000)}`, /deeper than 16/],
    ['is too long', JSON.stringify('x'.repeat(2 ** 21)), /2097152 bytes/],
  ])('a body that %s is a 413', (_, text, message) => {
    expect(() => jsonBody(request('POST /x', { text }))).toThrow(expect.objectContaining({ statusCode: 413, message: expect.stringMatching(message) }));
    const encoded = { ...request('POST /x', { text: Buffer.from(text).toString('base64') }), isBase64Encoded: true };
    expect(() => jsonBody(encoded)).toThrow(expect.objectContaining({ statusCode: 413 }));
  });

  test('property: however much is wrong, an error has at most 20 KB, and says how many details it leaves out', () => {
    const upTo = (max: number) => fc.integer({ min: 0, max });
    fc.assert(fc.property(fc.integer({ min: 1, max: 300 }), upTo(50_000), upTo(2000), (count, length, values) => {
      const allowed = Array.from({ length: values }, () => 'v'.repeat(Math.min(length, 200)));
      const details = Array.from({ length: count }, () => ({ field: 'f', allowed, message: 'm'.repeat(length) }));
      const { body } = failure(new HttpError(400, 'C', 'm'.repeat(length), details), 'r');
      expect(body!.length).toBeLessThan(20 * 1024);
      const { error } = JSON.parse(body!);
      expect(error.details.length + (error.omittedDetails ?? 0)).toBe(count);
      expect(error.details.length).toBeGreaterThan(0);
    }), { numRuns: 30 });
  });

  test('responses are never cached', () => {
    expect(respond(200, {}).headers).toMatchObject({ 'cache-control': 'no-store', 'content-type': 'application/json' });
    expect(failure(new HttpError(429, 'X', 'y', [], { 'retry-after': '2' }), 'r').headers).toMatchObject({ 'retry-after': '2' });
  });

  test('health tells only that it is there', async () => {
    expect((await call(health, request('GET /health'))).body).toEqual({ status: 'ok' });
    expect((await call(health, request('GET /other'))).status).toBe(404);
  });
});

describe('who calls', () => {
  test('groups are read as an HTTP API writes them, and a comma separates nothing', () => {
    expect(groupsOf('[approvers]')).toEqual(['approvers']);
    expect(groupsOf('[dev approvers]')).toEqual(['dev', 'approvers']);
    expect(groupsOf('[not,approvers]')).toEqual(['not,approvers']);
    expect(groupsOf(['approvers', 1])).toEqual(['approvers']);
    expect(groupsOf(undefined)).toEqual([]);
    expect(groupsOf('[]')).toEqual([]);
  });

  test('an address that is not verified is not taken for a name', () => {
    const named = (claims: Record<string, string>) => callerOf(request('GET /x', { claims })).name;
    expect(named(APPROVER)).toBe('ana@example.com');
    expect(named({ ...APPROVER, 'email_verified': 'false', 'cognito:username': 'ben' })).toBe('ben');
    expect(named({ sub: 'u-2', username: 'cy' })).toBe('cy');
  });

  test('an IAM principal is known by its ARN, and nobody as anonymous', () => {
    const event = request('GET /x');
    const by = (authorizer: unknown) => callerOf({ ...event, requestContext: { ...event.requestContext, authorizer } } as unknown as HttpRequest).id;
    expect(by({ iam: { userArn: 'arn:aws:sts::1:assumed-role/r/s' } })).toBe('arn:aws:sts::1:assumed-role/r/s');
    expect(by(undefined)).toBe('anonymous');
  });

  test('whatever the context holds, there is a caller', () => {
    fc.assert(fc.property(fc.anything(), (requestContext) => {
      expect(typeof callerOf({ requestContext } as unknown as HttpRequest).id).toBe('string');
    }));
  });
});

describe('who may what', () => {
  const NOBODY = { sub: 'u-9' };
  const reads = [['GET /models', models], ['GET /models/{group}/versions/{version}', models], ['GET /datasets', datasets]] as const;
  const statusOf = async (handler: Handler, key: string, claims: Record<string, string>) => (await call(handler, request(key, { claims }))).status;

  test.each(reads)('%s is for viewers and all above, not for a user without a group', async (key, handler) => {
    for (const claims of [VIEWER, OPERATOR, APPROVER]) {
      expect(await statusOf(handler, key, claims)).not.toBe(403);
    }
    expect(await statusOf(handler, key, NOBODY)).toBe(403);
  });

  test('trainings are for operators and approvers, decisions for approvers', async () => {
    for (const [key, handler, allowed, refused] of [
      ['POST /training/start', training, [OPERATOR, APPROVER], [VIEWER, NOBODY]],
      ['POST /models/{group}/versions/{version}/approval', models, [APPROVER], [OPERATOR, VIEWER, NOBODY]],
    ] as const) {
      for (const claims of allowed) {
        expect(await statusOf(handler, key, claims)).not.toBe(403);
      }
      for (const claims of refused) {
        expect(await statusOf(handler, key, claims)).toBe(403);
      }
    }
  });

  test('the answer names the groups that may', async () => {
    const { body } = await call(training, request('POST /training/start', { claims: VIEWER }));
    expect(body.error).toMatchObject({ code: 'Forbidden', message: 'only members of "operators" or "approvers" may do this' });
  });
});

describe('paging', () => {
  const page = (query?: Record<string, string>) => pageOf(request('GET /x', { query }), ['sk']);

  test('has a default, and takes its own tokens', () => {
    expect(page()).toEqual({ limit: 50 });
    expect(page({ limit: '200', nextToken: tokenOf({ sk: 'v#000002' }) })).toEqual({ limit: 200, after: { sk: 'v#000002' } });
  });

  test.each([
    ['0', undefined], ['201', undefined], ['ten', undefined], ['-1', undefined], ['1e2', undefined], ['', undefined], ['5', 'garbage'], ['5', tokenOf({ other: 'x' })],
  ])('fails when limit is "%s" and nextToken %s', (limit, nextToken) => {
    expect(() => page({ limit, ...(nextToken ? { nextToken } : {}) })).toThrow(/limit|nextToken/);
  });

  test('whatever the query is, it is a page or a 400', () => {
    fc.assert(fc.property(fc.dictionary(fc.oneof(fc.constantFrom('limit', 'nextToken'), fc.string()), fc.string()), (query) => {
      try {
        expect(page(query).limit).toBeGreaterThan(0);
      } catch (error) {
        expect(error).toMatchObject({ statusCode: 400 });
      }
    }));
  });
});

describe('predictions', () => {
  const good = { sex: 'F', length: 100 };

  test('instances become CSV in schema order and stored units', () => {
    const csv = (body: unknown) => requestCsv(REGRESSION, instancesOf(REGRESSION, body));
    expect(csv({ instances: [{ length: 100, sex: 'F' }, { ...good, note: 'a,b' }] })).toBe('F,0.5,\nF,0.5,"a,b"\n');
    expect(csv(good)).toBe('F,0.5,\n');
  });

  test('property: however many fields are unknown, the answer comes soon and names some of them', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 90_000 }), fc.integer({ min: 1, max: 300 }), (fields, instances) => {
      const instance = { ...good, ...Object.fromEntries(Array.from({ length: Math.ceil(fields / instances) }, (_, i) => [`unknown${i}`, i])) };
      const began = process.cpuUsage();
      expect(() => instancesOf(REGRESSION, { instances: Array(instances).fill(instance) })).toThrow(expect.objectContaining({ statusCode: 400 }));
      expect(process.cpuUsage(began).user).toBeLessThan(1_000_000);
    }), { numRuns: 10 });
  });

  test('everything wrong with every instance is told at once, with the place', () => {
    const wrong = () => instancesOf(REGRESSION, { instances: [good, { sex: 'X', length: -1, lenght: 2 }, 'x'] });
    expect(wrong).toThrow(expect.objectContaining({ statusCode: 400 }));
    try {
      wrong();
    } catch (error) {
      const { details } = error as HttpError;
      expect(details).toEqual(expect.arrayContaining([
        expect.objectContaining({ field: 'instances[1].sex', value: 'X', allowed: ['F', 'I', 'M'] }),
        expect.objectContaining({ field: 'instances[1].length', value: -1, allowed: { min: 0, unit: 'mm' } }),
        expect.objectContaining({ field: 'instances[1].lenght', message: expect.stringContaining('did you mean "length"?') }),
        expect.objectContaining({ field: 'instances[2]' }),
      ]));
    }
  });

  test.each([
    ['the list is empty', { instances: [] }],
    ['the list is too long', { instances: Array(501).fill(good) }],
    ['the list is a text', { instances: good }],
    ['there is something beside the list', { instances: [good], verbose: true }],
    ['the body is a list', [good]],
    ['the body is a number', 7],
    ['the body is null', null],
    ['a number is infinite', { ...good, length: JSON.parse('1e999') }],
    ['the target is given', { ...good, rings: 4 }],
    ['nothing is given', {}],
  ])('fails when %s', (_, body) => {
    expect(() => instancesOf(REGRESSION, body)).toThrow(expect.objectContaining({ statusCode: 400 }));
  });

  test('whatever the body is, it is instances or a 400', () => {
    fc.assert(fc.property(fc.oneof(fc.jsonValue(), fc.record({ instances: fc.array(fc.jsonValue()) })), (body) => {
      try {
        expect(instancesOf(REGRESSION, body).length).toBeGreaterThan(0);
      } catch (error) {
        expect(error).toMatchObject({ statusCode: 400 });
        expect(() => JSON.stringify(error)).not.toThrow();
      }
    }));
  });

  test.each(['9.5\n10\n', '9.5,10', '[9.5]\n[10.0]', '"9.5"\r\n"10"'])('a regression is read from %j', (text) => {
    expect(predictionsOf(REGRESSION, text, 2)).toEqual([{ rings: 9.5, age: 11 }, { rings: 10, age: 11.5 }]);
  });

  test('a binary classification is read from the probability of its second class', () => {
    expect(predictionsOf(BINARY, '0.25\n0.5\n', 2)).toEqual([
      { species: 'a', probabilities: { a: 0.75, b: 0.25 } },
      { species: 'b', probabilities: { a: 0.5, b: 0.5 } },
    ]);
  });

  test.each(['0.2,0.7,0.1\n0.5,0.25,0.25\n', '[0.2, 0.7, 0.1]\n[0.5, 0.25, 0.25]', '[0.2, 0.7, 0.1],[0.5, 0.25, 0.25]'])('several classes are read from %j', (text) => {
    expect(predictionsOf(MULTICLASS, text, 2)).toEqual([
      { species: 'b', probabilities: { a: 0.2, b: 0.7, c: 0.1 } },
      { species: 'a', probabilities: { a: 0.5, b: 0.25, c: 0.25 } },
    ]);
  });

  test.each([
    [REGRESSION, '1\n2\n3', 2], [REGRESSION, '1', 2], [REGRESSION, 'nan', 1], [REGRESSION, '<html>', 1], [REGRESSION, '', 1],
    [BINARY, '3.4', 1], [MULTICLASS, '0.5,0.5', 1],
  ])('fails when the answer does not fit (%#)', (document, text, rows) => {
    expect(() => predictionsOf(document, text, rows)).toThrow(/endpoint answered/);
  });

  test('any numbers come back in their order', () => {
    fc.assert(fc.property(fc.array(fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e6, max: 1e6 }), { minLength: 1 }), (numbers) => {
      expect(predictionsOf(REGRESSION, numbers.join('\n'), numbers.length).map((p) => p.rings)).toEqual(numbers.map((n) => Number(String(n))));
    }));
  });

  test.each([
    ['ValidationError', 'Endpoint e of account 111122223333 not found.', 503, 'ModelNotDeployed'],
    ['ValidationError', 'the body is too large', 502, 'ModelError'],
    ['ModelError', 'Received server error (500) from container with message "secret"', 502, 'ModelError'],
    ['ThrottlingException', 'Rate exceeded', 429, 'TooManyRequests'],
    ['ModelNotReadyException', '', 503, 'ModelNotReady'],
    ['ServiceUnavailable', '', 503, 'ModelUnavailable'],
    ['TimeoutError', '', 504, 'ModelTimeout'],
  ])('the endpoint\'s %s "%s" is a %i %s', (name, message, status, code) => {
    const error = endpointFailure({ name, message });
    expect(error).toMatchObject({ statusCode: status, code });
    expect(error!.message).not.toMatch(/secret|111122223333/);
  });

  test('what is not the endpoint\'s fault is left to the log', () => {
    expect(endpointFailure({ name: 'AccessDeniedException', message: 'x' })).toBeUndefined();
    fc.assert(fc.property(fc.anything(), (thrown) => { endpointFailure(thrown); }));
  });
});

describe('the bundled predict handler', () => {
  let folder: string;
  let server: http.Server;
  let handler: Handler;
  let seen: { url?: string; type?: string; body: string }[];
  let answer: { status: number; body: string; type?: string };

  beforeAll(async () => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'predict-'));
    execFileSync(path.join(__dirname, '../node_modules/.bin/esbuild'), [
      path.join(__dirname, '../src/api/predict.lambda.ts'), '--bundle', '--platform=node', '--minify', '--log-level=error', `--outfile=${folder}/index.js`,
    ]);
    fs.writeFileSync(path.join(folder, 'schema-0.json'), JSON.stringify(REGRESSION));
    server = http.createServer((incoming, outgoing) => {
      let body = '';
      incoming.on('data', (chunk) => { body += chunk; });
      incoming.on('end', () => {
        seen.push({ url: incoming.url, type: incoming.headers['content-type'], body });
        outgoing.writeHead(answer.status, { 'x-amzn-invoked-production-variant': 'AllTraffic', ...(answer.type ? { 'x-amzn-errortype': answer.type } : {}) });
        outgoing.end(answer.body);
      });
    });
    await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
    process.env.AWS_REGION = 'us-east-1';
    handler = jest.requireActual<{ handler: Handler }>(path.join(folder, 'index.js')).handler;
  });

  beforeEach(() => {
    seen = [];
    Object.assign(process.env, {
      AWS_ACCESS_KEY_ID: 'x', AWS_SECRET_ACCESS_KEY: 'y', AWS_ENDPOINT_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    });
  });

  afterAll(async () => {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
    fs.rmSync(folder, { recursive: true });
  });

  test('asks the endpoint and answers in the words of the contract', async () => {
    answer = { status: 200, body: '9.5\n' };
    const got = await call(handler, request('POST /inference/predict', { body: { instances: [{ sex: 'F', length: 100 }] } }));
    expect(got.body).toEqual({ predictions: [{ rings: 9.5, age: 11 }], model: { endpoint: 'e', variant: 'AllTraffic' }, requestId: 'r-1' });
    expect(seen).toEqual([{ url: '/endpoints/e/invocations', type: 'text/csv', body: 'F,0.5,\n' }]);
  });

  test('does not ask the endpoint about what is wrong', async () => {
    const got = await call(handler, request('POST /inference/predict', { body: { instances: [{ sex: 'X', length: 100 }] } }));
    expect(got.status).toBe(400);
    expect(got.body.error.details).toEqual([expect.objectContaining({ field: 'instances[0].sex', value: 'X', allowed: ['F', 'I', 'M'] })]);
    expect(seen).toEqual([]);
  });

  test('says that nothing is deployed yet', async () => {
    answer = { status: 400, body: '{"message":"Endpoint e of account 111122223333 not found."}', type: 'ValidationError' };
    const got = await call(handler, request('POST /inference/predict', { body: { sex: 'F', length: 100 } }));
    expect(got.status).toBe(503);
    expect(got.body.error).toEqual({ code: 'ModelNotDeployed', message: expect.stringContaining('approve a version') });
  });

  test('an answer that cannot be read is the model\'s fault', async () => {
    answer = { status: 200, body: '1\n2\n' };
    const got = await call(handler, request('POST /inference/predict', { body: { sex: 'F', length: 100 } }));
    expect(got).toMatchObject({ status: 502, body: { error: { code: 'ModelError' } } });
  });
});

describe('models', () => {
  const item = { pk: 'MODEL#animals', sk: 'v#000002', version: 2, modelPackageArn: ARN, status: 'PendingManualApproval', metrics: { mse: 4.7 }, manifestId: ID, createdAt: 't' };
  const approve = (options: { group?: string; version?: string; body?: unknown; claims?: Record<string, string> } = {}) => call(models, request('POST /models/{group}/versions/{version}/approval', {
    path: { group: options.group ?? 'animals', version: options.version ?? '2' }, body: options.body ?? { status: 'Approved', comment: 'fine\nindeed' }, claims: options.claims,
  }));

  beforeEach(() => {
    tables.on(GetCommand).resolves({});
    tables.on(GetCommand, { Key: { pk: 'MODEL#animals', sk: 'v#000002' } }).resolves({ Item: item });
    sagemaker.on(DescribeModelPackageCommand).resolves({ ModelApprovalStatus: 'PendingManualApproval', ModelPackageStatus: 'Completed', CustomerMetadataProperties: { ManifestId: ID } });
    sagemaker.on(UpdateModelPackageCommand).resolves({ ModelPackageArn: ARN });
  });

  test('are listed newest first, with what serves marked', async () => {
    tables.on(QueryCommand, { ExpressionAttributeValues: { ':pk': 'MODEL#animals' } }).resolves({ Items: [item, { ...item, version: 1, modelPackageArn: 'other' }], LastEvaluatedKey: { pk: 'MODEL#animals', sk: 'v#000001' } });
    tables.on(QueryCommand, { ExpressionAttributeValues: { ':pk': 'SERVING#animals' } }).resolves({ Items: [{ pk: 'SERVING#animals', sk: 'endpoint', modelPackageArn: ARN, version: 2 }] });
    const { status, body } = await call(models, request('GET /models', { query: { limit: '2' } }));
    expect(status).toBe(200);
    expect(body.models[0]).toEqual({ group: 'animals', version: 2, status: 'PendingManualApproval', metrics: { mse: 4.7 }, manifestId: ID, createdAt: 't', modelPackageArn: ARN, serving: true, endpoints: ['endpoint'] });
    expect(body.models[1]).toMatchObject({ version: 1, serving: false });
    await call(models, request('GET /models', { query: { nextToken: body.nextToken! } }));
    const asked = tables.commandCalls(QueryCommand).map((c) => c.args[0].input).filter((input) => input.ExpressionAttributeValues![':pk'] === 'MODEL#animals');
    expect(asked[0]).toMatchObject({ ScanIndexForward: false, Limit: 2 });
    expect(asked[1]).toMatchObject({ ExclusiveStartKey: { pk: 'MODEL#animals', sk: 'v#000001' } });
  });

  test('one is shown as it is', async () => {
    tables.on(QueryCommand).resolves({ Items: [{ pk: 'SERVING#animals', sk: 'endpoint', modelPackageArn: ARN, version: 2 }] });
    const show = (group: string, version: string) => call(models, request('GET /models/{group}/versions/{version}', { path: { group, version }, claims: VIEWER }));
    expect(await show('animals', '2')).toMatchObject({ status: 200, body: { group: 'animals', version: 2, metrics: { mse: 4.7 }, serving: true, endpoints: ['endpoint'] } });
    expect(await show('animals', '3')).toMatchObject({ status: 404, body: { error: { message: 'there is no version 3 of animals: GET /models?group=animals lists them' } } });
    expect(await show('plants', '2')).toMatchObject({ status: 404, body: { error: { message: 'there is no model package group "plants"; known are "animals"' } } });
    expect((await show('animals', 'two')).status).toBe(400);
  });

  test('fails when a token points elsewhere in the table', async () => {
    expect(await call(models, request('GET /models', { query: { nextToken: tokenOf({ sk: 'LOCK' }) } }))).toMatchObject({ status: 400 });
  });

  test('an approval is signed', async () => {
    expect(await approve()).toMatchObject({ status: 200, body: { group: 'animals', version: 2, status: 'Approved', changed: true } });
    expect(sagemaker.commandCalls(UpdateModelPackageCommand)[0].args[0].input).toEqual({
      ModelPackageArn: ARN,
      ModelApprovalStatus: 'Approved',
      ApprovalDescription: 'Approved by ana@example.com through the API: fine indeed',
      CustomerMetadataProperties: { ManifestId: ID, ApprovedBy: 'ana@example.com' },
    });
  });

  test('approving what is approved changes nothing', async () => {
    sagemaker.on(DescribeModelPackageCommand).resolves({ ModelApprovalStatus: 'Approved' });
    expect(await approve()).toMatchObject({ status: 200, body: { group: 'animals', version: 2, status: 'Approved', changed: false } });
    expect(sagemaker.commandCalls(UpdateModelPackageCommand)).toHaveLength(0);
  });

  test.each([
    ['nobody knows the groups', { sub: 'u-2' }],
    ['the caller is in another group', { ...APPROVER, 'cognito:groups': '[dev not,approvers approvers2]' }],
  ])('fails when %s', async (_, claims) => {
    expect(await approve({ claims: claims as Record<string, string> })).toMatchObject({ status: 403, body: { error: { code: 'Forbidden' } } });
    expect(sagemaker.calls()).toHaveLength(0);
    expect(tables.calls()).toHaveLength(0);
  });

  test('with IAM and open access the group is not asked for; without any setting it is', async () => {
    for (const [access, status] of [['iam', 200], ['open', 200], ['', 403]] as const) {
      process.env.ACCESS = access;
      expect((await approve({ claims: {} })).status).toBe(status);
    }
  });

  test.each([
    ['the version is zero', { version: '0' }, 400],
    ['the version is not a number', { version: '2x' }, 400],
    ['the version is negative', { version: '-2' }, 400],
    ['the version is not there', { version: '7' }, 404],
    ['the group is not there', { group: 'plants' }, 404],
    ['the status is another', { body: { status: 'approved' } }, 400],
    ['there is no status', { body: {} }, 400],
    ['the comment is not a text', { body: { status: 'Approved', comment: 3 } }, 400],
    ['the comment is long', { body: { status: 'Approved', comment: 'x'.repeat(501) } }, 400],
    ['there is another field', { body: { status: 'Approved', reason: 'x' } }, 400],
    ['the body is a list', { body: [] }, 400],
  ])('fails when %s', async (_, options, status) => {
    expect((await approve(options)).status).toBe(status);
    expect(sagemaker.commandCalls(UpdateModelPackageCommand)).toHaveLength(0);
  });

  test.each([
    ['ConflictException', '', 409], ['ValidationException', 'ModelPackage x does not exist.', 404], ['ThrottlingException', '', 429], ['AccessDeniedException', 'secret', 500],
  ])('SageMaker\'s %s "%s" is a %i', async (name, message, status) => {
    sagemaker.on(UpdateModelPackageCommand).rejects(Object.assign(new Error(message), { name }));
    const got = await approve();
    expect(got.status).toBe(status);
    expect(JSON.stringify(got.body)).not.toContain('secret');
  });

  describe('where duties are separated', () => {
    const madeBy = (caller: string | undefined, PipelineExecutionArn = EXECUTION) => {
      process.env.SEPARATED_PIPELINES = '["P"]';
      sagemaker.on(DescribeModelPackageCommand).resolves({ ModelApprovalStatus: 'PendingManualApproval', CustomerMetadataProperties: { PipelineExecutionArn } });
      sagemaker.on(DescribePipelineExecutionCommand).resolves({ PipelineExecutionDescription: caller });
    };

    test('who started the training hears a 403 with the reason', async () => {
      sagemaker.on(DescribePipelineCommand).resolves({ PipelineDefinition: '{"Parameters":[]}' });
      process.env.PIPELINES = JSON.stringify([{ name: 'p', parametersFile }]);
      await call(training, request('POST /training/start'));
      const description = sagemaker.commandCalls(StartPipelineExecutionCommand)[0].args[0].input.PipelineExecutionDescription;
      expect(description).toBe('Started by ana@example.com (u-1) through the API');
      madeBy(description);
      expect(await approve()).toMatchObject({ status: 403, body: { error: { message: expect.stringContaining('you started the training') } } });
      expect(sagemaker.commandCalls(UpdateModelPackageCommand)).toHaveLength(0);
    });

    test.each([
      ['somebody else started it', 'Started by ana@example.com (u-2) through the API', EXECUTION],
      ['data started it', undefined, EXECUTION],
      ['the API does not serve its pipeline', 'Started by x (u-1) through the API', EXECUTION.replace('pipeline/p', 'pipeline/other')],
    ])('a decision is taken where %s', async (_, description, execution) => {
      madeBy(description, execution);
      expect((await approve()).status).toBe(200);
    });

    test('nobody decides where SageMaker does not say who started it', async () => {
      madeBy(undefined);
      sagemaker.on(DescribePipelineExecutionCommand).rejects(Object.assign(new Error(), { name: 'AccessDeniedException' }));
      expect((await approve()).status).toBe(500);
      expect(sagemaker.commandCalls(UpdateModelPackageCommand)).toHaveLength(0);
    });
  });

  test('fails when the package was not registered completely', async () => {
    sagemaker.on(DescribeModelPackageCommand).resolves({ ModelPackageStatus: 'Failed' });
    expect((await approve()).status).toBe(409);
  });
});

describe('training', () => {
  const start = (options: { body?: unknown; headers?: Record<string, string>; text?: string } = {}) => call(training, request('POST /training/start', options));
  const started = () => sagemaker.commandCalls(StartPipelineExecutionCommand).map((c) => c.args[0].input);
  const definition = JSON.stringify({
    Version: '2020-12-01',
    Parameters: [
      { Name: 'InputData', Type: 'String' }, { Name: 'ManifestId', Type: 'String' },
      { Name: 'MaxDepth', Type: 'Integer', DefaultValue: 5 }, { Name: 'MseThreshold', Type: 'Float', DefaultValue: 6 },
      { Name: 'Eta', Type: 'Float', DefaultValue: 0.3 }, { Name: 'TrainingInstanceType', Type: 'String', DefaultValue: 'ml.m5.large' },
      { Name: 'ModelApprovalStatus', Type: 'String', DefaultValue: 'PendingManualApproval', EnumValues: ['PendingManualApproval', 'Approved', 'Rejected'] },
      { Name: 'Verbose', Type: 'Boolean' },
    ],
    Steps: [],
  });

  beforeEach(() => {
    sagemaker.on(DescribePipelineCommand).resolves({ PipelineDefinition: definition });
    sagemaker.on(StartPipelineExecutionCommand).resolves({ PipelineExecutionArn: EXECUTION });
    tables.on(ScanCommand).resolvesOnce({
      Items: [{ id: 'c'.repeat(64), status: 'QUARANTINED', createdAt: '2026-03-03T00:00:00Z' }, { id: ID, status: 'SUCCEEDED', createdAt: '2026-01-01T00:00:00Z' }],
      LastEvaluatedKey: { id: ID },
    }).resolves({ Items: [{ id: OTHER_ID, status: 'SUCCEEDED', createdAt: '2026-02-02T00:00:00Z' }] });
    tables.on(GetCommand, { TableName: 'datasets' }).resolves({});
    tables.on(GetCommand, { Key: { id: ID } }).resolves({ Item: { id: ID, status: 'SUCCEEDED' } });
    tables.on(GetCommand, { Key: { id: OTHER_ID } }).resolves({ Item: { id: OTHER_ID, status: 'QUARANTINED' } });
  });

  test('takes the newest data set that succeeded, with no body at all', async () => {
    expect(await start()).toMatchObject({ status: 202, body: { executionArn: EXECUTION, pipeline: 'p', dataset: OTHER_ID } });
    expect(started()[0]).toMatchObject({
      PipelineName: 'p',
      PipelineParameters: [{ Name: 'InputData', Value: `s3://data/processed/${OTHER_ID}` }, { Name: 'ManifestId', Value: OTHER_ID }],
    });
    expect(started()[0].ClientRequestToken!.length).toBeGreaterThanOrEqual(32);
  });

  test('takes what it is told, with parameters as text', async () => {
    await start({ body: { dataset: ID, parameters: { MaxDepth: 4, Eta: '0.50', Verbose: true, ModelApprovalStatus: 'Rejected' } } });
    expect(started()[0].PipelineParameters).toEqual(expect.arrayContaining([
      { Name: 'MaxDepth', Value: '4' }, { Name: 'Eta', Value: '0.5' }, { Name: 'Verbose', Value: 'true' }, { Name: 'ManifestId', Value: ID },
    ]));
  });

  describe('with an idempotency key', () => {
    const key = { 'Idempotency-Key': 'k' };
    const forget = () => answers.clear();

    test('equal requests are one, whatever the order of their fields, and get the first answer though newer data came', async () => {
      const first = await start({ text: `{"dataset":"${ID}","parameters":{"MaxDepth":3,"Eta":0.5}}`, headers: key });
      const again = await start({ text: `{"parameters":{"Eta":0.5,"MaxDepth":3},"dataset":"${ID}"}`, headers: key });
      expect([first.status, again]).toEqual([202, expect.objectContaining({ status: 202, body: first.body })]);
      expect(started()).toHaveLength(1);

      forget();
      await start({ headers: key });
      tables.on(ScanCommand).resolves({ Items: [{ id: ID, status: 'SUCCEEDED', createdAt: '2026-12-12T00:00:00Z' }] });
      expect(await start({ headers: key })).toMatchObject({ status: 202, body: { dataset: OTHER_ID } });
      expect(started()).toHaveLength(2);
    });

    test('another request under the key is a 422', async () => {
      await start({ body: { dataset: ID }, headers: key });
      expect(await start({ body: { dataset: ID, parameters: { MaxDepth: 3 } }, headers: key })).toMatchObject({
        status: 422, body: { error: { code: 'IdempotencyKeyReused' } },
      });
      expect(started()).toHaveLength(1);
    });

    test('of requests at one time one starts, and the others hear that it is in progress', async () => {
      const all = await Promise.all(Array.from({ length: 5 }, () => start({ body: { dataset: ID }, headers: key })));
      expect(all.map(({ status }) => status).sort()).toEqual([202, 409, 409, 409, 409]);
      expect(all.find(({ status }) => status === 409)!.headers['retry-after']).toBe('2');
      expect(started()).toHaveLength(1);
    });

    test('a request that failed can be repeated', async () => {
      sagemaker.on(StartPipelineExecutionCommand).rejectsOnce(Object.assign(new Error(), { name: 'ResourceLimitExceeded' }))
        .resolves({ PipelineExecutionArn: EXECUTION });
      expect((await start({ body: { dataset: ID }, headers: key })).status).toBe(429);
      expect((await start({ body: { dataset: ID }, headers: key })).status).toBe(202);
    });

    test('a request whose handler was stopped can be repeated, under the token that SageMaker knows', async () => {
      await start({ body: { dataset: ID }, headers: key });
      const [stored] = answers.values();
      delete stored.answer;
      stored.atWorkUntil = Math.floor(Date.now() / 1000) - 1;
      expect((await start({ body: { dataset: ID }, headers: key })).status).toBe(202);
      expect(new Set(started().map((input) => input.ClientRequestToken)).size).toBe(1);
      expect(started()).toHaveLength(2);
    });

    test('it is the caller\'s own, and good for a day', async () => {
      await start({ body: { dataset: ID }, headers: key });
      await call(training, request('POST /training/start', { body: { dataset: OTHER_ID }, headers: key, claims: { ...OPERATOR, sub: 'u-2' } }));
      expect(answers.size).toBe(1);
      await call(training, request('POST /training/start', { body: { dataset: ID }, headers: key, claims: { ...OPERATOR, sub: 'u-2' } }));
      expect(answers.size).toBe(2);
      const [stored] = answers.values();
      expect(Number(stored.expiresAt) - Date.now() / 1000).toBeGreaterThan(23 * 3600);
      stored.expiresAt = 0;
      expect((await start({ body: { dataset: ID, parameters: { MaxDepth: 3 } }, headers: key })).status).toBe(202);
    });
  });

  test('without a key each request starts a training', async () => {
    await start({ body: { dataset: ID } });
    await start({ body: { dataset: ID } });
    expect(new Set(started().map((input) => input.ClientRequestToken)).size).toBe(2);
    expect(answers.size).toBe(0);
  });

  test.each([
    ['a parameter is misspelt', { parameters: { MaxDept: 3 } }, /did you mean "MaxDepth"\?/],
    ['a parameter is unknown', { parameters: { zzzzzzzz: 3 } }, /you may set "MaxDepth"/],
    ['a whole number is none', { parameters: { MaxDepth: 2.5 } }, /whole number/],
    ['a number is a text', { parameters: { Eta: 'six' } }, /Eta must be a number/],
    ['a number is empty', { parameters: { Eta: '' } }, /Eta must be a number/],
    ['a limit of the gate is given', { parameters: { MseThreshold: 1e9 } }, /MseThreshold is not for callers to set/],
    ['an instance type is given', { parameters: { TrainingInstanceType: 'ml.p4d.24xlarge' } }, /TrainingInstanceType is not for callers to set/],
    ['a number is above its range', { parameters: { MaxDepth: 11 } }, /MaxDepth must be at least 0 and at most 10, not 11/],
    ['a number is at an end that does not belong to its range', { parameters: { Eta: 0 } }, /Eta must be above 0 and at most 1, not 0/],
    ['a value is a list', { parameters: { ModelApprovalStatus: ['Approved'] } }, /text/],
    ['a value is an object with a will of its own', { parameters: { Verbose: { toString: '' } } }, /Verbose must be true or false/],
    ['a value is not among those allowed', { parameters: { ModelApprovalStatus: 'Maybe' } }, /one of/],
    ['a training would approve itself', { parameters: { ModelApprovalStatus: 'Approved' } }, /POST \/models/],
    ['the place of the data is given', { parameters: { InputData: 's3://elsewhere' } }, /follows from the data set/],
    ['parameters are a list', { parameters: [1] }, /object/],
    ['the data set has no id', { dataset: 'abalone.csv' }, /64 hexadecimal/],
    ['there is another field', { data: ID }, /nobody reads/],
  ])('fails when %s', async (_, body, message) => {
    const got = await start({ body });
    expect(got.status).toBe(400);
    expect(JSON.stringify(got.body.error).replaceAll('\\"', '"')).toMatch(message);
    expect(started()).toHaveLength(0);
  });

  test('fails when the data set is not there, or did not succeed, or there is none', async () => {
    expect((await start({ body: { dataset: 'd'.repeat(64) } })).status).toBe(404);
    expect((await start({ body: { dataset: OTHER_ID } }))).toMatchObject({ status: 409, body: { error: { message: expect.stringContaining('QUARANTINED') } } });
    tables.on(ScanCommand).resolves({ Items: [] });
    tables.reset();
    tables.on(ScanCommand).resolves({ Items: [] });
    expect((await start())).toMatchObject({ status: 409, body: { error: { code: 'NoDataset' } } });
  });

  test('fails when there are more parameters than SageMaker takes', async () => {
    const parameters = Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`Parameter${i}`, i]));
    expect(await start({ body: { parameters } })).toMatchObject({ status: 400, body: { error: { message: 'parameters must hold at most 200 values, not 50000' } } });
  });

  test('fails when the idempotency key is empty or long', async () => {
    expect((await start({ headers: { 'idempotency-key': ' ' } })).status).toBe(400);
    expect((await start({ headers: { 'idempotency-key': 'k'.repeat(256) } })).status).toBe(400);
  });

  test('without a data pipeline the caller says where the data are', async () => {
    process.env.PIPELINES = JSON.stringify([{ name: 'p', parametersFile: withPlace }]);
    expect(await start({ body: { parameters: { InputData: 's3://mine' } } })).toMatchObject({ status: 202, body: { executionArn: EXECUTION } });
    expect(started()[0].PipelineParameters).toEqual([{ Name: 'InputData', Value: 's3://mine' }]);
    expect((await start({ body: { dataset: ID } })).status).toBe(400);
  });

  test.each([['ResourceNotFound', 503], ['ConflictException', 409], ['ResourceLimitExceeded', 429], ['ThrottlingException', 429], ['AccessDeniedException', 500]])(
    'SageMaker\'s %s is a %i', async (name, status) => {
      sagemaker.on(StartPipelineExecutionCommand).rejects(Object.assign(new Error('secret'), { name }));
      const got = await start();
      expect(got.status).toBe(status);
      expect(JSON.stringify(got.body)).not.toContain('secret');
    });

  test('whatever the body is, it is answered, and nothing starts that was not asked for well', async () => {
    const parameters = fc.dictionary(fc.constantFrom('MaxDepth', 'MseThreshold', 'Verbose', 'ModelApprovalStatus', 'InputData'), fc.jsonValue());
    const wellFormed = fc.record({ dataset: fc.jsonValue(), parameters: fc.oneof(parameters, fc.jsonValue()) }, { requiredKeys: [] });
    const bodies = fc.oneof(fc.jsonValue(), wellFormed);
    await fc.assert(fc.asyncProperty(bodies, async (body) => {
      expect([202, 400, 404, 409]).toContain((await start({ text: JSON.stringify(body) })).status);
    }), { numRuns: 50 });
  });
});

describe('one of several', () => {
  beforeEach(() => {
    Object.assign(process.env, {
      MODEL_PACKAGE_GROUPS: JSON.stringify([{ name: 'animals', table: 'catalog' }, { name: 'wines', table: 'cellar' }]),
      PIPELINES: JSON.stringify([{ name: 'p', dataset: 'animals', parametersFile }, { name: 'q', dataset: 'wines', parametersFile }, { name: 'r', parametersFile }]),
      DATASETS: JSON.stringify([{ name: 'animals', table: 'zoo', processedData: 's3://zoo/processed' }, { name: 'wines', table: 'bottles', processedData: 's3://cellar/processed' }]),
    });
    tables.on(QueryCommand).resolves({ Items: [] });
    tables.on(ScanCommand).resolves({ Items: [{ id: ID, status: 'SUCCEEDED', createdAt: 't' }] });
    sagemaker.on(DescribePipelineCommand).resolves({ PipelineDefinition: '{"Parameters":[{"Name":"InputData","Type":"String"}]}' });
    sagemaker.on(StartPipelineExecutionCommand).resolves({ PipelineExecutionArn: EXECUTION });
  });

  test.each([
    ['GET /models', models, 'group', ['animals', 'wines']],
    ['GET /datasets', datasets, 'dataset', ['animals', 'wines']],
    ['POST /training/start', training, 'pipeline', ['p', 'q', 'r']],
  ] as const)('%s asks which one, and lists them', async (key, handler, parameter, names) => {
    const missing = await call(handler, request(key));
    expect(missing).toMatchObject({ status: 400, body: { error: { details: [{ field: parameter, allowed: names }] } } });
    expect(missing.body.error.message).toMatch(new RegExp(`^there are several: name one with \\?${parameter}=, of "${names[0]}", "${names[1]}"`));
    expect(await call(handler, request(key, { query: { [parameter]: 'other' } }))).toMatchObject({
      status: 400, body: { error: { message: expect.stringContaining(`there is no ${parameter} "other"`), details: [{ value: 'other', allowed: names }] } },
    });
    expect(tables.calls()).toHaveLength(0);
    expect(sagemaker.calls()).toHaveLength(0);
  });

  test('models come from the table and the partitions of their group', async () => {
    expect((await call(models, request('GET /models', { query: { group: 'wines' } }))).status).toBe(200);
    expect(tables.commandCalls(QueryCommand).map((c) => [c.args[0].input.TableName, c.args[0].input.ExpressionAttributeValues![':pk']]))
      .toEqual([['cellar', 'MODEL#wines'], ['cellar', 'SERVING#wines']]);
  });

  test('data sets come from their table', async () => {
    await call(datasets, request('GET /datasets', { query: { dataset: 'wines' } }));
    expect(tables.commandCalls(ScanCommand).map((c) => c.args[0].input.TableName)).toEqual(['bottles']);
  });

  test('a training takes the data of its pipeline', async () => {
    const start = (pipeline: string) => call(training, request('POST /training/start', { query: { pipeline } }));
    expect((await start('q')).body).toEqual({ executionArn: EXECUTION, pipeline: 'q', dataset: ID });
    expect((await start('r')).body).toEqual({ executionArn: EXECUTION, pipeline: 'r' });
    const started = sagemaker.commandCalls(StartPipelineExecutionCommand).map((c) => c.args[0].input);
    expect(started.map(({ PipelineName, PipelineParameters }) => [PipelineName, PipelineParameters])).toEqual([
      ['q', [{ Name: 'InputData', Value: `s3://cellar/processed/${ID}` }]], ['r', []],
    ]);
  });

  test('one idempotency key of two pipelines is two trainings', async () => {
    const start = (pipeline: string) => call(training, request('POST /training/start', { query: { pipeline }, headers: { 'idempotency-key': 'k' } }));
    await start('p');
    await start('q');
    expect(new Set(sagemaker.commandCalls(StartPipelineExecutionCommand).map((c) => c.args[0].input.ClientRequestToken)).size).toBe(2);
  });

  test('fails when the query has what the route does not know', async () => {
    const got = await call(training, request('POST /training/start', { query: { pipeline: 'p', dataset: ID } }));
    expect(got).toMatchObject({ status: 400, body: { error: { details: [{ field: 'dataset', allowed: ['pipeline'] }] } } });
  });
});

describe('data sets', () => {
  test('are listed newest first, page by page, each once', async () => {
    const items = Array.from({ length: 7 }, (_, i) => ({
      id: String(i).repeat(64), status: 'SUCCEEDED', createdAt: i < 5 ? `2026-01-0${1 + Math.floor(i / 2)}` : undefined, secret: 'x',
    }));
    tables.on(ScanCommand).resolves({ Items: items });
    const seen: string[] = [];
    let nextToken: string | undefined;
    for (let pages = 0; pages < 10; pages++) {
      const { body } = await call(datasets, request('GET /datasets', { query: { limit: '2', ...(nextToken ? { nextToken } : {}) } }));
      seen.push(...body.datasets.map((d) => d.id[0]));
      expect(JSON.stringify(body)).not.toContain('secret');
      nextToken = body.nextToken;
      if (!nextToken) {
        break;
      }
    }
    expect(seen).toEqual(['4', '2', '3', '0', '1', '5', '6']);
  });
});
