import { AlgorithmConfig, AlgorithmObjective, checkJob } from './algorithm-config';
import type { HyperParameter } from './hyper-parameter';
import type { ModelLoader } from './model-loader';
import type { MetricDefinition } from './steps/training-step';
import type { ContainerImage } from '../references/container-image';
import { Problems } from '../shared/validation';

/** Options of `Algorithm.container`. */
export interface ContainerAlgorithmOptions {
  /** Image of the training job. */
  readonly image: ContainerImage;
  /** How the evaluation loads the model. */
  readonly modelLoader: ModelLoader;
  /** Image of the evaluation: Python 3 with numpy, pandas, scikit-learn and what the loader imports. @default - `image` */
  readonly evaluationImage?: ContainerImage;
  /** Image that serves the model. It takes and gives `text/csv`, one row an instance. @default - `image` */
  readonly servingImage?: ContainerImage;
  /** Command of the training job. @default - that of the image, with the argument `train` */
  readonly entrypoint?: string[];
  /** What the algorithm is told. @default - nothing */
  readonly hyperParameters?: HyperParameter[];
  /** Metrics that SageMaker reads from the log, at most 40. @default - none */
  readonly metricDefinitions?: MetricDefinition[];
  /** Environment of the training job. @default - none */
  readonly trainingEnvironment?: { [name: string]: string };
  /** Environment of the serving container. @default - none */
  readonly servingEnvironment?: { [name: string]: string };
  /** What tuning would go by. @default - not said */
  readonly objective?: AlgorithmObjective;
}

export function checkContainer(options: ContainerAlgorithmOptions): void {
  const problems = new Problems('Algorithm.container');
  checkJob(problems, options);
  problems.throwIfAny();
}

export function containerConfig(options: ContainerAlgorithmOptions): AlgorithmConfig {
  const { image, ...rest } = options;
  return { ...rest, trainingImage: image };
}
