import type { ColumnDocument } from './schema-document';

/** Options of every column. */
export interface ColumnOptions {
  /**
   * Whether every row, and every request, must have a value. Where it may be missing, the preprocessor of the
   * training pipeline imputes it.
   * @default - true, unless `maxMissing` is given
   */
  readonly required?: boolean;
  /**
   * Largest share of missing values, 0 to 1, that validation accepts. Giving one makes the column optional.
   * @default - 0 for a required column, else 0.1
   */
  readonly maxMissing?: number;
  /**
   * What the column means, for people.
   * @default - none
   */
  readonly description?: string;
}

/** Options of a column of numbers. */
export interface NumericColumnOptions extends ColumnOptions {
  /**
   * Smallest allowed value, inclusive, in the unit that the data store.
   * @default - no limit
   */
  readonly min?: number;
  /**
   * Largest allowed value, inclusive, in the unit that the data store.
   * @default - no limit
   */
  readonly max?: number;
  /**
   * Unit in which people enter the value, such as `mm`.
   * @default - none
   */
  readonly unit?: string;
  /**
   * What one unit is in the data: stored value = entered value x `perUnit`. Greater than 0.
   * @default 1
   */
  readonly perUnit?: number;
}

/** Options of a column with a closed set of values. */
export interface CategoricalColumnOptions extends ColumnOptions {
  /** The allowed values, exactly as the data have them. Encoders follow this order. */
  readonly values: string[];
}

/** How a prediction is shown to people: shown = predicted x `scale` + `offset`. */
export interface TargetDisplay {
  /** Name of the shown value, such as `age`. */
  readonly name: string;
  /**
   * Unit of the shown value.
   * @default - none
   */
  readonly unit?: string;
  /**
   * Factor between predicted and shown.
   * @default 1
   */
  readonly scale?: number;
  /**
   * Added after scaling.
   * @default 0
   */
  readonly offset?: number;
}

/**
 * Options of the target. With `values` the problem is a classification (two values: binary; more: multiclass),
 * without it a regression.
 */
export interface TargetOptions {
  /**
   * The classes, exactly as the data have them. A class's index is its position.
   * @default - a regression
   */
  readonly values?: string[];
  /**
   * Smallest allowed value of a regression target, inclusive.
   * @default - no limit
   */
  readonly min?: number;
  /**
   * Largest allowed value of a regression target, inclusive.
   * @default - no limit
   */
  readonly max?: number;
  /**
   * Whether a regression target has whole numbers only.
   * @default false
   */
  readonly integer?: boolean;
  /**
   * How a regression's prediction is shown.
   * @default - as it is
   */
  readonly display?: TargetDisplay;
  /**
   * Largest share of rows without a target, 0 to 1, that validation accepts. Such rows are dropped.
   * @default 0
   */
  readonly maxMissing?: number;
  /**
   * What the target means, for people.
   * @default - none
   */
  readonly description?: string;
}

/** Share of missing values that an optional column may have when nothing else is said. */
const DEFAULT_MAX_MISSING = 0.1;

/**
 * One column of a `DatasetSchema`. Made by its static methods, one for each kind.
 */
export class Column {
  /** A feature of numbers. */
  public static numeric(name: string, options: NumericColumnOptions = {}): Column {
    return Column.number('numeric', name, options);
  }

  /** A feature of whole numbers. */
  public static integer(name: string, options: NumericColumnOptions = {}): Column {
    return Column.number('integer', name, options);
  }

  /** A feature with a closed set of values. */
  public static categorical(name: string, options: CategoricalColumnOptions): Column {
    return new Column({ name, kind: 'categorical', role: 'feature', ...presence(options), values: [...options.values] });
  }

  /** A feature that is true or false. A CSV may also write 1 and 0, in any case of letters. */
  public static flag(name: string, options: ColumnOptions = {}): Column {
    return new Column({ name, kind: 'boolean', role: 'feature', ...presence(options) });
  }

  /** A feature that is a point in time in ISO 8601, such as `2024-05-31T12:00:00Z`. Without a zone it is UTC. */
  public static timestamp(name: string, options: ColumnOptions = {}): Column {
    return new Column({ name, kind: 'timestamp', role: 'feature', ...presence(options) });
  }

  /** A column that tells rows apart: checked to be there, never seen by the model. */
  public static identifier(name: string, options: ColumnOptions = {}): Column {
    return new Column({ name, kind: 'identifier', role: 'none', ...presence(options) });
  }

  /** A column that the data may have and that nothing uses or checks. */
  public static ignored(name: string, options: IgnoredColumnOptions = {}): Column {
    return new Column({ name, kind: 'ignored', role: 'none', required: false, maxMissing: 1, ...defined({ description: options.description }) });
  }

  /** The column that the model learns to predict. A schema has exactly one. */
  public static target(name: string, options: TargetOptions = {}): Column {
    const { values, min, max, integer, display, description } = options;
    return new Column({
      name,
      kind: values ? 'categorical' : integer ? 'integer' : 'numeric',
      role: 'target',
      ...presence({ maxMissing: options.maxMissing }),
      ...defined({
        values: values ? [...values] : undefined,
        min,
        max,
        display: display
          ? { name: display.name, ...defined({ unit: display.unit }), scale: display.scale ?? 1, offset: display.offset ?? 0 }
          : undefined,
        description,
      }),
    }, values && integer ? ['integer is for a regression target; values make it a classification'] : []);
  }

  private static number(kind: 'numeric' | 'integer', name: string, options: NumericColumnOptions): Column {
    const { min, max, unit, perUnit, ...rest } = options;
    return new Column({ name, kind, role: 'feature', ...presence(rest), ...defined({ min, max, unit, perUnit }) });
  }

  /** Name of the column in the header of the file. */
  public readonly columnName: string;

  private constructor(private readonly rendered: ColumnDocument, private readonly contradictions: readonly string[] = []) {
    this.columnName = rendered.name;
  }

  /** @internal */
  public _document(): ColumnDocument {
    return this.rendered;
  }

  /**
   * What its options say against each other, beside what the document shows.
   * @internal
   */
  public _contradictions(): readonly string[] {
    return this.contradictions;
  }
}

/** Options of a column that nothing uses. */
export interface IgnoredColumnOptions {
  /**
   * What the column means, for people.
   * @default - none
   */
  readonly description?: string;
}

function presence(options: ColumnOptions): Pick<ColumnDocument, 'required' | 'maxMissing' | 'description'> {
  const required = options.required ?? (options.maxMissing === undefined || options.maxMissing === 0);
  return {
    required,
    maxMissing: options.maxMissing ?? (required ? 0 : DEFAULT_MAX_MISSING),
    ...defined({ description: options.description }),
  };
}

/** Without the keys whose value is undefined: the document is JSON, and equal contracts must be equal text. */
function defined<T extends object>(values: T): Partial<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<T>;
}
