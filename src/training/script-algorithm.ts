import * as fs from 'fs';
import * as path from 'path';
import * as s3assets from 'aws-cdk-lib/aws-s3-assets';
import type { Construct } from 'constructs';
import { AlgorithmConfig, AlgorithmObjective, checkJob } from './algorithm-config';
import type { HyperParameter } from './hyper-parameter';
import { ModelLoader } from './model-loader';
import type { MetricDefinition } from './steps/training-step';
import type { ContainerImage } from '../references/container-image';
import { S3Location } from '../references/s3-location';
import { assetFileName, assetPath, folderWithFolder } from '../shared/assets';
import { Problems } from '../shared/validation';

/** Options of `Algorithm.script`. */
export interface ScriptAlgorithmOptions {
  /** Image that the script runs in and that serves it, e.g. `ContainerImage.scikitLearn()`. */
  readonly image: ContainerImage;
  /** Folder with the script and what it imports, on this machine. It ships whole, but for hidden files and `__pycache__`. */
  readonly source: string;
  /** File of the script, in `source`. */
  readonly entryPoint: string;
  /** What the script is told: `--name value`. @default - nothing */
  readonly hyperParameters?: HyperParameter[];
  /** Metrics that SageMaker reads from the log, at most 40. @default - none */
  readonly metricDefinitions?: MetricDefinition[];
  /** Environment of the training job. @default - none */
  readonly trainingEnvironment?: { [name: string]: string };
  /** Environment of the serving container beside that of script mode. @default - none */
  readonly servingEnvironment?: { [name: string]: string };
  /** What tuning would go by. @default - not said */
  readonly objective?: AlgorithmObjective;
}

export function checkScript(options: ScriptAlgorithmOptions): void {
  const problems = new Problems('Algorithm.script');
  const { source, entryPoint } = options;
  problems.check(fs.existsSync(source) && fs.statSync(source).isDirectory(), () => `source "${source}" is not a folder`);
  problems.check(/^[\w./-]+\.py$/.test(entryPoint) && !entryPoint.split('/').includes('..'), () =>
    `entryPoint "${entryPoint}" must be a Python file in the folder, such as "train.py"`);
  problems.throwIfAny();
  problems.check(fs.existsSync(path.join(source, entryPoint)), () =>
    `entryPoint "${entryPoint}" does not exist in "${source}"; there are ${fs.readdirSync(source).filter((name) => name.endsWith('.py')).join(', ') || 'no Python files'}`);
  checkJob(problems, options);
  problems.throwIfAny();
}

/** The script is run by a program of ours, which packs it into the model, so that what was trained serves with the code that trained it. */
export function scriptConfig(scope: Construct, options: ScriptAlgorithmOptions): AlgorithmConfig {
  const { image, source, entryPoint, servingEnvironment, ...rest } = options;
  const code = new s3assets.Asset(scope, 'AlgorithmCode', {
    path: folderWithFolder(scope, assetPath('algorithms', 'script'), 'source', source),
    exclude: ['__pycache__', 'test_*.py'],
  });
  return {
    ...rest,
    trainingImage: image,
    code: S3Location.fromObject(code.bucket, code.s3ObjectKey),
    entrypoint: ['python3', `/opt/ml/input/data/code/${assetFileName(code)}`],
    containerArguments: [entryPoint],
    modelLoader: ModelLoader.fromModel(`code/${entryPoint}`),
    servingEnvironment: {
      SAGEMAKER_PROGRAM: 'cdk_mlops_serving.py',
      CDK_MLOPS_ENTRY_POINT: entryPoint,
      SAGEMAKER_SUBMIT_DIRECTORY: '/opt/ml/model/code',
      SAGEMAKER_CONTAINER_LOG_LEVEL: '20',
      ...servingEnvironment,
    },
    singleContainer: true,
  };
}
