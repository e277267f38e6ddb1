import { ArnFormat, Stack } from 'aws-cdk-lib';

export function stateMachineName(prefix: string): string {
  return `${prefix}-deploy`;
}

export function stateMachineArn(stack: Stack, prefix: string): string {
  return stack.formatArn({
    service: 'states', resource: 'stateMachine', resourceName: stateMachineName(prefix), arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });
}
