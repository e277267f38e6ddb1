import { API_ROLES, ApiEnvironment, ApiRole, RoleGroups } from './environment';
import { HttpError, HttpRequest, isObject } from './http.lambda-shared';

/** Who made a request, as the authorizer of the API saw it. */
export interface Caller {
  /** Stable and unique: the Cognito subject, the ARN of the IAM principal, or `anonymous`. */
  readonly id: string;
  /** As people know it: e-mail address or user name where there is one. */
  readonly name: string;
  readonly groups: readonly string[];
}

/** Reads the caller from the request context, which only the API's own authorizer can fill. */
export function callerOf(request: HttpRequest): Caller {
  const context: unknown = request?.requestContext;
  const authorizer = isObject(context) && isObject(context.authorizer) ? context.authorizer : {};
  const claims = isObject(authorizer.jwt) && isObject(authorizer.jwt.claims) ? authorizer.jwt.claims : undefined;
  if (claims) {
    const id = text(claims.sub) ?? 'unknown';
    // ID tokens carry the address, access tokens only the user name. An address that nobody verified could be anybody's.
    const email = (claims.email_verified === 'true' || claims.email_verified === true) ? text(claims.email) : undefined;
    const name = email ?? text(claims['cognito:username']) ?? text(claims.username) ?? id;
    return { id, name, groups: groupsOf(claims['cognito:groups']) };
  }
  const arn = isObject(authorizer.iam) ? text(authorizer.iam.userArn) : undefined;
  return arn ? { id: arn, name: arn, groups: [] } : { id: 'anonymous', name: 'anonymous', groups: [] };
}

/**
 * The groups of a `cognito:groups` claim. An HTTP API hands a list over as text, items in brackets with spaces between
 * (`[approvers dev]`); Cognito allows no space in a group's name, and allows commas, which therefore separate nothing.
 */
export function groupsOf(claim: unknown): readonly string[] {
  if (Array.isArray(claim)) {
    return claim.filter((group): group is string => typeof group === 'string');
  }
  if (typeof claim !== 'string') {
    return [];
  }
  const inner = /^\[(.*)\]$/s.exec(claim.trim())?.[1] ?? claim;
  return inner.split(/\s+/).filter((group) => group !== '');
}

/**
 * Refuses a caller who has neither this role nor a higher one. With IAM the policy on the route has decided already; an open API has
 * nobody to ask for.
 */
export function requireRole(caller: Caller, role: ApiRole): void {
  if (process.env[ApiEnvironment.ACCESS] === 'iam' || process.env[ApiEnvironment.ACCESS] === 'open') {
    return;
  }
  const groups = JSON.parse(process.env[ApiEnvironment.ROLE_GROUPS] ?? '{}') as Partial<RoleGroups>;
  const enough = API_ROLES.slice(API_ROLES.indexOf(role)).flatMap((candidate) => groups[candidate] ?? []);
  if (!enough.some((group) => caller.groups.includes(group))) {
    throw new HttpError(403, 'Forbidden', `only members of ${enough.map((group) => JSON.stringify(group)).join(' or ') || 'a group that is not set'} may do this`);
  }
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
