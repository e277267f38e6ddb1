import { Problems } from '../shared/validation';

/** How rows are divided. The same row always falls into the same part, whatever else is in the file. */
export interface DataSplit {
  /**
   * Share of rows to learn from.
   * @default 0.7
   */
  readonly train?: number;
  /**
   * Share of rows that decide when learning stops.
   * @default 0.15
   */
  readonly validation?: number;
  /**
   * Share of rows that the model is measured on.
   * @default 0.15
   */
  readonly test?: number;
  /**
   * Another seed divides otherwise. A whole number.
   * @default 0
   */
  readonly seed?: number;
}

/** What a file must keep beside what its schema says of each column. */
export interface ValidationRules {
  /**
   * Fewest rows that a file must have.
   * @default 50
   */
  readonly minimumRows?: number;
  /**
   * Largest share of rows, 0 to 1, that may repeat another row exactly. Those that are accepted are dropped
   * by preprocessing and reported as a warning.
   * @default 0.5
   */
  readonly maxDuplicates?: number;
}

/** The split with its defaults. */
export function splitOf(split: DataSplit = {}): Required<DataSplit> {
  return { train: split.train ?? 0.7, validation: split.validation ?? 0.15, test: split.test ?? 0.15, seed: split.seed ?? 0 };
}

/** The rules with their defaults. */
export function rulesOf(rules: ValidationRules = {}): Required<ValidationRules> {
  return { minimumRows: rules.minimumRows ?? 50, maxDuplicates: rules.maxDuplicates ?? 0.5 };
}

/** Notes what is wrong with rules and split. */
export function checkDataRules(problems: Problems, rules: Required<ValidationRules>, split: Required<DataSplit>): void {
  const shares = [split.train, split.validation, split.test];
  problems.check(shares.every((share) => share > 0 && share < 1) && Math.abs(shares[0] + shares[1] + shares[2] - 1) < 1e-9, () =>
    `split is ${shares.join(' / ')}; its shares must each be greater than 0 and add up to 1`);
  problems.check(Number.isSafeInteger(split.seed), () => `split.seed is ${split.seed}; it must be a whole number`);
  problems.check(Number.isInteger(rules.minimumRows) && rules.minimumRows >= 3, () =>
    `rules.minimumRows is ${rules.minimumRows}; it must be a whole number of at least 3, one row for each part of the split`);
  problems.check(rules.maxDuplicates >= 0 && rules.maxDuplicates <= 1, () =>
    `rules.maxDuplicates is ${rules.maxDuplicates}; it is a share from 0 to 1`);
}
