// An algorithm of a team's own, neither image nor model format of XGBoost: written here, outside of the library.
import * as path from 'path';
import { App, Stack } from 'aws-cdk-lib';
import {
  Algorithm, AlgorithmBindOptions, AlgorithmConfig, Column, ContainerImage, DataPipeline, DatasetSchema, HyperParameter, InferenceEndpoint, MlopsApi,
  ModelMetric, ModelRegistry, ProblemType, QualityGate, StageProfile, TrainingPipeline,
} from 'cdk-mlops';
import { Construct } from 'constructs';

/** A random forest of scikit-learn, trained by a script of ours. Classes would need other scores than `predict` gives. */
class RandomForest extends Algorithm {
  public bind(scope: Construct, options: AlgorithmBindOptions): AlgorithmConfig {
    if (options.schema.problemType !== ProblemType.REGRESSION) {
      throw new Error('RandomForest: only regressions are supported');
    }
    return Algorithm.script({
      image: ContainerImage.scikitLearn(),
      source: path.join(__dirname, 'training'),
      entryPoint: 'train.py',
      hyperParameters: [
        HyperParameter.ofInteger('n-estimators', { value: 40, min: 1, max: 1000 }),
        HyperParameter.ofString('max-features', { value: 'sqrt', allowedValues: ['sqrt', 'log2'] }),
        HyperParameter.constant('seed', '7'),
      ],
      metricDefinitions: [{ name: 'validation:mae', regex: 'validation mae ([0-9.]+)' }],
      objective: { metricName: 'validation:mae', minimize: true },
    }).bind(scope, options);
  }
}

const stack = new Stack(new App(), 'Forest');
const profile = StageProfile.dev();
const schema = DatasetSchema.of('shells', [
  Column.categorical('sex', { values: ['F', 'I', 'M'] }),
  ...['length', 'diameter', 'height', 'whole_weight', 'shucked_weight', 'viscera_weight', 'shell_weight'].map((name) => Column.numeric(name, { min: 0 })),
  Column.target('rings', { integer: true, min: 1, max: 40 }),
]);

const registry = new ModelRegistry(stack, 'Models', { profile });
const training = new TrainingPipeline(stack, 'Training', {
  schema, registry, algorithm: new RandomForest(), gate: QualityGate.of(ModelMetric.mae().atMost(2)),
});
const data = new DataPipeline(stack, 'Data', { schema, training, profile });
const endpoint = new InferenceEndpoint(stack, 'Endpoint', { schema, registry, profile });
new MlopsApi(stack, 'Api', { data, training, registry, endpoint, profile });
