/** Names that the inference constructs and their handlers share. No imports: handlers bundle it. */

/** The one production variant of an endpoint. */
export const VARIANT = 'AllTraffic';

/** What Application Auto Scaling calls the number of instances of a variant. */
export const SCALABLE_DIMENSION = 'sagemaker:variant:DesiredInstanceCount';

/** Identifier of a variant for Application Auto Scaling. */
export function scalableResourceId(endpointName: string): string {
  return `endpoint/${endpointName}/variant/${VARIANT}`;
}

/** File beside the smoke handler's code. */
export const SCHEMA_FILE = 'schema.json';

/** Models and endpoint configs of an endpoint are named by this prefix, a hyphen and so many hexadecimal digits. */
export const RELEASE_DIGITS = 16;

/** Tag of a model that names the version that it was made from. */
export const MODEL_PACKAGE_TAG = 'cdk-mlops:model-package';

/** Properties of the custom resource that removes what the workflow made. */
export interface CleanupProperties {
  readonly EndpointName: string;
  readonly Prefix: string;
  readonly StateMachineArn: string;
  readonly TableName: string;
  readonly GroupName: string;
}

/** Source and type of the event that tells of a model that serves now. */
export const DEPLOYED_EVENT = { source: 'cdk-mlops', detailType: 'Model Deployed' } as const;
