import type { CallerParameter } from './environment';
import { Detail, echo, HttpError, invalid, isObject, nameOf, short } from './http.lambda-shared';
import type { RouteKey } from './routes';
import { nearest } from '../shared/validation';

/** A parameter as a pipeline definition declares it. */
export interface DeclaredParameter {
  readonly Name: string;
  readonly Type: string;
  readonly DefaultValue?: unknown;
  readonly EnumValues?: readonly unknown[];
}

/** The parameter by which a pipeline registers its model as approved or pending. */
export const APPROVAL_PARAMETER = 'ModelApprovalStatus';
const APPROVAL_ROUTE: RouteKey = 'POST /models/{group}/versions/{version}/approval';
const MAX_VALUE = 1024;
/** SageMaker takes no more parameters in a start. */
const MAX_PARAMETERS = 200;

/** Parameters that a pipeline's definition declares; none for a definition in a form that we do not know. */
export function declaredParameters(definition: string | undefined): DeclaredParameter[] | undefined {
  try {
    const parsed: unknown = JSON.parse(definition ?? '');
    const parameters = isObject(parsed) ? parsed.Parameters ?? [] : undefined;
    return Array.isArray(parameters)
      ? parameters.filter((p): p is DeclaredParameter => isObject(p) && typeof p.Name === 'string' && typeof p.Type === 'string')
      : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The caller's parameters as SageMaker takes them (text); 400 with everything that is wrong with them.
 *
 * @param allowed parameters that callers may set, with their ranges
 * @param reserved names that the caller may not give, because they follow from the data set
 */
export function parametersOf(
  given: unknown, declared: readonly DeclaredParameter[], allowed: readonly CallerParameter[], reserved: readonly string[],
): { Name: string; Value: string }[] {
  if (given === undefined || given === null) {
    return [];
  }
  if (!isObject(given)) {
    const message = `parameters must be an object of names and values, not ${nameOf(given)}`;
    throw invalid(message, [{ field: 'parameters', message }]);
  }
  const count = Object.keys(given).length;
  if (count > MAX_PARAMETERS) {
    const message = `parameters must hold at most ${MAX_PARAMETERS} values, not ${count}`;
    throw invalid(message, [{ field: 'parameters', allowed: { max: MAX_PARAMETERS }, message }]);
  }
  const details: Detail[] = [];
  const values: { Name: string; Value: string }[] = [];
  for (const [name, value] of Object.entries(given)) {
    const problem = check(name, value, declared, allowed, reserved);
    if (problem) {
      details.push({ field: `parameters.${short(name)}`, value: echo(value), ...problem });
    } else {
      values.push({ Name: name, Value: isNumeric(declared, name) ? String(Number(value)) : String(value) });
    }
  }
  if (details.length > 0) {
    throw invalid(details.slice(0, 3).map((detail) => detail.message).join('; '), details.slice(0, 100));
  }
  return values;
}

/** The id of a data set in a request; 400 when it is none. */
export function datasetIdOf(given: unknown): string | undefined {
  if (given === undefined || given === null) {
    return undefined;
  }
  if (typeof given !== 'string' || !/^[0-9a-f]{64}$/.test(given)) {
    const message = 'dataset must be the id of a data set (64 hexadecimal digits): GET /datasets lists them';
    throw invalid(message, [{ field: 'dataset', value: echo(given), message }]);
  }
  return given;
}

/** What a failed StartPipelineExecution means for the caller; the error itself where only the log can tell. */
export function startFailure(error: unknown): unknown {
  switch (isObject(error) ? error.name : undefined) {
    case 'ResourceNotFound':
      return new HttpError(503, 'PipelineNotFound', 'the training pipeline is not there: deploy it again');
    case 'ConflictException':
      return new HttpError(409, 'Conflict', 'this training was started with other data under the same idempotency key: take a new key');
    case 'ResourceLimitExceeded':
      return new HttpError(429, 'TooManyRequests', 'the account runs as many executions as it may: try again when one has ended', [], { 'retry-after': '60' });
    case 'ValidationException':
      return invalid('SageMaker refused the parameters; the log of the training function says why');
    default:
      return error;
  }
}

function check(
  name: string, value: unknown, declared: readonly DeclaredParameter[], allowed: readonly CallerParameter[], reserved: readonly string[],
): Omit<Detail, 'field'> | undefined {
  const free = declared.filter((parameter) => !reserved.includes(parameter.Name) && allowed.some((range) => range.name === parameter.Name));
  const names = free.map((parameter) => parameter.Name);
  if (reserved.includes(name)) {
    return { message: `${name} follows from the data set: give "dataset" instead` };
  }
  const parameter = declared.find((candidate) => candidate.Name === name);
  if (!parameter) {
    const near = nearest(short(name), names);
    const right = near ? `did you mean "${near}"?` : `you may set ${listed(names)}`;
    return { allowed: near ? [near] : names, message: `${JSON.stringify(short(name))} is not a parameter of the pipeline; ${right}` };
  }
  if (name === APPROVAL_PARAMETER && value === 'Approved') {
    // Else whoever may train could approve, past the group that decides.
    return { message: `${name} may not be "Approved" here: approve the version with ${APPROVAL_ROUTE}` };
  }
  const range = allowed.find((candidate) => candidate.name === name);
  if (!range) {
    return { allowed: names, message: `${name} is not for callers to set: the app decides it; you may set ${listed(names)}` };
  }
  return checkType(parameter, value) ?? checkRange(range, value);
}

function listed(names: readonly string[]): string {
  return names.length > 0 ? names.map((name) => `"${name}"`).join(', ') : 'no parameter';
}

function checkRange({ name, min, max, exclusiveMin = false }: CallerParameter, value: unknown): Omit<Detail, 'field'> | undefined {
  const number = Number(value);
  if ((min === undefined || (exclusiveMin ? number > min : number >= min)) && (max === undefined || number <= max)) {
    return undefined;
  }
  const limits = [...(min === undefined ? [] : [`${exclusiveMin ? 'above' : 'at least'} ${min}`]), ...(max === undefined ? [] : [`at most ${max}`])];
  return { allowed: { min, max }, message: `${name} must be ${limits.join(' and ')}, not ${JSON.stringify(echo(value))}` };
}

function isNumeric(declared: readonly DeclaredParameter[], name: string): boolean {
  return declared.some((parameter) => parameter.Name === name && (parameter.Type === 'Integer' || parameter.Type === 'Float'));
}

function checkType({ Name, Type, EnumValues }: DeclaredParameter, value: unknown): Omit<Detail, 'field'> | undefined {
  const wrong = (what: string) => ({ message: `${Name} must be ${what}, not ${JSON.stringify(echo(value))}` });
  const number = typeof value === 'number' ? value : (typeof value === 'string' && value.trim() !== '' ? Number(value) : NaN);
  if (Type === 'Integer' && !Number.isSafeInteger(number)) {
    return wrong('a whole number');
  }
  if (Type === 'Float' && !Number.isFinite(number)) {
    return wrong('a number');
  }
  if (Type === 'Boolean' && ![true, false, 'true', 'false'].includes(value as boolean | string)) {
    return wrong('true or false');
  }
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') {
    return wrong('a text');
  }
  if (String(value).length > MAX_VALUE) {
    return { allowed: { maxLength: MAX_VALUE }, message: `${Name} must have at most ${MAX_VALUE} characters` };
  }
  if (EnumValues && !EnumValues.some((allowed) => String(allowed) === String(value))) {
    return { allowed: EnumValues, message: `${Name} must be one of ${EnumValues.map((v) => JSON.stringify(v)).join(', ')}, not ${JSON.stringify(echo(value))}` };
  }
  return undefined;
}
