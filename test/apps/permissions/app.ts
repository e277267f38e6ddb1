// One pipeline for each way in which a step names something that is not the pipeline's own: permission must follow the reference.
import { App, CfnOutput, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as s3 from 'aws-cdk-lib/aws-s3';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import {
  CallbackStep, Column, ConditionStep, ContainerImage, DatasetSchema, FailStep, LambdaStep, ModelRegistry, PipelineCondition, PipelineDefinition,
  PipelineParameter, PipelineStep, ProcessingStep, ProcessingStepProps, RegisterModelStep, S3Location, TrainingPipeline, TrainingStep,
} from 'cdk-mlops';

const stack = new Stack(new App(), 'Permissions');
const removalPolicy = RemovalPolicy.DESTROY;
const schema = DatasetSchema.of('things', [Column.numeric('x'), Column.target('y')]);
const registry = new ModelRegistry(stack, 'Models', { removalPolicy });
const otherRegistry = new ModelRegistry(stack, 'OtherModels', { removalPolicy });

const key = new kms.Key(stack, 'Key', { removalPolicy });
const plain = new s3.Bucket(stack, 'Plain', { removalPolicy, autoDeleteObjects: true });
const encrypted = new s3.Bucket(stack, 'Encrypted', { removalPolicy, autoDeleteObjects: true, encryptionKey: key });
const repository = new ecr.Repository(stack, 'Repository', { repositoryName: 'team/prepare', removalPolicy, emptyOnDelete: true });
const queue = new sqs.Queue(stack, 'Queue', { encryptionMasterKey: key });
const greeter = new lambda.Function(stack, 'Greeter', {
  runtime: lambda.Runtime.NODEJS_24_X,
  handler: 'index.handler',
  code: lambda.Code.fromInline('exports.handler = async ({ name }) => ({ greeting: `hello ${name}` });'),
});
const ownRole = new iam.Role(stack, 'OwnRole', { assumedBy: new iam.ServicePrincipal('sagemaker.amazonaws.com') });

/** Copies its input to its output. */
function copy(name: string, props: Partial<ProcessingStepProps> = {}): ProcessingStep {
  return new ProcessingStep({
    name,
    image: ContainerImage.scikitLearn(),
    instanceType: 'ml.m5.large',
    retries: [],
    entrypoint: ['python3', '-c', 'import shutil, sys; shutil.copytree(sys.argv[1], sys.argv[2], dirs_exist_ok=True)'],
    containerArguments: ['/opt/ml/processing/input/data', '/opt/ml/processing/output/copy'],
    ...props,
  });
}

function pipeline(id: string, steps: PipelineStep[], ...more: PipelineParameter[]): void {
  const parameters = ['InputData', 'ManifestId'].map((name) => PipelineParameter.ofString(name, { defaultValue: 's3://none/' }));
  const definition = new PipelineDefinition({ parameters: [...parameters, ...more], steps });
  const training = new TrainingPipeline(stack, id, { schema, registry, definition });
  new CfnOutput(stack, `${id}Name`, { value: training.pipelineName });
}

/** Reads, writes and reads a property file in one bucket. */
function bucketSteps(bucket: s3.IBucket): PipelineStep[] {
  const first = copy('Copy', {
    inputs: [{ name: 'data', source: S3Location.fromBucket(bucket, 'in/') }],
    outputs: [{ name: 'copy', destination: S3Location.fromBucket(bucket, 'out/') }],
    propertyFiles: [{ name: 'Report', output: 'copy', path: 'report.json' }],
  });
  const second = copy('Again', {
    inputs: [{ name: 'data', source: first.output('copy') }], outputs: [{ name: 'copy', destination: S3Location.fromBucket(bucket, 'again/') }],
  });
  return [first, second, new ConditionStep({
    name: 'Check',
    conditions: [PipelineCondition.greaterThan(first.jsonNumber('Report', 'value'), 0)],
    elseSteps: [new FailStep({ name: 'Bad', message: 'the report says otherwise' })],
  })];
}

const trainingData = { name: 'train', source: S3Location.fromBucket(plain, 'train/'), contentType: 'text/csv' };
function train(): TrainingStep {
  return new TrainingStep({
    name: 'Train',
    image: ContainerImage.xgboost(),
    instanceType: 'ml.m5.large',
    outputPath: S3Location.fromBucket(plain, 'models/'),
    channels: [trainingData],
    hyperParameters: { num_round: '2' },
    retries: [],
  });
}

/** A step of JSON, as the official SDK writes it, in which CDK tokens stand. */
function json(content: object): PipelineStep {
  return PipelineStep.fromJson(JSON.stringify(content), { roles: [ownRole] });
}

pipeline('PlainBucket', bucketSteps(plain));
pipeline('EncryptedBucket', bucketSteps(encrypted));
pipeline('OwnImage', [copy('Copy', {
  image: ContainerImage.fromEcrRepository(repository, '1'),
  inputs: [{ name: 'data', source: S3Location.fromBucket(plain, 'in/') }],
  outputs: [{ name: 'copy', destination: S3Location.fromBucket(plain, 'image/') }],
})]);

const fresh = train();
pipeline('OtherRegistry', [fresh, new RegisterModelStep({
  name: 'Register', registry: otherRegistry, containers: [{ image: ContainerImage.xgboost(), modelData: fresh.modelArtifacts }],
})]);

const greet = new LambdaStep({ name: 'Greet', lambdaFunction: greeter, inputs: { name: 'you' }, outputs: [{ name: 'greeting' }] });
pipeline('Function', [greet, new ConditionStep({
  name: 'Check',
  conditions: [PipelineCondition.stringEquals(greet.outputValue('greeting'), 'hello you')],
  elseSteps: [new FailStep({ name: 'Rude', message: greet.outputValue('greeting') })],
})]);
pipeline('Callback', [new CallbackStep({ name: 'Ask', queue, inputs: { question: 'really?' } })]);

const image = ContainerImage.xgboost().imageUri(stack);
const s3Source = (uri: string) => ({ DataSource: { S3DataSource: { S3DataType: 'S3Prefix', S3Uri: uri } } });
const trained = train();
pipeline('ModelAndTransform', [trained, json({
  Name: 'Model',
  Type: 'Model',
  Arguments: { ExecutionRoleArn: ownRole.roleArn, PrimaryContainer: { Image: image, ModelDataUrl: { Get: 'Steps.Train.ModelArtifacts.S3ModelArtifacts' } } },
}), json({
  Name: 'Transform',
  Type: 'Transform',
  Arguments: {
    ModelName: { Get: 'Steps.Model.ModelName' },
    TransformInput: { ...s3Source(`s3://${plain.bucketName}/features/`), ContentType: 'text/csv', SplitType: 'Line' },
    TransformOutput: { S3OutputPath: `s3://${plain.bucketName}/transformed`, AssembleWith: 'Line' },
    TransformResources: { InstanceType: 'ml.m5.xlarge', InstanceCount: 1 },
  },
})]);
pipeline('Tuning', [json({
  Name: 'Tune',
  Type: 'Tuning',
  Arguments: {
    HyperParameterTuningJobConfig: {
      Strategy: 'Random',
      ResourceLimits: { MaxNumberOfTrainingJobs: 2, MaxParallelTrainingJobs: 1 },
      HyperParameterTuningJobObjective: { Type: 'Minimize', MetricName: 'validation:rmse' },
      ParameterRanges: { ContinuousParameterRanges: [{ Name: 'eta', MinValue: '0.1', MaxValue: '0.5', ScalingType: 'Auto' }] },
    },
    TrainingJobDefinition: {
      RoleArn: ownRole.roleArn,
      AlgorithmSpecification: { TrainingImage: image, TrainingInputMode: 'File' },
      StaticHyperParameters: { num_round: '2' },
      InputDataConfig: ['train', 'validation'].map((ChannelName) => (
        { ChannelName, ContentType: 'text/csv', ...s3Source(`s3://${plain.bucketName}/train/`) }
      )),
      OutputDataConfig: { S3OutputPath: `s3://${plain.bucketName}/tuned` },
      ResourceConfig: { InstanceType: 'ml.m5.large', InstanceCount: 1, VolumeSizeInGB: 10 },
      StoppingCondition: { MaxRuntimeInSeconds: 600 },
    },
  },
})]);

const role = PipelineParameter.ofString('Role');
pipeline('RoleOfParameter', [json({
  Name: 'Copy',
  Type: 'Processing',
  Arguments: {
    RoleArn: { Get: 'Parameters.Role' },
    AppSpecification: {
      ImageUri: ContainerImage.scikitLearn().imageUri(stack),
      ContainerEntrypoint: ['python3', '-c', 'import shutil, sys; shutil.copytree(sys.argv[1], sys.argv[2], dirs_exist_ok=True)'],
      ContainerArguments: ['/opt/ml/processing/input/data', '/opt/ml/processing/output/copy'],
    },
    ProcessingResources: { ClusterConfig: { InstanceType: 'ml.m5.large', InstanceCount: 1, VolumeSizeInGB: 10 } },
    ProcessingInputs: [{
      InputName: 'data',
      S3Input: { S3Uri: `s3://${plain.bucketName}/in/`, LocalPath: '/opt/ml/processing/input/data', S3DataType: 'S3Prefix', S3InputMode: 'File' },
    }],
    ProcessingOutputConfig: {
      Outputs: [{ OutputName: 'copy', S3Output: { S3Uri: `s3://${plain.bucketName}/role/`, LocalPath: '/opt/ml/processing/output/copy', S3UploadMode: 'EndOfJob' } }],
    },
  },
})], role);

new CfnOutput(stack, 'OwnRoleArn', { value: ownRole.roleArn });
new CfnOutput(stack, 'QueueUrl', { value: queue.queueUrl });
new CfnOutput(stack, 'PlainName', { value: plain.bucketName });
new CfnOutput(stack, 'EncryptedName', { value: encrypted.bucketName });
