import type * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import type { ApiRole } from './environment';
import type { ServedModel } from './served-model';
import { DATASET, DATASET_ID, DECISIONS, GROUP, MAX_COMMENT, MAX_INSTANCES, MODEL, PAGE, pageOf, Properties, SELECTORS, Shape, VERSION } from './shapes';
import { arnSpellings } from '../shared/arn-spellings';
import type { HandlerFunction } from '../shared/handler-function';

/** A part of the platform that brings routes. */
export type PartName = 'data' | 'training' | 'registry' | 'endpoint';

/** The functions of the API: `models` is bundled from `models.lambda.ts`. */
export const HANDLERS = {
  health: 'Says that the API is there',
  datasets: 'Lists data sets',
  training: 'Starts trainings',
  models: 'Lists and approves models',
  predict: 'Checks instances and asks endpoints for predictions',
} as const;

export type HandlerName = keyof typeof HANDLERS;

/** All that there is to know about a route. */
export interface RouteDescription {
  readonly method: 'GET' | 'POST';
  /** With its parameters in braces. */
  readonly path: `/${string}`;
  /** What it does, for people. */
  readonly summary: string;
  /** Who may call: anyone at all, or who has this role or a higher one. */
  readonly caller: 'anyone' | ApiRole;
  /** The part that brings it. @default - it is always there */
  readonly part?: PartName;
  /** A part of the same model that its handler uses too, where there is one. */
  readonly uses?: PartName;
  readonly handler: HandlerName;
  /** Whether it takes a header `Idempotency-Key`. */
  readonly idempotent?: true;
  /** Grants its handler what it needs on the parts of one model. */
  readonly grant?: (handler: HandlerFunction, model: ServedModel) => void;
  readonly parameters?: Properties;
  readonly query?: Properties;
  readonly body?: Shape;
  readonly answer: { readonly status: number; readonly body: Shape };
}

const selector = (what: string): Shape => ({ type: 'string', description: `${what}; needed where the API has several` });

/**
 * Every route of the API. API Gateway's routes, the grants of the handlers, their dispatch, who may call, the `grantX` methods and the
 * table in the README follow from it. Types alone of the CDK are imported here, because the handlers bundle it.
 */
export const ROUTES = [
  {
    method: 'POST',
    path: '/inference/predict',
    summary: 'checks instances against the schema and asks an endpoint for predictions',
    caller: 'viewer',
    part: 'endpoint',
    handler: 'predict',
    grant: (handler, { endpoint }) => endpoint?.grantInvoke(handler),
    query: { [SELECTORS.endpoint]: selector('name of an endpoint') },
    body: {
      anyOf: [
        {
          type: 'object',
          required: ['instances'],
          properties: { instances: { type: 'array', minItems: 1, maxItems: MAX_INSTANCES, items: { type: 'object' } } },
          additionalProperties: false,
        },
        { type: 'object', description: 'one instance' },
      ],
    },
    answer: {
      status: 200,
      body: {
        type: 'object',
        required: ['predictions', 'model', 'requestId'],
        properties: {
          predictions: { type: 'array', items: { type: 'object' } },
          model: { type: 'object', required: ['endpoint'], properties: { endpoint: { type: 'string' }, variant: { type: 'string' } } },
          requestId: { type: 'string' },
        },
      },
    },
  },
  {
    method: 'POST',
    path: '/training/start',
    summary: 'starts a training on a data set (default: the newest), with other parameters if you like',
    caller: 'operator',
    part: 'training',
    uses: 'data',
    handler: 'training',
    idempotent: true,
    grant: (handler, { training, data }) => {
      training?.grantStartPipelineExecution(handler);
      // Its definition says which parameters there are, and of which type.
      handler.allow(['sagemaker:DescribePipeline'], training ? arnSpellings(training.pipelineArn) : []);
      allowOnTable(handler, data?.datasetTable, 'dynamodb:Scan', 'dynamodb:GetItem');
    },
    query: { [SELECTORS.training]: selector('name of a training pipeline') },
    body: {
      type: 'object',
      properties: {
        dataset: { ...DATASET_ID, description: 'id of a data set; the newest one by default' },
        parameters: { type: 'object', additionalProperties: { anyOf: [{ type: 'string' }, { type: 'number' }, { type: 'boolean' }] } },
      },
      additionalProperties: false,
    },
    answer: {
      status: 202,
      body: {
        type: 'object',
        required: ['executionArn', 'pipeline'],
        properties: { executionArn: { type: 'string' }, pipeline: { type: 'string' }, dataset: DATASET_ID },
      },
    },
  },
  {
    method: 'GET',
    path: '/models',
    summary: 'lists the versions of a model package group with their metrics, newest first',
    caller: 'viewer',
    part: 'registry',
    handler: 'models',
    grant: (handler, { registry }) => registry?.grantReadCatalog(handler),
    query: { [SELECTORS.registry]: selector('name of a model package group'), ...PAGE },
    answer: { status: 200, body: pageOf('models', MODEL) },
  },
  {
    method: 'GET',
    path: '/models/{group}/versions/{version}',
    summary: 'shows one version: metrics, lineage, who approved it, where it serves',
    caller: 'viewer',
    part: 'registry',
    handler: 'models',
    grant: (handler, { registry }) => registry?.grantReadCatalog(handler),
    parameters: { group: GROUP, version: VERSION },
    answer: { status: 200, body: MODEL },
  },
  {
    method: 'POST',
    path: '/models/{group}/versions/{version}/approval',
    summary: 'approves or rejects a version',
    caller: 'approver',
    part: 'registry',
    handler: 'models',
    grant: (handler, { registry }) => {
      registry?.grantReadCatalog(handler);
      registry?.grantApprove(handler);
    },
    parameters: { group: GROUP, version: VERSION },
    body: {
      type: 'object',
      required: ['status'],
      properties: { status: { type: 'string', enum: DECISIONS }, comment: { type: 'string', maxLength: MAX_COMMENT } },
      additionalProperties: false,
    },
    answer: {
      status: 200,
      body: {
        type: 'object',
        required: ['group', 'version', 'status', 'changed'],
        properties: { group: GROUP, version: VERSION, status: { type: 'string', enum: DECISIONS }, changed: { type: 'boolean' } },
      },
    },
  },
  {
    method: 'GET',
    path: '/datasets',
    summary: 'lists data sets and what became of them, newest first',
    caller: 'viewer',
    part: 'data',
    handler: 'datasets',
    grant: (handler, { data }) => allowOnTable(handler, data?.datasetTable, 'dynamodb:Scan'),
    query: { [SELECTORS.data]: selector('name that a schema has'), ...PAGE },
    answer: { status: 200, body: pageOf('datasets', DATASET) },
  },
  {
    method: 'GET',
    path: '/health',
    summary: 'answers without credentials',
    caller: 'anyone',
    handler: 'health',
    answer: { status: 200, body: { type: 'object', required: ['status'], properties: { status: { type: 'string', enum: ['ok'] } } } },
  },
] as const satisfies readonly RouteDescription[];

type Route = (typeof ROUTES)[number];
type KeyOf<R> = R extends { readonly method: infer M extends string; readonly path: infer P extends string } ? `${M} ${P}` : never;

/** How API Gateway calls a route: `GET /models`. */
export type RouteKey = KeyOf<Route>;

/** Keys of the routes that a handler answers. */
export type RouteKeyOf<H extends HandlerName> = KeyOf<Extract<Route, { readonly handler: H }>>;

/** Key of a route, such as `GET /models`. */
export function keyOf({ method, path }: RouteDescription): RouteKey {
  return `${method} ${path}` as RouteKey;
}

/** The route of a key. */
export function routeOf(key: RouteKey): RouteDescription {
  return ROUTES.find((route) => keyOf(route) === key)!;
}

/** Names of the fields that the body of a route may have. */
export function bodyFields(key: RouteKey): string[] {
  return Object.keys(routeOf(key).body?.properties ?? {});
}

/** Only what is used: `grantReadData` would allow streams and more. */
function allowOnTable(handler: HandlerFunction, table: dynamodb.ITableV2 | undefined, ...actions: string[]): void {
  table?.grant(handler, ...actions);
  table?.encryptionKey?.grantDecrypt(handler);
}
