// An algorithm in a container image of the team's own: own programs, own model format. test/languages/neighbours-python is the same app.
import * as path from 'path';
import { App, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import {
  Algorithm, Column, ContainerImage, DataPipeline, DatasetSchema, HyperParameter, InferenceEndpoint, MlopsApi, ModelLoader, ModelMetric,
  ModelRegistry, QualityGate, StageProfile, TrainingPipeline,
} from 'cdk-mlops';

const stack = new Stack(new App(), 'Neighbours');
const profile = StageProfile.dev();
const schema = DatasetSchema.of('shells', [
  Column.categorical('sex', { values: ['F', 'I', 'M'] }),
  ...['length', 'diameter', 'height', 'whole_weight', 'shucked_weight', 'viscera_weight', 'shell_weight'].map((name) => Column.numeric(name, { min: 0 })),
  Column.target('rings', { integer: true, min: 1, max: 40 }),
]);

const repository = new ecr.Repository(stack, 'Repository', { repositoryName: 'team/neighbours', removalPolicy: RemovalPolicy.DESTROY, emptyOnDelete: true });
const neighbours = Algorithm.container({
  image: ContainerImage.fromEcrRepository(repository, '1.0'),
  hyperParameters: [HyperParameter.ofInteger('neighbours', { value: 15, min: 1, max: 1000 })],
  metricDefinitions: [{ name: 'validation:mae', regex: 'validation mae ([0-9.]+)' }],
  objective: { metricName: 'validation:mae', minimize: true },
  trainingEnvironment: { DISTANCE: 'manhattan' },
  servingEnvironment: { DECIMALS: '6' },
  modelLoader: ModelLoader.fromFile(path.join(__dirname, 'loader.py')),
  evaluationImage: ContainerImage.scikitLearn(),
});

const registry = new ModelRegistry(stack, 'Models', { profile });
const training = new TrainingPipeline(stack, 'Training', {
  schema, registry, algorithm: neighbours, gate: QualityGate.of(ModelMetric.mae().atMost(2)),
});
const data = new DataPipeline(stack, 'Data', { schema, training, profile });
const endpoint = new InferenceEndpoint(stack, 'Endpoint', { schema, registry, profile });
new MlopsApi(stack, 'Api', { data, training, registry, endpoint, profile });
