import { ArnFormat, Stack } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import { alarmArn } from '../../shared/arns';

export function stateMachineName(prefix: string): string {
  return `${prefix}-deploy`;
}

export function stateMachineArn(stack: Stack, prefix: string): string {
  return stack.formatArn({
    service: 'states', resource: 'stateMachine', resourceName: stateMachineName(prefix), arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });
}

/** The alarms that Application Auto Scaling makes for the policies of an endpoint. */
export function scalingAlarms(scope: Construct, endpointName: string): string {
  return alarmArn(scope, `TargetTracking-endpoint/${endpointName}/*`);
}
