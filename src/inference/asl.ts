/** A little vocabulary for Amazon States Language with JSONata: plain objects, rendered as they stand. */

export type Json = string | number | boolean | undefined | Json[] | { [key: string]: Json };
export type Fields = { [key: string]: Json };
export type State = Fields & { readonly Type: string };
export type States = { [name: string]: State };

/** A JSONata expression. */
export function expr(jsonata: string): string {
  return `{% ${jsonata} %}`;
}

/** A text literal of JSONata. Names given here may be tokens, and hold no quotes. */
export function text(value: string): string {
  return `'${value}'`;
}

/** `value` if `path` has one, else `otherwise`: an undefined result is an error in Step Functions. */
export function orElse(path: string, otherwise: string): string {
  return `$exists(${path}) ? ${path} : ${otherwise}`;
}

/**
 * What is worth trying again. SageMaker declares few errors, so that the SDK knows most of them, throttling included, by the
 * service's name only.
 */
export const TRANSIENT = [
  'SageMaker.SageMakerException',
  'SageMaker.ThrottlingException',
  'SageMaker.InternalServerException',
  'SageMaker.ServiceUnavailableException',
  'ApplicationAutoScaling.ConcurrentUpdateException',
  'ApplicationAutoScaling.InternalServiceException',
  'DynamoDB.ProvisionedThroughputExceededException',
  'DynamoDB.ThrottlingException',
  'DynamoDB.RequestLimitExceeded',
  'DynamoDB.InternalServerError',
  'Lambda.ServiceException',
  'Lambda.AWSLambdaException',
  'Lambda.SdkClientException',
  'Lambda.TooManyRequestsException',
  'States.Timeout',
];

export const RETRY: Json = [{ ErrorEquals: TRANSIENT, IntervalSeconds: 2, MaxAttempts: 4, BackoffRate: 2, MaxDelaySeconds: 30, JitterStrategy: 'FULL' }];

export interface TaskOptions {
  readonly resource: string;
  readonly args: Json;
  readonly next: string;
  readonly assign?: Fields;
  /** States for errors, in order; the last one is usually `otherwise`. */
  readonly on?: Json[];
  /** Off where the first error is as good as the last. @default true */
  readonly retry?: boolean;
}

/** A task whose result goes into variables; the input passes through. */
export function task(options: TaskOptions): State {
  return {
    Type: 'Task',
    Resource: options.resource,
    Arguments: options.args,
    Assign: options.assign,
    Output: expr('$states.input'),
    Retry: options.retry === false ? undefined : RETRY,
    Catch: options.on,
    Next: options.next,
  };
}

/** Goes to `next` on one of these errors, without noting anything. */
export function ignore(next: string, ...errors: string[]): Json {
  return { ErrorEquals: errors.length > 0 ? errors : ['States.ALL'], Output: expr('$states.input'), Next: next };
}

/** Goes to `next` on any error and keeps it as `$errorName` and `$cause`; the cause begins with what was tried. */
export function note(next: string, tried: string, assign: Fields = {}): Json {
  return {
    ErrorEquals: ['States.ALL'],
    Assign: {
      errorName: expr('$states.errorOutput.Error'),
      cause: expr(`${text(`${tried}: `)} & (${orElse('$states.errorOutput.Cause', "'no cause given'")})`),
      ...assign,
    },
    Output: expr('$states.input'),
    Next: next,
  };
}

export interface Branch {
  readonly when: string;
  readonly next: string;
  readonly assign?: Fields;
}

export function choice(branches: Branch[], otherwise: string, assign?: Fields): State {
  return {
    Type: 'Choice',
    Choices: branches.map((branch) => ({ Condition: expr(branch.when), Assign: branch.assign, Next: branch.next })),
    Assign: assign,
    Default: otherwise,
  };
}

export function wait(seconds: number, next: string): State {
  return { Type: 'Wait', Seconds: seconds, Next: next };
}

export function pass(assign: Fields, next: string): State {
  return { Type: 'Pass', Assign: assign, Next: next };
}
