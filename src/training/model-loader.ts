import * as fs from 'fs';
import * as path from 'path';

/**
 * How the evaluation loads a trained model and asks it: a Python file with SageMaker's functions of script mode, `model_fn(model_dir)` and,
 * unless the model has a method `predict`, `predict_fn(inputs, model)`. Inputs are a numpy array of numbers, one row an instance; answers
 * are a number a row (regression), the probability of class 1 a row (two classes), or the probability of each class (more classes).
 * `feature_importance_fn(model)`, if there is one, gives a number for each input, which the report shows.
 */
export class ModelLoader {
  /** A file that the training job packed into its `model.tar.gz`, by its path in there, e.g. `code/train.py`. */
  public static fromModel(filePath: string): ModelLoader {
    if (path.isAbsolute(filePath) || filePath.split('/').includes('..')) {
      throw new Error(`ModelLoader.fromModel: "${filePath}" must be a path in the model archive, such as "code/inference.py"`);
    }
    return new ModelLoader(filePath);
  }

  /** A file on this machine, which is shipped with the pipeline. @throws Error when there is no such file */
  public static fromFile(filePath: string): ModelLoader {
    if (!fs.existsSync(filePath) || !fs.statSync(filePath).isFile()) {
      throw new Error(`ModelLoader.fromFile: there is no file "${filePath}"`);
    }
    return new ModelLoader(undefined, filePath);
  }

  private constructor(
    /** Path in the model archive. @internal */
    public readonly _inModel?: string,
    /** Path on this machine. @internal */
    public readonly _file?: string,
  ) {}
}
