/** What a value of a request or an answer looks like: the part of JSON Schema that the routes need. No imports: handlers bundle it. */
export interface Shape {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean';
  readonly description?: string;
  readonly properties?: Properties;
  /** Properties that are always there. */
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Shape;
  readonly items?: Shape;
  readonly anyOf?: readonly Shape[];
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly default?: unknown;
}

export interface Properties {
  readonly [name: string]: Shape;
}

/** Names that select one part where the API has several of its kind, as query parameters. */
export const SELECTORS = {
  data: 'dataset',
  training: 'pipeline',
  registry: 'group',
  endpoint: 'endpoint',
} as const;

/** Limits of lists. */
export const PAGE_LIMIT = { default: 50, max: 200 } as const;

/** Most instances that one prediction request may hold. */
export const MAX_INSTANCES = 500;

/** Most characters of a comment on a decision. */
export const MAX_COMMENT = 500;

/** What may be decided about a model version. */
export const DECISIONS = ['Approved', 'Rejected'] as const;

/** Query parameters of a list. */
export const PAGE = {
  limit: { type: 'integer', minimum: 1, maximum: PAGE_LIMIT.max, default: PAGE_LIMIT.default, description: 'most items of the page' },
  nextToken: { type: 'string', description: 'what the page before gave' },
} as const satisfies Properties;

export const DATASET_ID = { type: 'string', pattern: '^[0-9a-f]{64}$', description: 'id of a data set' } as const satisfies Shape;

/** A data set as callers get it. */
export const DATASET = {
  type: 'object',
  required: ['id'],
  properties: {
    id: DATASET_ID,
    name: { type: 'string', description: 'name that its schema has' },
    status: { type: 'string', description: '`SUCCEEDED`: it can be trained on' },
    createdAt: { type: 'string' },
    updatedAt: { type: 'string' },
    rows: { type: 'integer' },
    files: { type: 'array', items: { type: 'object' }, description: 'the files that it was made of' },
    error: { type: 'string' },
    warnings: { type: 'array', items: { type: 'string' }, description: 'what failed beside it, such as a notification' },
    report: { type: 'string', description: 'S3 URI of the validation report' },
    executionArn: { type: 'string' },
    pipelineExecutionArn: { type: 'string' },
  },
} as const satisfies Shape;

export const GROUP = { type: 'string', description: 'name of a model package group' } as const satisfies Shape;
export const VERSION = { type: 'integer', minimum: 1, description: 'version in the group' } as const satisfies Shape;

/** A model version as callers get it. */
export const MODEL = {
  type: 'object',
  required: ['group', 'version', 'status', 'serving'],
  properties: {
    group: GROUP,
    version: VERSION,
    status: { type: 'string', enum: ['PendingManualApproval', ...DECISIONS, 'Deleted'] },
    packageStatus: { type: 'string', description: '`Completed` where it was registered completely' },
    metrics: { type: 'object', additionalProperties: { type: 'number' } },
    metricsProblem: { type: 'string', description: 'why metrics are missing, all or some' },
    artifactsProblem: { type: 'string', description: 'why the artifacts could not be copied, so that the version cannot be deployed' },
    gate: { type: 'object', additionalProperties: { type: 'string' }, description: 'limits that the metrics had to keep, such as `at most 6`' },
    manifestId: { ...DATASET_ID, description: 'id of the data set that it learned from' },
    createdAt: { type: 'string' },
    updatedAt: { type: 'string' },
    approvedBy: { type: 'string' },
    approvalDescription: { type: 'string' },
    modelPackageArn: { type: 'string' },
    pipelineExecutionArn: { type: 'string' },
    serving: { type: 'boolean' },
    endpoints: { type: 'array', items: { type: 'string' }, description: 'endpoints that serve it' },
  },
} as const satisfies Shape;

/** A list of `items` under a name, a page of it. */
export function pageOf(name: string, items: Shape): Shape {
  return { type: 'object', required: [name], properties: { [name]: { type: 'array', items }, nextToken: PAGE.nextToken } };
}
