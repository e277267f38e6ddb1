import type { Caller } from './identity.lambda-shared';

/** Limit of SageMaker for the description of an execution. */
const MAX_DESCRIPTION = 3072;

/** What an execution says of who started it through the API. One line, because SageMaker's pattern knows no line ends. */
export function startDescription({ id, name }: Caller): string {
  const line = (text: string) => text.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ');
  return `Started by ${line(name).slice(0, 1000)} (${line(id)}) through the API`.slice(0, MAX_DESCRIPTION);
}

/** The id of the caller who started an execution through the API; undefined where somebody else did. */
export function starterOf(description: string | undefined): string | undefined {
  return /^Started by .* \(([^()]+)\) through the API$/.exec(description ?? '')?.[1];
}
