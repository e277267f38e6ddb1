import { parseTable } from './csv';
import { RunContext } from './run-context';
import { getText, listKeys } from './s3-objects';
import { ColumnDocument, SchemaDocument } from '../../data/schema-document';
import { RehearsalError } from '../command/errors';

export type Instance = Record<string, string | number | boolean | null>;

/** A held-out row: the instance as a user enters it, and the true value of the target. */
export interface HeldOut {
  readonly instance: Instance;
  /** In stored units; for a classification the class. */
  readonly truth: string;
}

export function targetOf(schema: SchemaDocument): ColumnDocument {
  return schema.columns.find(({ role }) => role === 'target')!;
}

export function featuresOf(schema: SchemaDocument): readonly ColumnDocument[] {
  return schema.columns.filter(({ role }) => role === 'feature');
}

/** The test split that the data pipeline made: rows that the model has not seen. */
export async function heldOutRows(context: RunContext, schema: SchemaDocument, manifestId: string): Promise<HeldOut[]> {
  const { bucket, processedPrefix } = context.parts.data!.facts;
  const prefix = `${processedPrefix.replace(/\/?$/, '/')}${manifestId}/test/`;
  const keys = (await listKeys(context.aws.s3, bucket, prefix)).filter((key) => key.endsWith('.csv')).sort();
  if (keys.length === 0) {
    throw new RehearsalError(`there is no test split below s3://${bucket}/${prefix}`);
  }
  const texts = await Promise.all(keys.map(async (key) => getText(context.aws.s3, { bucket, key })));
  const target = targetOf(schema);
  return texts.flatMap(parseTable).map((row) => ({ instance: enteredInstance(schema, row), truth: row[target.name] }));
}

/** Turns a stored row into what users enter: in their units, without missing values. */
export function enteredInstance(schema: SchemaDocument, row: Readonly<Record<string, string>>): Instance {
  const given = featuresOf(schema).filter(({ name }) => (row[name] ?? '') !== '');
  return Object.fromEntries(given.map((column) => [column.name, entered(column, row[column.name])]));
}

function entered({ kind, perUnit }: ColumnDocument, stored: string): string | number | boolean {
  switch (kind) {
    case 'numeric':
    case 'integer':
      // 12 digits: 0.455 / 0.005 is 91, not 91.00000000000001
      return Number((Number(stored) / (perUnit ?? 1)).toPrecision(12));
    case 'boolean':
      return /^(true|1|yes)$/i.test(stored);
    default:
      return stored;
  }
}

export interface WrongInstance {
  readonly instance: Instance;
  readonly field: string;
  readonly value: unknown;
  /** What the response must name besides field and value. */
  readonly expected: readonly string[];
}

/** A copy of `right` with one field wrong in a way that the schema forbids. */
export function makeWrong(schema: SchemaDocument, right: Instance): WrongInstance {
  const features = featuresOf(schema);
  const categorical = features.find(({ kind, values }) => kind === 'categorical' && values);
  if (categorical) {
    const value = 'no-such-value';
    return { instance: { ...right, [categorical.name]: value }, field: categorical.name, value, expected: categorical.values! };
  }
  const column = features.find(({ kind }) => kind === 'numeric' || kind === 'integer') ?? features[0];
  const value = 'no-such-number';
  return { instance: { ...right, [column.name]: value }, field: column.name, value, expected: [] };
}
