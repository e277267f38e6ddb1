import { DescribeStacksCommand, UpdateTerminationProtectionCommand } from '@aws-sdk/client-cloudformation';
import { DescribeUserPoolCommand, UpdateUserPoolCommand } from '@aws-sdk/client-cognito-identity-provider';
import { DescribeTableCommand, UpdateTableCommand } from '@aws-sdk/client-dynamodb';
import { DeployedStack } from '../app/deployed-stacks';
import { AwsClients, AwsEnvironments } from '../emulator/aws-clients';

/** Lifts what keeps stacks, tables and user pools from being deleted, as a person would before the destroy; gives one sentence for each. */
export async function liftProtections(environments: AwsEnvironments, stacks: readonly DeployedStack[]): Promise<string[]> {
  const lifted: string[] = [];
  for (const { name, environment, resources } of stacks) {
    const aws = environments.of(environment);
    if (await liftStack(aws, name)) {
      lifted.push(`the termination protection of stack ${name}`);
    }
    for (const { type, physicalId } of resources.values()) {
      if (TABLES.includes(type) && await liftTable(aws, physicalId)) {
        lifted.push(`the deletion protection of table ${physicalId}`);
      }
      if (type === 'AWS::Cognito::UserPool' && await liftUserPool(aws, physicalId)) {
        lifted.push(`the deletion protection of user pool ${physicalId}`);
      }
    }
  }
  return lifted;
}

const TABLES = ['AWS::DynamoDB::Table', 'AWS::DynamoDB::GlobalTable'];

async function liftStack({ cloudFormation }: AwsClients, StackName: string): Promise<boolean> {
  const { Stacks: [stack] = [] } = await cloudFormation.send(new DescribeStacksCommand({ StackName }));
  if (stack?.EnableTerminationProtection) {
    await cloudFormation.send(new UpdateTerminationProtectionCommand({ StackName, EnableTerminationProtection: false }));
  }
  return stack?.EnableTerminationProtection === true;
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
