import type { Construct } from 'constructs';
import type { AlgorithmBindOptions, AlgorithmConfig } from './algorithm-config';
import { checkContainer, containerConfig, ContainerAlgorithmOptions } from './container-algorithm';
import { checkScript, ScriptAlgorithmOptions, scriptConfig } from './script-algorithm';
import { xgboostConfig, xgboostHyperParameters, XgboostOptions } from './xgboost';

/**
 * How a model is trained, evaluated and served. Take one of those that the static methods make, or extend this class: whatever the
 * pipeline does follows from what `bind` returns.
 */
export abstract class Algorithm {
  /**
   * SageMaker's XGBoost. The objective follows the schema's target: squared error for numbers, logistic for two classes,
   * softprob for more; the metric that early stopping watches is rmse, logloss or mlogloss.
   *
   * @throws Error when a hyper-parameter is outside of its range
   */
  public static xgboost(options: XgboostOptions = {}): Algorithm {
    xgboostHyperParameters(options);
    return new ConfiguredAlgorithm((_scope, bound) => xgboostConfig(bound, options));
  }

  /**
   * A training script of your own in an image that serves scripts, such as SageMaker's scikit-learn and XGBoost. The script is run as in
   * SageMaker's script mode: hyper-parameters as arguments (`--name value`), folders in the environment (`SM_CHANNEL_TRAIN`,
   * `SM_CHANNEL_VALIDATION`, `SM_MODEL_DIR`), a `requirements.txt` beside it installed first. The same file serves and is evaluated, by
   * its `model_fn` and, if it has one, `predict_fn` (see `ModelLoader`).
   *
   * @throws Error when the folder or the script is not there
   */
  public static script(options: ScriptAlgorithmOptions): Algorithm {
    checkScript(options);
    return new ConfiguredAlgorithm((scope) => scriptConfig(scope, options));
  }

  /**
   * A container image of your own that keeps SageMaker's contract: `train` reads `/opt/ml/input` and writes `/opt/ml/model`, `serve`
   * answers `/ping` and `/invocations` on port 8080.
   */
  public static container(options: ContainerAlgorithmOptions): Algorithm {
    checkContainer(options);
    return new ConfiguredAlgorithm(() => containerConfig(options));
  }

  /**
   * What the pipeline needs to know. Called once by each pipeline that takes the algorithm.
   *
   * @param scope where assets and the like may be made; the ids are free
   * @param options what the pipeline knows
   */
  public abstract bind(scope: Construct, options: AlgorithmBindOptions): AlgorithmConfig;
}

class ConfiguredAlgorithm extends Algorithm {
  constructor(private readonly configure: (scope: Construct, options: AlgorithmBindOptions) => AlgorithmConfig) {
    super();
  }

  public bind(scope: Construct, options: AlgorithmBindOptions): AlgorithmConfig {
    return this.configure(scope, options);
  }
}
