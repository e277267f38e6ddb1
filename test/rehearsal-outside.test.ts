/** What an app refers to and does not make: looked up, named by its ARN, given, or refused. */
import { AssembledStack, Template } from '../src/rehearsal/app/assembly';
import { answerLookups, Lookup, thingsInContext } from '../src/rehearsal/app/lookups';
import { byEnvironment, givenThings, thingsInTemplates, thingsOfBootstrap } from '../src/rehearsal/app/outside';
import { stackParameters } from '../src/rehearsal/app/stack-parameters';
import { UsageError } from '../src/rehearsal/command/errors';

const environment = { account: '111111111111', region: 'eu-west-1' };
const none = { roles: [], buckets: [], repositories: [], parameters: [] };

function stackOf(template: Template, more: Partial<AssembledStack> = {}): AssembledStack {
  return { id: 'Dev/S', name: 'Dev-S', stage: 'Dev', environment, dependencies: [], bootstrap: none, metadata: [], template, ...more };
}

const policy = (Resource: unknown, more: object = {}) => stackOf({
  Resources: { Policy: { Type: 'AWS::IAM::Policy', Properties: { PolicyDocument: { Statement: [{ Resource }] }, ...more } } },
});
const arn = (...parts: unknown[]) => ({ 'Fn::Join': ['', ['arn:', { Ref: 'AWS::Partition' }, ...parts]] });

describe('lookups', () => {
  const lookup = (provider: string, props: object): Lookup => ({ key: `${provider}:account=111111111111:x:region=eu-west-1`, provider, props: { ...environment, ...props } });

  test('of a network and a zone are made up, the same each time, and made in the emulator too', () => {
    const asked = [lookup('vpc-provider', { filter: { 'tag:Name': 'company' } }), lookup('hosted-zone', { domainName: 'example.org' })];
    const answers = answerLookups(asked, {});
    expect(answerLookups(asked, {})).toEqual(answers);
    const [vpc, zone] = thingsInContext(answers);
    expect(vpc).toMatchObject({ environment, kind: 'vpc', id: expect.stringMatching(/^vpc-[0-9a-f]{17}$/), cidr: '10.0.0.0/16' });
    const subnets = vpc.subnets as { id: string; cidr: string; zone: string }[];
    expect([...new Set(subnets.map((subnet) => subnet.zone))]).toEqual(['eu-west-1a', 'eu-west-1b']);
    expect(new Set(subnets.map((subnet) => subnet.id)).size).toBe(6);
    expect(new Set(subnets.map((subnet) => subnet.cidr)).size).toBe(6);
    expect(zone).toMatchObject({ environment, kind: 'hosted zone', id: expect.stringMatching(/^Z/), name: 'example.org' });
  });

  test('of a network by its id keep the id; zones and given parameters are answered', () => {
    expect(answerLookups([lookup('vpc-provider', { filter: { 'vpc-id': 'vpc-1' } })], {})).toMatchObject({ [lookup('vpc-provider', {}).key]: { vpcId: 'vpc-1' } });
    expect(Object.values(answerLookups([lookup('availability-zones', {})], {}))).toEqual([['eu-west-1a', 'eu-west-1b', 'eu-west-1c']]);
    expect(Object.values(answerLookups([lookup('ssm', { parameterName: '/a' })], { '/a': 'x' }))).toEqual(['x']);
  });

  test('that cannot be made up are refused, with what to do that changes nothing', () => {
    expect(() => answerLookups([lookup('ssm', { parameterName: '/a' })], { '/b': 'x' })).toThrow('give a value for the rehearsal with --ssm /a=VALUE');
    expect(() => answerLookups([lookup('ami', {})], {})).toThrow(/looks up ami .* must be in the cdk.context.json of the app/);
    expect(() => answerLookups([lookup('ami', {})], {})).toThrow(UsageError);
  });

  test('in the context of the app are made as they stand; other values are left alone', () => {
    expect(thingsInContext({
      'vpc-provider:account=111111111111:filter.vpc-id=vpc-9:region=eu-west-1:returnAsymmetricSubnets=true': {
        vpcId: 'vpc-9', vpcCidrBlock: '10.9.0.0/16', subnetGroups: [{ subnets: [{ subnetId: 'subnet-9', cidr: '10.9.1.0/24', availabilityZone: 'eu-west-1c' }] }],
      },
      'availability-zones:account=111111111111:region=eu-west-1': ['eu-west-1a'],
      '@aws-cdk/core:stackRelativeExports': true,
      'vpc-provider:account=111111111111:region=eu-west-1': 'unreadable',
    })).toEqual([{ environment, kind: 'vpc', id: 'vpc-9', cidr: '10.9.0.0/16', subnets: [{ id: 'subnet-9', cidr: '10.9.1.0/24', zone: 'eu-west-1c' }] }]);
  });
});

describe('what templates name', () => {
  test.each<[what: string, resource: unknown, kind: string | undefined, id: string | undefined]>([
    ['a bucket', arn(':s3:::team-raw'), 'bucket', 'team-raw'],
    ['objects of a bucket', arn(':s3:::team-raw/raw/*'), 'bucket', 'team-raw'],
    ['a bucket in one text', 'arn:aws:s3:::team-raw', 'bucket', 'team-raw'],
    ['a key', 'arn:aws:kms:eu-west-1:111111111111:key/1234abcd-12ab', 'key', '1234abcd-12ab'],
    ['a topic here', arn(':sns:', { Ref: 'AWS::Region' }, ':', { Ref: 'AWS::AccountId' }, ':team'), 'topic', 'team'],
    ['a queue', { 'Fn::Sub': 'arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:team.fifo' }, 'queue', 'team.fifo'],
    ['a repository', 'arn:aws:ecr:eu-west-1:111111111111:repository/team/image', 'repository', 'team/image'],
    ['a role with a path', 'arn:aws:iam::111111111111:role/org/reader', 'role', 'reader'],
    ['any bucket', 'arn:aws:s3:::*', undefined, undefined],
    ['buckets by a prefix', 'arn:aws:s3:::team-*', undefined, undefined],
    ['a bucket of the app', arn(':s3:::', { Ref: 'Bucket' }), undefined, undefined],
    ['a part of its name', arn(':s3:::team-', { Ref: 'Bucket' }, '/x'), undefined, undefined],
    ['a role of another account', 'arn:aws:iam::999999999999:role/reader', undefined, undefined],
    ['a policy of AWS', 'arn:aws:iam::aws:policy/AdministratorAccess', undefined, undefined],
    ['an image of another account', 'arn:aws:ecr:us-east-1:683313688378:repository/sagemaker-xgboost', undefined, undefined],
  ])('%s', (_, resource, kind, id) => {
    expect(thingsInTemplates([policy(resource)]).map((thing) => [thing.kind, thing.id])).toEqual(kind ? [[kind, id]] : []);
  });

  test('a role by its name alone, once; and nothing that a template makes under that name', () => {
    expect(thingsInTemplates([policy('*', { Roles: ['reader', { Ref: 'Role' }] }), policy('arn:aws:iam::111111111111:role/reader')]))
      .toEqual([{ environment, kind: 'role', id: 'reader', path: '/' }]);
    const made = stackOf({ Resources: { B: { Type: 'AWS::S3::Bucket', Properties: { BucketName: 'team-raw' } }, R: { Type: 'AWS::IAM::Role', Properties: { RoleName: 'reader' } } } });
    expect(thingsInTemplates([made, policy('arn:aws:s3:::team-raw', { Roles: ['reader'] })])).toEqual([]);
    // Roles are those of an account, buckets those of the world.
    const other = { account: '222222222222', region: 'eu-west-1' };
    expect(thingsInTemplates([made, { ...policy('arn:aws:s3:::team-raw', { Roles: ['reader'] }), environment: other }])).toEqual([{ environment: other, kind: 'role', id: 'reader' }]);
  });
});

test('a bootstrap of other names is told by its stacks; the CDK makes those of its own', () => {
  const bootstrap = {
    roles: ['arn:${AWS::Partition}:iam::111111111111:role/org/deployer'], buckets: ['assets-${AWS::AccountId}'], repositories: ['images'], parameters: ['/org/version'],
  };
  const things = thingsOfBootstrap([stackOf({}, { bootstrap }), stackOf({}, { bootstrap })], '222222222222');
  expect(things.map(({ kind, id }) => `${kind} ${id}`)).toEqual(['role deployer', 'bucket assets-111111111111', 'repository images', 'parameter /org/version']);
  expect(things[0]).toMatchObject({ path: '/org/', trusted: ['222222222222'], administrator: true });
});

test('what options give is there in every environment', () => {
  const other = { account: '222222222222', region: 'us-east-1' };
  const things = givenThings([environment, other], { '/a': 'x' }, { boundary: { Version: '2012-10-17' } });
  expect(byEnvironment(things).map(([place, there]) => [place, there.map(({ kind, id }) => `${kind} ${id}`)]))
    .toEqual([environment, other].map((place) => [place, ['parameter /a', 'policy boundary']]));
});

describe('parameters of templates', () => {
  const stack = stackOf({
    Parameters: {
      Team: { Type: 'String' },
      Size: { Type: 'String', Default: '1' },
      Late: { Type: 'AWS::SSM::Parameter::Value<String>', Default: '/org/late' },
      Version: { Type: 'AWS::SSM::Parameter::Value<String>', Default: '/cdk-bootstrap/x/version' },
      Image: { Type: 'AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>', Default: '/aws/service/ami' },
    },
  }, { bootstrap: { ...none, parameters: ['/cdk-bootstrap/x/version'] } });
  const given = (parameters: Record<string, string>, ssm: Record<string, string> = { '/org/late': 'x' }) => stackParameters([stack], { stackParameters: parameters, ssm });

  test('are handed on by the name of their stack', () => {
    expect(given({ Team: 'a' })).toEqual(['Dev-S:Team=a']);
    expect(given({ 'Dev-S:Team': 'a', 'Dev/S:Size': '2' })).toEqual(['Dev-S:Team=a', 'Dev-S:Size=2']);
  });

  test('are refused where one is missing or unknown', () => {
    expect(() => given({})).toThrow('the stack Dev/S has the parameter Team without a default: give a value for the rehearsal with --stack-parameter Dev-S:Team=VALUE');
    expect(() => given({ Team: 'a' }, {})).toThrow('reads the SSM parameter /org/late, which exists outside the app: give a value for the rehearsal with --ssm /org/late=VALUE');
    expect(() => given({ Team: 'a', Tame: 'b' })).toThrow('--stack-parameter Tame: no stack that is deployed has this parameter');
    const made = stackOf({ Resources: { P: { Type: 'AWS::SSM::Parameter', Properties: { Name: '/org/late' } } } });
    expect(stackParameters([stack, made], { stackParameters: { Team: 'a' }, ssm: {} })).toEqual(['Dev-S:Team=a']);
  });
});
