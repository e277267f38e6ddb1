import { CloudFormationClient, paginateListStackResources } from '@aws-sdk/client-cloudformation';
import { AssembledStack, Template } from './assembly';
import { Environment } from './environment';

/** What a deployed stack holds: logical to physical ids. */
export interface DeployedStack {
  readonly name: string;
  /** Path in the app; of a nested stack its ARN. */
  readonly id: string;
  readonly stage: string;
  readonly environment: Environment;
  readonly template: Template;
  readonly resources: ReadonlyMap<string, { readonly type: string; readonly physicalId: string }>;
}

/** Asks CloudFormation for the resources of stacks and of the stacks nested in them. */
export async function readDeployed(
  clientIn: (environment: Environment) => CloudFormationClient, stacks: readonly AssembledStack[],
): Promise<DeployedStack[]> {
  const found: DeployedStack[] = [];
  for (const stack of stacks) {
    found.push(...await readOne(clientIn(stack.environment), stack));
  }
  return found;
}

type ToRead = Pick<DeployedStack, 'id' | 'name' | 'stage' | 'environment' | 'template'>;

async function readOne(client: CloudFormationClient, { id, name, stage, environment, template }: ToRead): Promise<DeployedStack[]> {
  const resources = new Map<string, { type: string; physicalId: string }>();
  for await (const page of paginateListStackResources({ client }, { StackName: name })) {
    for (const { LogicalResourceId, ResourceType, PhysicalResourceId } of page.StackResourceSummaries ?? []) {
      if (LogicalResourceId && PhysicalResourceId) {
        resources.set(LogicalResourceId, { type: ResourceType ?? '', physicalId: PhysicalResourceId });
      }
    }
  }
  const nested = [...resources.values()].filter(({ type }) => type === 'AWS::CloudFormation::Stack');
  const inner = await Promise.all(nested.map(({ physicalId }) =>
    readOne(client, { id: physicalId, name: physicalId, stage, environment, template: {} })));
  return [{ id, name, stage, environment, template, resources }, ...inner.flat()];
}
