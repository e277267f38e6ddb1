import { App, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import * as targets from 'aws-cdk-lib/aws-events-targets';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as s3 from 'aws-cdk-lib/aws-s3';
import * as sns from 'aws-cdk-lib/aws-sns';
import { statements } from './statements';
import { ModelRegistry } from '../src/registry';

function stackOf(build: (stack: Stack) => void): Template {
  const stack = new Stack(new App(), 'Stack', { env: { account: '111122223333', region: 'eu-west-1' } });
  build(stack);
  return Template.fromStack(stack);
}

const arn = (name: string) => ({ 'Fn::Join': ['', ['arn:', { Ref: 'AWS::Partition' }, `:sagemaker:eu-west-1:111122223333:${name}`]] });
const userOf = (stack: Stack) => new iam.User(stack, 'User');

describe('a registry that is kept', () => {
  const template = stackOf((stack) => {
    const registry = new ModelRegistry(stack, 'Models', { modelPackageGroupName: 'AbaloneModels' });
    registry.onApproved('Approved', { target: new targets.SnsTopic(new sns.Topic(stack, 'Topic')) });
    registry.onRegistered('Registered');
  });

  test('has a group and a table that stay, the table with point-in-time recovery', () => {
    template.hasResource('AWS::SageMaker::ModelPackageGroup', {
      DeletionPolicy: 'Retain', UpdateReplacePolicy: 'Retain', Properties: { ModelPackageGroupName: 'AbaloneModels' },
    });
    template.hasResource('AWS::DynamoDB::GlobalTable', {
      DeletionPolicy: 'Retain',
      Properties: {
        KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }, { AttributeName: 'sk', KeyType: 'RANGE' }],
        BillingMode: 'PAY_PER_REQUEST',
        Replicas: [Match.objectLike({ PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true } })],
        SSESpecification: { SSEEnabled: true, SSEType: 'KMS' },
      },
    });
    template.hasResource('AWS::S3::Bucket', { DeletionPolicy: 'Retain' });
  });

  test('keeps copies of artifacts for ever: no rule of the bucket ends what is current', () => {
    const [bucket] = Object.values(template.findResources('AWS::S3::Bucket'));
    const rules = bucket.Properties.LifecycleConfiguration.Rules as object[];
    expect(rules.flatMap((rule) => Object.keys(rule)).filter((key) => /^(Expiration|Transition)/.test(key))).toEqual([]);
    expect(rules).not.toEqual([]);
  });

  test('deletes no versions', () => {
    template.resourceCountIs('Custom::ModelVersions', 0);
  });

  test('feeds the catalog by every change of the group, with retries and a queue for what fails', () => {
    template.hasResourceProperties('AWS::Events::Rule', {
      EventPattern: {
        'source': ['aws.sagemaker'],
        'detail-type': ['SageMaker Model Package State Change'],
        'detail': { ModelPackageGroupName: ['AbaloneModels'] },
      },
      Targets: [{
        Arn: { 'Fn::GetAtt': [Match.stringLikeRegexp('ModelsFeedHandler'), 'Arn'] },
        DeadLetterConfig: { Arn: { 'Fn::GetAtt': [Match.stringLikeRegexp('ModelsFeedDeadLetters'), 'Arn'] } },
        RetryPolicy: { MaximumEventAgeInSeconds: 7200, MaximumRetryAttempts: 8 },
      }],
    });
  });

  test('approved and registered versions have rules of their own', () => {
    template.hasResourceProperties('AWS::Events::Rule', {
      EventPattern: { detail: { ModelPackageGroupName: ['AbaloneModels'], ModelApprovalStatus: ['Approved'] } },
      Targets: Match.arrayWith([Match.objectLike({ Arn: { Ref: Match.stringLikeRegexp('Topic') } })]),
    });
    template.hasResourceProperties('AWS::Events::Rule', {
      EventPattern: { detail: { ModelApprovalStatus: ['PendingManualApproval'] } }, Targets: Match.absent(),
    });
  });

  test('lets the feed describe packages in both spellings, update the catalog, read reports and artifacts, and write copies only', () => {
    const found = statements(template, /FeedHandler/).filter(({ Action }) => !`${Action}`.startsWith('logs:'));
    expect(found).toContainEqual({
      Effect: 'Allow',
      Action: 'sagemaker:DescribeModelPackage',
      Resource: ['model-package/AbaloneModels/*', 'model-package/abalonemodels/*'].map(arn),
    });
    const actions = found.flatMap(({ Action }) => Action);
    expect(actions.filter((action) => /Put|Delete|Create|Approve|\*$/.test(action)).sort()).toEqual(['s3:GetBucket*', 's3:GetObject*', 's3:List*', 's3:PutObject']);
    expect(JSON.stringify(found.find(({ Action }) => Action.includes('s3:PutObject'))!.Resource)).toContain('"/_versions/AbaloneModels/*"');
    expect(actions).toContain('dynamodb:UpdateItem');
    expect(found.map(({ Resource }) => Resource)).not.toContain('*');
  });

  test('tells the rehearsal where its parts are', () => {
    const app = new App();
    const stack = new Stack(app, 'S');
    const registry = new ModelRegistry(stack, 'Models', { modelPackageGroupName: 'G' });
    const [entry] = registry.node.metadata.filter(({ type }) => type === 'cdk-mlops:model-registry');
    expect(stack.resolve(entry.data)).toEqual({
      modelPackageGroupName: 'G',
      tableName: { Ref: expect.stringMatching(/^ModelsCatalog/) },
      bucket: { Ref: expect.stringMatching(/^ModelsArtifacts/) },
    });
  });
});

describe('a registry that goes with its stack', () => {
  const template = stackOf((stack) => {
    new ModelRegistry(stack, 'Models', { modelPackageGroupName: 'abalone', removalPolicy: RemovalPolicy.DESTROY });
  });

  test('deletes its versions before its group', () => {
    const [group] = Object.keys(template.findResources('AWS::SageMaker::ModelPackageGroup', { DeletionPolicy: 'Delete' }));
    template.hasResource('Custom::ModelVersions', {
      Properties: { GroupName: 'abalone' },
      DependsOn: Match.arrayWith([group]),
    });
  });

  test('and can do so as long as it takes, with no more permissions than that', () => {
    expect(statements(template, /CleanupHandler/).filter(({ Action }) => !`${Action}`.startsWith('logs:'))).toEqual([
      { Effect: 'Allow', Action: 'sagemaker:ListModelPackages', Resource: '*' },
      { Effect: 'Allow', Action: 'sagemaker:DeleteModelPackage', Resource: arn('model-package/abalone/*') },
    ]);
    const [resource] = Object.values(template.findResources('Custom::ModelVersions'));
    const handler = resource.Properties.ServiceToken['Fn::GetAtt'][0];
    expect(template.findResources('AWS::Lambda::Function')[handler].DependsOn).toContainEqual(expect.stringMatching(/RoleDefaultPolicy/));
    expect(resource.Properties.ServiceTimeout).toBe('660');
  });

  test('leaves nothing: bucket and table are deleted too', () => {
    template.hasResource('AWS::DynamoDB::GlobalTable', { DeletionPolicy: 'Delete' });
    template.hasResource('AWS::S3::Bucket', { DeletionPolicy: 'Delete' });
    template.resourceCountIs('Custom::S3AutoDeleteObjects', 1);
  });
});

describe('grants', () => {
  const template = stackOf((stack) => {
    const registry = new ModelRegistry(stack, 'Models', { modelPackageGroupName: 'abalone' });
    const user = userOf(stack);
    registry.grantApprove(user);
    registry.grantRegister(user);
    registry.grantDeploy(user);
  });
  const packages = arn('model-package/abalone/*');
  const found = statements(template, /^User/);

  test.each([
    ['approve', ['sagemaker:DescribeModelPackage', 'sagemaker:UpdateModelPackage'], packages],
    ['register', ['sagemaker:CreateModelPackage', 'sagemaker:DescribeModelPackage', 'sagemaker:DescribeModelPackageGroup'],
      [packages, arn('model-package-group/abalone')]],
    ['deploy', ['sagemaker:CreateModel', 'sagemaker:DescribeModelPackage'], packages],
  ])('%s', (_, Action, Resource) => {
    expect(found).toContainEqual({ Effect: 'Allow', Action, Resource });
  });
});

describe('two registries in one stack', () => {
  const template = stackOf((stack) => {
    new ModelRegistry(stack, 'One');
    new ModelRegistry(stack, 'Two', { removalPolicy: RemovalPolicy.DESTROY });
  });

  test('have different valid names', () => {
    const names = Object.values(template.findResources('AWS::SageMaker::ModelPackageGroup')).map((group) => group.Properties.ModelPackageGroupName);
    expect(new Set(names).size).toBe(2);
    names.forEach((name) => expect(name).toMatch(/^[a-z0-9](-*[a-z0-9]){0,62}$/));
  });
});

describe('two registries on one table and one bucket', () => {
  const template = stackOf((stack) => {
    const one = new ModelRegistry(stack, 'One', { modelPackageGroupName: 'one', removalPolicy: RemovalPolicy.DESTROY });
    const { bucket, catalogTable } = one;
    new ModelRegistry(stack, 'Two', { modelPackageGroupName: 'two', bucket, catalogTable, removalPolicy: RemovalPolicy.DESTROY });
    one.grantReadCatalog(userOf(stack));
  });
  const onTable = (id: RegExp) => statements(template, id).filter(({ Action }) => `${[Action].flat()[0]}`.startsWith('dynamodb:'));
  const ofGroup = (...partitions: string[]) => ({ 'ForAllValues:StringEquals': { 'dynamodb:LeadingKeys': partitions } });

  test('make one table, whose items are granted by group', () => {
    template.resourceCountIs('AWS::DynamoDB::GlobalTable', 1);
    template.resourceCountIs('AWS::S3::Bucket', 1);
    expect(onTable(/^OneFeedHandler/).map(({ Condition }) => Condition)).toEqual([ofGroup('MODEL#one')]);
    expect(onTable(/^TwoFeedHandler/).map(({ Condition }) => Condition)).toEqual([ofGroup('MODEL#two')]);
    expect(onTable(/^User/)).toEqual([expect.objectContaining({
      Action: ['dynamodb:GetItem', 'dynamodb:Query'], Condition: ofGroup('MODEL#one', 'SERVING#one', 'DEPLOYMENT#one'),
    })]);
  });

  test('each feed writes into its own group', () => {
    for (const group of ['one', 'two']) {
      template.hasResourceProperties('AWS::Lambda::Function', {
        Environment: { Variables: { CATALOG_TABLE: { Ref: Match.stringLikeRegexp('^OneCatalog') }, MODEL_PACKAGE_GROUP_NAME: group } },
      });
    }
  });

  test('the one to which the table was given takes its items along, when its feed writes no longer', () => {
    const [[cleanup]] = Object.entries(template.findResources('Custom::ModelVersions', { Properties: { GroupName: 'two' } }));
    template.hasResourceProperties('Custom::ModelVersions', { GroupName: 'one', TableName: Match.absent() });
    template.hasResourceProperties('Custom::ModelVersions', { GroupName: 'two', TableName: { Ref: Match.stringLikeRegexp('^OneCatalog') } });
    template.hasResource('AWS::Lambda::Function', {
      Properties: { Environment: { Variables: Match.objectLike({ MODEL_PACKAGE_GROUP_NAME: 'two' }) } }, DependsOn: Match.arrayWith([cleanup]),
    });
    expect(onTable(/^TwoCleanup/)).toEqual([expect.objectContaining({
      Action: ['dynamodb:DeleteItem', 'dynamodb:Query'], Condition: ofGroup('MODEL#two', 'SERVING#two', 'LOCK#two', 'DEPLOYMENT#two'),
    })]);
  });
});

describe('a registry that exists', () => {
  const template = stackOf((stack) => {
    const registry = ModelRegistry.fromModelRegistryAttributes(stack, 'Models', {
      modelPackageGroupName: 'Abalone',
      bucket: s3.Bucket.fromBucketName(stack, 'Bucket', 'models'),
      catalogTable: dynamodb.TableV2.fromTableName(stack, 'Table', 'catalog'),
    });
    registry.grantRead(userOf(stack));
    registry.onApproved('Approved');
  });

  test('makes nothing but what is asked of it', () => {
    template.resourceCountIs('AWS::SageMaker::ModelPackageGroup', 0);
    template.resourceCountIs('AWS::Lambda::Function', 0);
    template.resourceCountIs('AWS::Events::Rule', 1);
    const spellings = ['model-package/Abalone/*', 'model-package/abalone/*', 'model-package-group/Abalone', 'model-package-group/abalone'];
    expect(statements(template, /^User/)).toEqual([
      { Effect: 'Allow', Action: ['sagemaker:DescribeModelPackage', 'sagemaker:DescribeModelPackageGroup'], Resource: spellings.map(arn) },
      expect.objectContaining({ Action: ['dynamodb:GetItem', 'dynamodb:Query'] }),
    ]);
  });
});

describe('a registry with a bucket of one\'s own', () => {
  test('makes none', () => {
    const template = stackOf((stack) => {
      new ModelRegistry(stack, 'Models', { bucket: s3.Bucket.fromBucketName(stack, 'Bucket', 'models'), removalPolicy: RemovalPolicy.DESTROY });
    });
    template.resourceCountIs('AWS::S3::Bucket', 0);
  });
});

describe('fails', () => {
  test.each(['', '-a', 'a-', 'a_b', 'a'.repeat(64), 'a b'])('when the group is named "%s"', (modelPackageGroupName) => {
    expect(() => stackOf((stack) => new ModelRegistry(stack, 'Models', { modelPackageGroupName })))
      .toThrow(`ModelRegistry "Models": modelPackageGroupName "${modelPackageGroupName}" must be 1 to 63 letters, digits and hyphens`);
  });
});
