/** What the checks of AwsSolutions find in this app, and why each finding is meant. */
import { Aws, CfnElement, Stack, Validations } from 'aws-cdk-lib';
import { DataPipeline, InferenceEndpoint, MlopsApi, ModelRegistry, TrainingPipeline } from 'cdk-mlops';
import { IConstruct } from 'constructs';

export interface Parts {
  readonly data: DataPipeline;
  readonly training: TrainingPipeline;
  readonly registry: ModelRegistry;
  readonly endpoint: InferenceEndpoint;
  readonly api: MlopsApi;
}

/** Actions that `grantRead` and `grantReadWrite` of a CDK bucket write: families of actions, on the resources below. */
const BUCKET_READS = ['Action::s3:GetObject*', 'Action::s3:GetBucket*', 'Action::s3:List*'];

export function acknowledge({ data, training, registry, endpoint, api }: Parts): void {
  const stack = Stack.of(data);
  const wildcard = (scope: IConstruct, finding: string, reason: string) =>
    Validations.of(scope).acknowledge({ id: `AwsSolutions-IAM5[${finding}]`, reason });
  const resource = (scope: IConstruct, arn: string, reason: string) => wildcard(scope, `Resource::${arn}`, reason);
  const arnOf = (scope: IConstruct) => `<${stack.getLogicalId(scope.node.defaultChild as CfnElement)}.Arn>`;
  const regional = (service: string, rest: string) => `arn:<${name(Aws.PARTITION)}>:${service}:<${name(Aws.REGION)}>:<${name(Aws.ACCOUNT_ID)}>:${rest}`;
  const name = (pseudo: string) => stack.resolve(pseudo).Ref as string;

  // Buckets and queues
  Validations.of(data.bucket).acknowledge({ id: 'AwsSolutions-S1', reason: 'Uploads are audited by the manifests: object, version, ETag and time of each data set' });
  Validations.of(registry.bucket).acknowledge({ id: 'AwsSolutions-S1', reason: 'Artifacts are written by pipeline executions alone, which SageMaker records with their role' });
  for (const part of [data, registry, endpoint]) {
    Validations.of(part).acknowledge({ id: 'AwsSolutions-SQS3', reason: 'It is a dead-letter queue itself: events that a rule could not deliver' });
  }

  // Data
  const jobs = 'A Glue job is named by its ARN; listing and describing buckets is what Spark does before it reads';
  BUCKET_READS.forEach((action) => wildcard(data, action, jobs));
  for (const [prefix, reason] of [
    ['raw', 'Uploads have names of their own: the jobs and the handlers of an ingestion read what was uploaded, below this prefix only'],
    ['manifests', 'The name of a manifest is the hash of its content: written by the manifest handler, read by the jobs'],
    ['reports', 'Each data set has its reports below its own id, which is known only at run time'],
    ['processed', 'Each data set has its splits below its own id, which is known only at run time'],
    ['quarantine', 'Each refused upload is moved below its own id, which is known only at run time'],
  ]) {
    resource(data, `${arnOf(data.bucket)}/${prefix}/*`, reason);
  }
  for (const [id, reason] of [
    ['GL1', 'The logs of the jobs hold counts, never rows; CloudWatch encrypts them with a key of its own'],
    ['GL3', 'Job bookmarks are off: a data set is always read whole'],
  ]) {
    Validations.of(data).acknowledge({ id: `AwsSolutions-${id}`, reason });
  }

  // Models
  for (const spelling of ['AbaloneModelPackageGroup', 'abalonemodelpackagegroup']) {
    for (const [scope, reason] of [
      [registry, 'Its own versions: the catalog describes them, the clean-up deletes them'],
      [training, 'It registers new versions, whose numbers SageMaker gives'],
      [endpoint, 'It deploys the version that was approved, any of the group'],
      [api, 'It approves and rejects the version that a person names, any of the group'],
    ] as const) {
      resource(scope, regional('sagemaker', `model-package/${spelling}/*`), reason);
    }
  }
  BUCKET_READS.forEach((action) => wildcard(registry, action, 'The registry reads the evaluation report and the artifacts of a version from the bucket of the artifacts'));
  resource(registry, `${arnOf(registry.bucket)}/*`, 'The paths of an evaluation report and of artifacts hold the id of their execution, known only at run time');
  const copies = `${arnOf(registry.bucket)}/_versions/${registry.modelPackageGroupName}/*`;
  resource(registry, copies, 'Each version has its copies below its own number');
  resource(registry, '*', 'sagemaker:ListModelPackages has no resource-level permissions');

  // Training
  [...BUCKET_READS, 'Action::s3:Abort*'].forEach((action) => wildcard(training, action, 'The jobs read the splits and the artifacts of the steps before them, and write their own'));
  resource(training, `${arnOf(registry.bucket)}/${registry.modelPackageGroupName}/${training.pipelineName}/*`, 'Each execution writes below its own id, under the prefix of this pipeline only');
  resource(training, `${arnOf(data.bucket)}/processed/*`, 'An execution reads the data set that it was started with');
  resource(training, '*', 'ecr:GetAuthorizationToken and cloudwatch:PutMetricData have no resource-level permissions; the latter is held to the namespaces of SageMaker');
  for (const job of ['processing-job', 'training-job']) {
    resource(training, regional('sagemaker', `${job}/pipelines-*`), 'SageMaker names the jobs of a pipeline itself: pipelines-<execution>-<step>-<suffix>');
  }
  resource(training, regional('logs', 'log-group:/aws/sagemaker/*'), 'SageMaker names the log groups of its jobs itself');

  // Serving
  resource(endpoint, copies, 'It serves the copies of the version that was approved, any of the group');
  resource(endpoint, '*', 'ecr:GetAuthorizationToken, cloudwatch:PutMetricData, the delivery of state machine logs and the listings of SageMaker have no resource-level permissions');
  resource(endpoint, regional('logs', `log-group:/aws/sagemaker/Endpoints/${endpoint.endpointName}:log-stream:*`), 'Each instance writes a log stream of its own');
  for (const kind of ['endpoint-config', 'model']) {
    resource(endpoint, regional('sagemaker', `${kind}/${endpoint.endpointName}-*`), 'Each deployment makes a new one, named after this endpoint');
  }
  resource(endpoint, regional('states', `execution:${endpoint.endpointName}-deploy:*`), 'It looks at the executions of its own workflow');
  resource(endpoint, regional('application-autoscaling', 'scalable-target/*'), 'The id of a scalable target is made by the service; the condition holds it to SageMaker');

  // Scaling (production): the alarms of a target-tracking policy are made with the rights of who puts the policy, and deleted with those of who
  // deregisters the target
  resource(endpoint, regional('cloudwatch', `alarm:TargetTracking-endpoint/${endpoint.endpointName}/*`), 'Application Auto Scaling names the alarms of this endpoint itself');
  resource(endpoint, regional('cloudwatch', 'alarm:*'), 'cloudwatch:DescribeAlarms is asked of all alarms before a policy is put');

  // State machines: a grant on a function covers its versions and aliases
  data.node.findAll().concat(endpoint.node.findAll())
    .filter((child) => child.node.defaultChild && (child.node.defaultChild as CfnElement & { cfnResourceType?: string }).cfnResourceType === 'AWS::Lambda::Function')
    .forEach((fn) => resource(Stack.of(fn), `${arnOf(fn)}:*`, `The workflow calls ${fn.node.path} by name, whichever version that is`));
  resource(data, '*', 'The delivery of state machine logs and of traces has no resource-level permissions');
  resource(data, regional('states', `execution:<${stack.getLogicalId(data.stateMachine.node.defaultChild as CfnElement)}.Name>:*`), 'A claim is checked against the execution that made it, any of its own workflow');

  // API
  Validations.of(api).acknowledge({ id: 'AwsSolutions-APIG4', reason: 'GET /health alone is open: load balancers and monitors ask it, and it says no more than that the API answers' });
  Validations.of(api).acknowledge({ id: 'AwsSolutions-COG2', reason: 'MFA is optional in the development profile; users are made by an administrator' });
  Validations.of(api).acknowledge({ id: 'AwsSolutions-COG8', reason: 'Threat protection costs 0.02 $ a user and month; users are made by an administrator and cannot sign up' });
}
