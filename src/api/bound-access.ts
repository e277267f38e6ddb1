import * as apigwv2 from 'aws-cdk-lib/aws-apigatewayv2';
import * as cognito from 'aws-cdk-lib/aws-cognito';
import type { RoleGroups } from './environment';

/**
 * What an API needs of its access.
 */
export interface BoundAccess {
  readonly kind: 'cognito' | 'iam' | 'open';
  readonly authorizer: apigwv2.IHttpRouteAuthorizer;
  /** Expression of the access log that names the caller. */
  readonly callerInLog?: string;
  readonly userPool?: cognito.IUserPool;
  readonly userPoolClient?: cognito.IUserPoolClient;
  /** The group of users that has each role, where the handlers ask for it. */
  readonly roleGroups?: RoleGroups;
}
