import { ArnFormat, Stack } from 'aws-cdk-lib';
import { Construct } from 'constructs';

export function stateMachineName(prefix: string): string {
  return `${prefix}-deploy`;
}

export function stateMachineArn(stack: Stack, prefix: string): string {
  return stack.formatArn({
    service: 'states', resource: 'stateMachine', resourceName: stateMachineName(prefix), arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });
}

/** The alarm of that name; `*` stands for any part of it. */
export function alarmArn(scope: Construct, alarmName: string): string {
  return Stack.of(scope).formatArn({ service: 'cloudwatch', resource: 'alarm', resourceName: alarmName, arnFormat: ArnFormat.COLON_RESOURCE_NAME });
}

/** The alarms that Application Auto Scaling makes for the policies of an endpoint. */
export function scalingAlarms(scope: Construct, endpointName: string): string {
  return alarmArn(scope, `TargetTracking-endpoint/${endpointName}/*`);
}
