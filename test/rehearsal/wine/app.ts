// Another data set, with three classes, and an API for callers with AWS credentials: an app of its own, for the rehearsal
// of data that the library has never seen.
import { App, RemovalPolicy, Stack } from 'aws-cdk-lib';
import {
  Algorithm, ApiAccess, Capacity, Column, DataPipeline, DatasetSchema, InferenceEndpoint, MlopsApi, ModelMetric, ModelRegistry, QualityGate,
  TrainingPipeline,
} from 'cdk-mlops';

const stack = new Stack(new App(), 'Wine');
const removalPolicy = RemovalPolicy.DESTROY;

const measures = [
  'alcohol', 'malic_acid', 'ash', 'alcalinity_of_ash', 'magnesium', 'total_phenols', 'flavanoids',
  'nonflavanoid_phenols', 'proanthocyanins', 'color_intensity', 'hue', 'od280_od315', 'proline',
];
const schema = DatasetSchema.of('wine', [
  Column.identifier('bottle'),
  ...measures.map((name) => Column.numeric(name, { min: 0, maxMissing: name === 'ash' ? 0.2 : undefined })),
  Column.target('cultivar', { values: ['barolo', 'grignolino', 'barbera'] }),
]);

const registry = new ModelRegistry(stack, 'Models', { removalPolicy });
const training = new TrainingPipeline(stack, 'Training', {
  schema,
  registry,
  algorithm: Algorithm.xgboost({ maxDepth: 3, eta: 0.3, rounds: 30, earlyStoppingRounds: 10 }),
  gate: QualityGate.of(ModelMetric.accuracy().atLeast(0.8), ModelMetric.f1().atLeast(0.8)),
});
const data = new DataPipeline(stack, 'Data', { schema, training, crawlRawData: true, removalPolicy });
const endpoint = new InferenceEndpoint(stack, 'Endpoint', { schema, registry, capacity: Capacity.dev() });
new MlopsApi(stack, 'Api', { data, training, registry, endpoint, access: ApiAccess.iam(), removalPolicy });
