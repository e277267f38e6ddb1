/** Apps as other people have them: in stages and accounts of their own, with what exists outside of them; each once right, once wrong. */
import * as fs from 'fs';
import * as path from 'path';
import { writeApp } from './foreign-app';
import { rehearse, Rehearsed, stepOf, testFolder } from '../rehearsal/command';

const DATA = `
  const schema = DatasetSchema.of('rents', [
    Column.numeric('area', { min: 0 }), Column.categorical('district', { values: ['north', 'south'] }), Column.target('rent', { min: 0 }),
  ]);
`;

/** What a person sees first of a failure, and the exit code. */
const failureOf = ({ exitCode, document }: Rehearsed) => ({ exitCode, failure: document.failure?.message });
const passed = { exitCode: 0, failure: undefined };

describe('a stage whose stacks are in two accounts', () => {
  let app: string;

  beforeAll(() => {
    app = writeApp('accounts', `
      import { App, RemovalPolicy, Stack, Stage } from 'aws-cdk-lib';
      import { AccountPrincipal, PolicyStatement } from 'aws-cdk-lib/aws-iam';
      import { Bucket } from 'aws-cdk-lib/aws-s3';
      import { AwsCustomResource, AwsCustomResourcePolicy, PhysicalResourceId } from 'aws-cdk-lib/custom-resources';
      const app = new App();
      for (const name of ['Dev', 'Live']) {
        const stage = new Stage(app, name);
        const shared = new Stack(stage, 'Shared', { env: { account: '111111111111', region: 'eu-west-1' } });
        const bucket = new Bucket(shared, 'Bucket', { bucketName: name.toLowerCase() + '-shared-models', removalPolicy: RemovalPolicy.DESTROY });
        if (app.node.tryGetContext('shut') !== name) {
          bucket.grantRead(new AccountPrincipal('222222222222'));
        }
        const serving = new Stack(stage, 'Serving', { env: { account: '222222222222', region: 'eu-central-1' } });
        serving.addDependency(shared);
        new AwsCustomResource(serving, 'Read', {
          onCreate: { service: 'S3', action: 'listObjectsV2', parameters: { Bucket: bucket.bucketName }, physicalResourceId: PhysicalResourceId.of('read') },
          policy: AwsCustomResourcePolicy.fromStatements([new PolicyStatement({ actions: ['s3:ListBucket'], resources: [bucket.bucketArn] })]),
        });
      }
    `);
  });

  test('is deployed with the others, each stack in its own account', async () => {
    const run = await rehearse('accounts', '--app', app);
    expect(failureOf(run)).toEqual(passed);
    expect(stepOf(run.document, 'bootstrap')!.summary).toBe('aws://111111111111/eu-west-1, aws://222222222222/eu-central-1');
    expect(stepOf(run.document, 'deploy')!.summary).toMatch(/ in 4 stacks$/);
  });

  test('is chosen by its name, and fails where the other account does not permit what it reads', async () => {
    const run = await rehearse('shut', '--app', app, '--stage', 'Live', '--context', 'shut=Live');
    expect(stepOf(run.document, 'synth')!.summary).toMatch(/^2 stacks/);
    expect(run.exitCode).toBe(1);
    expect(run.document.failure!.message).toContain('because no resource-based policy allows the s3:ListBucket action');
    const none = await rehearse('none', '--app', app, '--stage', 'Life');
    expect(failureOf(none)).toEqual({ exitCode: 2, failure: '--stage "Life" is none of this app, which has "Dev", "Live"' });
  });
});

describe('an app with what exists outside of it', () => {
  let app: string;
  let context: string;
  let file: string;
  const given = ['--ssm', '/org/looked-up=7', '--ssm', '/org/later=8', '--stack-parameter', 'Team=a'];

  beforeAll(() => {
    context = `${JSON.stringify({ 'availability-zones:account=333333333333:region=eu-west-1': ['eu-west-1a', 'eu-west-1b'] }, undefined, 3)}\n`;
    file = path.join(testFolder(), 'outside.csv');
    fs.writeFileSync(file, ['area,district,rent', ...Array.from({ length: 120 }, (_, i) => `${20 + i},${i % 2 ? 'north' : 'south'},${300 + 7 * i}`), ''].join('\n'));
    app = writeApp('outside', `
      import { App, CfnParameter, RemovalPolicy, Stack } from 'aws-cdk-lib';
      import { SecurityGroup, Vpc } from 'aws-cdk-lib/aws-ec2';
      import { Role } from 'aws-cdk-lib/aws-iam';
      import { Code, Function, Runtime } from 'aws-cdk-lib/aws-lambda';
      import { HostedZone, TxtRecord } from 'aws-cdk-lib/aws-route53';
      import { Bucket } from 'aws-cdk-lib/aws-s3';
      import { StringParameter } from 'aws-cdk-lib/aws-ssm';
      import { Column, DataPipeline, DatasetSchema } from 'cdk-mlops';
      ${DATA}
      const stack = new Stack(new App(), 'Outside', { env: { account: '333333333333', region: 'eu-west-1' } });
      const vpc = Vpc.fromLookup(stack, 'Vpc', { vpcName: 'company' });
      new TxtRecord(stack, 'Text', { zone: HostedZone.fromLookup(stack, 'Zone', { domainName: 'example.org' }), values: ['text'] });
      new Function(stack, 'Function', {
        vpc,
        securityGroups: [new SecurityGroup(stack, 'Group', { vpc })],
        runtime: Runtime.NODEJS_22_X,
        handler: 'index.handler',
        code: Code.fromInline('exports.handler = async () => 1'),
        environment: {
          zones: stack.availabilityZones.join(),
          early: StringParameter.valueFromLookup(stack, '/org/looked-up'),
          late: StringParameter.valueForStringParameter(stack, '/org/later'),
          team: new CfnParameter(stack, 'Team').valueAsString,
        },
      });
      const bucket = Bucket.fromBucketName(stack, 'Raw', 'org-raw-data');
      new DataPipeline(stack, 'Data', { schema, bucket, removalPolicy: RemovalPolicy.DESTROY });
      bucket.grantRead(Role.fromRoleArn(stack, 'Reader', 'arn:aws:iam::333333333333:role/org/reader'));
    `, { 'cdk.context.json': context });
  });

  afterEach(() => expect(fs.readFileSync(path.join(app, 'cdk.context.json'), 'utf8')).toBe(context));

  test('finds it made by its names, and reads the imported bucket', async () => {
    const run = await rehearse('outside', '--app', app, '--data', file, ...given);
    expect(failureOf(run)).toEqual(passed);
    const made = stepOf(run.document, 'bootstrap')!.details.map((line) => /made here: (.*) in /.exec(line)?.[1]).sort();
    expect(made).toEqual([
      'bucket org-raw-data', expect.stringMatching(/^hosted zone Z/), 'parameter /org/later', 'parameter /org/looked-up', 'role reader', expect.stringMatching(/^vpc vpc-/),
    ]);
    expect(stepOf(run.document, 'upload')!.summary).toContain('s3://org-raw-data/raw/outside.csv');
    expect(stepOf(run.document, 'data')!.summary).toMatch(/120 rows: accepted/);
  });

  test.each([
    ['a lookup', given.slice(2), 'the app looks up the SSM parameter /org/looked-up, which exists outside of it: give a value for the rehearsal with --ssm /org/looked-up=VALUE'],
    ['a parameter of the template', given.slice(0, 4), 'the stack Outside has the parameter Team without a default: give a value for the rehearsal with --stack-parameter Outside:Team=VALUE'],
  ])('is refused before anything is deployed without %s', async (_, options, failure) => {
    const run = await rehearse('missing', '--app', app, ...options);
    expect(failureOf(run)).toEqual({ exitCode: 2, failure });
  });
});

describe('an app under a permissions boundary, with a bootstrap of its own', () => {
  let app: string;
  const boundary = (name: string, ...denied: string[]) => {
    const file = path.join(testFolder(), `${name}.json`);
    const deny = denied.length > 0 ? [{ Effect: 'Deny', Action: denied, Resource: '*' }] : [];
    fs.writeFileSync(file, JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }, ...deny] }));
    return ['--managed-policy', `team-boundary=${file}`];
  };

  beforeAll(() => {
    app = writeApp('bounded', `
      import { App, DefaultStackSynthesizer, PermissionsBoundary, RemovalPolicy, Stack } from 'aws-cdk-lib';
      import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
      import { Bucket } from 'aws-cdk-lib/aws-s3';
      import { AwsCustomResource, AwsCustomResourcePolicy, PhysicalResourceId } from 'aws-cdk-lib/custom-resources';
      const role = (name: string) => 'arn:aws:iam::444444444444:role/org/' + name;
      const stack = new Stack(new App(), 'Bounded', {
        env: { account: '444444444444', region: 'us-east-1' },
        permissionsBoundary: PermissionsBoundary.fromName('team-boundary'),
        synthesizer: new DefaultStackSynthesizer({
          fileAssetsBucketName: 'org-assets', fileAssetPublishingRoleArn: role('publisher'), deployRoleArn: role('deployer'), cloudFormationExecutionRole: role('cfn'),
          bootstrapStackVersionSsmParameter: '/org/bootstrap/version',
        }),
      });
      const bucket = new Bucket(stack, 'Bucket', { removalPolicy: RemovalPolicy.DESTROY });
      new AwsCustomResource(stack, 'List', {
        onCreate: { service: 'S3', action: 'listObjectsV2', parameters: { Bucket: bucket.bucketName }, physicalResourceId: PhysicalResourceId.of('list') },
        policy: AwsCustomResourcePolicy.fromStatements([new PolicyStatement({ actions: ['s3:ListBucket'], resources: [bucket.bucketArn] })]),
      });
    `);
  });

  test('passes where the boundary permits what its roles do', async () => {
    const run = await rehearse('bounded', '--app', app, ...boundary('open'));
    expect(failureOf(run)).toEqual(passed);
    expect(stepOf(run.document, 'bootstrap')!.details.map((line) => /made here: (.*) in /.exec(line)?.[1])).toEqual(expect.arrayContaining([
      'role deployer', 'role cfn', 'role publisher', 'bucket org-assets', 'parameter /org/bootstrap/version', 'policy team-boundary',
    ]));
  });

  test('fails where it denies one of them, and says so', async () => {
    const run = await rehearse('denied', '--app', app, ...boundary('shut', 's3:ListBucket'));
    expect(run.exitCode).toBe(1);
    expect(`${run.document.failure!.message} ${run.document.failure!.log?.join(' ')}`).toContain('permissions boundary');
  });
});

describe('an app in plain JavaScript, in one package of several', () => {
  const code = (values: string) => writeApp(`javascript-${values.length}`, '', {
    'packages/schema/index.js': `const { Column, DatasetSchema } = require('cdk-mlops');
      exports.schema = DatasetSchema.of('coins', [Column.numeric('weight'), Column.target('side', { values: ${values} })]);`,
    'packages/infra/cdk.json': '{ "app": "app.js" }',
    'packages/infra/app.js': `const { App, RemovalPolicy, Stack } = require('aws-cdk-lib');
      const { DataPipeline } = require('cdk-mlops');
      const { schema } = require('../schema');
      new DataPipeline(new Stack(new App(), 'Coins'), 'Data', { schema, removalPolicy: RemovalPolicy.DESTROY });`,
  });

  test('is deployed', async () => {
    const run = await rehearse('javascript', '--app', path.join(code("['heads', 'tails']"), 'packages', 'infra'));
    expect(failureOf(run)).toEqual(passed);
  });

  test('fails with the value of the wrong type', async () => {
    const run = await rehearse('javascript-wrong', '--app', path.join(code('[0, 1]'), 'packages', 'infra'));
    expect(run.exitCode).toBe(1);
    expect(run.document.failure!.message).toContain('column "side": values holds the number 0; each is a text, as the data have it: "0"');
  });
});
