import * as iam from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import { logGroupArn } from '../shared/arns';

/** What every job needs beside its image and its data: its own log and its own instance metrics. */
export function grantJobBasics(role: iam.IGrantable, scope: Construct): void {
  iam.Grant.addToPrincipal({
    grantee: role,
    // IAM knows no resource for metrics: they are bound to SageMaker's namespaces.
    actions: ['cloudwatch:PutMetricData'],
    resourceArns: ['*'],
    conditions: { StringLike: { 'cloudwatch:namespace': ['/aws/sagemaker/*', 'aws/sagemaker/*'] } },
  });
  iam.Grant.addToPrincipal({
    grantee: role,
    actions: ['logs:CreateLogGroup', 'logs:CreateLogStream', 'logs:DescribeLogStreams', 'logs:PutLogEvents'],
    resourceArns: [logGroupArn(scope, '/aws/sagemaker/*')],
  });
}
