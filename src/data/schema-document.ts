/**
 * The data contract as plain JSON (`schema.json`): what `DatasetSchema` renders and what every script and
 * handler reads. Types only, so that a Lambda bundle which needs them does not carry the CDK.
 */
export interface SchemaDocument {
  readonly version: 1;
  /** Name of the data set. */
  readonly name: string;
  /** What the target's kind makes of it. */
  readonly problemType: 'regression' | 'binary_classification' | 'multiclass_classification';
  /** In the order of the file. Exactly one has the role `target`. */
  readonly columns: readonly ColumnDocument[];
}

export interface ColumnDocument {
  readonly name: string;
  readonly kind: 'numeric' | 'integer' | 'categorical' | 'boolean' | 'timestamp' | 'identifier' | 'ignored';
  /** `none`: identifier and ignored columns; kept in the data, never seen by the model. */
  readonly role: 'feature' | 'target' | 'none';
  /** A value must be there in every row. When false, the preprocessor imputes what is missing. */
  readonly required: boolean;
  /** Largest share of missing values that validation accepts, 0 to 1. Always 0 where `required`. */
  readonly maxMissing: number;
  /** Allowed range, inclusive, in the unit that the data stores. */
  readonly min?: number;
  readonly max?: number;
  /** Allowed values of a categorical column, in the order that encoders and class indexes follow. */
  readonly values?: readonly string[];
  /** Unit in which people enter the value. */
  readonly unit?: string;
  /** stored = entered x perUnit. Absent: 1. */
  readonly perUnit?: number;
  /** Target only: how a prediction is shown, shown = predicted x scale + offset. */
  readonly display?: { readonly name: string; readonly unit?: string; readonly scale: number; readonly offset: number };
  readonly description?: string;
}
