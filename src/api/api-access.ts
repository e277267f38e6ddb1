import { Duration, RemovalPolicy, Stack, Token } from 'aws-cdk-lib';
import * as apigwv2 from 'aws-cdk-lib/aws-apigatewayv2';
import * as authorizers from 'aws-cdk-lib/aws-apigatewayv2-authorizers';
import * as cognito from 'aws-cdk-lib/aws-cognito';
import { Construct } from 'constructs';
import { BoundAccess } from './bound-access';
import type { ApiRole, RoleGroups } from './environment';

/**
 * How people sign in: options of `ApiAccess.cognito`.
 */
export interface CognitoAccessOptions {
  /**
   * Pool of the users. The groups `viewerGroup`, `operatorGroup` and `approverGroup` must be in it.
   *
   * @default - a new pool: sign-in by e-mail address, passwords of 12 characters or more of all kinds, one-time passwords as a second factor
   */
  readonly userPool?: cognito.IUserPool;

  /**
   * App clients whose tokens are accepted.
   *
   * @default - one new client without a secret: SRP for browsers, ADMIN_USER_PASSWORD_AUTH for whoever may call it by IAM
   */
  readonly userPoolClients?: cognito.IUserPoolClient[];

  /**
   * Cognito group whose members may read and ask for predictions. With a new pool the group is made.
   *
   * @default 'viewers'
   */
  readonly viewerGroup?: string;

  /**
   * Cognito group whose members may start trainings, beside what viewers may. With a new pool the group is made.
   *
   * @default 'operators'
   */
  readonly operatorGroup?: string;

  /**
   * Cognito group whose members may approve and reject models, beside what operators may. With a new pool the group is made.
   *
   * @default 'approvers'
   */
  readonly approverGroup?: string;

  /**
   * Whether people may make accounts for themselves. Only for a new pool.
   *
   * @default false
   */
  readonly selfSignUp?: boolean;

  /**
   * Whether a second factor (one-time password of an authenticator app) is asked for. Only for a new pool.
   *
   * @default cognito.Mfa.OPTIONAL
   */
  readonly mfa?: cognito.Mfa;
}

/**
 * Who may call an API.
 *
 * @example
 * const access = ApiAccess.cognito({ approverGroup: 'ml-leads' });
 */
export abstract class ApiAccess {
  /**
   * Users of a Cognito user pool, who send `Authorization: Bearer <token>`. Both kinds of token are taken; the ID token says
   * the e-mail address, with which approvals are then signed. What a user may do follows from the user's groups; a user in none of them
   * may do nothing but ask for the health.
   */
  public static cognito(options: CognitoAccessOptions = {}): ApiAccess {
    return new CognitoAccess(options);
  }

  /**
   * IAM principals, who sign their requests (SigV4, service `execute-api`). Give them what they may do with the `grantX`
   * methods of the API; approving models is a grant of its own.
   */
  public static iam(): ApiAccess {
    return new IamAccess();
  }

  /**
   * Anybody who can reach the API, without a name: for trials only. Synthesis warns (`cdk-mlops:open-api`).
   */
  public static open(): ApiAccess {
    return new OpenAccess();
  }

  /**
   * @param scope the API's construct
   * @param removalPolicy of what is made for it
   * @internal
   */
  public abstract _bind(scope: Construct, removalPolicy: RemovalPolicy): BoundAccess;
}

const DEFAULT_GROUPS: RoleGroups = { viewer: 'viewers', operator: 'operators', approver: 'approvers' };

const DUTIES: RoleGroups = {
  viewer: 'May read models and data sets and ask for predictions',
  operator: 'May start trainings too',
  approver: 'May approve and reject model versions too',
};

class CognitoAccess extends ApiAccess {
  private readonly roleGroups: RoleGroups;

  constructor(private readonly options: CognitoAccessOptions) {
    super();
    const { userPool, userPoolClients, viewerGroup, operatorGroup, approverGroup, selfSignUp, mfa } = options;
    if (userPool && (selfSignUp !== undefined || mfa !== undefined)) {
      throw new Error('ApiAccess.cognito: selfSignUp and mfa are for a new pool; set them on the userPool that is given');
    }
    if (!userPool && userPoolClients) {
      throw new Error('ApiAccess.cognito: userPoolClients needs the userPool that they belong to');
    }
    if (userPoolClients?.length === 0) {
      throw new Error('ApiAccess.cognito: userPoolClients is empty, so that nobody could sign in; name at least one or leave it out');
    }
    for (const [prop, group] of Object.entries({ viewerGroup, operatorGroup, approverGroup })) {
      if (group !== undefined && !Token.isUnresolved(group) && !/^\S{1,128}$/.test(group)) {
        throw new Error(`ApiAccess.cognito: ${prop} is ${JSON.stringify(group)}; a group's name has 1 to 128 characters and no space`);
      }
    }
    this.roleGroups = {
      viewer: viewerGroup ?? DEFAULT_GROUPS.viewer,
      operator: operatorGroup ?? DEFAULT_GROUPS.operator,
      approver: approverGroup ?? DEFAULT_GROUPS.approver,
    };
    const names = Object.values(this.roleGroups);
    if (new Set(names).size < names.length) {
      throw new Error(`ApiAccess.cognito: two of viewerGroup, operatorGroup and approverGroup are the same, of ${names.join(', ')}; each role needs a group of its own`);
    }
  }

  public _bind(scope: Construct, removalPolicy: RemovalPolicy): BoundAccess {
    const { region } = Stack.of(scope);
    if (!this.options.userPool && region.startsWith('cn-')) {
      throw new Error(`ApiAccess.cognito: Amazon Cognito has no user pools in ${region}; give a userPool of another region, or use ApiAccess.iam()`);
    }
    const userPool = this.options.userPool ?? this.createPool(scope, removalPolicy);
    const clients = this.options.userPoolClients ?? [createClient(scope, userPool)];
    const authorizer = new authorizers.HttpUserPoolAuthorizer('Authorizer', userPool, {
      userPoolClients: clients,
      userPoolRegion: userPool.env.region,
    });
    const { roleGroups } = this;
    return { kind: 'cognito', authorizer, callerInLog: '$context.authorizer.claims.sub', userPool, userPoolClient: clients[0], roleGroups };
  }

  private createPool(scope: Construct, removalPolicy: RemovalPolicy): cognito.UserPool {
    const pool = new cognito.UserPool(scope, 'UserPool', {
      selfSignUpEnabled: this.options.selfSignUp ?? false,
      signInAliases: { email: true },
      signInCaseSensitive: false,
      autoVerify: { email: true },
      // An address counts only when it is confirmed: approvals are signed with it.
      keepOriginal: { email: true },
      passwordPolicy: {
        minLength: 12,
        requireLowercase: true,
        requireUppercase: true,
        requireDigits: true,
        requireSymbols: true,
        tempPasswordValidity: Duration.days(3),
      },
      mfa: this.options.mfa ?? cognito.Mfa.OPTIONAL,
      mfaSecondFactor: this.options.mfa === cognito.Mfa.OFF ? undefined : { otp: true, sms: false },
      accountRecovery: cognito.AccountRecovery.EMAIL_ONLY,
      deletionProtection: removalPolicy !== RemovalPolicy.DESTROY,
      removalPolicy,
    });
    const group = (id: string, role: ApiRole) =>
      new cognito.UserPoolGroup(scope, id, { userPool: pool, groupName: this.roleGroups[role], description: DUTIES[role] });
    group('Viewers', 'viewer');
    group('Operators', 'operator');
    group('Approvers', 'approver');
    return pool;
  }
}

function createClient(scope: Construct, userPool: cognito.IUserPool): cognito.UserPoolClient {
  return new cognito.UserPoolClient(scope, 'UserPoolClient', {
    userPool,
    // Passwords never travel as text from a browser: SRP there, and the admin flow needs IAM permission on the pool.
    authFlows: { userSrp: true, adminUserPassword: true },
    disableOAuth: true,
    generateSecret: false,
    preventUserExistenceErrors: true,
    enableTokenRevocation: true,
    accessTokenValidity: Duration.hours(1),
    idTokenValidity: Duration.hours(1),
    refreshTokenValidity: Duration.days(1),
  });
}

class IamAccess extends ApiAccess {
  public _bind(): BoundAccess {
    return { kind: 'iam', authorizer: new authorizers.HttpIamAuthorizer(), callerInLog: '$context.identity.userArn' };
  }
}

class OpenAccess extends ApiAccess {
  public _bind(): BoundAccess {
    return { kind: 'open', authorizer: new apigwv2.HttpNoneAuthorizer() };
  }
}
