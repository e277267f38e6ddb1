import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from 'aws-lambda';
import { logger } from '../shared/logger.lambda-shared';

/** One thing that is wrong with a request. */
export interface Detail {
  /** Where in the request: `instances[0].sex`, `limit`. */
  readonly field: string;
  readonly value?: unknown;
  /** What would be right: values, or limits. */
  readonly allowed?: unknown;
  readonly message: string;
}

/** What a handler answers when it cannot do what was asked. The message is read by the caller. */
export class HttpError extends Error {
  constructor(
    readonly statusCode: number,
    readonly code: string,
    message: string,
    readonly details: readonly Detail[] = [],
    readonly headers: { readonly [name: string]: string } = {},
  ) {
    super(message);
    this.name = 'HttpError';
  }
}

/** 400, with everything that is wrong at once. */
export function invalid(message: string, details: readonly Detail[] = []): HttpError {
  return new HttpError(400, 'ValidationError', message, details);
}

/** What a route gives back: a status and the body, which becomes JSON. */
export interface Answer {
  readonly status: number;
  readonly body: object;
}

/** The parts of an API Gateway event (payload format 2.0) that routes read. Any of them may be missing. */
export type HttpRequest = APIGatewayProxyEventV2;
export type Route = (request: HttpRequest) => Promise<Answer>;
export type Handler = (request: HttpRequest) => Promise<APIGatewayProxyStructuredResultV2>;

/** Limits of what is read of a request and of what an error says. 500 instances of 100 columns take half of them. */
const MAX_BODY = { bytes: 2 ** 21, values: 100_000, depth: 16 } as const;
const MAX_ERROR = { message: 1000, detail: 500, allowed: 50, bytes: 2 ** 14 } as const;

const SECURITY_HEADERS = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };

/**
 * A Lambda handler that always answers: what a route throws becomes a JSON error, and what is not expected a 500 that gives the caller
 * only the request id.
 */
export function responding(route: Route): Handler {
  return async (request) => {
    const began = Date.now();
    const requestId = idOf(request);
    logger.appendKeys({ requestId });
    let response: APIGatewayProxyStructuredResultV2;
    try {
      const { status, body } = await route(request);
      response = respond(status, body);
    } catch (error) {
      response = failure(error, requestId);
    }
    logger.info('request answered', { route: request?.routeKey, status: response.statusCode, milliseconds: Date.now() - began });
    return response;
  };
}

/** A JSON response. */
export function respond(status: number, body: object, headers: { readonly [name: string]: string } = {}): APIGatewayProxyStructuredResultV2 {
  return {
    statusCode: status,
    headers: { 'content-type': 'application/json', ...SECURITY_HEADERS, ...headers },
    body: JSON.stringify(body),
  };
}

/** The response to something that a route threw. */
export function failure(thrown: unknown, requestId: string): APIGatewayProxyStructuredResultV2 {
  const error = thrown instanceof HttpError ? thrown : unforeseen(thrown);
  const details = error.details.length > 0 ? shownDetails(error.details) : {};
  const message = short(error.message, MAX_ERROR.message);
  return respond(error.statusCode, { error: { code: error.code, message, ...details }, requestId }, error.headers);
}

/** As many details as an answer should hold, each cut to what people read, and how many there are beside them. */
function shownDetails(details: readonly Detail[]): { readonly details: readonly Detail[]; readonly omittedDetails?: number } {
  const shown: Detail[] = [];
  let bytes = 0;
  for (const detail of details) {
    const cut = {
      ...detail,
      message: short(detail.message, MAX_ERROR.detail),
      ...(Array.isArray(detail.allowed) ? { allowed: (detail.allowed as unknown[]).slice(0, MAX_ERROR.allowed).map(echo) } : {}),
    };
    bytes += JSON.stringify(cut).length;
    if (bytes > MAX_ERROR.bytes) {
      break;
    }
    shown.push(cut);
  }
  return { details: shown, ...(shown.length < details.length ? { omittedDetails: details.length - shown.length } : {}) };
}

/** The JSON value of a request's body; 400 when it is not valid JSON. */
export function jsonBody(request: HttpRequest): unknown {
  const type = header(request, 'content-type');
  if (type !== undefined && !/^application\/([\w.-]+\+)?json\s*(;|$)/i.test(type.trim())) {
    throw invalid('send the body as JSON, with the header content-type: application/json', [
      { field: 'content-type', value: short(type), allowed: ['application/json'], message: `the content type is ${JSON.stringify(short(type))}` },
    ]);
  }
  const text = bodyText(request);
  if (text.trim() === '') {
    throw invalid('the body is empty: send a JSON object');
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid(`the body is not JSON: ${short(error instanceof Error ? error.message : '')}`);
  }
  checkExtent(value);
  return value;
}

/** Refuses a body whose values are too many, or too deep for what follows. Without recursion, which a deep value would exhaust. */
function checkExtent(body: unknown): void {
  let level: unknown[] = [body];
  let values = 0;
  for (let depth = 0; level.length > 0; depth++) {
    values += level.length;
    if (depth > MAX_BODY.depth) {
      throw tooLarge(`the body is nested deeper than ${MAX_BODY.depth} levels`);
    }
    if (values > MAX_BODY.values) {
      throw tooLarge(`the body holds more than ${MAX_BODY.values} values`);
    }
    level = level.flatMap((value) => (typeof value === 'object' && value !== null ? Object.values(value) as unknown[] : []));
  }
}

function tooLarge(message: string): HttpError {
  return new HttpError(413, 'PayloadTooLarge', message);
}

/** The JSON object of a request's body, all of whose fields are known; 400 otherwise. */
export function jsonObject(request: HttpRequest, known: readonly string[]): { readonly [field: string]: unknown } {
  const body = jsonBody(request);
  if (!isObject(body)) {
    throw invalid(`the body must be a JSON object, not ${nameOf(body)}`);
  }
  const unknown = Object.keys(body).filter((field) => !known.includes(field));
  if (unknown.length > 0) {
    throw invalid(`the body has ${unknown.length === 1 ? 'a field' : 'fields'} that nobody reads`, unknown.slice(0, 20).map((field) => ({
      field: short(field), allowed: known, message: `${JSON.stringify(short(field))} is not a field; known are ${known.map((k) => `"${k}"`).join(', ')}`,
    })));
  }
  return body;
}

/** A header's value, whatever the case of its name. */
export function header(request: HttpRequest, name: string): string | undefined {
  const found = Object.entries(request?.headers ?? {}).find(([key]) => key.toLowerCase() === name);
  return typeof found?.[1] === 'string' ? found[1] : undefined;
}

/** True for what JSON writes in braces. */
export function isObject(value: unknown): value is { readonly [field: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What kind of JSON value it is, for messages. */
export function nameOf(value: unknown): string {
  if (value === null || value === undefined) {
    return 'null';
  }
  if (Array.isArray(value)) {
    return 'a list';
  }
  return typeof value === 'object' ? 'an object' : `a ${typeof value === 'string' ? 'text' : typeof value}`;
}

/** A value short enough to be repeated to the caller: long text is cut, of lists and objects only the kind is named. */
export function echo(value: unknown): unknown {
  return typeof value === 'string' ? short(value) : (typeof value === 'object' && value !== null ? nameOf(value) : value);
}

/** The first characters, a hundred by default. */
export function short(text: string, length = 100): string {
  return text.length > length ? `${text.slice(0, length)}…` : text;
}

/** The id under which API Gateway knows the request; in every error, access log and handler log. */
export function idOf(request: HttpRequest): string {
  const id: unknown = request?.requestContext?.requestId;
  return typeof id === 'string' ? id : 'unknown';
}

/** An environment variable that the construct sets. */
export function environment(name: string): string {
  const value = process.env[name];
  if (!value) {
    throw new Error(`the environment variable ${name} is not set`);
  }
  return value;
}

/** Names of service errors that mean: too many requests now, come again. */
const THROTTLED = ['ThrottlingException', 'Throttling', 'TooManyRequestsException', 'ProvisionedThroughputExceededException', 'RequestLimitExceeded'];

/** Whether a service refused because there were too many requests. */
export function isThrottled(error: unknown): boolean {
  const metadata = isObject(error) ? error.$metadata : undefined;
  return THROTTLED.includes(nameOfError(error)) || (isObject(metadata) && metadata.httpStatusCode === 429);
}

/** The name by which AWS calls an error. */
export function nameOfError(error: unknown): string {
  return isObject(error) && typeof error.name === 'string' ? error.name : '';
}

/** 429. */
export function tooMany(): HttpError {
  return new HttpError(429, 'TooManyRequests', 'too many requests at the moment: try again in a few seconds', [], { 'retry-after': '2' });
}

function unforeseen(error: unknown): HttpError {
  if (isThrottled(error)) {
    return tooMany();
  }
  // The only place where an error's own words appear: the function's log.
  logger.error('unexpected error', error instanceof Error ? error : `thrown: ${String(echo(error))}`);
  return new HttpError(500, 'InternalError', 'something went wrong on our side; the request id helps to find out what');
}

function bodyText(request: HttpRequest): string {
  const body: unknown = request?.body;
  if (typeof body !== 'string') {
    return '';
  }
  // Base64 takes a third more; characters are never more than bytes.
  if (body.length > MAX_BODY.bytes * (request.isBase64Encoded ? 4 / 3 : 1)) {
    throw tooLarge(`the body has more than ${MAX_BODY.bytes} bytes`);
  }
  if (!request.isBase64Encoded) {
    return body;
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(body, 'base64'));
  } catch {
    throw invalid('the body is not text in UTF-8');
  }
}
