import { Detail, HttpError, invalid, isObject, isThrottled, nameOf, nameOfError } from './http.lambda-shared';
import { MAX_INSTANCES } from './shapes';
import { FieldProblem, presentPrediction, StoredInstance, targetColumn, toCsvRow, validateInstance } from '../data/instance-validation';
import type { SchemaDocument } from '../data/schema-document';

/** One prediction as the caller gets it. */
export type Prediction = { readonly [name: string]: unknown };

const MAX_DETAILS = 100;

/** The instances of a request body in stored units; 400 with everything that is wrong with them. */
export function instancesOf(document: SchemaDocument, body: unknown): StoredInstance[] {
  const listed = isObject(body) && Array.isArray(body.instances);
  const entered = listed ? listOf(body) : [single(document, body)];
  const details: Detail[] = [];
  const stored: StoredInstance[] = [];
  for (const [i, instance] of entered.entries()) {
    const validated = validateInstance(document, instance);
    details.push(...validated.problems.map((problem) => detailOf(problem, listed ? `instances[${i}]` : '')));
    stored.push(validated.stored);
    if (details.length > MAX_DETAILS) {
      // Enough to see what is wrong; what follows is not looked at.
      break;
    }
  }
  if (details.length > 0) {
    throw invalid(summary(details), details.slice(0, MAX_DETAILS));
  }
  return stored;
}

/** The body of the request to the endpoint: one line an instance. */
export function requestCsv(document: SchemaDocument, instances: readonly StoredInstance[]): string {
  return instances.map((instance) => `${toCsvRow(document, instance)}\n`).join('');
}

/**
 * Reads what the endpoint answered. Its numbers are taken in order, whatever stands between them: line ends (the
 * contract), commas (what the built-in XGBoost writes outside of batch jobs), brackets around a row (several classes).
 *
 * @throws Error when the numbers do not fit the rows and classes asked for
 */
export function predictionsOf(document: SchemaDocument, text: string, rows: number): Prediction[] {
  const target = targetColumn(document);
  const classes = target.values ?? [];
  const width = document.problemType === 'multiclass_classification' ? classes.length : 1;
  const numbers = text.split(/[\s,[\]"]+/).filter((token) => token !== '').map(Number);
  if (numbers.length !== rows * width || !numbers.every(Number.isFinite)) {
    throw new Error(`the endpoint answered ${numbers.length} values, expected ${rows * width} numbers (${rows} rows of ${width})`);
  }
  if (document.problemType === 'regression') {
    return numbers.map((predicted) => presentPrediction(document, predicted));
  }
  return Array.from({ length: rows }, (_, row) => {
    const scores = numbers.slice(row * width, (row + 1) * width);
    const probabilities = document.problemType === 'binary_classification' ? [1 - scores[0], scores[0]] : scores;
    if (probabilities.some((p) => p < -1e-6 || p > 1 + 1e-6)) {
      throw new Error(`the endpoint answered ${scores.join(', ')} where probabilities were expected`);
    }
    // Of equal probabilities the later class wins in a binary model, as with a cut at 0.5.
    const best = document.problemType === 'binary_classification'
      ? Number(probabilities[1] >= 0.5)
      : probabilities.indexOf(Math.max(...probabilities));
    return { [target.name]: classes[best], probabilities: Object.fromEntries(classes.map((name, i) => [name, probabilities[i]])) };
  });
}

/** What a failed InvokeEndpoint means for the caller; undefined where only the log can tell. */
export function endpointFailure(error: unknown): HttpError | undefined {
  const message = isObject(error) && typeof error.message === 'string' ? error.message : '';
  const name = nameOfError(error);
  if (name === 'ModelNotReadyException') {
    return new HttpError(503, 'ModelNotReady', 'the model is being loaded: try again in a minute', [], { 'retry-after': '30' });
  }
  if (isThrottled(error)) {
    return new HttpError(429, 'TooManyRequests', 'the endpoint gets more requests than it can answer: try again in a few seconds', [], { 'retry-after': '2' });
  }
  switch (name) {
    case 'ValidationError':
    case 'ValidationException':
      return /not found|could not find|does not exist/i.test(message)
        ? new HttpError(503, 'ModelNotDeployed', 'no model is deployed yet: approve a version, its deployment takes some minutes')
        : new HttpError(502, 'ModelError', 'the endpoint refused the request; the log of the predict function says why');
    case 'ModelError': {
      const status = isObject(error) && typeof error.OriginalStatusCode === 'number' ? ` (status ${error.OriginalStatusCode})` : '';
      return new HttpError(502, 'ModelError', `the model failed on this request${status}; the log of the endpoint says why`);
    }
    case 'InternalDependencyException':
    case 'InternalFailure':
    case 'InternalServerException':
    case 'ServiceUnavailable':
    case 'ServiceUnavailableException':
      return new HttpError(503, 'ModelUnavailable', 'the endpoint does not answer at the moment: try again', [], { 'retry-after': '5' });
    case 'TimeoutError':
    case 'AbortError':
      return new HttpError(504, 'ModelTimeout', 'the model took too long to answer: send fewer instances at once');
    default:
      return undefined;
  }
}

function listOf(body: { readonly [field: string]: unknown }): readonly unknown[] {
  const others = Object.keys(body).filter((field) => field !== 'instances');
  if (others.length > 0) {
    throw invalid('beside "instances" the body holds fields that nobody reads', others.slice(0, 20).map((field) => ({
      field: field.slice(0, 100), allowed: ['instances'], message: `${JSON.stringify(field.slice(0, 100))} is not a field of the request`,
    })));
  }
  const instances = body.instances as readonly unknown[];
  if (instances.length < 1 || instances.length > MAX_INSTANCES) {
    const message = `instances must hold 1 to ${MAX_INSTANCES} objects, not ${instances.length}`;
    throw invalid(message, [{ field: 'instances', allowed: { min: 1, max: MAX_INSTANCES }, message }]);
  }
  return instances;
}

/** A body that is itself the one instance. */
function single(document: SchemaDocument, body: unknown): unknown {
  if (!isObject(body)) {
    throw invalid(`the body must be {"instances": [{...}]} or one instance, not ${nameOf(body)}`);
  }
  if (Object.hasOwn(body, 'instances') && !document.columns.some((column) => column.name === 'instances')) {
    const message = `instances must be a list of objects, not ${nameOf(body.instances)}`;
    throw invalid(message, [{ field: 'instances', message }]);
  }
  return body;
}

function detailOf(problem: FieldProblem, where: string): Detail {
  return { ...problem, field: [where, problem.field.slice(0, 100)].filter((part) => part !== '').join('.') };
}

function summary(details: readonly Detail[]): string {
  const [first] = details;
  const more = details.length > 1 ? ` (${details.length - 1} more in the details)` : '';
  return `${first.field ? `${first.field}: ` : ''}${first.message}${more}`;
}
