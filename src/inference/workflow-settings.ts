import type { Fields } from './asl';
import type { CapacitySettings } from './capacity';
import { CATALOG } from '../registry/catalog.lambda-shared';

/** Everything that the workflow knows when it is synthesized. */
export interface WorkflowSettings {
  readonly endpointName: string;
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

/** Key of an item of this endpoint in the catalog. */
export function key(settings: WorkflowSettings, partition: string): Fields {
  return { [CATALOG.partitionKey]: { S: partition }, [CATALOG.sortKey]: { S: settings.endpointName } };
}
