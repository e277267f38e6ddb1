import { Detail, HttpRequest, invalid, isObject, short } from './http.lambda-shared';
import { PAGE_LIMIT } from './shapes';

/** Which part of a list is asked for. */
export interface Page {
  readonly limit: number;
  /** Where the page before ended, as `nextToken` said. */
  readonly after?: { readonly [key: string]: string };
}

/** Reads `limit` and `nextToken` of the query string; 400 when they are wrong. `keys`: what a token of this list holds. */
export function pageOf(request: HttpRequest, keys: readonly string[]): Page {
  const { limit, nextToken } = request?.queryStringParameters ?? {};
  const details: Detail[] = [];
  const count = limit === undefined ? PAGE_LIMIT.default : (/^\d{1,4}$/.test(limit) ? Number(limit) : NaN);
  if (!(count >= 1 && count <= PAGE_LIMIT.max)) {
    details.push({ field: 'limit', value: short(limit ?? ''), allowed: { min: 1, max: PAGE_LIMIT.max }, message: `limit must be a whole number from 1 to ${PAGE_LIMIT.max}` });
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
