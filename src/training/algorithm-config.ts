import type { HyperParameter } from './hyper-parameter';
import type { ModelLoader } from './model-loader';
import type { MetricDefinition } from './steps/training-step';
import type { DatasetSchema } from '../data/schema';
import type { ContainerImage } from '../references/container-image';
import type { S3Location } from '../references/s3-location';
import type { Problems } from '../shared/validation';

/** What an algorithm is bound to. */
export interface AlgorithmBindOptions {
  /** The data set to learn from. Its target says which kind of problem it is. */
  readonly schema: DatasetSchema;
}

/** Where an algorithm tells how good it is, and whether more or less is better. */
export interface AlgorithmObjective {
  /** Name of the metric that the training job emits, e.g. `validation:rmse`. */
  readonly metricName: string;
  /** Whether a smaller value is better. */
  readonly minimize: boolean;
}

/**
 * What a pipeline needs to know of an algorithm. Training data are CSV without a header: the target first, then one number an input, in
 * the channels `train` and `validation`.
 */
export interface AlgorithmConfig {
  /** Image of the training job. */
  readonly trainingImage: ContainerImage;
  /** Command of the training job. @default - that of the image */
  readonly entrypoint?: string[];
  /** Arguments of the command. @default - none */
  readonly containerArguments?: string[];
  /** Environment of the training job. @default - none */
  readonly trainingEnvironment?: { [name: string]: string };
  /** Files that the training job finds in the channel `code`. @default - none */
  readonly code?: S3Location;
  /** What the algorithm is told. @default - nothing */
  readonly hyperParameters?: HyperParameter[];
  /** Metrics that SageMaker reads from the log. @default - those that the image sends itself */
  readonly metricDefinitions?: MetricDefinition[];
  /** What tuning would go by. @default - not said */
  readonly objective?: AlgorithmObjective;
  /** Image that serves the model: takes and gives `text/csv`, one row an instance. @default - the training image */
  readonly servingImage?: ContainerImage;
  /** Environment of the serving container. @default - none */
  readonly servingEnvironment?: { [name: string]: string };
  /** How the evaluation loads the model. */
  readonly modelLoader: ModelLoader;
  /** Image of the evaluation: Python 3 with numpy, pandas, scikit-learn and what the loader imports. @default - the training image */
  readonly evaluationImage?: ContainerImage;
  /** Whether one container of the serving image, in script mode, could do the preprocessing too. @default false */
  readonly singleContainer?: boolean;
}

/** What SageMaker would refuse, or what would be lost: names and parameters of hyper-parameters must differ from each other. */
export function checkJob(problems: Problems, { hyperParameters = [], metricDefinitions = [] }: Pick<AlgorithmConfig, 'hyperParameters' | 'metricDefinitions'>): void {
  for (const names of [hyperParameters.map(({ name }) => name), hyperParameters.flatMap(({ parameter }) => parameter?.name ?? [])]) {
    names.filter((name, index) => names.indexOf(name) !== index).forEach((name) =>
      problems.check(false, () => `hyperParameters: "${name}" is there more than once`));
  }
  problems.check(metricDefinitions.length <= 40, () => `metricDefinitions has ${metricDefinitions.length} entries; SageMaker takes at most 40`);
}
