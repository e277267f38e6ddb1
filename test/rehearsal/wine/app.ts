// Another data set, with three classes, and an API for callers with AWS credentials: an app of its own, for the rehearsal
// of data that the library has never seen. All that rests is encrypted with one customer key, and all that runs runs in a VPC.
import { App, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as kms from 'aws-cdk-lib/aws-kms';
import {
  Algorithm, ApiAccess, Column, DataPipeline, DatasetSchema, InferenceEndpoint, MlopsApi, ModelMetric, ModelRegistry, QualityGate,
  StageProfile, TrainingPipeline,
} from 'cdk-mlops';

const stack = new Stack(new App(), 'Wine');
const common = {
  profile: StageProfile.dev(),
  encryptionKey: new kms.Key(stack, 'Key', { removalPolicy: RemovalPolicy.DESTROY }),
  vpc: new ec2.Vpc(stack, 'Vpc', { maxAzs: 2, natGateways: 1 }),
};

const measures = [
  'alcohol', 'malic_acid', 'ash', 'alcalinity_of_ash', 'magnesium', 'total_phenols', 'flavanoids',
  'nonflavanoid_phenols', 'proanthocyanins', 'color_intensity', 'hue', 'od280_od315', 'proline',
];
const schema = DatasetSchema.of('wine', [
  Column.identifier('bottle'),
  ...measures.map((name) => Column.numeric(name, { min: 0, maxMissing: name === 'ash' ? 0.2 : undefined })),
  Column.target('cultivar', { values: ['barolo', 'grignolino', 'barbera'] }),
]);

const registry = new ModelRegistry(stack, 'Models', common);
const training = new TrainingPipeline(stack, 'Training', {
  schema,
  registry,
  algorithm: Algorithm.xgboost({ maxDepth: 3, eta: 0.3, rounds: 30, earlyStoppingRounds: 10 }),
  gate: QualityGate.of(ModelMetric.accuracy().atLeast(0.8), ModelMetric.f1().atLeast(0.8)),
  ...common,
});
const data = new DataPipeline(stack, 'Data', { schema, training, crawlRawData: true, ...common });
const endpoint = new InferenceEndpoint(stack, 'Endpoint', { schema, registry, ...common });
new MlopsApi(stack, 'Api', { data, training, registry, endpoint, access: ApiAccess.iam(), ...common });
