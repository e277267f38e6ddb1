import { CloudFormationClient, paginateListStackResources } from '@aws-sdk/client-cloudformation';
import { AssembledStack, Template } from './assembly';

/** What a deployed stack holds: logical to physical ids. */
export interface DeployedStack {
  readonly name: string;
  readonly id: string;
  readonly template: Template;
  readonly resources: ReadonlyMap<string, { readonly type: string; readonly physicalId: string }>;
}

/** Asks CloudFormation for the resources of stacks and of the stacks nested in them. */
export async function readDeployed(client: CloudFormationClient, stacks: readonly AssembledStack[]): Promise<DeployedStack[]> {
  const found: DeployedStack[] = [];
  for (const stack of stacks) {
    found.push(...await readOne(client, stack.name, stack.template));
  }
  return found;
}

async function readOne(client: CloudFormationClient, name: string, template: Template): Promise<DeployedStack[]> {
  const resources = new Map<string, { type: string; physicalId: string }>();
  for await (const page of paginateListStackResources({ client }, { StackName: name })) {
    for (const { LogicalResourceId, ResourceType, PhysicalResourceId } of page.StackResourceSummaries ?? []) {
      if (LogicalResourceId && PhysicalResourceId) {
        resources.set(LogicalResourceId, { type: ResourceType ?? '', physicalId: PhysicalResourceId });
      }
    }
  }
  const nested = [...resources.values()].filter(({ type }) => type === 'AWS::CloudFormation::Stack');
  const inner = await Promise.all(nested.map(({ physicalId }) => readOne(client, physicalId, {})));
  return [{ name, id: name, template, resources }, ...inner.flat()];
}
