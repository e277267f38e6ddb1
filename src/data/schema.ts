import { Token } from 'aws-cdk-lib';
import { Column } from './column';
import type { ColumnDocument, SchemaDocument } from './schema-document';
import { Problems } from '../shared/validation';

/** What kind of question the target asks. */
export enum ProblemType {
  /** A number is predicted. */
  REGRESSION = 'regression',
  /** One of two classes is predicted. */
  BINARY_CLASSIFICATION = 'binary_classification',
  /** One of three or more classes is predicted. */
  MULTICLASS_CLASSIFICATION = 'multiclass_classification',
}

const DATASET_NAME = /^[A-Za-z][A-Za-z0-9_-]{0,62}$/;
const COLUMN_NAME = /^[A-Za-z_]([A-Za-z0-9_ .()-]{0,126}[A-Za-z0-9_)])?$/;

/**
 * The contract of a data set, declared once: its columns in the order of the file, what each may hold, and which one
 * is predicted. Validation rules, encoders, the request check of the API and the prediction that a deployment asks
 * for all follow it. A value, not a construct: use it in as many stacks as you like.
 *
 * Errors: everything that contradicts itself is told at once when the schema is made.
 *
 * @example
 * const animals = DatasetSchema.of('abalone', [
 *   Column.categorical('sex', { values: ['F', 'I', 'M'] }),
 *   Column.numeric('length', { min: 0, unit: 'mm', perUnit: 1 / 200 }),
 *   Column.target('rings', { min: 1, max: 40 }),
 * ]);
 */
export class DatasetSchema {
  /**
   * The schema of a data set.
   *
   * @param name of the data set: a letter, then letters, digits, `_` and `-`, up to 63 characters
   * @param columns in the order of the file; exactly one of them a target
   */
  public static of(name: string, columns: Column[]): DatasetSchema {
    return new DatasetSchema(name, columns);
  }

  /** Name of the data set. */
  public readonly datasetName: string;

  /** What the target's kind makes of it. */
  public readonly problemType: ProblemType;

  /** Name of the column that is predicted. */
  public readonly targetName: string;

  /** Names of the columns that the model sees, in the order of the file. */
  public readonly featureNames: string[];

  /** The classes of a classification, in order: the index of a class is its position. Empty for a regression. */
  public readonly targetClasses: string[];

  private readonly document: SchemaDocument;

  private constructor(name: string, columns: Column[]) {
    const documents = columns.map((column) => column._document());
    const problems = new Problems(`DatasetSchema "${name}"`);
    problems.check(!Token.isUnresolved(name) && DATASET_NAME.test(name), () =>
      'its name must be a letter followed by up to 62 letters, digits, "_" or "-", known at synthesis');
    checkTogether(problems, documents);
    columns.forEach((column) => {
      checkColumn(problems, column._document());
      column._contradictions().forEach((contradiction) => problems.check(false, () => `column "${column.columnName}": ${contradiction}`));
    });
    problems.throwIfAny();

    const target = documents.find((column) => column.role === 'target')!;
    this.datasetName = name;
    this.targetName = target.name;
    this.featureNames = documents.filter((column) => column.role === 'feature').map((column) => column.name);
    this.targetClasses = [...target.values ?? []];
    this.problemType = problemTypeOf(target);
    this.document = { version: 1, name, problemType: this.problemType, columns: documents };
  }

  /**
   * The contract as plain JSON, as scripts and handlers read it.
   * @internal
   */
  public _document(): SchemaDocument {
    return this.document;
  }
}

/** Name of a column in the Glue catalog, whose readers know lower case letters, digits and `_` only. */
export function catalogName(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9_]/g, '_');
}

function problemTypeOf(target: ColumnDocument): ProblemType {
  if (target.kind !== 'categorical') {
    return ProblemType.REGRESSION;
  }
  return target.values!.length === 2 ? ProblemType.BINARY_CLASSIFICATION : ProblemType.MULTICLASS_CLASSIFICATION;
}

function checkTogether(problems: Problems, columns: readonly ColumnDocument[]): void {
  const targets = columns.filter((column) => column.role === 'target');
  problems.check(targets.length === 1, () => targets.length === 0
    ? 'it has no target: declare the column to predict with Column.target(...)'
    : `it has ${targets.length} targets (${quoted(targets.map((t) => t.name))}): keep one, make the others features or ignored`);
  problems.check(columns.some((column) => column.role === 'feature'), () => 'it has no feature: a model needs at least one column beside the target');
  const seen = new Map<string, string>();
  for (const { name } of columns) {
    const before = seen.get(catalogName(name));
    problems.check(before === undefined, () => before === name
      ? `column "${name}" is declared twice`
      : `columns "${before}" and "${name}" are the same name in the data catalog: rename one`);
    seen.set(catalogName(name), name);
  }
  const display = targets[0]?.display;
  problems.check(!display || !columns.some((column) => column.name === display.name), () =>
    `display name "${display!.name}" of the target is the name of a column: choose another`);
}

function checkColumn(problems: Problems, column: ColumnDocument): void {
  const say = (ok: boolean, message: string) => problems.check(ok, () => `column "${column.name}": ${message}`);
  say(COLUMN_NAME.test(column.name),
    'a name must start with a letter or "_" and hold letters, digits, "_", "-", ".", spaces and round brackets only, up to 128 characters');
  say(column.maxMissing >= 0 && column.maxMissing <= 1, `maxMissing is ${column.maxMissing}; it is a share from 0 to 1`);
  say(!column.required || !(column.maxMissing > 0),
    `it is required and maxMissing is ${column.maxMissing}: leave one of them out`);
  checkNumbers(say, column);
  checkValues(say, column);
}

function checkNumbers(say: (ok: boolean, message: string) => void, column: ColumnDocument): void {
  const { min, max, perUnit, display } = column;
  say(min === undefined || Number.isFinite(min), `min is ${min}; it must be a finite number`);
  say(max === undefined || Number.isFinite(max), `max is ${max}; it must be a finite number`);
  say(min === undefined || max === undefined || !(min > max), `min ${min} is greater than max ${max}`);
  say(column.kind !== 'integer' || [min, max].every((limit) => limit === undefined || Number.isInteger(limit)),
    `its values are whole numbers, so min and max must be too (min ${min}, max ${max})`);
  say(perUnit === undefined || (Number.isFinite(perUnit) && perUnit > 0), `perUnit is ${perUnit}; stored = entered x perUnit, so it must be greater than 0`);
  say(!display || (Number.isFinite(display.scale) && display.scale !== 0 && Number.isFinite(display.offset)),
    `display scale ${display?.scale} and offset ${display?.offset} must be finite numbers, the scale not 0`);
  say(!display || display.name.trim() !== '', 'the name of its display is empty');
}

function checkValues(say: (ok: boolean, message: string) => void, column: ColumnDocument): void {
  const { values, role } = column;
  if (!values) {
    return;
  }
  // Whoever writes JavaScript is not told by a compiler.
  const other: unknown = values.find((value) => typeof value !== 'string');
  say(other === undefined, `values holds the ${typeof other} ${String(other)}; each is a text, as the data have it: ${JSON.stringify(String(other))}`);
  if (other !== undefined) {
    return;
  }
  const fewest = role === 'target' ? 2 : 1;
  say(values.length >= fewest, role === 'target'
    ? `a classification needs at least two values, it has ${values.length}`
    : 'values is empty: list what the column may hold, or make it ignored');
  const twice = values.filter((value, i) => values.indexOf(value) !== i);
  say(twice.length === 0, `values holds ${quoted(twice)} more than once`);
  const untidy = values.filter((value) => value.trim() === '' || value !== value.trim() || /[\r\n]/.test(value));
  say(untidy.length === 0, `values holds ${quoted(untidy)}: a value has text, no line break and no space at its ends (cells are trimmed)`);
  say(column.min === undefined && column.max === undefined && column.display === undefined, 'min, max and display are for a regression target; values make it a classification');
}

function quoted(values: readonly string[]): string {
  return values.map((value) => JSON.stringify(value)).join(', ');
}
