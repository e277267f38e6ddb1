import { ArnFormat, Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import type { IModelRegistry } from '../registry';
import type { Network } from '../shared/network';

/**
 * Grants what the containers of a model need: its artifacts and images, a place for logs and metrics, and the way into a network.
 * Returns the policy that must outlive the endpoint.
 */
export function grantToModelRole(
  scope: Construct, role: iam.IRole, registry: IModelRegistry, endpointName: string, network?: Network,
): iam.Policy {
  const stack = Stack.of(scope);
  registry.grantServe(role);
  const logGroup = stack.formatArn({
    service: 'logs', resource: 'log-group', resourceName: `/aws/sagemaker/Endpoints/${endpointName}`, arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });
  const policy = new iam.Policy(scope, 'ModelPolicy', {
    statements: [
      new iam.PolicyStatement({
        actions: ['logs:CreateLogGroup', 'logs:CreateLogStream', 'logs:DescribeLogStreams', 'logs:PutLogEvents'],
        resources: [logGroup, `${logGroup}:log-stream:*`],
      }),
      // Metrics have no resources, but a namespace.
      new iam.PolicyStatement({
        actions: ['cloudwatch:PutMetricData'],
        resources: ['*'],
        conditions: { StringLike: { 'cloudwatch:namespace': ['AWS/SageMaker', '/aws/sagemaker/*'] } },
      }),
      ...network?.interfaceStatements('sagemaker') ?? [],
    ],
  });
  role.attachInlinePolicy(policy);
  return policy;
}
