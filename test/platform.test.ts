import { App, RemovalPolicy, Stack, Tags } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as events from 'aws-cdk-lib/aws-events';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as s3 from 'aws-cdk-lib/aws-s3';
import * as sns from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';
import { Statement } from './statements';
import {
  Column, CommonProps, DataPipeline, DatasetSchema, InferenceEndpoint, MlopsApi, ModelApproval, ModelRegistry, StageProfile, TrainingPipeline,
} from '../src';

const schema = DatasetSchema.of('shells', [Column.numeric('length'), Column.target('rings')]);
const env = { account: '111122223333', region: 'eu-west-1' };

/** The constructs of a platform, with what all of them take. */
function platform(scope: Construct, props: CommonProps = {}, single: { removalPolicy?: RemovalPolicy } = {}) {
  const registry = new ModelRegistry(scope, 'Models', { ...props, ...single });
  const training = new TrainingPipeline(scope, 'Training', { schema, registry, ...props });
  const data = new DataPipeline(scope, 'Data', { schema, training, crawlRawData: true, ...props, ...single });
  const endpoint = new InferenceEndpoint(scope, 'Endpoint', { schema, registry, ...props });
  const api = new MlopsApi(scope, 'Api', { data, training, registry, endpoint, ...props, ...single });
  return { registry, training, data, endpoint, api };
}

/** What tests look at of the arguments of a job. */
interface JobArguments {
  readonly ProcessingResources: { readonly ClusterConfig: { readonly VolumeKmsKeyId?: string } };
  readonly ProcessingOutputConfig: { readonly KmsKeyId?: string };
  readonly NetworkConfig?: object;
  readonly ResourceConfig: { readonly VolumeKmsKeyId?: string };
  readonly OutputDataConfig: { readonly KmsKeyId?: string };
  readonly VpcConfig?: object;
  readonly Tags?: object[];
}

/** The definition of the one training pipeline; in it whatever only the deployment knows is the JSON of CloudFormation's function. */
function definitionOf(template: Template) {
  const [{ Properties }] = Object.values(template.findResources('AWS::SageMaker::Pipeline'));
  const body = Properties.PipelineDefinition.PipelineDefinitionBody as string | { 'Fn::Join': [string, unknown[]] };
  const parts = typeof body === 'string' ? [body] : body['Fn::Join'][1];
  return JSON.parse(parts.map((part) => (typeof part === 'string' ? part : JSON.stringify(JSON.stringify(part)).slice(1, -1))).join('')) as {
    readonly Parameters: { readonly Name: string; readonly DefaultValue?: unknown }[];
    readonly Steps: { readonly Name: string; readonly Arguments: JobArguments }[];
  };
}

function synth(props?: CommonProps, single?: { removalPolicy?: RemovalPolicy }): Template {
  const stack = new Stack(new App(), 'Stack');
  platform(stack, props, single);
  return Template.fromStack(stack);
}

describe('StageProfile', () => {
  /** How the logs of a template end, how what rests in it ends (items that expire do not), and how many instances of which type serve. */
  const outcome = (template: Template) => ({
    logs: new Set(Object.values(template.findResources('AWS::Logs::LogGroup')).map(({ Properties }) => Properties.RetentionInDays)),
    rests: new Set(['AWS::S3::Bucket', 'AWS::DynamoDB::GlobalTable', 'AWS::SageMaker::ModelPackageGroup']
      .flatMap((type) => Object.values(template.findResources(type)))
      .filter(({ Properties }) => !Properties.TimeToLiveSpecification).map(({ DeletionPolicy }) => DeletionPolicy)),
    capacity: /\\"capacity\\":\{\\"S\\":\\"([^\\]+)/.exec(JSON.stringify(template.findResources('AWS::StepFunctions::StateMachine')))?.[1],
  });

  test.each([
    ['dev', StageProfile.dev(), 30, 'Delete', '1 ml.c5.large'],
    ['staging', StageProfile.staging(), 90, 'Delete', '1 ml.m5.large'],
    ['prod', StageProfile.prod(), 365, 'Retain', '2-4 ml.m5.large @1000/60/300'],
    ['none', undefined, 90, 'Retain', '1 ml.c5.large'],
    ['a team\'s own', StageProfile.of({ removalPolicy: RemovalPolicy.DESTROY }), 90, 'Delete', '1 ml.c5.large'],
  ])('%s decides logs, removal and capacity of all constructs', (_, profile, days, deletion, capacity) => {
    expect(outcome(synth({ profile }))).toEqual({ logs: new Set([days]), rests: new Set([deletion]), capacity });
  });

  test('each single prop comes before it', () => {
    const template = synth({ profile: StageProfile.prod(), logRetention: logs.RetentionDays.TEN_YEARS }, { removalPolicy: RemovalPolicy.DESTROY });
    expect(outcome(template)).toMatchObject({ logs: new Set([3653]), rests: new Set(['Delete']) });
  });

  test('models are approved by people, unless a team wants otherwise', () => {
    expect([StageProfile.dev(), StageProfile.staging(), StageProfile.prod(), StageProfile.of()].map(({ modelApproval }) => modelApproval))
      .toEqual(Array(4).fill(ModelApproval.MANUAL));
    const approval = (profile?: StageProfile, modelApproval?: ModelApproval) => {
      const stack = new Stack(new App(), 'Stack');
      new TrainingPipeline(stack, 'Training', { schema, registry: new ModelRegistry(stack, 'Models'), profile, modelApproval });
      return definitionOf(Template.fromStack(stack)).Parameters.find(({ Name }) => Name === 'ModelApprovalStatus')?.DefaultValue;
    };
    const automatic = StageProfile.of({ modelApproval: ModelApproval.AUTOMATIC });
    expect([approval(), approval(StageProfile.prod()), approval(automatic), approval(automatic, ModelApproval.MANUAL)])
      .toEqual(['PendingManualApproval', 'PendingManualApproval', 'Approved', 'PendingManualApproval']);
  });
});

/** What a role may do with a customer key, or must be able to do: with a grant of it SageMaker encrypts the volumes of an endpoint. */
type KeyUse = 'none' | `${'decrypt' | 'encrypt'}${'' | ' and give to SageMaker'}`;

function keyUse(decrypts: boolean, encrypts: boolean, gives: boolean): KeyUse {
  const use = encrypts ? 'encrypt' : decrypts ? 'decrypt' : 'none';
  return use === 'none' || !gives ? use : `${use} and give to SageMaker`;
}

function useOf(actions: Set<string>): KeyUse {
  const known = ['kms:Decrypt', 'kms:DescribeKey', 'kms:Encrypt', 'kms:GenerateDataKey*', 'kms:ReEncrypt*', 'kms:CreateGrant'];
  expect([...actions].filter((action) => !known.includes(action))).toEqual([]);
  return keyUse(actions.has('kms:Decrypt'), actions.has('kms:GenerateDataKey*'), actions.has('kms:CreateGrant'));
}

/** Uses of a key that an action on something encrypted takes. */
const READS = /^(s3:GetObject(\*|Version)?|dynamodb:(GetItem|Query|Scan)|sqs:ReceiveMessage)$/;
const WRITES = /^(s3:PutObject|dynamodb:(PutItem|UpdateItem|DeleteItem)|sns:Publish|sqs:SendMessage)$/;
const GIVES = /^sagemaker:(CreateEndpoint|UpdateEndpoint|CreateProcessingJob|CreateTrainingJob)$/;

/** Every role of a template by its logical id without the hash, with what its policies permit. */
function statementsByRole(template: Template): Map<string, Statement[]> {
  const roles = new Map(Object.keys(template.findResources('AWS::IAM::Role')).map((id): [string, Statement[]] => [id, []]));
  for (const { Properties } of Object.values(template.findResources('AWS::IAM::Policy'))) {
    for (const { Ref } of Properties.Roles as { Ref: string }[]) {
      roles.get(Ref)!.push(...Properties.PolicyDocument.Statement as Statement[]);
    }
  }
  return new Map([...roles].map(([id, statements]) => [id.replace(/[0-9A-F]{8}$/, ''), statements]));
}

describe('one customer key and a VPC that exists', () => {
  const stack = new Stack(new App(), 'Stack', { env });
  const encryptionKey = new kms.Key(stack, 'Key');
  const vpc = ec2.Vpc.fromVpcAttributes(stack, 'Vpc', {
    vpcId: 'vpc-1', availabilityZones: ['eu-west-1a', 'eu-west-1b'], privateSubnetIds: ['subnet-1', 'subnet-2'], publicSubnetIds: ['subnet-3', 'subnet-4'],
  });
  const made = platform(stack, { encryptionKey, vpc, profile: StageProfile.dev() });
  const template = Template.fromStack(stack);
  const roles = statementsByRole(template);
  const keyArn = stack.resolve(encryptionKey.keyArn);
  const ids = (type: string) => Object.keys(template.findResources(type));
  const encrypted = ['AWS::S3::Bucket', 'AWS::DynamoDB::GlobalTable', 'AWS::SNS::Topic', 'AWS::SQS::Queue'].flatMap(ids);

  const granted = (statements: Statement[]) => useOf(new Set(statements
    .filter(({ Resource }) => JSON.stringify(Resource).includes(JSON.stringify(keyArn)))
    .flatMap(({ Action }) => Action)));

  /** From the actions that a role may call on what is encrypted. */
  const needed = (statements: Statement[]): KeyUse => {
    const actions = statements
      .filter(({ Resource }) => encrypted.some((id) => JSON.stringify(Resource).includes(`"${id}"`)) || /:(endpoint|\w+-job)\//.test(JSON.stringify(Resource)))
      .flatMap(({ Action }) => Action);
    const some = (pattern: RegExp) => actions.some((action) => pattern.test(action));
    return keyUse(some(READS), some(WRITES), some(GIVES));
  };

  // One row a role: the name of its construct without the hash, and what it may do with the key.
  const table: [string, KeyUse][] = [
    ['ModelsFeedHandlerRole', 'encrypt'],
    ['ModelsCleanupHandlerRole', 'none'],
    ['TrainingRole', 'decrypt and give to SageMaker'],
    ['TrainingJobRole', 'encrypt'],
    ['DataJobsValidateRole', 'encrypt'],
    ['DataJobsPreprocessRole', 'encrypt'],
    ['DataGlueTableCrawlerRole', 'decrypt'],
    ['DataFunctionsManifestRole', 'encrypt'],
    ['DataFunctionsVerdictRole', 'encrypt'],
    ['DataFunctionsStartTrainingRole', 'none'],
    ['DataFunctionsFinishRole', 'encrypt'],
    ['DataFunctionsUnnotifiedRole', 'encrypt'],
    ['DataInterruptionHandlerRole', 'encrypt'],
    ['DataWorkflowRole', 'encrypt'],
    ['DataWorkflowEventsRole', 'none'],
    ['EndpointRole', 'decrypt'],
    ['EndpointCleanupHandlerRole', 'encrypt'],
    ['EndpointArtifactsRole', 'decrypt'],
    ['EndpointSmokeRole', 'none'],
    ['EndpointDeployRole', 'encrypt and give to SageMaker'],
    ['EndpointDeployEventsRole', 'none'],
    ['ApiHealthRole', 'none'],
    ['ApiDatasetsRole', 'decrypt'],
    ['ApiTrainingRole', 'encrypt'], // writes the answers that it gives again
    ['ApiModelsRole', 'decrypt'],
    ['ApiPredictRole', 'none'],
    ['CustomS3AutoDeleteObjectsCustomResourceProviderRole', 'none'],
  ];

  test('each role has exactly its grant on the key', () => {
    expect(Object.fromEntries([...roles].map(([role, statements]) => [role, granted(statements)]))).toEqual(Object.fromEntries(table));
  });

  test('no role has a grant that nothing needs, and none lacks one', () => {
    expect(Object.fromEntries([...roles].map(([role, statements]) => [role, needed(statements)]))).toEqual(Object.fromEntries(table));
  });

  test('whatever rests is encrypted with the key', () => {
    const all = (type: string, properties: object) => template.allResourcesProperties(type, properties);
    all('AWS::S3::Bucket', { BucketEncryption: { ServerSideEncryptionConfiguration: [{ ServerSideEncryptionByDefault: { SSEAlgorithm: 'aws:kms', KMSMasterKeyID: keyArn } }] } });
    all('AWS::DynamoDB::GlobalTable', {
      SSESpecification: { SSEEnabled: true, SSEType: 'KMS' }, Replicas: [Match.objectLike({ SSESpecification: { KMSMasterKeyId: keyArn } })],
    });
    all('AWS::SNS::Topic', { KmsMasterKeyId: keyArn });
    all('AWS::SQS::Queue', { KmsMasterKeyId: keyArn });
    const open = Object.entries(template.findResources('AWS::Logs::LogGroup')).filter(([, { Properties }]) => Properties.KmsKeyId === undefined);
    expect(open.map(([id]) => id)).toEqual([]);
    expect(JSON.stringify(template.findResources('AWS::StepFunctions::StateMachine'))).toContain('\\"KmsKeyId\\":\\"');
  });

  test('the key lets in the services that have no role', () => {
    const [{ Properties }] = Object.values(template.findResources('AWS::KMS::Key'));
    const statements = Properties.KeyPolicy.Statement as { Principal: { Service?: unknown }; Condition?: object }[];
    const services = statements.filter(({ Principal }) => Principal.Service);
    expect(services).toEqual([
      expect.objectContaining({
        Principal: { Service: { 'Fn::Join': ['', ['logs.eu-west-1.', { Ref: 'AWS::URLSuffix' }]] } },
        Condition: { ArnLike: { 'kms:EncryptionContext:aws:logs:arn': { 'Fn::Join': ['', ['arn:', { Ref: 'AWS::Partition' }, ':logs:eu-west-1:111122223333:log-group:*']] } } },
      }),
      expect.objectContaining({
        Principal: { Service: 'events.amazonaws.com' },
        Action: ['kms:GenerateDataKey', 'kms:Decrypt'],
        Condition: { StringEquals: { 'aws:SourceAccount': '111122223333' } },
      }),
      expect.objectContaining({
        Principal: { Service: 'cloudwatch.amazonaws.com' },
        Action: ['kms:GenerateDataKey*', 'kms:Decrypt'],
        Condition: { StringEquals: { 'aws:SourceAccount': '111122223333' } },
      }),
    ]);
    Annotations.fromStack(stack).hasNoWarning('*', Match.stringLikeRegexp('the policy of the key'));
  });

  test('functions, jobs, crawlers and models run in the private subnets', () => {
    const open = Object.entries(template.findResources('AWS::Lambda::Function'))
      .filter(([, { Properties }]) => JSON.stringify(Properties.VpcConfig?.SubnetIds) !== '["subnet-1","subnet-2"]').map(([id]) => id);
    expect(open.filter((id) => !id.startsWith('CustomS3AutoDelete'))).toEqual([]);
    const [connection] = ids('AWS::Glue::Connection');
    template.allResourcesProperties('AWS::Glue::Job', { Connections: { Connections: [{ Ref: connection }] } });
    template.hasResourceProperties('AWS::Glue::Crawler', { Targets: { S3Targets: [Match.objectLike({ ConnectionName: { Ref: connection } })] } });
    expect(JSON.stringify(template.findResources('AWS::StepFunctions::StateMachine'))).toContain('\\"Subnets\\":[\\"subnet-1\\",\\"subnet-2\\"]');
  });

  test('jobs of SageMaker run there too, their volumes and what they write encrypted', () => {
    const { Steps } = definitionOf(template);
    const places = { Subnets: ['subnet-1', 'subnet-2'], SecurityGroupIds: [expect.stringContaining('GetAtt')] };
    const [preprocess, train, evaluate] = Steps.map(({ Arguments }) => Arguments);
    for (const { ProcessingResources, ProcessingOutputConfig, NetworkConfig } of [preprocess, evaluate]) {
      expect(NetworkConfig).toEqual({ VpcConfig: places });
      expect([ProcessingResources.ClusterConfig.VolumeKmsKeyId, ProcessingOutputConfig.KmsKeyId]).toEqual(Array(2).fill(JSON.stringify(keyArn)));
    }
    expect(train.VpcConfig).toEqual(places);
    expect([train.ResourceConfig.VolumeKmsKeyId, train.OutputDataConfig.KmsKeyId]).toEqual(Array(2).fill(JSON.stringify(keyArn)));
  });

  test("Glue's workers reach each other, and nobody else reaches them", () => {
    const [workers] = ids('AWS::EC2::SecurityGroup').filter((id) => /GlueNetwork/.test(id));
    const group = { 'Fn::GetAtt': [workers, 'GroupId'] };
    template.resourceCountIs('AWS::EC2::SecurityGroupIngress', 1);
    template.hasResourceProperties('AWS::EC2::SecurityGroupIngress', { GroupId: group, SourceSecurityGroupId: group, FromPort: 0, ToPort: 65535 });
    template.hasResourceProperties('AWS::Glue::Connection', {
      ConnectionInput: { ConnectionType: 'NETWORK', PhysicalConnectionRequirements: { SubnetId: 'subnet-1', SecurityGroupIdList: Match.arrayWith([group]) } },
    });
  });

  test('whoever runs in the VPC may make interfaces in its subnets and groups alone, and no other role may', () => {
    const make = (statements: Statement[]) => statements.filter(({ Action }) => [Action].flat().includes('ec2:CreateNetworkInterface'));
    const may = [...roles].filter(([, statements]) => make(statements).length > 0).map(([role]) => role);
    expect(may.sort()).toEqual([
      ...['Validate', 'Preprocess'].map((job) => `DataJobs${job}Role`), 'DataGlueTableCrawlerRole',
      ...['Finish', 'Manifest', 'StartTraining', 'Unnotified', 'Verdict'].map((handler) => `DataFunctions${handler}Role`),
      ...['Datasets', 'Health', 'Models', 'Predict', 'Training'].map((handler) => `Api${handler}Role`), 'TrainingJobRole', 'DataInterruptionHandlerRole',
      'EndpointArtifactsRole', 'EndpointCleanupHandlerRole', 'EndpointRole', 'EndpointSmokeRole', 'ModelsCleanupHandlerRole', 'ModelsFeedHandlerRole',
    ].sort());
    for (const [, statements] of roles) {
      make(statements).forEach(({ Resource }) => expect(JSON.stringify(Resource)).toMatch(/subnet-1.*subnet-2.*security-group/));
      make(statements).forEach(({ Resource }) => expect(JSON.stringify(Resource)).not.toMatch(/subnet\/\*|security-group\/\*/));
    }
  });

  test('each construct is one to connect to', () => {
    for (const construct of [made.registry, made.training, made.data, made.endpoint, made.api]) {
      expect(construct.connections.securityGroups.length).toBeGreaterThan(0);
    }
  });

  test('each construct has a default child that CloudFormation knows, and its dead-letter queue where events are handed over', () => {
    for (const construct of [made.registry, made.data, made.endpoint]) {
      expect(encrypted).toContain(stack.resolve(construct.deadLetterQueue.queueUrl).Ref);
    }
    for (const construct of Object.values(made)) {
      expect(stack.resolve((construct.node.defaultChild as { logicalId?: string } | undefined)?.logicalId)).toEqual(expect.any(String));
    }
  });
});

describe('props of the network', () => {
  const inStack = (build: (stack: Stack, vpc: ec2.IVpc) => void) => {
    const stack = new Stack(new App(), 'Stack', { env });
    build(stack, new ec2.Vpc(stack, 'Vpc', { maxAzs: 2 }));
    return Template.fromStack(stack);
  };

  test('groups and subnets of one\'s own are taken, and none is made beside that of Spark\'s workers', () => {
    const template = inStack((stack, vpc) => {
      const group = new ec2.SecurityGroup(stack, 'Mine', { vpc });
      const vpcSubnets = { subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS, availabilityZones: [vpc.availabilityZones[1]] };
      platform(stack, { vpc, vpcSubnets, securityGroups: [group] });
    });
    expect(Object.keys(template.findResources('AWS::EC2::SecurityGroup')).map((id) => id.slice(0, -8)).sort()).toEqual(['DataGlueNetworkWorkers', 'Mine']);
    const [mine] = Object.keys(template.findResources('AWS::EC2::SecurityGroup')).filter((id) => id.startsWith('Mine'));
    template.hasResourceProperties('AWS::Lambda::Function', {
      VpcConfig: { SecurityGroupIds: [{ 'Fn::GetAtt': [mine, 'GroupId'] }], SubnetIds: [{ Ref: Match.stringLikeRegexp('PrivateSubnet2') }] },
    });
  });

  test.each([
    ['vpcSubnets', { vpcSubnets: { subnetType: ec2.SubnetType.PUBLIC } }],
    ['securityGroups', { securityGroups: [] }],
  ])('fails when %s are given without a VPC', (prop, props) => {
    expect(() => synth(props)).toThrow(`ModelRegistry "Models": ${prop} need vpc: give the VPC that they are in`);
  });

  test('groups are described in characters that EC2 takes, whatever the construct is called', () => {
    const template = inStack((stack, vpc) => new ModelRegistry(stack, `Modèles d'été ${'x'.repeat(300)}`, { vpc }));
    const [{ Properties }] = Object.values(template.findResources('AWS::EC2::SecurityGroup'));
    expect(Properties.GroupDescription).toMatch(/^What Stack\/Mod-les d--t- x+$/);
    expect(Properties.GroupDescription).toHaveLength(255);
  });

  test('fails when there are no security groups, or too many', () => {
    const given = (count: number) => () => inStack((stack, vpc) => {
      const securityGroups = Array.from({ length: count }, (_, i) => ec2.SecurityGroup.fromSecurityGroupId(stack, `Group${i}`, `sg-${i}`));
      new TrainingPipeline(stack, 'Training', { schema, registry: new ModelRegistry(stack, 'Models'), vpc, securityGroups });
    });
    expect(given(0)).toThrow('TrainingPipeline "Training": securityGroups has 0 entries; Lambda and SageMaker take 1 to 5');
    expect(given(6)).toThrow('TrainingPipeline "Training": securityGroups has 6 entries');
    expect(given(5)).not.toThrow();
  });

  test('fails when something shall connect to what runs in no VPC', () => {
    const { registry, training, data, endpoint, api } = platform(new Stack(new App(), 'Stack'));
    expect(() => registry.connections).toThrow('ModelRegistry "Models": it has no security groups, because it runs in no VPC: give it vpc');
    expect(() => data.connections).toThrow('DataPipeline "Data": it has no security groups');
    expect(() => endpoint.connections).toThrow('InferenceEndpoint "Endpoint": it has no security groups');
    expect(() => training.connections).toThrow('TrainingPipeline "Training": it has no security groups');
    expect(() => api.connections).toThrow('MlopsApi "Api": it has no security groups');
  });
});

describe('keys', () => {
  test('of another stack, in a stack without account and region, are taken', () => {
    const app = new App();
    const encryptionKey = new kms.Key(new Stack(app, 'Keys'), 'Key');
    const stack = new Stack(app, 'Platform');
    platform(stack, { encryptionKey });
    Template.fromStack(stack).allResourcesProperties('AWS::SQS::Queue', { KmsMasterKeyId: Match.objectLike({ 'Fn::ImportValue': Match.anyValue() }) });
  });

  test('of a bucket and a topic that are given go to who uses these', () => {
    const stack = new Stack(new App(), 'Stack', { env });
    const bucket = new s3.Bucket(stack, 'Bucket', { encryptionKey: new kms.Key(stack, 'BucketKey') });
    const topic = new sns.Topic(stack, 'Topic', { masterKey: new kms.Key(stack, 'TopicKey') });
    new DataPipeline(stack, 'Data', { schema, bucket, topic });
    const using = (key: kms.IKey) => [...statementsByRole(Template.fromStack(stack))]
      .filter(([, statements]) => statements.some(({ Resource }) => JSON.stringify(Resource) === JSON.stringify(stack.resolve(key.keyArn))))
      .map(([role]) => role);
    expect(using(bucket.encryptionKey!).sort()).toEqual(['DataFunctionsManifestRole', 'DataFunctionsVerdictRole', 'DataJobsPreprocessRole', 'DataJobsValidateRole']);
    expect(using(topic.masterKey!)).toEqual(['DataWorkflowRole', 'DataInterruptionHandlerRole']);
  });

  test('whose policy cannot be changed bring a warning that says what they must permit', () => {
    const stack = new Stack(new App(), 'Stack', { env });
    const encryptionKey = kms.Key.fromKeyArn(stack, 'Key', 'arn:aws:kms:eu-west-1:111122223333:key/1234');
    new ModelRegistry(stack, 'Models', { encryptionKey });
    Annotations.fromStack(stack).hasWarning('/Stack/Models', Match.stringLikeRegexp('the policy of the key "Stack/Key" cannot be changed here.*kms:Encrypt.*logs'));
    Annotations.fromStack(stack).hasWarning('/Stack/Models/Feed/DeadLetters', Match.stringLikeRegexp('kms:GenerateDataKey, kms:Decrypt to events.amazonaws.com'));
  });
});

describe('two platforms in one stack', () => {
  test.each([['bare', {}], ['with a key and a VPC', { key: true }]])('%s synthesize and share no name', (_, { key }: { key?: boolean }) => {
    const stack = new Stack(new App(), 'Stack', { env });
    const props = key ? { encryptionKey: new kms.Key(stack, 'Key'), vpc: new ec2.Vpc(stack, 'Vpc') } : {};
    ['One', 'Two'].forEach((id) => platform(new Construct(stack, id), props));
    const names = Object.values(Template.fromStack(stack).findResources('AWS::Logs::LogGroup')).map(({ Properties }) => JSON.stringify(Properties.LogGroupName)).filter(Boolean);
    expect(new Set(names).size).toBe(names.length);
  });
});

describe('constructs that exist elsewhere', () => {
  const app = new App();
  const [stack, other] = ['Here', 'There'].map((id) => new Stack(app, id, { env }));
  const there = platform(other, { encryptionKey: new kms.Key(other, 'Key') });
  const data = DataPipeline.fromDataPipelineAttributes(stack, 'Data', there.data);
  const endpoint = InferenceEndpoint.fromInferenceEndpointAttributes(stack, 'Endpoint', { endpointName: 'shells', schema });
  const reader = new iam.Role(stack, 'Reader', { assumedBy: new iam.AccountRootPrincipal() });
  data.grantRead(reader);
  endpoint.grantInvoke(reader);
  const training = TrainingPipeline.fromTrainingPipelineAttributes(stack, 'Training', there.training);
  const registry = ModelRegistry.fromModelRegistryAttributes(stack, 'Models', there.registry);
  new MlopsApi(stack, 'Api', { data, training, registry, endpoint });
  data.onFailed('Failed');
  endpoint.onDeployed('Deployed');

  test('are granted and watched like those made here', () => {
    const template = Template.fromStack(stack);
    template.hasResourceProperties('AWS::Events::Rule', { EventPattern: Match.objectLike({ source: ['aws.states'] }) });
    template.hasResourceProperties('AWS::Events::Rule', { EventPattern: { detail: { endpointName: ['shells'] } } });
    expect(statementsByRole(template).get('Reader')!.flatMap(({ Action }) => Action)).toEqual(expect.arrayContaining(['s3:GetObject', 'kms:Decrypt', 'sagemaker:InvokeEndpoint']));
    expect(endpoint.metric('Invocations').dimensions).toMatchObject({ EndpointName: 'shells' });
  });
});

test('tags of the app reach the jobs of a training pipeline', () => {
  const stack = new Stack(new App(), 'Stack');
  const { training } = platform(stack);
  Tags.of(stack).add('team', 'shells');
  Tags.of(training).add('cost', 'training');
  const { Steps } = definitionOf(Template.fromStack(stack));
  const tags = [{ Key: 'team', Value: 'shells' }, { Key: 'cost', Value: 'training' }];
  expect(Steps.map(({ Name, Arguments }) => [Name, Arguments.Tags])).toEqual([['Preprocess', tags], ['Train', tags], ['Evaluate', tags], ['Gate', undefined]]);
});

test('jobs on instances that encrypt their own disks get no key for them', () => {
  const stack = new Stack(new App(), 'Stack', { env });
  const encryptionKey = new kms.Key(stack, 'Key');
  new TrainingPipeline(stack, 'Training', { schema, registry: new ModelRegistry(stack, 'Models'), encryptionKey, trainingInstanceType: 'ml.g5.xlarge' });
  const [preprocess, train] = definitionOf(Template.fromStack(stack)).Steps;
  expect([preprocess.Arguments.ProcessingResources.ClusterConfig.VolumeKmsKeyId, train.Arguments.ResourceConfig.VolumeKmsKeyId])
    .toEqual([JSON.stringify(stack.resolve(encryptionKey.keyArn)), undefined]);
});

test('outputs are encrypted with the key of the bucket that they go to, not with that of the jobs', () => {
  const stack = new Stack(new App(), 'Stack', { env });
  const [ofJobs, ofBucket] = ['OfJobs', 'OfBucket'].map((id) => new kms.Key(stack, id));
  new TrainingPipeline(stack, 'Training', { schema, registry: new ModelRegistry(stack, 'Models', { encryptionKey: ofBucket }), encryptionKey: ofJobs });
  const template = Template.fromStack(stack);
  const { OutputDataConfig, ResourceConfig } = definitionOf(template).Steps[1].Arguments;
  expect([OutputDataConfig.KmsKeyId, ResourceConfig.VolumeKmsKeyId])
    .toEqual([ofBucket, ofJobs].map((key) => JSON.stringify(stack.resolve(key.keyArn))));
  const permitted = (role: string, key: kms.IKey) => statementsByRole(template).get(role)!
    .filter(({ Resource }) => JSON.stringify(Resource) === JSON.stringify(stack.resolve(key.keyArn))).flatMap(({ Action }) => Action);
  expect(permitted('TrainingRole', ofJobs)).toEqual(['kms:DescribeKey', 'kms:CreateGrant']);
  expect(permitted('TrainingJobRole', ofJobs)).toEqual([]);
});

test('a rule may lie in another stack than its construct', () => {
  const app = new App();
  const { registry, training, data, endpoint } = platform(new Stack(app, 'There'));
  const here = new Stack(app, 'Here');
  const rules = (options: events.OnEventOptions) => [
    registry.onApproved('Approved', options), registry.onRegistered('Registered', options), registry.onChanged('Changed', options),
    data.onSucceeded('Succeeded', options), data.onFailed('Failed', options),
    training.onSucceeded('Trained', options), training.onFailed('NotTrained', options),
    endpoint.onDeployed('Deployed', options), endpoint.onDeploymentFailed('DeploymentFailed', options),
  ];
  expect(rules({ crossStackScope: here }).map((rule) => Stack.of(rule))).toEqual(Array(9).fill(here));
});
