/** Names of the environment variables that `MlopsApi` sets on its handlers. */
export const ApiEnvironment = {
  /** `cognito`, `iam` or `open`. */
  ACCESS: 'ACCESS',
  /** Cognito group whose members may approve models. */
  APPROVER_GROUP: 'APPROVER_GROUP',
  DATASETS_TABLE: 'DATASETS_TABLE',
  /** Table that says which model versions there are and what serves. */
  CATALOG_TABLE: 'CATALOG_TABLE',
  /** Group whose versions the catalog is asked for. */
  MODEL_PACKAGE_GROUP_NAME: 'MODEL_PACKAGE_GROUP_NAME',
  PIPELINE_NAME: 'PIPELINE_NAME',
  /** `s3://bucket/prefix` below which each data set has a folder named after its id. */
  PROCESSED_DATA: 'PROCESSED_DATA',
  ENDPOINT_NAME: 'ENDPOINT_NAME',
} as const;

/** The data contract, beside the code of the handlers that need it. */
export const SCHEMA_FILE = 'schema.json';

/** Seconds after which a handler is stopped; API Gateway itself gives up after 30. */
export const HANDLER_TIMEOUT_SECONDS = 29;

/** Most instances that one prediction request may hold. */
export const MAX_INSTANCES = 500;
