// Two models in one app, a regression and a classification, behind one API. Their registries share one catalog table and one bucket.
// A third training pipeline is there that no data start.
import { App, Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import {
  Algorithm, ApiAccess, Column, DataPipeline, DatasetSchema, InferenceEndpoint, MlopsApi, ModelMetric, ModelRegistry, QualityGate, ServedModel,
  TrainingPipeline,
} from 'cdk-mlops';

const stack = new Stack(new App(), 'Several');
const removalPolicy = RemovalPolicy.DESTROY;
const algorithm = Algorithm.xgboost({ maxDepth: 3, eta: 0.3, rounds: 30 });

const rents = DatasetSchema.of('rents', [
  Column.numeric('area', { min: 0 }),
  Column.categorical('district', { values: ['north', 'south'] }),
  Column.target('rent', { min: 0, max: 10_000 }),
]);
const fruits = DatasetSchema.of('fruits', [
  Column.numeric('weight', { min: 0 }),
  Column.numeric('length', { min: 0 }),
  Column.target('kind', { values: ['apple', 'banana', 'cherry'] }),
]);

const rentModels = new ModelRegistry(stack, 'RentModels', { modelPackageGroupName: 'Rents', removalPolicy });
const { bucket, catalogTable } = rentModels;
const fruitModels = new ModelRegistry(stack, 'FruitModels', { modelPackageGroupName: 'Fruits', bucket, catalogTable, removalPolicy });

function model(name: string, schema: DatasetSchema, registry: ModelRegistry, gate: QualityGate): ServedModel {
  const training = new TrainingPipeline(stack, `${name}Training`, { schema, registry, algorithm, gate });
  const data = new DataPipeline(stack, `${name}Data`, { schema, training, removalPolicy });
  const endpoint = new InferenceEndpoint(stack, `${name}Endpoint`, { schema, registry, pollInterval: Duration.seconds(3) });
  return { data, training, registry, endpoint };
}

// The fruits stand first, so that nothing fits by its position.
const fruit = model('Fruit', fruits, fruitModels, QualityGate.of(ModelMetric.accuracy().atLeast(0.9)));
const rent = model('Rent', rents, rentModels, QualityGate.of(ModelMetric.r2().atLeast(0.8)));
new TrainingPipeline(stack, 'Unfed', { schema: rents, registry: rentModels, algorithm });
new MlopsApi(stack, 'Api', { models: [rent, fruit], access: ApiAccess.iam(), removalPolicy });
