/** What `MlopsApi` sets for its handlers. No imports: both sides use it. */

/** What callers may be, each including those before: viewers read and predict, operators start trainings, approvers decide about models. */
export const API_ROLES = ['viewer', 'operator', 'approver'] as const;

export type ApiRole = (typeof API_ROLES)[number];

/** The group of users that has each role. */
export type RoleGroups = { readonly [role in ApiRole]: string };

/** Names of environment variables. */
export const ApiEnvironment = {
  /** `cognito`, `iam` or `open`. */
  ACCESS: 'ACCESS',
  /** With Cognito: the group of each role, JSON. */
  ROLE_GROUPS: 'ROLE_GROUPS',
  /** Table of the answers that are given again to equal requests with one idempotency key. */
  IDEMPOTENCY_TABLE: 'IDEMPOTENCY_TABLE',
  /** Names of the pipelines whose versions nobody may decide about who started the training: a JSON list. */
  SEPARATED_PIPELINES: 'SEPARATED_PIPELINES',
  /** What is served of each kind of part: a JSON list of the settings below. */
  data: 'DATASETS',
  training: 'PIPELINES',
  registry: 'MODEL_PACKAGE_GROUPS',
  endpoint: 'ENDPOINTS',
} as const;

/** A parameter of a pipeline that callers may set. */
export interface CallerParameter {
  readonly name: string;
  readonly min?: number;
  readonly max?: number;
  /** Whether the least value itself is not allowed. */
  readonly exclusiveMin?: boolean;
}

/** What a handler knows of a part of each kind. `name` is that by which callers select it. */
export interface PartSettings {
  readonly data: {
    readonly name: string;
    readonly table: string;
    /** `s3://bucket/prefix` below which each data set has a folder named after its id. */
    readonly processedData: string;
  };
  readonly training: {
    readonly name: string;
    /** Name of the data that it is started with. */
    readonly dataset?: string;
    /** File beside the code of the handler that lists the parameters that callers may set: `CallerParameter[]`. */
    readonly parametersFile: string;
  };
  readonly registry: {
    readonly name: string;
    /** The catalog: which versions there are and what serves. */
    readonly table: string;
  };
  readonly endpoint: {
    readonly name: string;
    /** File beside the code of the handler that holds the data contract. */
    readonly schemaFile: string;
  };
}

/** Most parts of one kind. The environment of a function holds 4 KB, and the settings of a part take up to 300 bytes. */
export const MAX_PARTS = 10;

/** Seconds after which a handler is stopped; API Gateway itself gives up after 30. */
export const HANDLER_TIMEOUT_SECONDS = 29;
