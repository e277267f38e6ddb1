import { Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import { IConstruct } from 'constructs';

/**
 * A service that assumes a role of this account, on behalf of resources of this account alone: nobody in another account can make the
 * service use the role. For services that say for whom they act (SageMaker, Step Functions).
 *
 * @see https://docs.aws.amazon.com/sagemaker/latest/dg/security-confused-deputy-prevention.html
 * @see https://docs.aws.amazon.com/step-functions/latest/dg/procedure-create-iam-role.html
 */
export function serviceOfAccount(scope: IConstruct, service: 'sagemaker.amazonaws.com' | 'states.amazonaws.com'): iam.ServicePrincipal {
  return new iam.ServicePrincipal(service, { conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(scope).account } } });
}
