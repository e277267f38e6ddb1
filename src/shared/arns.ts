import { ArnFormat, Fn, Stack, Token } from 'aws-cdk-lib';
import { IConstruct } from 'constructs';

/**
 * ARNs of a SageMaker resource of this name. SageMaker wrote names in lower case into ARNs for years, and no longer does for new
 * resources: where a name has capitals both forms are in use, so that there are two.
 */
export function sageMakerArns(scope: IConstruct, resource: string, name: string): string[] {
  // A token must not be put into lower case; the names that this library derives are.
  const spellings = Token.isUnresolved(name) ? [name] : [...new Set([name, name.toLowerCase()])];
  return spellings.map((resourceName) => Stack.of(scope).formatArn({ service: 'sagemaker', resource, resourceName }));
}

/** ARNs that match each version of a model package group. */
export function modelPackageArns(scope: IConstruct, groupName: string): string[] {
  return sageMakerArns(scope, 'model-package', `${groupName}/*`);
}

/** ARN of an SQS queue of the region of `scope`, by its URL `https://<host>/<account>/<name>`, which may be a token. */
export function queueArn(scope: IConstruct, url: string): string {
  const part = (index: number) => Fn.select(index, Fn.split('/', url));
  return Stack.of(scope).formatArn({ service: 'sqs', account: part(3), resource: part(4) });
}

/** ARNs of the executions of a state machine, by its name. */
export function executionArns(scope: IConstruct, stateMachineName: string): string {
  return Stack.of(scope).formatArn({
    service: 'states', resource: 'execution', resourceName: `${stateMachineName}:*`, arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });
}

/** ARN of a log group. */
export function logGroupArn(scope: IConstruct, name: string): string {
  return Stack.of(scope).formatArn({ service: 'logs', resource: 'log-group', resourceName: name, arnFormat: ArnFormat.COLON_RESOURCE_NAME });
}

/** The alarm of that name; `*` stands for any part of it. */
export function alarmArn(scope: IConstruct, alarmName: string): string {
  return Stack.of(scope).formatArn({ service: 'cloudwatch', resource: 'alarm', resourceName: alarmName, arnFormat: ArnFormat.COLON_RESOURCE_NAME });
}
