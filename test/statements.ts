import { Template } from 'aws-cdk-lib/assertions';

/** A statement of a synthesized policy. */
export interface Statement {
  readonly Action: string | string[];
  readonly Resource: unknown;
  readonly Condition?: unknown;
}

/** Statements of the policies whose logical id matches. */
export function statements(template: Template, policy: RegExp): Statement[] {
  return Object.entries(template.findResources('AWS::IAM::Policy'))
    .filter(([id]) => policy.test(id))
    .flatMap(([, resource]) => resource.Properties.PolicyDocument.Statement as Statement[]);
}
