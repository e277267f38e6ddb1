import { randomBytes } from 'node:crypto';
import {
  AdminAddUserToGroupCommand, AdminCreateUserCommand, AdminInitiateAuthCommand, AdminSetUserPasswordCommand,
  InitiateAuthCommand,
} from '@aws-sdk/client-cognito-identity-provider';
import { signedHeaders } from './signed-headers';
import { RouteKey, routeOf } from '../../api/routes';
import { SELECTORS } from '../../api/shapes';
import { RehearsalFacts } from '../../shared/rehearsal-facts';
import { RehearsalError } from '../command/errors';
import { AwsClients, ClientOptions } from '../emulator/aws-clients';

export interface ApiResponse {
  readonly status: number;
  readonly body: unknown;
  readonly text: string;
}

interface CallOptions {
  /** Without credentials. */
  readonly anonymous?: boolean;
  readonly idempotencyKey?: string;
}

type ApiFacts = RehearsalFacts['cdk-mlops:api'];

/** Calls the app's HTTP API at the emulator, as a user who is allowed to approve. */
export class ApiClient {
  private readonly base: string;
  private token?: string;

  constructor(public readonly facts: ApiFacts, private readonly target: ClientOptions) {
    this.base = emulatorUrl(facts.url, target.endpoint);
  }

  /**
   * The path of a route for the part of this name; undefined where the API has no such route or does not serve that part. The query
   * selects the part where the API serves several of its kind.
   */
  public pathOf(key: RouteKey, name: string | undefined, parameters: Readonly<Record<string, string | number>> = {}): string | undefined {
    const { path, part, query = {} } = routeOf(key);
    const names = part ? this.facts.serves[part] : [];
    if (!part || name === undefined || !this.facts.routes.includes(key) || !names.includes(name)) {
      return undefined;
    }
    const filled = path.replace(/\{(\w+)\}/g, (_, parameter: string) => encodeURIComponent(parameters[parameter]));
    return names.length > 1 && SELECTORS[part] in query ? `${filled}?${SELECTORS[part]}=${encodeURIComponent(name)}` : filled;
  }

  /** Whether callers may set this parameter of a training pipeline. */
  public maySet(pipelineName: string, parameter: string): boolean {
    return this.facts.trainingParameters.some(({ pipeline, names }) => pipeline === pipelineName && names.includes(parameter));
  }

  /** Makes a user of this address in the approvers' group and logs in as that user; returns who that is. */
  public async logIn(aws: AwsClients, Username: string): Promise<string> {
    const { userPoolId, userPoolClientId, approverGroup } = this.facts;
    if (!userPoolId || !userPoolClientId) {
      throw new RehearsalError('the API is protected by Cognito, but its metadata names no user pool or no client');
    }
    const Password = `${randomBytes(18).toString('base64url')}aA1!`;
    await aws.cognito.send(new AdminCreateUserCommand({
      UserPoolId: userPoolId,
      Username,
      MessageAction: 'SUPPRESS',
      UserAttributes: [{ Name: 'email', Value: Username }, { Name: 'email_verified', Value: 'true' }],
    }));
    await aws.cognito.send(new AdminSetUserPasswordCommand({ UserPoolId: userPoolId, Username, Password, Permanent: true }));
    if (approverGroup) {
      await aws.cognito.send(new AdminAddUserToGroupCommand({ UserPoolId: userPoolId, Username, GroupName: approverGroup }));
    }
    const AuthParameters = { USERNAME: Username, PASSWORD: Password };
    const login = await aws.cognito.send(new AdminInitiateAuthCommand({
      UserPoolId: userPoolId, ClientId: userPoolClientId, AuthFlow: 'ADMIN_USER_PASSWORD_AUTH', AuthParameters,
    })).catch(async () => aws.cognito.send(new InitiateAuthCommand({
      ClientId: userPoolClientId, AuthFlow: 'USER_PASSWORD_AUTH', AuthParameters,
    })));
    this.token = login.AuthenticationResult?.IdToken;
    if (!this.token) {
      throw new RehearsalError(`Cognito asked for ${login.ChallengeName ?? 'something else'} instead of giving a token`);
    }
    return approverGroup ? `${Username}, group ${approverGroup}` : Username;
  }

  public async get(path: string, options: CallOptions = {}): Promise<ApiResponse> {
    return this.send('GET', path, undefined, options);
  }

  public async post(path: string, body: unknown, options: CallOptions = {}): Promise<ApiResponse> {
    return this.send('POST', path, JSON.stringify(body), options);
  }

  private async send(method: string, path: string, body: string | undefined, options: CallOptions): Promise<ApiResponse> {
    const { anonymous = false, idempotencyKey } = options;
    const url = new URL(`${this.base}${path}`);
    let headers: Record<string, string> = {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
    };
    if (!anonymous && this.facts.access === 'iam') {
      headers = await signedHeaders({ method, url, headers, body }, 'execute-api', this.target);
    }
    if (!anonymous && this.token) {
      headers.authorization = `Bearer ${this.token}`;
    }
    const response = await fetch(url, { method, headers, body, signal: AbortSignal.timeout(60_000) });
    const text = await response.text();
    return { status: response.status, text, body: parsed(text) };
  }
}

/** The emulator serves an API below its own address, where names need no DNS. */
export function emulatorUrl(url: string, endpoint: string): string {
  const found = /^https?:\/\/([a-z0-9]+)\.execute-api\.[^/]+(\/.*)?$/i.exec(url);
  if (!found) {
    throw new RehearsalError(`"${url}" is not the address of an API that the emulator serves`);
  }
  const path = (found[2] ?? '').replace(/\/$/, '');
  return `${endpoint}/_aws/execute-api/${found[1]}${path || '/$default'}`;
}

/** Status and body of a response, short enough for one line. */
export function describeResponse({ status, text }: ApiResponse): string {
  return `${status} ${text.length > 400 ? `${text.slice(0, 400)}…` : text || '(empty)'}`;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
