import { Detail, HttpRequest, invalid, isObject, short } from './http.lambda-shared';

/** Which part of a list is asked for. */
export interface Page {
  readonly limit: number;
  /** Where the page before ended, as `nextToken` said. */
  readonly after?: { readonly [key: string]: string };
}

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 200;

/** Reads `limit` and `nextToken` of the query string; 400 when they are wrong. `keys`: what a token of this list holds. */
export function pageOf(request: HttpRequest, keys: readonly string[]): Page {
  const { limit, nextToken, ...others } = request?.queryStringParameters ?? {};
  const details: Detail[] = Object.keys(others).slice(0, 20).map((field) => ({
    field: short(field), allowed: ['limit', 'nextToken'], message: `${JSON.stringify(short(field))} is not a parameter of this route`,
  }));
  const count = limit === undefined ? DEFAULT_LIMIT : (/^\d{1,4}$/.test(limit) ? Number(limit) : NaN);
  if (!(count >= 1 && count <= MAX_LIMIT)) {
    details.push({ field: 'limit', value: short(limit ?? ''), allowed: { min: 1, max: MAX_LIMIT }, message: `limit must be a whole number from 1 to ${MAX_LIMIT}` });
  }
  const after = nextToken === undefined ? undefined : decode(nextToken, keys);
  if (nextToken !== undefined && !after) {
    details.push({ field: 'nextToken', value: short(nextToken), message: 'nextToken must be one that this list gave; leave it out to begin anew' });
  }
  if (details.length > 0) {
    throw invalid(details.map((detail) => detail.message).join('; '), details);
  }
  return { limit: count, ...(after ? { after } : {}) };
}

/** The token of the page that follows. */
export function tokenOf(after: { readonly [key: string]: string }): string {
  return Buffer.from(JSON.stringify(after)).toString('base64url');
}

function decode(token: string, keys: readonly string[]): { [key: string]: string } | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(token, 'base64url').toString());
    const whole = isObject(value) && Object.keys(value).length === keys.length && keys.every((key) => typeof value[key] === 'string');
    return whole ? value as { [key: string]: string } : undefined;
  } catch {
    return undefined;
  }
}
