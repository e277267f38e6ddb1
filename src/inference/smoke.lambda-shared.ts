import { featureColumns, StoredInstance, StoredValue, targetColumn, toCsvRow } from '../data/instance-validation';
import type { ColumnDocument, SchemaDocument } from '../data/schema-document';

/** How far outside the target's allowed range, in widths of it, an answer still counts as a prediction. */
const TOLERANCE = 1;

/**
 * Rows that every model of this schema must answer: one of middling values and, where values may be missing, one that
 * misses all of these.
 */
export function smokeRows(document: SchemaDocument): string[] {
  const columns = featureColumns(document);
  const instance = (of: readonly ColumnDocument[]): StoredInstance => Object.fromEntries(of.map((column) => [column.name, typical(column)]));
  const required = columns.filter((column) => column.required);
  const rows = [instance(columns), ...(required.length < columns.length ? [instance(required)] : [])];
  return rows.map((row) => toCsvRow(document, row));
}

function typical(column: ColumnDocument): StoredValue {
  switch (column.kind) {
    case 'categorical':
      return column.values?.[0] ?? '';
    case 'boolean':
      return true;
    case 'timestamp':
      return '2024-01-01T00:00:00Z';
    default: {
      const middle = column.min !== undefined && column.max !== undefined
        ? column.min + (column.max - column.min) / 2
        : column.min ?? column.max ?? 1;
      return column.kind === 'integer' ? whole(middle, column) : middle;
    }
  }
}

/** The nearest whole number that is allowed. */
function whole(value: number, column: ColumnDocument): number {
  const least = column.min === undefined ? -Infinity : Math.ceil(column.min);
  const largest = column.max === undefined ? Infinity : Math.floor(column.max);
  return Math.max(least, Math.min(largest, Math.round(value)));
}

/** What is wrong with the answer to so many rows, in a sentence; undefined if nothing is. */
export function answerProblem(document: SchemaDocument, rows: number, body: string): string | undefined {
  const target = targetColumn(document);
  const classes = document.problemType === 'multiclass_classification' ? target.values?.length ?? 0 : 1;
  const tokens = body.split(/[\s,[\]"]+/).filter((token) => token !== '');
  const numbers = tokens.map(Number);
  const strange = tokens.find((_, i) => !Number.isFinite(numbers[i]));
  const must = `the model must answer text/csv, ${classes === 1 ? 'one number' : `${classes} numbers`} a row`;
  if (strange !== undefined) {
    return `the answer to the smoke prediction holds "${shorten(strange)}", which is not a number: ${must}`;
  }
  if (numbers.length !== rows * classes) {
    return `the smoke prediction of ${rows} row(s) was answered with ${numbers.length} number(s) instead of ${rows * classes}: ${must}`;
  }
  return document.problemType === 'regression' ? rangeProblem(target, numbers) : probabilityProblem(numbers, classes);
}

function rangeProblem(target: ColumnDocument, numbers: number[]): string | undefined {
  if (target.min === undefined || target.max === undefined) {
    return undefined;
  }
  const slack = (target.max - target.min) * TOLERANCE;
  const far = numbers.find((value) => value < target.min! - slack || value > target.max! + slack);
  return far === undefined
    ? undefined
    : `the smoke prediction of ${target.name} is ${far}, far from its range of ${target.min} to ${target.max}`;
}

function probabilityProblem(numbers: number[], classes: number): string | undefined {
  const strange = numbers.find((value) => value < -1e-6 || value > 1 + 1e-6);
  if (strange !== undefined) {
    return `the smoke prediction holds ${strange}, which is not a probability`;
  }
  for (let row = 0; classes > 1 && row * classes < numbers.length; row++) {
    const sum = numbers.slice(row * classes, (row + 1) * classes).reduce((a, b) => a + b, 0);
    if (Math.abs(sum - 1) > 0.01) {
      return `the probabilities of the smoke prediction sum up to ${sum}`;
    }
  }
  return undefined;
}

export function shorten(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)}...` : text;
}
