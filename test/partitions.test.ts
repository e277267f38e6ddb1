import { App, Stack } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as kms from 'aws-cdk-lib/aws-kms';
import { ApiAccess, Column, DataPipeline, DatasetSchema, InferenceEndpoint, MlopsApi, ModelRegistry, StageProfile, TrainingPipeline } from '../src';

const schema = DatasetSchema.of('shells', [Column.numeric('length'), Column.target('rings')]);

/** Everything that the library makes, in a region. */
function platform(region: string): Stack {
  const stack = new Stack(new App(), 'Stack', { env: { account: '111122223333', region } });
  const props = { profile: StageProfile.prod(), encryptionKey: new kms.Key(stack, 'Key'), vpc: new ec2.Vpc(stack, 'Vpc', { maxAzs: 2 }) };
  const registry = new ModelRegistry(stack, 'Models', props);
  const training = new TrainingPipeline(stack, 'Training', { schema, registry, ...props });
  const data = new DataPipeline(stack, 'Data', { schema, training, crawlRawData: true, ...props });
  const endpoint = new InferenceEndpoint(stack, 'Endpoint', { schema, registry, ...props });
  // There are no user pools in China.
  const access = region.startsWith('cn-') ? ApiAccess.iam() : undefined;
  new MlopsApi(stack, 'Api', { data, training, registry, endpoint, access, ...props });
  return stack;
}

describe.each([
  ['cn-north-1', '450853457545', ['ModelPackageGroup']],
  ['us-gov-east-1', '237065988967', ['ModelPackageGroup']],
  ['us-gov-west-1', '414596584902', []],
  ['eu-west-1', '141502667606', []],
])('%s', (region, imageAccount, missing) => {
  const stack = platform(region);
  const text = JSON.stringify(Template.fromStack(stack).toJSON());

  test('has its own partition in every ARN', () => {
    expect(text).not.toContain('arn:aws:');
    expect(text).toContain('{"Ref":"AWS::Partition"}');
  });

  test('has its own suffix in every host: what remains are names of services', () => {
    const hosts = [...text.matchAll(/[\w.-]*amazonaws\.com[\w.-]*/g)].map(([host]) => host);
    // Issuer of tokens is the host of Cognito, which is the same in each partition that has it (aws-cdk-lib, `HttpUserPoolAuthorizer`).
    const services = [
      'cloudwatch', 'events', 'glue', 'lambda', 'sagemaker', 'sagemaker.application-autoscaling', 'states', 'apigateway', `cognito-idp.${region}`,
    ];
    expect([...new Set(hosts)].filter((host) => !services.includes(host.replace(/\.amazonaws\.com$/, '')))).toEqual([]);
  });

  test('has SageMaker\'s images of its own', () => {
    expect(text).toContain(`${imageAccount}.dkr.ecr.${region}.`);
  });

  test(`warns of ${missing.length} types that it lacks`, () => {
    const warned = Annotations.fromStack(stack).findWarning('*', Match.stringLikeRegexp('CloudFormation is not known to have'))
      .map(({ entry }) => /AWS::\w+::(\w+) in ([\w-]+)/.exec(String(entry.data))!.slice(1));
    expect(new Set(warned.map(([type]) => type))).toEqual(new Set(missing));
    expect(warned.filter(([, where]) => where !== region)).toEqual([]);
  });
});

test('a stack whose region only the deployment knows is warned of nothing', () => {
  const stack = new Stack(new App(), 'Stack');
  new ModelRegistry(stack, 'Models');
  Annotations.fromStack(stack).hasNoWarning('*', Match.stringLikeRegexp('not known to have'));
});
