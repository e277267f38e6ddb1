import * as sfn from 'aws-cdk-lib/aws-stepfunctions';

/** The state's input as its output: results go into variables, or nowhere. */
export const KEEP_INPUT = expr('$states.input');

/** A JSONata expression. */
export function expr(jsonata: string): string {
  return `{% ${jsonata} %}`;
}

/** A condition of a choice. */
export function condition(jsonata: string): sfn.Condition {
  return sfn.Condition.jsonata(expr(jsonata));
}

/** A text literal of JSONata. Names given here may be tokens, and hold no quotes. */
export function text(value: string): string {
  return `'${value}'`;
}

/** `value` if there is one, else `otherwise`: an undefined result is an error in Step Functions. */
export function orElse(value: string, otherwise: string): string {
  return `$exists(${value}) ? ${value} : ${otherwise}`;
}

/** The state's input with a field more, as its output. */
export function inputWith(field: string, value: string): string {
  return expr(`$merge([$states.input, { ${text(field)}: ${value} }])`);
}
