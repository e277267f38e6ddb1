import { Annotations, Aspects, CfnResource, Stack, Token } from 'aws-cdk-lib';
import { Construct, IConstruct } from 'constructs';

/**
 * Of the regions with SageMaker's images, those whose CloudFormation does not have a resource type that this library makes. From the tables
 * of `cfn-lint` 1.58.0, read 2026-11-25 (`data/schemas/providers/<region>.json`); aws-cdk-lib has no such facts.
 * User pools are not among them: `ApiAccess` refuses
 * regions without and names another access.
 */
const MISSING: { readonly [resourceType: string]: readonly string[] } = {
  'AWS::SageMaker::ModelPackageGroup': ['ap-south-2', 'ap-southeast-4', 'cn-north-1', 'cn-northwest-1', 'us-gov-east-1'],
};

/** Warns of resources below `scope` that their region is not known to have. No error: regions get more types all the time. */
export function warnOfRegion(scope: Construct): void {
  const { region } = Stack.of(scope);
  if (Token.isUnresolved(region)) {
    return;
  }
  Aspects.of(scope).add({
    visit(node: IConstruct): void {
      if (CfnResource.isCfnResource(node) && MISSING[node.cfnResourceType]?.includes(region)) {
        Annotations.of(node).addWarningV2('cdk-mlops:region',
          `CloudFormation is not known to have ${node.cfnResourceType} in ${region}: deploy the stack to another region, or see whether it has it by now`);
      }
    },
  });
}
