import { ApiEnvironment, PartSettings } from './environment';
import { environment, HttpRequest, invalid, short } from './http.lambda-shared';
import { SELECTORS } from './shapes';

type Kind = keyof PartSettings;

/** What the API serves of a kind of part. */
export function served<K extends Kind>(kind: K): PartSettings[K][] {
  return JSON.parse(environment(ApiEnvironment[kind])) as PartSettings[K][];
}

/** The part that a request means: the one that its query names, or the only one; 400 that lists them otherwise. */
export function selected<K extends Kind>(kind: K, request: HttpRequest): PartSettings[K] {
  const all = served(kind);
  const parameter = SELECTORS[kind];
  const name = request.queryStringParameters?.[parameter];
  const found = name === undefined && all.length === 1 ? all[0] : all.find((part) => part.name === name);
  if (found) {
    return found;
  }
  const allowed = all.map((part) => part.name);
  const known = allowed.map((one) => JSON.stringify(one)).join(', ');
  const message = name === undefined
    ? `there are several: name one with ?${parameter}=, of ${known}`
    : `there is no ${parameter} ${JSON.stringify(short(name))}; known are ${known}`;
  throw invalid(message, [{ field: parameter, ...(name === undefined ? {} : { value: short(name) }), allowed, message }]);
}
