import { SchemaDocument } from '../../data/schema-document';

/** One prediction beside the truth. */
export interface PredictedRow {
  readonly truth: string;
  /** A number or a class. */
  readonly predicted: string;
}

export type Scores = Readonly<Record<string, number>>;

/** MSE, MAE and R² of a regression, accuracy of a classification. */
export function score(problemType: SchemaDocument['problemType'], rows: readonly PredictedRow[]): Scores {
  if (problemType !== 'regression') {
    return { accuracy: rows.filter(({ truth, predicted }) => truth === predicted).length / rows.length };
  }
  const pairs = rows.map(({ truth, predicted }) => [Number(truth), Number(predicted)]);
  const mean = pairs.reduce((sum, [truth]) => sum + truth, 0) / pairs.length;
  const squares = pairs.reduce((sum, [truth, predicted]) => sum + (truth - predicted) ** 2, 0);
  const spread = pairs.reduce((sum, [truth]) => sum + (truth - mean) ** 2, 0);
  return {
    mse: squares / pairs.length,
    mae: pairs.reduce((sum, [truth, predicted]) => sum + Math.abs(truth - predicted), 0) / pairs.length,
    r2: spread === 0 ? 0 : 1 - squares / spread,
  };
}
