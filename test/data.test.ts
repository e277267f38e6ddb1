import { App, Duration, Lazy, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import * as targets from 'aws-cdk-lib/aws-events-targets';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as s3 from 'aws-cdk-lib/aws-s3';
import * as sns from 'aws-cdk-lib/aws-sns';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import * as fc from 'fast-check';
import { Column, DataPipeline, DataPipelineProps, DatasetSchema, ITrainingTarget, ProblemType } from '../src/data';
import { presentPrediction, toCsvRow, validateInstance } from '../src/data/instance-validation';

const animals = DatasetSchema.of('animals', [
  Column.categorical('sex', { values: ['F', 'I', 'M'] }),
  Column.numeric('length', { min: 0, max: 1, unit: 'mm', perUnit: 1 / 200 }),
  Column.integer('legs', { min: 0, max: 8, maxMissing: 0.2 }),
  Column.flag('tagged', { required: false }),
  Column.timestamp('seen', { required: false }),
  Column.identifier('tag'),
  Column.ignored('note'),
  Column.target('rings', { min: 1, max: 40, integer: true, display: { name: 'age', unit: 'years', offset: 1.5 } }),
]);
const document = animals._document();

describe('DatasetSchema', () => {
  test('renders what scripts and handlers read', () => {
    expect(document).toMatchObject({ version: 1, name: 'animals', problemType: 'regression' });
    expect(document.columns.map(({ name, kind, role, required, maxMissing }) => [name, kind, role, required, maxMissing])).toEqual([
      ['sex', 'categorical', 'feature', true, 0],
      ['length', 'numeric', 'feature', true, 0],
      ['legs', 'integer', 'feature', false, 0.2],
      ['tagged', 'boolean', 'feature', false, 0.1],
      ['seen', 'timestamp', 'feature', false, 0.1],
      ['tag', 'identifier', 'none', true, 0],
      ['note', 'ignored', 'none', false, 1],
      ['rings', 'integer', 'target', true, 0],
    ]);
    expect(document.columns[7].display).toEqual({ name: 'age', unit: 'years', scale: 1, offset: 1.5 });
    expect(JSON.parse(JSON.stringify(document))).toEqual(document);
  });

  test.each([
    [Column.target('y'), ProblemType.REGRESSION],
    [Column.target('y', { values: ['no', 'yes'] }), ProblemType.BINARY_CLASSIFICATION],
    [Column.target('y', { values: ['a', 'b', 'c'] }), ProblemType.MULTICLASS_CLASSIFICATION],
  ])('the target decides the problem', (target, problem) => {
    expect(DatasetSchema.of('d', [Column.numeric('x'), target]).problemType).toBe(problem);
  });

  test.each([
    ['d', [Column.numeric('x')], /it has no target/],
    ['d', [Column.target('x'), Column.target('y'), Column.numeric('z')], /it has 2 targets \("x", "y"\)/],
    ['d', [Column.target('y'), Column.ignored('x')], /it has no feature/],
    ['d', [Column.numeric('x'), Column.integer('x'), Column.target('y')], /column "x" is declared twice/],
    ['d', [Column.numeric('a b'), Column.integer('A.b'), Column.target('y')], /"a b" and "A.b" are the same name in the data catalog/],
    ['9', [Column.numeric('x'), Column.target('y')], /its name must be a letter/],
    ['d', [Column.numeric('a,b'), Column.target('y')], /column "a,b": a name must start with/],
    ['d', [Column.numeric(''), Column.target('y')], /column "": a name must start with/],
    ['d', [Column.numeric('x', { min: 2, max: 1 }), Column.target('y')], /column "x": min 2 is greater than max 1/],
    ['d', [Column.numeric('x', { min: NaN }), Column.target('y')], /min is NaN/],
    ['d', [Column.integer('x', { max: 1.5 }), Column.target('y')], /its values are whole numbers/],
    ['d', [Column.numeric('x', { perUnit: 0 }), Column.target('y')], /perUnit is 0; .* greater than 0/],
    ['d', [Column.numeric('x', { maxMissing: 20 }), Column.target('y')], /maxMissing is 20; it is a share from 0 to 1/],
    ['d', [Column.numeric('x', { required: true, maxMissing: 0.1 }), Column.target('y')], /it is required and maxMissing is 0.1/],
    ['d', [Column.categorical('x', { values: [] }), Column.target('y')], /values is empty/],
    ['d', [Column.categorical('x', { values: [0, 1] as unknown as string[] }), Column.target('y')], /values holds the number 0; each is a text, as the data have it: "0"/],
    ['d', [Column.categorical('x', { values: ['a', 'a'] }), Column.target('y')], /values holds "a" more than once/],
    ['d', [Column.categorical('x', { values: [' a'] }), Column.target('y')], /values holds " a": a value has text/],
    ['d', [Column.numeric('x'), Column.target('y', { values: ['one'] })], /needs at least two values, it has 1/],
    ['d', [Column.numeric('x'), Column.target('y', { values: ['a', 'b'], min: 1 })], /min, max and display are for a regression/],
    ['d', [Column.numeric('x'), Column.target('y', { values: ['a', 'b'], integer: true })], /integer is for a regression target/],
    ['d', [Column.numeric('x'), Column.target('y', { display: { name: 'x' } })], /display name "x" of the target is the name of a column/],
  ])('fails when %s %# contradicts itself', (name, columns, message) => {
    expect(() => DatasetSchema.of(name, columns)).toThrow(message);
  });

  test('fails when several things are wrong, and tells all of them', () => {
    const make = () => DatasetSchema.of('d', [Column.numeric('x', { min: 2, max: 1, perUnit: -1 })]);
    expect(make).toThrow(/DatasetSchema "d": it has no target.*; column "x": min 2.*; column "x": perUnit is -1/);
  });
});

describe('an instance as people enter it', () => {
  const good = { sex: 'F', length: 91, legs: 2, tagged: true, seen: '2024-05-31T14:00+02:00' };

  test('is stored in the units of the data and rendered in schema order', () => {
    const { problems, stored } = validateInstance(document, { ...good, tag: 'A7' });
    expect(problems).toEqual([]);
    expect(stored).toEqual({ sex: 'F', length: 0.455, legs: 2, tagged: true, seen: '2024-05-31T12:00:00.000Z' });
    expect(toCsvRow(document, stored)).toBe('F,0.455,2,true,2024-05-31T12:00:00.000Z');
    expect(toCsvRow(document, { sex: 'F', length: 0.455 })).toBe('F,0.455,,,');
  });

  test.each([
    [{ sex: 'X' }, 'sex', 'sex must be one of "F", "I", "M", not the text "X"', ['F', 'I', 'M']],
    [{ sex: 1 }, 'sex', 'sex must be one of "F", "I", "M", not 1', ['F', 'I', 'M']],
    [{ length: 201 }, 'length', 'length must be at most 200 mm, not 201', { min: 0, max: 200, unit: 'mm' }],
    [{ length: -1 }, 'length', 'length must be at least 0 mm, not -1', { min: 0, max: 200, unit: 'mm' }],
    [{ length: '91' }, 'length', 'length must be a number (in mm), not the text "91"', { min: 0, max: 200, unit: 'mm' }],
    [{ length: NaN }, 'length', 'length must be a finite number, not NaN', { min: 0, max: 200, unit: 'mm' }],
    [{ length: Infinity }, 'length', 'length must be a finite number, not Infinity', { min: 0, max: 200, unit: 'mm' }],
    [{ length: [1] }, 'length', 'length must be a number (in mm), not a list', { min: 0, max: 200, unit: 'mm' }],
    [{ length: null }, 'length', 'length is required (in mm)', { min: 0, max: 200, unit: 'mm' }],
    [{ legs: 2.5 }, 'legs', 'legs must be a whole number, not 2.5', { min: 0, max: 8 }],
    [{ tagged: 'true' }, 'tagged', 'tagged must be true or false, not the text "true"', undefined],
    [{ seen: '31.5.2024' }, 'seen', 'seen must be an ISO 8601 timestamp such as "2024-05-31T12:00:00Z", not the text "31.5.2024"', undefined],
    [{ seen: '2024-02-30' }, 'seen', 'seen must be an ISO 8601 timestamp such as "2024-05-31T12:00:00Z", not the text "2024-02-30"', undefined],
    [{ lenght: 3 }, 'lenght', 'lenght is not a field; did you mean "length"?', ['length']],
    [{ rings: 3 }, 'rings', 'rings is what the model predicts: leave it out', undefined],
  ])('is refused with field, value and what is allowed: %j', (change, field, message, allowed) => {
    const { problems } = validateInstance(document, { ...good, ...change });
    expect(problems).toEqual([expect.objectContaining({ field, message })]);
    expect(problems[0].allowed).toEqual(allowed);
  });

  test.each([null, undefined, 3, 'x', [], () => 1])('is refused when it is not an object: %p', (entered) => {
    expect(validateInstance(document, entered).problems).toHaveLength(1);
  });

  test('is refused when its keys are those of every object', () => {
    const { problems } = validateInstance(document, { ...good, constructor: 1, ['__proto__x']: 2 });
    expect(problems.map((problem) => problem.field)).toEqual(['constructor', '__proto__x']);
    expect(validateInstance(document, JSON.parse('{"__proto__": {"sex": "F"}}')).problems.map((p) => p.field)).toEqual(['__proto__', 'sex', 'length']);
  });

  test('may stand at its limit, whatever binary fractions make of it', () => {
    const tenth = DatasetSchema.of('d', [Column.numeric('x', { max: 0.3, perUnit: 0.1 }), Column.target('y')])._document();
    expect(validateInstance(tenth, { x: 3 })).toEqual({ problems: [], stored: { x: 0.3 } });
  });

  test('gets an answer whatever it is', () => {
    fc.assert(fc.property(fc.anything({ withBigInt: true, withDate: true, withNullPrototype: true }), (entered) => {
      const { problems, stored } = validateInstance(document, entered);
      return problems.length > 0 || Object.keys(stored).length > 0;
    }));
  });

  test('that is valid has a CSV line of as many cells as there are features', () => {
    const text = DatasetSchema.of('d', [Column.categorical('a', { values: ['x,y', 'say "x"', 'z'] }), Column.numeric('b'), Column.target('y')])._document();
    fc.assert(fc.property(fc.constantFrom('x,y', 'say "x"', 'z'), fc.double({ noNaN: true, noDefaultInfinity: true }), (a, b) => {
      const { problems, stored } = validateInstance(text, { a, b });
      expect(problems).toEqual([]);
      const [, first, second] = /^("(?:[^"]|"")*"|[^",]*),([^,]*)$/.exec(toCsvRow(text, stored))!;
      expect(first.replace(/^"|"$/g, '').replaceAll('""', '"')).toBe(a);
      expect(Number(second)).toBe(b === 0 ? 0 : b);
    }));
  });

  test('one feature without a value is still a line', () => {
    const one = DatasetSchema.of('d', [Column.numeric('x', { required: false }), Column.target('y')])._document();
    expect(toCsvRow(one, {})).toBe('""');
  });

  test('its prediction is shown as the target says', () => {
    expect(presentPrediction(document, 9.8)).toEqual({ rings: 9.8, age: 11.3 });
  });
});

class FakeTraining implements ITrainingTarget {
  public readonly grantPrincipal: iam.IPrincipal;
  public readonly pipelineName = 'abalone-training';

  constructor(private readonly stack: Stack) {
    this.grantPrincipal = new iam.Role(stack, 'TrainingRole', { assumedBy: new iam.ServicePrincipal('sagemaker.amazonaws.com') });
  }

  public grantStartPipelineExecution(grantee: iam.IGrantable): iam.Grant {
    const arn = this.stack.formatArn({ service: 'sagemaker', resource: 'pipeline', resourceName: this.pipelineName });
    return iam.Grant.addToPrincipal({ grantee, actions: ['sagemaker:StartPipelineExecution'], resourceArns: [arn] });
  }
}

interface Statement {
  readonly Action: string | string[];
  readonly Resource: unknown;
}

function synth(props: Partial<DataPipelineProps> = {}, more?: (stack: Stack, data: DataPipeline) => void) {
  const stack = new Stack(new App(), 'Demo');
  const data = new DataPipeline(stack, 'Data', { schema: animals, ...props });
  more?.(stack, data);
  return Template.fromStack(stack);
}

/** Every statement of the policies whose logical id has this text: actions to resources, as text. */
function grants(template: Template, role: string): [string, string][] {
  return Object.entries(template.findResources('AWS::IAM::Policy'))
    .filter(([id]) => new RegExp(role).test(id))
    .flatMap(([, policy]) => (policy.Properties as { PolicyDocument: { Statement: Statement[] } }).PolicyDocument.Statement)
    .flatMap(({ Action, Resource }) => [Action].flat().map((action): [string, string] => [action, JSON.stringify(Resource)]));
}

describe('DataPipeline', () => {
  const stack = new Stack(new App(), 'Demo');
  const data = new DataPipeline(stack, 'Data', { schema: animals, training: new FakeTraining(stack) });
  data.grantUpload(new iam.Role(stack, 'Uploader', { assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com') }));
  data.grantRead(new iam.Role(stack, 'Reader', { assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com') }));
  data.onFailed('Red');
  const template = Template.fromStack(stack);
  const definition = JSON.stringify(template.findResources('AWS::StepFunctions::StateMachine'));

  test('leaves the limit of a job\'s time to the job, and waits half an hour longer for it', () => {
    expect(definition.match(/\\"TimeoutSeconds\\":5400/g)).toHaveLength(2);
    expect(definition).not.toMatch(/\\"Timeout\\":/);
  });

  test('keeps bucket and table when the stack goes, and can restore the table', () => {
    template.hasResource('AWS::S3::Bucket', { DeletionPolicy: 'Retain' });
    template.hasResource('AWS::DynamoDB::GlobalTable', {
      DeletionPolicy: 'Retain',
      Properties: {
        KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
        Replicas: [Match.objectLike({ PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true } })],
      },
    });
  });

  test('starts on objects below raw/ of its own bucket only, and loses no event', () => {
    template.hasResourceProperties('AWS::Events::Rule', {
      EventPattern: { 'source': ['aws.s3'], 'detail-type': ['Object Created'], 'detail': { object: { key: [{ prefix: 'raw/' }] }, bucket: { name: [{ Ref: Match.stringLikeRegexp('^DataBucket') }] } } },
      Targets: [Match.objectLike({
        DeadLetterConfig: Match.anyValue(),
        RetryPolicy: { MaximumEventAgeInSeconds: 86400, MaximumRetryAttempts: 185 },
      })],
    });
  });

  test('runs Spark on a named Glue version, reads everything each time, and more than once at a time', () => {
    template.resourceCountIs('AWS::Glue::Job', 2);
    template.allResourcesProperties('AWS::Glue::Job', {
      GlueVersion: '5.1',
      WorkerType: 'G.1X',
      NumberOfWorkers: 2,
      MaxRetries: 0,
      Timeout: 60,
      ExecutionProperty: { MaxConcurrentRuns: 10 },
      DefaultArguments: Match.objectLike({ '--job-bookmark-option': 'job-bookmark-disable', '--extra-py-files': Match.anyValue(), '--schema': Match.anyValue() }),
    });
    template.hasResourceProperties('AWS::Glue::Job', { DefaultArguments: Match.objectLike({ '--minimum-rows': '50', '--max-duplicates': '0.5' }) });
    template.hasResourceProperties('AWS::Glue::Job', { DefaultArguments: Match.objectLike({ '--split': '0.7,0.15,0.15', '--seed': '0' }) });
  });

  test('every log group ends some day', () => {
    template.allResourcesProperties('AWS::Logs::LogGroup', { RetentionInDays: 90 });
    template.resourceCountIs('AWS::Logs::LogGroup', 11);
  });

  test('logs and traces the workflow, retries with jitter, and catches everything', () => {
    template.hasResourceProperties('AWS::StepFunctions::StateMachine', {
      LoggingConfiguration: { Level: 'ALL' },
      TracingConfiguration: { Enabled: true },
    });
    const states = statesOf(definition);
    expect(Object.keys(states).sort()).toEqual([
      'AlreadyIngested', 'DataReady', 'Failed', 'FailedUnrecorded', 'IsNew', 'IsValid', 'NothingToIngest', 'NotifyFailure', 'NotifyFailureFailed',
      'NotifyQuarantine', 'NotifyQuarantineFailed', 'NotifyReady', 'NotifyReadyFailed', 'Preprocess', 'Quarantined', 'ReadVerdict', 'RecordFailure', 'RecordSuccess', 'StartTraining', 'Validate', 'WriteManifest',
    ]);
    for (const [name, state] of Object.entries(states).filter(([, s]) => s.Type === 'Task')) {
      expect([name, state.Catch?.[0].ErrorEquals]).toEqual([name, ['States.ALL']]);
      expect([name, state.Retry?.every((retry) => retry.JitterStrategy === 'FULL' && retry.BackoffRate! > 1)]).toEqual([name, true]);
    }
    expect(states.Quarantined).toMatchObject({ Type: 'Fail', Error: 'DataQuarantined', Cause: '{% $states.input.verdict.cause %}' });
    expect(states.Failed).toMatchObject({ Type: 'Fail', Cause: '{% $states.input.finish.cause %}' });
    expect(states.IsValid.Default).toBe('NotifyQuarantine');
    for (const [notification, end] of [['NotifyReady', 'DataReady'], ['NotifyQuarantine', 'Quarantined'], ['NotifyFailure', 'Failed']]) {
      expect(states[notification]).toMatchObject({ Next: end, Catch: [{ Next: `${notification}Failed` }] });
      expect(states[`${notification}Failed`]).toMatchObject({ Next: end, Catch: [{ Next: end }] });
    }
    expect(states.Preprocess.Next).toBe('StartTraining');
  });

  test.each([
    ['FunctionsManifest', ['s3:GetObject raw/', 's3:GetObjectVersion raw/', 's3:ListBucket', 's3:PutObject manifests/', 's3:AbortMultipartUpload manifests/',
      'dynamodb:GetItem', 'dynamodb:UpdateItem']],
    ['FunctionsVerdict', ['s3:GetObject raw/ reports/', 's3:GetObjectVersion raw/ reports/', 's3:ListBucket', 's3:PutObject quarantine/',
      's3:AbortMultipartUpload quarantine/', 's3:DeleteObject raw/', 's3:DeleteObjectVersion raw/', 'dynamodb:UpdateItem']],
    ['FunctionsStartTraining', ['sagemaker:StartPipelineExecution']],
    ['FunctionsFinish', ['dynamodb:UpdateItem']],
    ['FunctionsUnnotified', ['dynamodb:UpdateItem']],
    ['InterruptionHandlerRole', ['dynamodb:Scan', 'dynamodb:UpdateItem', 'sns:Publish', 'states:DescribeExecution', 'logs:CreateLogStream', 'logs:PutLogEvents']],
    ['JobsValidateRole', ['s3:GetObject raw/ manifests/', 's3:GetObjectVersion raw/ manifests/', 's3:ListBucket', 's3:GetObject', 's3:GetObject', 's3:GetObject',
      's3:PutObject reports/', 's3:AbortMultipartUpload reports/', 'logs:CreateLogStream', 'logs:PutLogEvents', 'logs:CreateLogStream', 'logs:PutLogEvents']],
    ['JobsPreprocessRole', ['s3:GetObject raw/ manifests/', 's3:GetObjectVersion raw/ manifests/', 's3:ListBucket', 's3:GetObject', 's3:GetObject', 's3:GetObject',
      's3:PutObject reports/ processed/', 's3:AbortMultipartUpload reports/ processed/', 's3:GetObject processed/', 's3:GetObjectVersion processed/',
      's3:DeleteObject processed/', 's3:ListBucket', 'logs:CreateLogStream', 'logs:PutLogEvents', 'logs:CreateLogStream', 'logs:PutLogEvents']],
    ['^TrainingRole', ['s3:GetObject processed/', 's3:GetObjectVersion processed/', 's3:ListBucket']],
    ['Uploader', ['s3:PutObject raw/', 's3:AbortMultipartUpload raw/']],
    ['Reader', ['s3:GetObject processed/ reports/ manifests/', 's3:GetObjectVersion processed/ reports/ manifests/', 's3:ListBucket']],
  ])('%s may do what it does and no more', (role, expected) => {
    const found = grants(template, role)
      // Handlers may write to their own log group, as all handlers of the library.
      .filter(([action]) => !(role.startsWith('Functions') && action.startsWith('logs:')))
      .map(([action, resource]) => [action, ...resource.match(/(raw|manifests|reports|quarantine|processed)\//g) ?? []].join(' '));
    expect(found.sort()).toEqual([...expected].sort());
    expect(grants(template, role).filter(([, resource]) => resource === '"*"')).toEqual([]);
  });

  test('the workflow may reach everything only where AWS knows no resources', () => {
    const open = grants(template, 'DataWorkflow').filter(([, resource]) => resource === '"*"').map(([action]) => action);
    expect(open.every((action) => action.startsWith('logs:') || action.startsWith('xray:'))).toBe(true);
  });

  test('declares the processed data in the catalog, column by column', () => {
    template.hasResourceProperties('AWS::Glue::Table', {
      TableInput: {
        Name: 'animals_processed',
        PartitionKeys: [Match.objectLike({ Name: 'manifest_id' }), Match.objectLike({ Name: 'split' })],
        StorageDescriptor: {
          Columns: [
            { Name: 'sex', Type: 'string' }, { Name: 'length', Type: 'double' }, { Name: 'legs', Type: 'bigint' },
            { Name: 'tagged', Type: 'boolean' }, { Name: 'seen', Type: 'string' }, { Name: 'rings', Type: 'bigint' },
          ],
        },
      },
    });
    template.resourceCountIs('AWS::Glue::Crawler', 0);
  });

  test('sets right what an execution that was interrupted left, and loses no event of it', () => {
    template.hasResourceProperties('AWS::Events::Rule', {
      EventPattern: { 'detail-type': ['Step Functions Execution Status Change'], 'detail': { status: ['ABORTED', 'TIMED_OUT', 'FAILED'] } },
      Targets: [Match.objectLike({
        Arn: { 'Fn::GetAtt': [Match.stringLikeRegexp('^DataInterruptionHandler'), 'Arn'] },
        DeadLetterConfig: Match.anyValue(),
        RetryPolicy: { MaximumEventAgeInSeconds: 86400, MaximumRetryAttempts: 20 },
      })],
    });
  });

  test('waits for days for room on Glue and as long as it takes for other limits, within the events that an execution may have', () => {
    // Where nobody could be told, another try or none counts for little.
    const states = Object.entries(statesOf(definition)).filter(([name]) => !/^Notify\w+Failed$/.test(name)).map(([, state]) => state);
    const retriers = (error: string) => states.flatMap(({ Retry = [] }) => Retry.find(({ ErrorEquals }) => ErrorEquals.includes(error)) ?? []);
    const busy = retriers('Glue.ConcurrentRunsExceededException');
    const throttled = retriers('Lambda.TooManyRequestsException');
    expect([busy.length, throttled.length]).toEqual([2, 5]);
    for (const { MaxAttempts, MaxDelaySeconds } of busy) {
      expect(MaxAttempts! * MaxDelaySeconds! / 2 / 86400).toBeGreaterThan(3);
    }
    for (const { MaxAttempts, MaxDelaySeconds } of throttled) {
      expect(MaxAttempts! * MaxDelaySeconds! / 2 / 3600).toBeGreaterThan(2);
    }
    const attempts = [...busy, ...throttled].reduce((sum, { MaxAttempts }) => sum + MaxAttempts!, 0);
    expect(3 * attempts).toBeLessThan(24_000);
  });

  test('a rule for red executions knows this workflow', () => {
    template.hasResourceProperties('AWS::Events::Rule', {
      EventPattern: { 'detail-type': ['Step Functions Execution Status Change'], 'detail': { status: ['FAILED', 'TIMED_OUT', 'ABORTED'] } },
    });
  });

  test('tells the rehearsal where its parts are', () => {
    const entry = data.node.metadata.find((m) => m.type === 'cdk-mlops:data-pipeline');
    expect(stack.resolve(entry?.data)).toMatchObject({
      rawPrefix: 'raw/',
      processedPrefix: 'processed/',
      quarantinePrefix: 'quarantine/',
      reportsPrefix: 'reports/',
      pipelineName: 'abalone-training',
      bucket: { Ref: expect.stringMatching(/^DataBucket/) },
      tableName: { Ref: expect.stringMatching(/^DataDatasets/) },
    });
  });
});

interface State {
  readonly Type: string;
  readonly Next?: string;
  readonly Default?: string;
  readonly Catch?: { readonly ErrorEquals: string[]; readonly Next?: string }[];
  readonly Retry?: {
    readonly ErrorEquals: string[];
    readonly JitterStrategy?: string;
    readonly BackoffRate?: number;
    readonly MaxAttempts?: number;
    readonly MaxDelaySeconds?: number;
  }[];
}

/** The states of the first state machine in the text of a template's resources. */
function statesOf(resources: string): { [name: string]: State } {
  const machine = Object.values(JSON.parse(resources) as { [id: string]: { Properties: { DefinitionString: { 'Fn::Join': [string, unknown[]] } } } })[0];
  const text = machine.Properties.DefinitionString['Fn::Join'][1].map((part) => typeof part === 'string' ? part : 'TOKEN').join('');
  return (JSON.parse(text) as { States: { [name: string]: State } }).States;
}

describe('DataPipeline, otherwise', () => {
  test('everything goes with the stack when asked to', () => {
    const template = synth({ removalPolicy: RemovalPolicy.DESTROY });
    template.hasResource('AWS::S3::Bucket', { DeletionPolicy: 'Delete' });
    template.resourceCountIs('Custom::S3AutoDeleteObjects', 1);
    template.hasResource('AWS::DynamoDB::GlobalTable', { DeletionPolicy: 'Delete' });
  });

  test('starts nothing where there is no training', () => {
    const template = synth();
    expect(Object.keys(statesOf(JSON.stringify(template.findResources('AWS::StepFunctions::StateMachine'))))).not.toContain('StartTraining');
    template.resourcePropertiesCountIs('AWS::Lambda::Function', { Environment: { Variables: { PIPELINE_NAME: Match.anyValue() } } }, 0);
  });

  test('discovers with a crawler when asked to, and does not wait for it', () => {
    const template = synth({ crawlRawData: true });
    template.resourceCountIs('AWS::Glue::Crawler', 1);
    const states = statesOf(JSON.stringify(template.findResources('AWS::StepFunctions::StateMachine')));
    expect(states.DiscoverSchema.Catch?.[0]).toMatchObject({ ErrorEquals: ['States.ALL'], Next: 'RecordSuccess' });
  });

  test('takes a bucket, a topic and a role that are there', () => {
    const stack = new Stack(new App(), 'Demo');
    const bucket = new s3.Bucket(stack, 'Mine');
    const role = new iam.Role(stack, 'MyRole', { assumedBy: new iam.ServicePrincipal('glue.amazonaws.com') });
    new DataPipeline(stack, 'Data', { schema: animals, bucket, jobRole: role });
    const template = Template.fromStack(stack);
    template.resourceCountIs('AWS::S3::Bucket', 1);
    template.hasResourceProperties('Custom::S3BucketNotifications', { NotificationConfiguration: { EventBridgeConfiguration: {} } });
    expect(grants(template, 'MyRole').map(([action]) => action)).toContain('s3:PutObject');
    template.allResourcesProperties('AWS::Glue::Job', { Role: { 'Fn::GetAtt': [Match.stringLikeRegexp('^MyRole'), 'Arn'] } });
  });

  const KEY_ACTIONS = ['kms:Decrypt', 'kms:GenerateDataKey*'];

  test.each([
    ['made here', (stack: Stack) => new sns.Topic(stack, 'Mine', { masterKey: new kms.Key(stack, 'Key') })],
    ['imported with it', (stack: Stack) => sns.Topic.fromTopicAttributes(stack, 'Mine', {
      topicArn: 'arn:aws:sns:eu-west-1:111122223333:mine', keyArn: 'arn:aws:kms:eu-west-1:111122223333:key/1',
    })],
  ])('whoever publishes to a topic may use its customer key: %s', (_, topicIn) => {
    const stack = new Stack(new App(), 'Demo');
    const topic = topicIn(stack);
    new DataPipeline(stack, 'Data', { schema: animals, topic });
    const template = Template.fromStack(stack);
    const keyArn = JSON.stringify(stack.resolve(topic.masterKey!.keyArn));
    for (const role of ['DataWorkflow', 'DataInterruption']) {
      expect(grants(template, role).filter(([, resource]) => resource === keyArn).map(([action]) => action).sort()).toEqual(KEY_ACTIONS);
    }
    Annotations.fromStack(stack).hasNoWarning('*', Match.stringLikeRegexp('imported without its key'));
  });

  test('warns of a topic that was imported without its key, and says what to grant', () => {
    const stack = new Stack(new App(), 'Demo');
    new DataPipeline(stack, 'Data', { schema: animals, topic: sns.Topic.fromTopicArn(stack, 'Mine', 'arn:aws:sns:eu-west-1:111122223333:mine') });
    Annotations.fromStack(stack).hasWarning('/Demo/Data', Match.stringLikeRegexp('"Demo/Mine" was imported without its key.*kms:GenerateDataKey. and kms:Decrypt'));
  });

  test('rules and alarms may publish to its topic', () => {
    const stack = new Stack(new App(), 'Demo');
    const key = new kms.Key(stack, 'Key');
    const data = new DataPipeline(stack, 'Data', { schema: animals, encryptionKey: key });
    data.onFailed('Red', { target: new targets.SnsTopic(data.topic) });
    const template = Template.fromStack(stack);
    const policy = (type: string, property: string) => Object.values(template.findResources(type))[0].Properties[property].Statement as {
      Principal: { Service?: unknown }; Action: string | string[];
    }[];
    for (const service of ['events', 'cloudwatch']) {
      const actions = (statements: ReturnType<typeof policy>) => statements
        .filter(({ Principal }) => Principal.Service === `${service}.amazonaws.com`).flatMap(({ Action }) => Action);
      expect(actions(policy('AWS::SNS::TopicPolicy', 'PolicyDocument'))).toEqual(['sns:Publish']);
      expect(actions(policy('AWS::KMS::Key', 'KeyPolicy'))).toEqual(expect.arrayContaining(KEY_ACTIONS));
    }
  });

  test('counts its warnings by the name of its state machine', () => {
    synth({}, (stack, data) => {
      const metric = data.metricWarnings();
      expect(stack.resolve({ ...metric.toMetricConfig().metricStat, period: undefined })).toMatchObject({
        namespace: 'cdk-mlops',
        metricName: 'Warnings',
        statistic: 'Sum',
        dimensions: [{ name: 'StateMachineName', value: { 'Fn::Select': [6, { 'Fn::Split': [':', { Ref: expect.stringMatching(/^DataWorkflow/) }] }] } }],
      });
    });
  });

  test('two of them live in one stack', () => {
    const template = synth({}, (stack) => new DataPipeline(stack, 'Other', { schema: animals, removalPolicy: RemovalPolicy.DESTROY }));
    template.resourceCountIs('AWS::StepFunctions::StateMachine', 2);
    const names = Object.values(template.findResources('AWS::Logs::LogGroup')).map((group) => group.Properties?.LogGroupName).filter(Boolean);
    expect(new Set(names.map((name) => JSON.stringify(name))).size).toBe(names.length);
  });

  test('lives in two apps of one process', () => {
    expect(synth().toJSON()).toEqual(synth().toJSON());
  });

  test.each([
    [{ split: { train: 0.9 } }, /split is 0.9 \/ 0.15 \/ 0.15; its shares must each be greater than 0 and add up to 1/],
    [{ split: { train: 1, validation: 0, test: 0 } }, /split is 1 \/ 0 \/ 0/],
    [{ split: { seed: 0.5 } }, /split.seed is 0.5/],
    [{ rules: { minimumRows: 0 } }, /rules.minimumRows is 0/],
    [{ rules: { maxDuplicates: 2 } }, /rules.maxDuplicates is 2; it is a share/],
    [{ maxConcurrentRuns: 0 }, /maxConcurrentRuns is 0/],
    [{ jobTimeout: Duration.seconds(90) }, /jobTimeout of 1.5 minutes must be whole minutes, from 1 to 10079/],
    [{ jobTimeout: Duration.days(7) }, /jobTimeout of 10080 minutes/],
  ])('fails when %j is asked for', (props, message) => {
    expect(() => synth(props)).toThrow(message);
  });

  test.each([
    ['imported by name in two stacks', (app: App) => Array.from({ length: 2 }, (_, n) => s3.Bucket.fromBucketName(new Stack(app, `Of${n}`), 'Bucket', 'uploads'))],
    ['made in one stack and imported by name in another', (app: App) => [
      new s3.Bucket(new Stack(app, 'Of1'), 'Bucket', { bucketName: 'uploads' }), s3.Bucket.fromBucketName(new Stack(app, 'Of2'), 'Bucket', 'uploads'),
    ]],
    ['made in one stack and imported by ARN in another', (app: App) => {
      const made = new s3.Bucket(new Stack(app, 'Of1'), 'Bucket');
      return [made, s3.Bucket.fromBucketArn(new Stack(app, 'Of2'), 'Bucket', made.bucketArn)];
    }],
    ['made once', (app: App) => {
      const made = new s3.Bucket(new Stack(app, 'Of1'), 'Bucket');
      return [made, made];
    }],
  ])('fails when two take the files of one bucket from prefixes that are not apart: %s', (_, bucketsIn) => {
    const app = new App();
    const [bucket, again] = bucketsIn(app);
    const make = (id: string, of: s3.IBucket, prefix?: string) => new DataPipeline(new Stack(app, `${id}Stack`), 'Data', { schema: animals, bucket: of, prefix });
    make('One', bucket, 'team/animals');
    for (const [number, prefix] of [undefined, 'team', 'team/animals/', 'team/animals/old'].entries()) {
      expect(() => make(`Refused${number}`, again, prefix)).toThrow('bucket is that of the data pipeline "OneStack/Data" too');
    }
    expect(() => make('Two', again, 'team/animals2')).not.toThrow();
  });

  test.each(['/', 'a//b', '/a', '_a', 'a/.b', 'a b', 'a:b', 'ä', 'a*', Lazy.string({ produce: () => 'late' })])('fails when the prefix is %j', (prefix) => {
    expect(() => synth({ prefix })).toThrow(/prefix ".*" must be known at synth: folders of letters/);
  });

  describe('two with prefixes on one bucket', () => {
    const stack = new Stack(new App(), 'Demo');
    const bucket = new s3.Bucket(stack, 'Shared');
    const training = new FakeTraining(stack);
    const [one, two] = ['one', 'two/b'].map((prefix, n) => new DataPipeline(stack, `Data${n}`, { schema: animals, bucket, prefix, training, crawlRawData: true }));
    one.grantUpload(new iam.Role(stack, 'Uploader', { assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com') }));
    const template = Template.fromStack(stack);

    test('each starts on its own files', () => {
      for (const prefix of ['one/raw/', 'two/b/raw/']) {
        template.hasResourceProperties('AWS::Events::Rule', { EventPattern: { detail: { object: { key: [{ prefix }] } } } });
      }
    });

    test('each may reach its own files alone', () => {
      for (const [role, prefix] of [['Data0', 'one/'], ['Data1', 'two/b/'], ['Uploader', 'one/']]) {
        const objects = grants(template, role).filter(([action, resource]) => /^s3:.*Object/.test(action) && resource.includes('Shared'));
        expect(objects.length).toBeGreaterThan(0);
        const paths = objects.flatMap(([, resource]) => [...resource.matchAll(/"\/([^"]*)"/g)].map(([, path]) => path));
        expect(paths.filter((path) => !path.startsWith(prefix))).toEqual([]);
      }
    });

    test('handlers, catalog, crawler and rehearsal know the prefix', () => {
      for (const [pipeline, prefix] of [[one, 'one/'], [two, 'two/b/']] as const) {
        expect(pipeline.prefix).toBe(prefix);
        template.resourcePropertiesCountIs('AWS::Lambda::Function', { Environment: { Variables: { PREFIX: prefix } } }, 2);
        template.hasResourceProperties('AWS::Glue::Table', {
          TableInput: { Parameters: { 'storage.location.template': { 'Fn::Join': ['', ['s3://', Match.anyValue(), `/${prefix}processed/\${manifest_id}/\${split}/`]] } } },
        });
        template.hasResourceProperties('AWS::Glue::Crawler', { Targets: { S3Targets: [{ Path: { 'Fn::Join': ['', ['s3://', Match.anyValue(), `/${prefix}raw/`]] } }] } });
        expect(pipeline.node.metadata.find(({ type }) => type === 'cdk-mlops:data-pipeline')?.data).toMatchObject({
          rawPrefix: `${prefix}raw/`, processedPrefix: `${prefix}processed/`, quarantinePrefix: `${prefix}quarantine/`,
        });
      }
    });

    test('an import of one grants the same', () => {
      const other = new Stack(new App(), 'Other');
      const imported = DataPipeline.fromDataPipelineAttributes(other, 'Data', {
        schema: animals,
        bucket: s3.Bucket.fromBucketName(other, 'Bucket', 'uploads'),
        prefix: 'one',
        datasetTable: dynamodb.TableV2.fromTableName(other, 'Table', 'datasets'),
        topic: sns.Topic.fromTopicArn(other, 'Topic', 'arn:aws:sns:eu-west-1:111122223333:mine'),
        stateMachine: sfn.StateMachine.fromStateMachineName(other, 'Machine', 'data'),
      });
      imported.grantUpload(new iam.Role(other, 'Uploader', { assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com') }));
      expect(grants(Template.fromStack(other), 'Uploader').map(([, resource]) => resource)).toEqual(Array(2).fill(expect.stringContaining('uploads/one/raw/*')));
    });
  });
});
