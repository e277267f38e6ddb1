import type { Fields } from './asl';
import type { CapacitySettings } from './capacity';
import type { CatalogKey } from '../registry/catalog.lambda-shared';

/** Everything that the workflow knows when it is synthesized. */
export interface WorkflowSettings {
  readonly endpointName: string;
  /** Group of the versions that it serves. */
  readonly modelPackageGroupName: string;
  /** Models and endpoint configs are named by it and a random suffix. */
  readonly prefix: string;
  readonly modelRoleArn: string;
  readonly smokeFunctionArn: string;
  readonly tableName: string;
  readonly capacity: CapacitySettings;
  /** Text of the capacity: another text is another deployment. */
  readonly capacityText: string;
  readonly pollSeconds: number;
  readonly timeoutSeconds: number;
  /** Beginnings of the ARNs of Step Functions' integrations. */
  readonly services: { readonly [service in 'sagemaker' | 'autoscaling' | 'dynamodb' | 'lambda' | 'sfn' | 'events']: string };
}

/** A key of the catalog as DynamoDB takes it. */
export function attributesOf({ pk, sk }: CatalogKey): Fields {
  return { pk: { S: pk }, sk: { S: sk } };
}
