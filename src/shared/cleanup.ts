import { CustomResource, Duration } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import type { CommonSettings } from './common-settings';
import { HandlerFunction } from './handler-function';

export interface CleanupProps extends CommonSettings {
  /** Room and name of the handler, as for `HandlerFunction`. */
  readonly handler: string;
  readonly description: string;
  /** Type of the custom resource, beginning with `Custom::`. */
  readonly resourceType: string;
  /** What the handler is told. */
  readonly properties: { [name: string]: string };
  /** What the handler may do. */
  readonly statements: iam.PolicyStatement[];
  /** At most 15 minutes. @default - 5 minutes */
  readonly timeout?: Duration;
}

/**
 * Removes, with the stack, what was made while the stack lived: things that CloudFormation does not know of.
 * A custom resource with a function of its own, since no CloudFormation resource does that.
 */
export class Cleanup extends Construct implements iam.IGrantable {
  public readonly resource: CustomResource;
  /** Its handler. */
  public readonly grantPrincipal: iam.IPrincipal;

  constructor(scope: Construct, id: string, props: CleanupProps) {
    super(scope, id);
    const timeout = props.timeout ?? Duration.minutes(5);
    const handler = new HandlerFunction(this, 'Handler', {
      ...props,
      timeout,
    });
    this.grantPrincipal = handler.grantPrincipal;
    props.statements.forEach((statement) => handler.addToRolePolicy(statement));
    this.resource = new CustomResource(this, 'Resource', {
      resourceType: props.resourceType,
      serviceToken: handler.functionArn,
      serviceTimeout: timeout.plus(Duration.minutes(1)),
      properties: props.properties,
    });
    // The function's permissions must be there before its first event and until after its last.
    this.resource.node.addDependency(handler);
  }
}
