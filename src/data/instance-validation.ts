import type { ColumnDocument, SchemaDocument } from './schema-document';
import { nearest } from '../shared/validation';

/** A value as the data store it: numbers in stored units, timestamps as ISO 8601 in UTC. */
export type StoredValue = number | string | boolean;

/** The features of one instance in stored units. A missing optional feature has no key. */
export type StoredInstance = { readonly [column: string]: StoredValue };

/** Limits of a number in the unit in which people enter it. */
export interface AllowedRange {
  readonly min?: number;
  readonly max?: number;
  readonly unit?: string;
}

/** One thing that is wrong with one field of an instance. */
export interface FieldProblem {
  /** Name of the field, as it was given. */
  readonly field: string;
  /** What was given, if anything. Text of more than 100 characters is cut. */
  readonly value?: unknown;
  /** Allowed values, or the allowed range. */
  readonly allowed?: readonly string[] | AllowedRange;
  /** A sentence that names the field, the value and what would be right. */
  readonly message: string;
}

/** What `validateInstance` found. `stored` is complete only where `problems` is empty. */
export interface ValidatedInstance {
  readonly problems: readonly FieldProblem[];
  readonly stored: StoredInstance;
}

/** Numbers that differ by less than this share of their size are the same: 3 x 0.1 must pass a maximum of 0.3. */
const TOLERANCE = 1e-9;
const LONGEST_ECHO = 100;
/** Most unknown fields that are told one by one; each is compared with the names of all features. */
const MOST_UNKNOWN = 20;
/** Most names or values that a message lists. */
const MOST_LISTED = 20;

/** The columns that a model sees, in schema order. */
export function featureColumns(document: SchemaDocument): readonly ColumnDocument[] {
  return document.columns.filter((column) => column.role === 'feature');
}

/** The column that a model predicts. */
export function targetColumn(document: SchemaDocument): ColumnDocument {
  const target = document.columns.find((column) => column.role === 'target');
  if (!target) {
    throw new Error(`schema "${document.name}" has no target column`);
  }
  return target;
}

/**
 * Checks one instance as people enter it (numbers in the unit of the column) against the contract, and renders it in
 * the units that the data store. Never throws for bad input: everything wrong with it is in `problems`.
 */
export function validateInstance(document: SchemaDocument, entered: unknown): ValidatedInstance {
  if (typeof entered !== 'object' || entered === null || Array.isArray(entered)) {
    return { problems: [{ field: '', value: echo(entered), message: `an instance is an object of fields, not ${nameOf(entered)}` }], stored: {} };
  }
  const fields = new Map<string, unknown>(Object.entries(entered));
  const problems: FieldProblem[] = unknownFields(document, fields);
  const stored = new Map<string, StoredValue>();
  for (const column of featureColumns(document)) {
    const value = fields.get(column.name);
    if (value === undefined || value === null) {
      if (column.required) {
        problems.push({ field: column.name, ...limits(column), message: `${column.name} is required${hint(column)}` });
      }
      continue;
    }
    const checked = checkValue(column, value);
    if ('message' in checked) {
      problems.push({ field: column.name, value: echo(value), ...limits(column), message: checked.message });
    } else {
      stored.set(column.name, checked.stored);
    }
  }
  return { problems, stored: Object.fromEntries(stored) };
}

/** The header-less CSV line (RFC 4180, no line end) that a model of this contract takes: features in schema order, empty where missing. */
export function toCsvRow(document: SchemaDocument, stored: StoredInstance): string {
  const cells = featureColumns(document).map((column) => csvCell(Object.hasOwn(stored, column.name) ? stored[column.name] : undefined));
  // A line without any character would be read as no row at all.
  return cells.length === 1 && cells[0] === '' ? '""' : cells.join(',');
}

/** A regression's prediction under the target's name and, where the contract says how it is shown, under that name too. */
export function presentPrediction(document: SchemaDocument, predicted: number): { [name: string]: number } {
  const { name, display } = targetColumn(document);
  return display ? { [name]: predicted, [display.name]: tidy(predicted * display.scale + display.offset) } : { [name]: predicted };
}

type Checked = { readonly stored: StoredValue } | { readonly message: string };

function checkValue(column: ColumnDocument, value: unknown): Checked {
  switch (column.kind) {
    case 'numeric':
    case 'integer':
      return checkNumber(column, value);
    case 'categorical':
      return checkCategory(column, value);
    case 'boolean':
      return typeof value === 'boolean' ? { stored: value } : { message: `${column.name} must be true or false, not ${show(value)}` };
    case 'timestamp':
      return checkTimestamp(column, value);
    default:
      return { message: `${column.name} is not a feature` };
  }
}

function checkNumber(column: ColumnDocument, value: unknown): Checked {
  if (typeof value !== 'number') {
    return { message: `${column.name} must be a number${hint(column)}, not ${show(value)}` };
  }
  if (!Number.isFinite(value)) {
    return { message: `${column.name} must be a finite number, not ${value}` };
  }
  let stored = value * (column.perUnit ?? 1);
  if (!Number.isFinite(stored)) {
    return { message: `${column.name} is ${value}, which is too large to be stored` };
  }
  if (column.kind === 'integer') {
    const whole = Math.round(stored);
    if (!Number.isSafeInteger(whole) || !same(stored, whole)) {
      return { message: `${column.name} must be a whole number${column.perUnit === undefined ? '' : ' as stored'}, not ${value}` };
    }
    stored = whole;
  }
  const { min, max, unit } = enteredRange(column);
  if (column.min !== undefined && stored < column.min) {
    if (!same(stored, column.min)) {
      return { message: `${column.name} must be at least ${min}${suffix(unit)}, not ${value}` };
    }
    stored = column.min;
  }
  if (column.max !== undefined && stored > column.max) {
    if (!same(stored, column.max)) {
      return { message: `${column.name} must be at most ${max}${suffix(unit)}, not ${value}` };
    }
    stored = column.max;
  }
  return { stored };
}

function checkCategory(column: ColumnDocument, value: unknown): Checked {
  const values = column.values ?? [];
  if (typeof value === 'string' && values.includes(value)) {
    return { stored: value };
  }
  const near = typeof value === 'string' && value !== '' ? nearest(value.slice(0, LONGEST_ECHO), values) : undefined;
  const meant = near !== undefined && near.length > 2 ? `; did you mean "${near}"?` : '';
  return { message: `${column.name} must be one of ${listed(values)}, not ${show(value)}${meant}` };
}

/** Date, or date and time; without a zone it is UTC, whatever machine reads it. */
const ISO = /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})?)?$/;

function checkTimestamp(column: ColumnDocument, value: unknown): Checked {
  const wrong = { message: `${column.name} must be an ISO 8601 timestamp such as "2024-05-31T12:00:00Z", not ${show(value)}` };
  const parts = typeof value === 'string' ? ISO.exec(value) : null;
  if (!parts) {
    return wrong;
  }
  const [, year, month, day, hour = '00', minute = '00', second = '00', fraction = '', zone = 'Z'] = parts;
  const time = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}${fraction.slice(0, 4)}${zone}`);
  // Date rolls 31 February over to March: such a day does not exist.
  const calendar = new Date(`${year}-${month}-${day}T00:00:00Z`);
  if (Number.isNaN(time.getTime()) || Number.isNaN(calendar.getTime()) || calendar.getUTCDate() !== Number(day)) {
    return wrong;
  }
  return { stored: time.toISOString() };
}

function unknownFields(document: SchemaDocument, fields: ReadonlyMap<string, unknown>): FieldProblem[] {
  const features = featureColumns(document).map((column) => column.name);
  const known = new Map(document.columns.map((column) => [column.name, column]));
  const problems: FieldProblem[] = [];
  let unknown = 0;
  for (const [field, value] of fields) {
    const column = known.get(field);
    if (column?.role === 'target') {
      problems.push({ field, value: echo(value), message: `${field} is what the model predicts: leave it out` });
    } else if (!column && ++unknown <= MOST_UNKNOWN) {
      const near = nearest(field.slice(0, LONGEST_ECHO), features);
      const right = near ? `did you mean "${near}"?` : `known are ${listed(features)}`;
      problems.push({ field, value: echo(value), allowed: near ? [near] : features, message: `${String(echo(field))} is not a field; ${right}` });
    }
  }
  if (unknown > MOST_UNKNOWN) {
    problems.push({ field: '', message: `there are ${unknown - MOST_UNKNOWN} more fields that are not fields of the contract` });
  }
  return problems;
}

function listed(names: readonly string[]): string {
  const more = names.length > MOST_LISTED ? ` and ${names.length - MOST_LISTED} more` : '';
  return `${names.slice(0, MOST_LISTED).map((name) => `"${name}"`).join(', ')}${more}`;
}

/** Limits of a numeric column in the unit in which people enter it. */
function enteredRange(column: ColumnDocument): AllowedRange {
  const perUnit = column.perUnit ?? 1;
  return {
    ...(column.min === undefined ? {} : { min: tidy(column.min / perUnit) }),
    ...(column.max === undefined ? {} : { max: tidy(column.max / perUnit) }),
    ...(column.unit === undefined ? {} : { unit: column.unit }),
  };
}

function limits(column: ColumnDocument): { allowed?: readonly string[] | AllowedRange } {
  if (column.values) {
    return { allowed: column.values };
  }
  const range = enteredRange(column);
  return range.min === undefined && range.max === undefined ? {} : { allowed: range };
}

function hint(column: ColumnDocument): string {
  return column.unit ? ` (in ${column.unit})` : '';
}

function suffix(unit: string | undefined): string {
  return unit ? ` ${unit}` : '';
}

function same(a: number, b: number): boolean {
  return Math.abs(a - b) <= TOLERANCE * Math.max(1, Math.abs(a), Math.abs(b));
}

/** Without the digits that binary fractions leave behind: 0.1 / 0.005 is 20. */
function tidy(value: number): number {
  return Number(value.toPrecision(12));
}

function csvCell(value: StoredValue | undefined): string {
  const text = value === undefined ? '' : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function echo(value: unknown): unknown {
  if (typeof value === 'string' && value.length > LONGEST_ECHO) {
    return `${value.slice(0, LONGEST_ECHO)}…`;
  }
  if (typeof value === 'number' && !Number.isFinite(value)) {
    return String(value);
  }
  return typeof value === 'object' && value !== null ? nameOf(value) : value;
}

function show(value: unknown): string {
  return typeof value === 'string' ? `the text ${JSON.stringify(echo(value))}` : String(echo(value));
}

function nameOf(value: unknown): string {
  if (value === null || value === undefined) {
    return 'nothing';
  }
  return Array.isArray(value) ? 'a list' : `${/^[aeiou]/.test(typeof value) ? 'an' : 'a'} ${typeof value}`;
}
