import { UpdateTerminationProtectionCommand, paginateDescribeStacks, paginateListStackResources } from '@aws-sdk/client-cloudformation';
import { DescribeUserPoolCommand, UpdateUserPoolCommand } from '@aws-sdk/client-cognito-identity-provider';
import { DescribeTableCommand, UpdateTableCommand } from '@aws-sdk/client-dynamodb';
import { AwsClients } from '../emulator/aws-clients';

const BOOTSTRAP = 'CDKToolkit';

/** Lifts what keeps stacks, tables and user pools from being deleted, as a person would before the destroy; gives one sentence for each. */
export async function liftProtections(aws: AwsClients): Promise<string[]> {
  const lifted: string[] = [];
  for await (const page of paginateDescribeStacks({ client: aws.cloudFormation }, {})) {
    for (const { StackName, EnableTerminationProtection } of page.Stacks ?? []) {
      if (StackName === BOOTSTRAP) {
        continue;
      }
      if (EnableTerminationProtection) {
        await aws.cloudFormation.send(new UpdateTerminationProtectionCommand({ StackName, EnableTerminationProtection: false }));
        lifted.push(`the termination protection of stack ${StackName}`);
      }
      lifted.push(...await ofResources(aws, StackName!));
    }
  }
  return lifted;
}

async function ofResources(aws: AwsClients, stack: string): Promise<string[]> {
  const lifted: string[] = [];
  for await (const page of paginateListStackResources({ client: aws.cloudFormation }, { StackName: stack })) {
    for (const { ResourceType, PhysicalResourceId: id } of page.StackResourceSummaries ?? []) {
      if (id && (ResourceType === 'AWS::DynamoDB::Table' || ResourceType === 'AWS::DynamoDB::GlobalTable') && await liftTable(aws, id)) {
        lifted.push(`the deletion protection of table ${id}`);
      }
      if (id && ResourceType === 'AWS::Cognito::UserPool' && await liftUserPool(aws, id)) {
        lifted.push(`the deletion protection of user pool ${id}`);
      }
    }
  }
  return lifted;
}

async function liftTable({ dynamo }: AwsClients, name: string): Promise<boolean> {
  const { Table } = await dynamo.send(new DescribeTableCommand({ TableName: name }));
  if (Table?.DeletionProtectionEnabled) {
    await dynamo.send(new UpdateTableCommand({ TableName: name, DeletionProtectionEnabled: false }));
  }
  return Table?.DeletionProtectionEnabled === true;
}

async function liftUserPool({ cognito }: AwsClients, id: string): Promise<boolean> {
  const { UserPool } = await cognito.send(new DescribeUserPoolCommand({ UserPoolId: id }));
  const isProtected = UserPool?.DeletionProtection === 'ACTIVE';
  if (isProtected) {
    await cognito.send(new UpdateUserPoolCommand({ UserPoolId: id, DeletionProtection: 'INACTIVE' }));
  }
  return isProtected;
}
