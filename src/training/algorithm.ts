import { Token } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { PipelineParameter } from './pipeline-parameter';
import type { SchemaDocument } from '../data/schema-document';
import { builtInImageUri, builtInRepositoryArn, XGBOOST } from '../shared/container-images';
import { Problems } from '../shared/validation';

/** Hyper-parameters of XGBoost. Each but the seed is a parameter of the pipeline too, so that a start can change it. */
export interface XgboostOptions {
  /** Greatest depth of a tree, 1 to 64. Parameter `MaxDepth`. @default 5 */
  readonly maxDepth?: number;
  /** How much of each tree is taken over, above 0 up to 1. Parameter `Eta`. @default 0.2 */
  readonly eta?: number;
  /** Least gain of a split, 0 or more. Parameter `Gamma`. @default 4 */
  readonly gamma?: number;
  /** Least weight of a leaf, 0 or more. Parameter `MinChildWeight`. @default 6 */
  readonly minChildWeight?: number;
  /** Share of the rows that each tree sees, above 0 up to 1. Parameter `Subsample`. @default 0.7 */
  readonly subsample?: number;
  /** Number of trees at most, 1 to 10000. Parameter `NumRound`. @default 50 */
  readonly rounds?: number;
  /** Ends when so many rounds brought nothing on the validation data. Parameter `EarlyStoppingRounds`. @default 10 */
  readonly earlyStoppingRounds?: number;
  /** Seed of the random choices: equal data and equal seed give an equal model. @default 42 */
  readonly seed?: number;
}

/** What the training step needs of an algorithm. */
export interface BoundAlgorithm {
  readonly image: string;
  readonly repositoryArn: string;
  readonly parameters: PipelineParameter[];
  readonly hyperParameters: { [name: string]: string };
}

/** How a model is trained. */
export abstract class Algorithm {
  /**
   * SageMaker's XGBoost. The objective follows the schema's target: squared error for numbers, logistic for two classes,
   * softprob for more; the metric that early stopping watches is rmse, logloss or mlogloss.
   */
  public static xgboost(options: XgboostOptions = {}): Algorithm {
    return new Xgboost(options);
  }

  protected constructor() {}

  /** @internal */
  public abstract _check(problems: Problems): void;

  /** @internal */
  public abstract _bind(scope: Construct, schema: SchemaDocument): BoundAlgorithm;
}

interface Range {
  readonly parameter: string;
  readonly hyperParameter: string;
  readonly integer: boolean;
  readonly fallback: number;
  readonly from: number;
  readonly to: number;
  /** The lower end itself is not allowed. */
  readonly above?: boolean;
}

/** Rows of this table are the hyper-parameters: options, pipeline parameters, checks and the training job follow it. */
const RANGES: { readonly [option in Exclude<keyof XgboostOptions, 'seed'>]-?: Range } = {
  maxDepth: { parameter: 'MaxDepth', hyperParameter: 'max_depth', integer: true, fallback: 5, from: 1, to: 64 },
  eta: { parameter: 'Eta', hyperParameter: 'eta', integer: false, fallback: 0.2, from: 0, to: 1, above: true },
  gamma: { parameter: 'Gamma', hyperParameter: 'gamma', integer: false, fallback: 4, from: 0, to: Infinity },
  minChildWeight: { parameter: 'MinChildWeight', hyperParameter: 'min_child_weight', integer: false, fallback: 6, from: 0, to: Infinity },
  subsample: { parameter: 'Subsample', hyperParameter: 'subsample', integer: false, fallback: 0.7, from: 0, to: 1, above: true },
  rounds: { parameter: 'NumRound', hyperParameter: 'num_round', integer: true, fallback: 50, from: 1, to: 10000 },
  earlyStoppingRounds: { parameter: 'EarlyStoppingRounds', hyperParameter: 'early_stopping_rounds', integer: true, fallback: 10, from: 1, to: 10000 },
};

const OBJECTIVES: Record<SchemaDocument['problemType'], { readonly objective: string; readonly metric: string }> = {
  regression: { objective: 'reg:squarederror', metric: 'rmse' },
  binary_classification: { objective: 'binary:logistic', metric: 'logloss' },
  multiclass_classification: { objective: 'multi:softprob', metric: 'mlogloss' },
};

class Xgboost extends Algorithm {
  constructor(private readonly options: XgboostOptions) {
    super();
  }

  public _check(problems: Problems): void {
    for (const [option, range] of rows()) {
      const value = this.options[option];
      const inside = value === undefined || Token.isUnresolved(value)
        || (value <= range.to && (range.above ? value > range.from : value >= range.from) && Number.isFinite(value));
      const what = `${range.above ? 'above' : 'at least'} ${range.from}${range.to === Infinity ? '' : ` and at most ${range.to}`}`;
      problems.check(inside, () => `algorithm: ${option} is ${value}; it must be ${what}`);
      problems.check(!range.integer || value === undefined || Token.isUnresolved(value) || Number.isInteger(value), () =>
        `algorithm: ${option} is ${value}; it must be a whole number`);
    }
    const { seed } = this.options;
    problems.check(seed === undefined || (Number.isInteger(seed) && seed >= 0), () => `algorithm: seed is ${seed}; it must be a whole number, 0 or more`);
  }

  public _bind(scope: Construct, schema: SchemaDocument): BoundAlgorithm {
    const parameters = rows().map(([option, range]) => {
      const defaultValue = this.options[option] ?? range.fallback;
      const parameter = range.integer
        ? PipelineParameter.ofInteger(range.parameter, { defaultValue })
        : PipelineParameter.ofFloat(range.parameter, { defaultValue });
      return { parameter, hyperParameter: range.hyperParameter };
    });
    const { objective, metric } = OBJECTIVES[schema.problemType];
    const classes = schema.columns.find(({ role }) => role === 'target')?.values?.length;
    return {
      image: builtInImageUri(scope, XGBOOST),
      repositoryArn: builtInRepositoryArn(scope, XGBOOST),
      parameters: parameters.map(({ parameter }) => parameter),
      hyperParameters: {
        objective,
        eval_metric: metric,
        ...(schema.problemType === 'multiclass_classification' ? { num_class: String(classes) } : {}),
        ...Object.fromEntries(parameters.map(({ parameter, hyperParameter }) => [hyperParameter, parameter.valueAsString])),
        seed: String(this.options.seed ?? 42),
      },
    };
  }
}

function rows(): [keyof typeof RANGES, Range][] {
  return Object.entries(RANGES) as [keyof typeof RANGES, Range][];
}
