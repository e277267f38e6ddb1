import { App, Duration, Stack, Tags, Validations } from 'aws-cdk-lib';
import {
  Algorithm, Column, DataPipeline, DatasetSchema, InferenceEndpoint, MlopsApi, ModelMetric, ModelRegistry, QualityGate, StageProfile,
  TrainingPipeline,
} from 'cdk-mlops';
import { AwsSolutionsChecks } from 'cdk-nag';
import { acknowledge } from './acknowledgements';

const app = new App();
const prod = app.node.tryGetContext('profile') === 'prod';
const profile = prod ? StageProfile.prod() : StageProfile.dev();
const stack = new Stack(app, prod ? 'Abalone' : 'AbaloneDev', {
  description: 'From measures of an abalone to its age: data, training, registry, endpoint and API',
});
Tags.of(stack).add('application', 'abalone');

// The data set stores lengths and weights divided by 200; people enter millimetres and grams.
const length = { min: 0, max: 1, unit: 'mm', perUnit: 1 / 200 };
const weight = { min: 0, max: 4, unit: 'g', perUnit: 1 / 200 };

const abalone = DatasetSchema.of('abalone', [
  Column.categorical('sex', { values: ['F', 'I', 'M'], description: 'female, infant or male' }),
  Column.numeric('length', { ...length, description: 'longest measure of the shell' }),
  Column.numeric('diameter', { ...length, description: 'perpendicular to the length' }),
  Column.numeric('height', { ...length, max: 1.5, description: 'with the meat in the shell' }),
  Column.numeric('whole_weight', { ...weight, description: 'the whole animal' }),
  Column.numeric('shucked_weight', { ...weight, description: 'the meat alone' }),
  Column.numeric('viscera_weight', { ...weight, description: 'the gut, after bleeding' }),
  Column.numeric('shell_weight', { ...weight, description: 'the shell, dried' }),
  Column.target('rings', { integer: true, min: 1, max: 40, display: { name: 'age', unit: 'years', offset: 1.5 } }),
]);

const registry = new ModelRegistry(stack, 'Models', { modelPackageGroupName: 'AbaloneModelPackageGroup', profile });

const training = new TrainingPipeline(stack, 'Training', {
  schema: abalone,
  registry,
  algorithm: Algorithm.xgboost({ maxDepth: 5, eta: 0.2, gamma: 4, minChildWeight: 6, subsample: 0.7, rounds: 50, earlyStoppingRounds: 10 }),
  gate: QualityGate.of(ModelMetric.mse().atMost(6.0)),
  profile,
});

const data = new DataPipeline(stack, 'Data', { schema: abalone, training, profile });

const endpoint = new InferenceEndpoint(stack, 'Endpoint', {
  schema: abalone,
  registry,
  profile,
  pollInterval: Duration.seconds(15),
});

const api = new MlopsApi(stack, 'Api', { data, training, registry, endpoint, profile });

Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
acknowledge({ data, training, registry, endpoint, api });
