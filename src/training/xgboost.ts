import type { AlgorithmBindOptions, AlgorithmConfig } from './algorithm-config';
import { HyperParameter, numberProblem, textProblem } from './hyper-parameter';
import { ModelLoader } from './model-loader';
import { ProblemType } from '../data/schema';
import { ContainerImage } from '../references/container-image';
import type { XgboostVersion } from '../references/image-versions';
import { assetPath } from '../shared/assets';
import { Problems } from '../shared/validation';

/**
 * Hyper-parameters of SageMaker's XGBoost, and its image. What is not given is as the algorithm has it. Each but the seed is a parameter
 * of the pipeline too, so that a start can change it: those with a default always, the others where they are given.
 *
 * @see https://docs.aws.amazon.com/sagemaker/latest/dg/xgboost_hyperparameters.html
 */
export interface XgboostOptions {
  /** Version of the image. @default XgboostVersion.V3_2_0 */
  readonly version?: XgboostVersion;
  /** Number of trees at most, at least 1. Parameter `NumRound`. @default 100 */
  readonly rounds?: number;
  /** Ends when so many rounds brought nothing on the validation data, at least 1. Parameter `EarlyStoppingRounds`. @default - never */
  readonly earlyStoppingRounds?: number;
  /** Greatest depth of a tree (0: without limit). Parameter `MaxDepth`. @default 6 */
  readonly maxDepth?: number;
  /** How much of each tree is taken over, 0 to 1. Parameter `Eta`. @default 0.3 */
  readonly eta?: number;
  /** Least gain of a split, at least 0. Parameter `Gamma`. @default 0 */
  readonly gamma?: number;
  /** Least weight of a leaf, at least 0. Parameter `MinChildWeight`. @default 1 */
  readonly minChildWeight?: number;
  /** Share of the rows that each tree sees, above 0 up to 1. Parameter `Subsample`. @default 1 */
  readonly subsample?: number;
  /** Share of the inputs that each tree sees, above 0 up to 1. Parameter `ColsampleBytree`. @default 1 */
  readonly colsampleBytree?: number;
  /** Share of the inputs that each level sees, above 0 up to 1. @default - 1 */
  readonly colsampleBylevel?: number;
  /** Share of the inputs that each split sees, above 0 up to 1. @default - 1 */
  readonly colsampleBynode?: number;
  /** Largest step of a leaf's weight, at least 0. @default - 0, no limit */
  readonly maxDeltaStep?: number;
  /** L2 regularisation of the weights (`lambda`), at least 0. Parameter `Lambda`. @default 1 */
  readonly regLambda?: number;
  /** L1 regularisation of the weights (`alpha`), at least 0. Parameter `Alpha`. @default 0 */
  readonly regAlpha?: number;
  /** L2 regularisation of the bias, 0 to 1 (booster `gblinear`). @default - 0 */
  readonly lambdaBias?: number;
  /** Weight of class 1 against class 0, above 0. @default - 1 */
  readonly scalePosWeight?: number;
  /** Prediction before the first tree. @default - estimated from the target (XGBoost 2 and later), 0.5 before */
  readonly baseScore?: number;
  /** `gbtree`, `gblinear` or `dart`. @default - `gbtree` */
  readonly booster?: string;
  /** `auto`, `exact`, `approx`, `hist` or `gpu_hist`. @default - `auto` */
  readonly treeMethod?: string;
  /** `depthwise` or `lossguide`. @default - `depthwise` */
  readonly growPolicy?: string;
  /** Most leaves of a tree (0: without limit). @default - 0 */
  readonly maxLeaves?: number;
  /** Most bins of an input (tree methods with histograms). @default - 256 */
  readonly maxBin?: number;
  /** Trees that each round makes, at least 1. @default - 1 */
  readonly numParallelTree?: number;
  /** `uniform` or `gradient_based`. @default - `uniform` */
  readonly samplingMethod?: string;
  /** Steps of building trees, separated by commas. @default - as the tree method needs */
  readonly updater?: string;
  /** `default` or `update`. @default - `default` */
  readonly processType?: string;
  /** Whether leaves are refreshed too, 0 or 1 (updater `refresh`). @default - 1 */
  readonly refreshLeaf?: number;
  /** Accuracy of the sketch, above 0 and below 1 (tree method `approx`). @default - 0.03 */
  readonly sketchEps?: number;
  /** `auto`, `cpu_predictor` or `gpu_predictor` (images before 3).0. @default - `auto` */
  readonly predictor?: string;
  /** `uniform` or `weighted` (booster `dart`). @default - `uniform` */
  readonly sampleType?: string;
  /** `tree` or `forest` (booster `dart`). @default - `tree` */
  readonly normalizeType?: string;
  /** Share of trees to drop, 0 to 1 (booster `dart`). @default - 0 */
  readonly rateDrop?: number;
  /** Whether at least one tree is dropped, 0 or 1 (booster `dart`). @default - 0 */
  readonly oneDrop?: number;
  /** Probability of skipping the dropping, 0 to 1 (booster `dart`). @default - 0 */
  readonly skipDrop?: number;
  /** Direction of each input, `(1,-1,0,...)` (tree methods `exact` and `hist`). @default - none */
  readonly monotoneConstraints?: string;
  /** Inputs that may stand in one branch, `[[1,2],[3,4]]`, counted from 1. @default - all */
  readonly interactionConstraints?: string;
  /**
   * Objective other than that of the problem, e.g. `reg:absoluteerror`. It must give what the problem needs, see `ModelLoader`.
   * @default - by the target
   */
  readonly objective?: string;
  /** Metric that early stopping watches. @default - rmse, logloss or mlogloss */
  readonly evalMetric?: string;
  /** Variance power of objective `reg:tweedie`, above 1 and below 2. @default - 1.5 */
  readonly tweedieVariancePower?: number;
  /** Whether the second column of the data holds weights, 0 or 1. @default - 0 */
  readonly csvWeights?: number;
  /** Threads. @default - all */
  readonly nthread?: number;
  /** How much is told, 0 to 3. @default - 1 */
  readonly verbosity?: number;
  /** Seed of the random choices: equal data and equal seed give an equal model. @default 42 */
  readonly seed?: number;
}

type Numeric = { readonly [K in keyof XgboostOptions]-?: XgboostOptions[K] extends number | undefined ? K : never }[keyof XgboostOptions];
type Textual = { readonly [K in keyof XgboostOptions]-?: XgboostOptions[K] extends string | undefined ? K : never }[keyof XgboostOptions];

interface NumberRow {
  readonly name: string;
  readonly kind: 'ofInteger' | 'ofFloat';
  readonly min?: number;
  readonly max?: number;
  readonly exclusiveMin?: boolean;
  /** Said even where nobody gives it: a parameter of every pipeline. */
  readonly value?: number;
}

const positive = { min: 0, exclusiveMin: true };
const share = { min: 0, max: 1, exclusiveMin: true };

/** The hyper-parameters of the image with their ranges, from `hyperparameter_validation.py` of aws/sagemaker-xgboost-container (3.2). */
const NUMBERS: { readonly [option in Exclude<Numeric, 'seed'>]: NumberRow } = {
  maxDepth: { name: 'max_depth', kind: 'ofInteger', min: 0, value: 6 },
  eta: { name: 'eta', kind: 'ofFloat', min: 0, max: 1, value: 0.3 },
  gamma: { name: 'gamma', kind: 'ofFloat', min: 0, value: 0 },
  minChildWeight: { name: 'min_child_weight', kind: 'ofFloat', min: 0, value: 1 },
  subsample: { name: 'subsample', kind: 'ofFloat', ...share, value: 1 },
  colsampleBytree: { name: 'colsample_bytree', kind: 'ofFloat', ...share, value: 1 },
  regLambda: { name: 'lambda', kind: 'ofFloat', min: 0, value: 1 },
  regAlpha: { name: 'alpha', kind: 'ofFloat', min: 0, value: 0 },
  rounds: { name: 'num_round', kind: 'ofInteger', min: 1, value: 100 },
  earlyStoppingRounds: { name: 'early_stopping_rounds', kind: 'ofInteger', min: 1 },
  colsampleBylevel: { name: 'colsample_bylevel', kind: 'ofFloat', ...share },
  colsampleBynode: { name: 'colsample_bynode', kind: 'ofFloat', ...share },
  maxDeltaStep: { name: 'max_delta_step', kind: 'ofFloat', min: 0 },
  lambdaBias: { name: 'lambda_bias', kind: 'ofFloat', min: 0, max: 1 },
  scalePosWeight: { name: 'scale_pos_weight', kind: 'ofFloat', ...positive },
  baseScore: { name: 'base_score', kind: 'ofFloat', min: 0 },
  maxLeaves: { name: 'max_leaves', kind: 'ofInteger', min: 0 },
  maxBin: { name: 'max_bin', kind: 'ofInteger', min: 0 },
  numParallelTree: { name: 'num_parallel_tree', kind: 'ofInteger', min: 1 },
  refreshLeaf: { name: 'refresh_leaf', kind: 'ofInteger', min: 0, max: 1 },
  sketchEps: { name: 'sketch_eps', kind: 'ofFloat', ...share },
  rateDrop: { name: 'rate_drop', kind: 'ofFloat', min: 0, max: 1 },
  oneDrop: { name: 'one_drop', kind: 'ofInteger', min: 0, max: 1 },
  skipDrop: { name: 'skip_drop', kind: 'ofFloat', min: 0, max: 1 },
  tweedieVariancePower: { name: 'tweedie_variance_power', kind: 'ofFloat', min: 1, max: 2, exclusiveMin: true },
  csvWeights: { name: 'csv_weights', kind: 'ofInteger', min: 0, max: 1 },
  nthread: { name: 'nthread', kind: 'ofInteger', min: 1 },
  verbosity: { name: 'verbosity', kind: 'ofInteger', min: 0, max: 3 },
};

const TEXTS: { readonly [option in Exclude<Textual, 'objective' | 'evalMetric'>]: { readonly name: string; readonly allowedValues?: string[] } } = {
  booster: { name: 'booster', allowedValues: ['gbtree', 'gblinear', 'dart'] },
  treeMethod: { name: 'tree_method', allowedValues: ['auto', 'exact', 'approx', 'hist', 'gpu_hist'] },
  growPolicy: { name: 'grow_policy', allowedValues: ['depthwise', 'lossguide'] },
  samplingMethod: { name: 'sampling_method', allowedValues: ['uniform', 'gradient_based'] },
  updater: { name: 'updater' },
  processType: { name: 'process_type', allowedValues: ['default', 'update'] },
  predictor: { name: 'predictor', allowedValues: ['auto', 'cpu_predictor', 'gpu_predictor'] },
  sampleType: { name: 'sample_type', allowedValues: ['uniform', 'weighted'] },
  normalizeType: { name: 'normalize_type', allowedValues: ['tree', 'forest'] },
  monotoneConstraints: { name: 'monotone_constraints' },
  interactionConstraints: { name: 'interaction_constraints' },
};

const OBJECTIVES: { readonly [problem in ProblemType]: { readonly objective: string; readonly metric: string } } = {
  [ProblemType.REGRESSION]: { objective: 'reg:squarederror', metric: 'rmse' },
  [ProblemType.BINARY_CLASSIFICATION]: { objective: 'binary:logistic', metric: 'logloss' },
  [ProblemType.MULTICLASS_CLASSIFICATION]: { objective: 'multi:softprob', metric: 'mlogloss' },
};

/** Metrics of which more is better; of all others less is. */
const MAXIMIZED = /^(auc|aucpr|map|ndcg|accuracy|f1|r2|precision|recall)\b/;

/** What the options say, but for what follows from the problem. */
export function xgboostHyperParameters(options: XgboostOptions): HyperParameter[] {
  const problems = new Problems('Algorithm.xgboost');
  const { seed } = options;
  problems.check(seed === undefined || Number.isInteger(seed), () => `seed is ${seed}; it must be a whole number`);
  const numbers = Object.entries(NUMBERS).flatMap(([option, { name, kind, value: fallback, ...range }]) => {
    const value = options[option as Numeric] ?? fallback;
    return value === undefined ? [] : [{ option, name, kind, settings: { value, ...range } }];
  });
  const texts = Object.entries(TEXTS).flatMap(([option, { name, allowedValues }]) => {
    const value = options[option as Textual];
    return value === undefined ? [] : [{ option, name, settings: { value, allowedValues } }];
  });
  const found = [
    ...numbers.map(({ option, kind, settings }) => [option, numberProblem(settings, kind === 'ofInteger')]),
    ...texts.map(({ option, settings }) => [option, textProblem(settings)]),
  ];
  found.forEach(([option, problem]) => problems.check(problem === undefined, () => `${option} ${problem}`));
  problems.throwIfAny();
  return [
    ...numbers.map(({ name, kind, settings }) => HyperParameter[kind](name, settings)),
    ...texts.map(({ name, settings }) => HyperParameter.ofString(name, settings)),
    HyperParameter.constant('seed', String(seed ?? 42)),
  ];
}

export function xgboostConfig({ schema }: AlgorithmBindOptions, options: XgboostOptions): AlgorithmConfig {
  const { objective, metric } = OBJECTIVES[schema.problemType];
  const watched = options.evalMetric ?? metric;
  const classes = schema.problemType === ProblemType.MULTICLASS_CLASSIFICATION
    ? [HyperParameter.constant('num_class', String(schema.targetClasses.length))]
    : [];
  return {
    trainingImage: ContainerImage.xgboost(options.version),
    hyperParameters: [
      HyperParameter.constant('objective', options.objective ?? objective),
      HyperParameter.constant('eval_metric', watched),
      ...classes,
      ...xgboostHyperParameters(options),
    ],
    objective: { metricName: `validation:${watched}`, minimize: !MAXIMIZED.test(watched) },
    modelLoader: ModelLoader.fromFile(assetPath('algorithms', 'xgboost_model.py')),
    singleContainer: true,
  };
}
