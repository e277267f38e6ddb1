import { App, Aws, CfnParameter, Duration, RemovalPolicy, Stack, Tags } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import * as iam from 'aws-cdk-lib/aws-iam';
import { statements } from './statements';
import { Column, DatasetSchema } from '../src/data';
import { InferenceEndpoint, InferenceEndpointProps } from '../src/inference';
import { Capacity, StageProfile } from '../src/profile';
import { ModelRegistry } from '../src/registry';

const schema = DatasetSchema.of('abalone', [Column.numeric('length', { min: 0, max: 1 }), Column.target('rings', { min: 1, max: 40 })]);

function build(
  props: Partial<InferenceEndpointProps> = {}, also: (endpoint: InferenceEndpoint, stack: Stack) => void = () => undefined, region = 'eu-west-1',
) {
  const stack = new Stack(new App(), 'Stack', { env: { account: '111122223333', region } });
  const registry = new ModelRegistry(stack, 'Models', { modelPackageGroupName: 'Abalone', removalPolicy: RemovalPolicy.DESTROY });
  const endpoint = new InferenceEndpoint(stack, 'Endpoint', { schema, registry, ...props });
  also(endpoint, stack);
  return { template: Template.fromStack(stack), endpoint, stack };
}

interface AslState {
  readonly Type: string;
  readonly Next?: string;
  readonly Default?: string;
  readonly Choices?: { readonly Next: string; readonly Condition: string; readonly Assign?: Record<string, unknown> }[];
  readonly Catch?: { readonly Next: string; readonly ErrorEquals: string[] }[];
  readonly Resource?: string;
  readonly Arguments?: Record<string, unknown>;
  readonly Assign?: Record<string, unknown>;
  readonly Seconds?: number;
}

function workflow(template: Template): { StartAt: string; QueryLanguage: string; TimeoutSeconds: number; States: Record<string, AslState> } {
  const [machine] = Object.values(template.findResources('AWS::StepFunctions::StateMachine'));
  const parts = machine.Properties.DefinitionString['Fn::Join'][1] as (string | { 'Ref'?: string; 'Fn::GetAtt'?: string[] })[];
  return JSON.parse(parts.map((part) => (typeof part === 'string' ? part : part.Ref === 'AWS::Partition' ? 'aws' : part.Ref ?? part['Fn::GetAtt']![0])).join(''));
}

function targetsOf(state: AslState): string[] {
  return [state.Next, state.Default, ...(state.Choices ?? []).map((c) => c.Next), ...(state.Catch ?? []).map((c) => c.Next)]
    .filter((next): next is string => next !== undefined);
}

const arn = (name: string) => ({ 'Fn::Join': ['', ['arn:', { Ref: 'AWS::Partition' }, `:sagemaker:eu-west-1:111122223333:${name}`]] });

describe('an endpoint for production', () => {
  const { template, endpoint, stack } = build({ profile: StageProfile.prod(), endpointName: 'abalone', pollInterval: Duration.seconds(20) }, (made, scope) => {
    made.grantInvoke(new iam.User(scope, 'Caller'));
    made.onDeployed('Deployed');
    made.onDeploymentFailed('Failed');
  });
  const { States: states, ...definition } = workflow(template);
  const role = statements(template, /^EndpointDeployRole/);
  const granted = (action: string) => role.filter(({ Action }) => [Action].flat().includes(action));

  test('makes no endpoint before there is a model', () => {
    ['Endpoint', 'EndpointConfig', 'Model'].forEach((type) => template.resourceCountIs(`AWS::SageMaker::${type}`, 0));
  });

  test('has a workflow whose states all lead somewhere and are all reached', () => {
    expect(definition).toMatchObject({ QueryLanguage: 'JSONata', StartAt: 'Begin', TimeoutSeconds: 7200 });
    const reached = new Set(['Begin']);
    const open = ['Begin'];
    while (open.length > 0) {
      const name = open.pop()!;
      expect(states[name]).toBeDefined();
      for (const next of targetsOf(states[name])) {
        if (!reached.has(next)) {
          reached.add(next);
          open.push(next);
        }
      }
    }
    expect([...reached].sort()).toEqual(Object.keys(states).sort());
  });

  test('assigns every variable that it uses, none of the name of a function', () => {
    const text = JSON.stringify(states);
    const assigned = new Set(Object.values(states).flatMap((state) => [state, ...(state.Catch ?? []), ...(state.Choices ?? [])])
      .flatMap((place) => Object.keys((place as AslState).Assign ?? {})));
    const functions = ['exists', 'contains', 'string', 'number', 'now', 'millis', 'hash', 'parse', 'split', 'substring', 'not', 'states'];
    const used = new Set([...text.matchAll(/\$([a-zA-Z]+)/g)].map(([, name]) => name));
    expect([...used].filter((name) => !assigned.has(name) && !functions.includes(name))).toEqual([]);
    const builtin = [...functions, 'error', 'count', 'sum', 'max', 'min', 'type', 'map', 'filter', 'split', 'join', 'sort', 'keys', 'merge', 'length', 'trim'];
    expect([...assigned].filter((name) => builtin.includes(name))).toEqual([]);
  });

  test('catches every error of every task', () => {
    const tasks = Object.entries(states).filter(([, state]) => state.Type === 'Task');
    expect(tasks.length).toBeGreaterThan(20);
    expect(tasks.filter(([, state]) => !state.Catch?.some((c) => c.ErrorEquals.includes('States.ALL'))).map(([name]) => name))
      .toEqual([]);
  });

  test('succeeds only with the lock given back, and fails always with it given back once it was taken', () => {
    const before = (target: string) => Object.entries(states).filter(([, state]) => targetsOf(state).includes(target)).map(([name]) => name).sort();
    expect(before('Report')).toEqual(['ReleaseLock', 'WasItRestored']);
    expect(before('WasItRestored')).toEqual(['ReleaseLockAfterFailure']);
    expect(before('Done')).toEqual(['Report']);
    expect(before('Failed')).toEqual(['BreakLock', 'LookAtHolder', 'SeeHolder', 'TakeLock', 'WasItRestored']);
  });

  test('compares what serves with what was asked for before it believes in success', () => {
    const [busy, good, rolledBack] = states.SeeRelease.Choices!;
    expect(busy).toMatchObject({ Next: 'WaitForRelease' });
    expect(good).toMatchObject({ Condition: "{% $status = 'InService' and $served = $release %}", Next: 'SmokePrediction' });
    expect(rolledBack).toMatchObject({ Assign: { errorName: 'RolledBack' }, Next: 'NoteFailure' });
    expect(targetsOf(states.SmokePrediction)).toEqual(['IsSmokeGood', 'NoteFailure']);
    const beforeRecord = Object.entries(states).filter(([, state]) => targetsOf(state).includes('RecordServing')).map(([name]) => name);
    expect(beforeRecord).toEqual(['PutScalingPolicy']);
  });

  test('deletes what served before and, where that is another, what the catalog knew; each once', () => {
    expect(states.IsOldThere.Choices!.map(({ Assign, Next }) => [Assign, Next])).toEqual([
      [{ old: '{% $previous %}' }, 'DeleteOldConfig'], [{ old: '{% $servingRelease %}' }, 'DeleteOldConfig'],
    ]);
    expect(states.IsRecordedThere).toMatchObject({
      Choices: [{ Condition: "{% $servingRelease != '' and $servingRelease != $old %}", Assign: { old: '{% $servingRelease %}' }, Next: 'DeleteOldConfig' }],
      Default: 'ReleaseLock',
    });
  });

  test('makes the model from what was verified, tagged with its version, and keeps the scaled number of instances in an update', () => {
    expect(states.CreateModel.Arguments).toEqual({
      ModelName: '{% $release %}',
      ExecutionRoleArn: expect.stringMatching(/^EndpointRole/),
      Containers: '{% [$containers] %}',
      Tags: [{ Key: 'cdk-mlops:model-package', Value: '{% $package %}' }],
    });
    expect(states.CreateEndpointConfig.Arguments).toMatchObject({
      ProductionVariants: [{ VariantName: 'AllTraffic', InstanceType: 'ml.m5.large', InitialInstanceCount: 2 }],
    });
    expect(states.UpdateEndpoint.Arguments).toMatchObject({ EndpointName: 'abalone', RetainAllVariantProperties: true });
    expect(states.WaitForRelease.Seconds).toBe(20);
  });

  test('creates nothing, and goes back to nothing, before it has verified the artifacts', () => {
    const before = (target: string) => Object.entries(states).filter(([, state]) => targetsOf(state).includes(target)).map(([name]) => name).sort();
    expect(before('CreateModel')).toEqual(['SeeArtifacts']);
    expect(before('SeeArtifacts')).toEqual(['VerifyArtifacts']);
    expect(before('RestoreEndpoint')).toEqual(['IsPreviousVerified']);
    expect(before('RecreateEndpoint')).toEqual(['IsPreviousVerified']);
    expect(before('IsPreviousVerified')).toEqual(['VerifyPrevious']);
    const [pending, verified] = states.SeeArtifacts.Choices!;
    expect(pending).toEqual({ Condition: '{% $pending and $millis() < $patience %}', Next: 'WaitForArtifacts' });
    expect(verified).toMatchObject({ Condition: "{% $problem = '' %}", Next: 'CreateModel' });
    expect(states.SeeArtifacts.Default).toBe('NoteFailure');
    expect(states.IsPreviousVerified.Choices![0]).toMatchObject({ Condition: "{% $problem != '' %}", Next: 'RecordFailure' });
  });

  test('verifies with what it needs: the versions of the group, their items and copies, and its own models', () => {
    const found = statements(template, /^EndpointArtifactsRole/).filter(({ Action }) => !`${Action}`.startsWith('logs:'));
    expect(found.map(({ Action }) => Action)).toEqual([
      'dynamodb:GetItem', 's3:GetObject', 's3:ListBucket', 'sagemaker:DescribeModelPackage', ['sagemaker:DescribeModel', 'sagemaker:ListTags'],
    ]);
    expect(found[0].Condition).toEqual({ 'ForAllValues:StringEquals': { 'dynamodb:LeadingKeys': ['MODEL#Abalone'] } });
    expect(found.at(-1)!.Resource).toEqual(arn('model/abalone-*'));
  });

  test('scales by invocations, paused while the endpoint is updated', () => {
    expect(states.PauseAutoscaling.Next).toBe('UpdateEndpoint');
    expect(states.RegisterTarget.Arguments).toMatchObject({ ResourceId: 'endpoint/abalone/variant/AllTraffic', MinCapacity: 2, MaxCapacity: 4 });
    expect(states.PutScalingPolicy.Arguments).toMatchObject({
      TargetTrackingScalingPolicyConfiguration: {
        TargetValue: 1000,
        PredefinedMetricSpecification: { PredefinedMetricType: 'SageMakerVariantInvocationsPerInstance' },
        ScaleOutCooldown: 60,
        ScaleInCooldown: 300,
      },
    });
  });

  test('may do what each call needs, on its own things only', () => {
    expect(granted('sagemaker:UpdateEndpoint')).toEqual([{
      Effect: 'Allow', Action: ['sagemaker:CreateEndpoint', 'sagemaker:UpdateEndpoint'], Resource: [arn('endpoint-config/abalone-*'), arn('endpoint/abalone')],
    }]);
    expect(granted('sagemaker:CreateEndpointConfig')[0].Resource).toEqual(arn('endpoint-config/abalone-*'));
    expect(granted('sagemaker:CreateModel').map(({ Resource }) => Resource)).toEqual([
      arn('model/abalone-*'),
    ]);
    expect(granted('iam:PassRole')).toEqual([{
      Effect: 'Allow',
      Action: 'iam:PassRole',
      Resource: { 'Fn::GetAtt': [expect.stringMatching(/^EndpointRole/), 'Arn'] },
      Condition: { StringEquals: { 'iam:PassedToService': 'sagemaker.amazonaws.com' } },
    }]);
    expect(granted('application-autoscaling:RegisterScalableTarget')[0].Condition).toEqual({
      StringEquals: {
        'application-autoscaling:service-namespace': 'sagemaker',
        'application-autoscaling:scalable-dimension': 'sagemaker:variant:DesiredInstanceCount',
      },
    });
  });

  test('has a grant for every call of the workflow', () => {
    const iamService: Record<string, string> = { applicationautoscaling: 'application-autoscaling', sfn: 'states', eventbridge: 'events' };
    const calls = new Set(Object.values(states).filter((state) => state.Resource).map(({ Resource }) => {
      const [service, action] = Resource!.replace('arn:aws:states:::', '').replace('aws-sdk:', '').split(':');
      return `${iamService[service] ?? service}:${action === 'invoke' ? 'InvokeFunction' : action[0].toUpperCase() + action.slice(1)}`;
    }));
    expect([...calls].filter((action) => granted(action).length === 0)).toEqual([]);
  });

  test('asks for everything of a kind only where a kind has no resources', () => {
    const everything = statements(template, /^Endpoint/).filter(({ Resource }) => Resource === '*').flatMap(({ Action }) => Action).sort();
    expect(everything.filter((action) => !/^(logs|xray):/.test(action))).toEqual([
      'cloudwatch:PutMetricData', 'ecr:GetAuthorizationToken', 'sagemaker:ListEndpointConfigs', 'sagemaker:ListModels',
    ]);
    const managed = Object.entries(template.findResources('AWS::IAM::Role', { Properties: { ManagedPolicyArns: Match.anyValue() } }));
    // The function with which the CDK empties buckets is not ours.
    expect(managed.map(([id]) => id).filter((id) => !id.startsWith('CustomS3AutoDelete'))).toEqual([]);
  });

  test('lets containers read the copies of artifacts and pull SageMaker\'s own images', () => {
    expect(statements(template, /^EndpointModelPolicy/)).toContainEqual(expect.objectContaining({
      Action: 'cloudwatch:PutMetricData', Condition: { StringLike: { 'cloudwatch:namespace': ['AWS/SageMaker', '/aws/sagemaker/*'] } },
    }));
    const artifacts = statements(template, /^EndpointRoleDefaultPolicy/);
    expect([...new Set(artifacts.flatMap(({ Action }) => Action))]).toEqual([
      's3:GetObject', 's3:ListBucket', 'ecr:BatchCheckLayerAvailability', 'ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer',
      'ecr:GetAuthorizationToken',
    ]);
    expect(JSON.stringify(artifacts.find(({ Action }) => Action === 's3:GetObject')!.Resource)).toContain('"/_versions/Abalone/*"');
    ['sagemaker-scikit-learn', 'sagemaker-xgboost'].forEach((name) =>
      expect(JSON.stringify(artifacts)).toContain(`:ecr:eu-west-1:141502667606:repository/${name}`));
  });

  test('is started by approvals, with the package alone, retries and a queue for what fails', () => {
    template.hasResourceProperties('AWS::Events::Rule', {
      EventPattern: { detail: { ModelPackageGroupName: ['Abalone'], ModelApprovalStatus: ['Approved'] } },
      Targets: [{
        Arn: { Ref: Match.stringLikeRegexp('^EndpointDeploy') },
        InputTransformer: { InputPathsMap: { 'detail-ModelPackageArn': '$.detail.ModelPackageArn' }, InputTemplate: '{"modelPackageArn":<detail-ModelPackageArn>}' },
        DeadLetterConfig: { Arn: { 'Fn::GetAtt': [Match.stringLikeRegexp('^EndpointDeadLetters'), 'Arn'] } },
        RetryPolicy: { MaximumRetryAttempts: 8, MaximumEventAgeInSeconds: 7200 },
      }],
    });
  });

  test('is restored by an execution of its own after one that was stopped, timed out or broke, but not after one that failed by itself', () => {
    template.hasResourceProperties('AWS::Events::Rule', {
      EventPattern: {
        'detail-type': ['Step Functions Execution Status Change'],
        'detail': {
          stateMachineArn: [{ Ref: Match.stringLikeRegexp('^EndpointDeploy') }],
          $or: [{ status: ['ABORTED', 'TIMED_OUT'] }, { status: ['FAILED'], error: [{ prefix: 'States.' }] }],
        },
      },
      Targets: [Match.objectLike({
        InputTransformer: { InputPathsMap: { 'detail-executionArn': '$.detail.executionArn' }, InputTemplate: '{"interrupted":<detail-executionArn>}' },
        DeadLetterConfig: Match.anyValue(),
      })],
    });
    expect(states.IsRestoration).toMatchObject({ Choices: [{ Condition: "{% $interrupted != '' %}", Next: 'DescribeInterrupted' }], Default: 'DescribePackage' });
    expect(states.WasItRecorded).toMatchObject({
      Choices: [{ Condition: '{% $servingRelease = $release %}', Assign: { previous: '{% $servingReplaces %}', servingRelease: '' }, Next: 'IsOldThere' }],
      Assign: { previous: '{% $servingRelease %}', asked: true, errorName: 'DeploymentInterrupted' },
      Default: 'NoteFailure',
    });
  });

  test('waits for a lock that others hold, and takes one without an owner', () => {
    expect(states.IsHeld.Choices![0]).toMatchObject({ Next: 'WaitForLock' });
    expect(states.TakeLock.Arguments).toMatchObject({ ConditionExpression: 'attribute_not_exists(#owner) OR #owner = :me OR expiresAt < :now' });
  });

  test('scales even where nothing is deployed: a deployment that was interrupted may have left no autoscaling', () => {
    expect(states.SeeEndpoint.Choices![1]).toMatchObject({ Next: 'RegisterTargetThatServes' });
    expect(states.PutScalingPolicyThatServes.Next).toBe('ReleaseLock');
  });

  test('is removed after its workflow and before its role, its logs and the model versions', () => {
    const [[machineId, machine]] = Object.entries(template.findResources('AWS::StepFunctions::StateMachine'));
    const [[cleanupId, cleanup]] = Object.entries(template.findResources('Custom::InferenceEndpoint'));
    expect(machine.DependsOn).toContain(cleanupId);
    expect(JSON.stringify(cleanup.Properties)).not.toContain(machineId);
    expect(cleanup.DependsOn).toEqual(expect.arrayContaining([
      expect.stringMatching(/^EndpointRole/), expect.stringMatching(/^EndpointModelPolicy/), expect.stringMatching(/^EndpointContainerLogs/),
    ]));
    expect(cleanup.Properties).toMatchObject({ EndpointName: 'abalone', Prefix: 'abalone' });
    expect(machine.Properties.StateMachineName).toBe('abalone-deploy');
    expect(stack.resolve(cleanup.Properties.StateMachineArn)['Fn::Join'][1].join('')).toMatch(/:states:eu-west-1:111122223333:stateMachine:abalone-deploy$/);
  });

  test('logs and traces its executions, and keeps the containers\' logs in a group that ends', () => {
    template.hasResourceProperties('AWS::StepFunctions::StateMachine', {
      LoggingConfiguration: { Level: 'ALL' }, TracingConfiguration: { Enabled: true },
    });
    template.hasResourceProperties('AWS::Logs::LogGroup', { LogGroupName: '/aws/sagemaker/Endpoints/abalone', RetentionInDays: 365 });
  });

  test('is an ordinary SageMaker endpoint to others', () => {
    expect(statements(template, /^Caller/)).toEqual([{ Effect: 'Allow', Action: 'sagemaker:InvokeEndpoint', Resource: arn('endpoint/abalone') }]);
    expect(stack.resolve(endpoint.endpointRef)).toEqual({ endpointArn: arn('endpoint/abalone') });
    template.hasResourceProperties('AWS::Events::Rule', {
      EventPattern: { 'source': ['cdk-mlops'], 'detail-type': ['Model Deployed'], 'detail': { endpointName: ['abalone'] } },
    });
    template.hasResourceProperties('AWS::Events::Rule', {
      EventPattern: { source: ['aws.states'], detail: { status: ['FAILED', 'TIMED_OUT', 'ABORTED'] } },
    });
  });

  test.each([
    ['Invocations', 'Sum', endpoint.metricInvocations()],
    ['InvocationsPerInstance', 'Sum', endpoint.metricInvocationsPerInstance()],
    ['ModelLatency', 'Average', endpoint.metricModelLatency()],
    ['OverheadLatency', 'Average', endpoint.metricOverheadLatency()],
    ['Invocation4XXErrors', 'Sum', endpoint.metricClientErrors()],
    ['Invocation5XXErrors', 'Sum', endpoint.metricServerErrors()],
  ])('metric %s', (metricName, statistic, metric) => {
    expect(metric).toMatchObject({
      namespace: 'AWS/SageMaker', metricName, statistic, dimensions: { EndpointName: 'abalone', VariantName: 'AllTraffic' }, period: Duration.minutes(5),
    });
    expect(endpoint.metric(metricName, { statistic: 'p99' }).statistic).toBe('p99');
  });

  test('tells the rehearsal where its parts are', () => {
    const [entry] = endpoint.node.metadata.filter(({ type }) => type === 'cdk-mlops:inference-endpoint');
    expect(stack.resolve(entry.data)).toMatchObject({
      endpointName: 'abalone', stateMachineArn: { Ref: expect.stringMatching(/^EndpointDeploy/) }, schema: { name: 'abalone' },
    });
  });
});

describe('an endpoint for development', () => {
  const { template, endpoint } = build();
  const { States: states } = workflow(template);

  test('is one small instance that does not scale', () => {
    expect(states.CreateEndpointConfig.Arguments).toMatchObject({ ProductionVariants: [{ InstanceType: 'ml.c5.large', InitialInstanceCount: 1 }] });
    expect(states.UpdateEndpoint.Arguments).toMatchObject({ RetainAllVariantProperties: false });
    expect(Object.keys(states).filter((name) => /RegisterTarget|PutScalingPolicy|MayScale/.test(name))).toEqual([]);
  });

  test('may not scale either, but undo an earlier scaling', () => {
    const actions = statements(template, /^EndpointDeployRole/).flatMap(({ Action }) => Action);
    expect(actions.filter((action) => /autoscaling|cloudwatch|ServiceLinkedRole|Weights/.test(action))).toEqual([
      'application-autoscaling:DeregisterScalableTarget', 'cloudwatch:DeleteAlarms',
    ]);
  });

  test('deletes the alarms of its scaling policies with the scalable target, as the stack goes too', () => {
    for (const role of [/^EndpointDeployRole/, /^EndpointCleanup/]) {
      const deletes = statements(template, role).filter(({ Action }) => [Action].flat().includes('cloudwatch:DeleteAlarms'));
      expect(JSON.stringify(deletes.map(({ Resource }) => Resource))).toContain(`:alarm:TargetTracking-endpoint/${endpoint.endpointName}/*`);
    }
  });

  test('has a name that leaves room for releases', () => {
    expect(endpoint.endpointName).toMatch(/^[a-z0-9](-*[a-z0-9])*$/);
    expect(endpoint.endpointName.length).toBeLessThanOrEqual(46);
  });
});

describe('tags', () => {
  const made = ['CreateModel', 'CreateEndpointConfig', 'CreateEndpoint', 'RecreateEndpoint'];
  const ofVersion = { Key: 'cdk-mlops:model-package', Value: '{% $package %}' };
  const arrived = (template: Template) => {
    const { States: states } = workflow(template);
    return Object.fromEntries(Object.keys(states).filter((name) => states[name].Arguments?.Tags).map((name) => [name, states[name].Arguments!.Tags]));
  };

  test('of the app, the stack and the endpoint arrive at all that the workflow makes, and may be given to that only', () => {
    const { template } = build({ endpointName: 'abalone' }, (endpoint, stack) => {
      Tags.of(stack.node.root).add('team', 'marine');
      stack.tags.setTag('cost-center', '7');
      Tags.of(endpoint).add('stage', 'test', { includeResourceTypes: ['AWS::SageMaker::Model'] });
    });
    const everywhere = [{ Key: 'cost-center', Value: '7' }, { Key: 'team', Value: 'marine' }];
    expect(arrived(template)).toEqual({
      ...Object.fromEntries(made.map((name) => [name, everywhere])), CreateModel: [...everywhere, { Key: 'stage', Value: 'test' }, ofVersion],
    });
    const grants = statements(template, /^Endpoint/).filter(({ Action }) => [Action].flat().includes('sagemaker:AddTags'));
    expect(new Set(grants.flatMap(({ Resource }) => Resource)))
      .toEqual(new Set([arn('model/abalone-*'), arn('endpoint-config/abalone-*'), arn('endpoint/abalone')]));
  });

  test('are left out where there are none', () => {
    expect(arrived(build().template)).toEqual({ CreateModel: [ofVersion] });
  });
});

describe('two endpoints in one stack', () => {
  test('share nothing but the registry', () => {
    const { template } = build({}, (_, stack) => {
      new InferenceEndpoint(stack, 'Other', { schema, registry: stack.node.findChild('Models') as ModelRegistry, profile: StageProfile.prod() });
    });
    const names = Object.values(template.findResources('AWS::StepFunctions::StateMachine')).map((machine) => machine.Properties.StateMachineName);
    expect(new Set(names).size).toBe(2);
  });
});

describe('names and roles of one\'s own', () => {
  test('a long name is cut for releases, in two endpoints differently', () => {
    const endpointName = `Endpoint-${'x'.repeat(54)}`;
    const { template } = build({ endpointName });
    const [cleanup] = Object.values(template.findResources('Custom::InferenceEndpoint'));
    expect(cleanup.Properties.EndpointName).toBe(endpointName);
    expect(cleanup.Properties.Prefix.length).toBeLessThanOrEqual(46);
    expect(cleanup.Properties.Prefix).toMatch(/^Endpoint-x+-[a-z0-9]{8}$/);
  });

  test('upper case is granted in both spellings', () => {
    const { template } = build({ endpointName: 'Abalone' });
    expect(JSON.stringify(statements(template, /^EndpointDeployRole/))).toContain('endpoint/Abalone"');
    expect(JSON.stringify(statements(template, /^EndpointDeployRole/))).toContain('endpoint/abalone"');
  });

  test('a name known only when it is deployed works', () => {
    const stack = new Stack(new App(), 'Stack');
    const registry = new ModelRegistry(stack, 'Models');
    const endpointName = new CfnParameter(stack, 'Name').valueAsString;
    new InferenceEndpoint(stack, 'Endpoint', { schema, registry, endpointName });
    Template.fromStack(stack).hasResourceProperties('Custom::InferenceEndpoint', { EndpointName: { Ref: 'Name' }, Prefix: { Ref: 'Name' } });
  });

  test('a role made elsewhere gets the grants, an immutable one is left alone', () => {
    const role = (immutable: boolean) => build({}, (_, stack) => {
      const registry = stack.node.findChild('Models') as ModelRegistry;
      const imported = iam.Role.fromRoleArn(stack, 'Imported', `arn:${Aws.PARTITION}:iam::111122223333:role/mine`, { mutable: !immutable });
      new InferenceEndpoint(stack, 'Other', { schema, registry, role: imported });
    }).template;
    role(false).hasResourceProperties('AWS::IAM::Policy', { Roles: ['mine'], PolicyDocument: Match.objectLike({ Statement: Match.anyValue() }) });
    const policies = Object.values(role(true).findResources('AWS::IAM::Policy'));
    expect(policies.filter((policy) => policy.Properties.Roles?.includes('mine'))).toEqual([]);
  });

  test('an endpoint that exists can be invoked', () => {
    const stack = new Stack(new App(), 'Stack');
    InferenceEndpoint.fromEndpointName(stack, 'There', 'there').grantInvoke(new iam.User(stack, 'User'));
    expect(JSON.stringify(Template.fromStack(stack).toJSON())).toContain(':endpoint/there');
  });
});

describe('settings at their ends', () => {
  test.each([
    [Duration.seconds(1), Duration.seconds(2666)], [Duration.seconds(227), Duration.days(7)], [Duration.hours(1), Duration.days(7)],
  ])('a look each %s fits into a deployment of %s', (pollInterval, deploymentTimeout) => {
    const { States: states } = workflow(build({ pollInterval, deploymentTimeout }).template);
    expect(states.WaitForRelease.Seconds).toBe(pollInterval.toSeconds());
    expect(states.WaitForLock.Seconds).toBe(3 * pollInterval.toSeconds());
  });
});

describe('fails', () => {
  test.each([
    ['when the endpoint name has other characters', () => build({ endpointName: 'a_b' }), 'endpointName "a_b" must be 1 to 63 letters, digits and hyphens'],
    ['when the poll interval is nothing', () => build({ pollInterval: Duration.seconds(0) }), 'pollInterval of 0 s must be whole seconds, from 1 to 3600'],
    ['when the poll interval is not in whole seconds', () => build({ pollInterval: Duration.millis(1500) }), 'pollInterval of 1.5 s must be whole seconds'],
    ['when a deployment may take too short', () => build({ deploymentTimeout: Duration.minutes(1) }), 'deploymentTimeout of 60 s'],
    ['when looks make more events than an execution may have', () => build({ pollInterval: Duration.seconds(1), deploymentTimeout: Duration.days(7) }),
      'pollInterval of 1 s and deploymentTimeout of 604800 s: a deployment that waits so long makes about 5444200 events, and Step Functions takes 25000; '
      + 'make pollInterval at least 227 s, or deploymentTimeout at most 2666 s'],
    ['when they do with the default of the other', () => build({ pollInterval: Duration.seconds(2) }), 'make pollInterval at least 3 s'],
    ['when all of it is wrong at once', () => build({ endpointName: '-', pollInterval: Duration.days(1) }), /endpointName.*pollInterval/],
    ['when a burstable type shall scale', () => Capacity.autoscaled({ instanceType: 'ml.t2.medium' }), '"ml.t2.medium" is burstable and cannot scale'],
    ['when maxCapacity is below minCapacity', () => Capacity.autoscaled({ minCapacity: 3, maxCapacity: 2 }), 'maxCapacity 2 must be at least minCapacity, which is 3'],
    ['when minCapacity is 0', () => Capacity.autoscaled({ minCapacity: 0 }), 'minCapacity 0 must be a whole number of at least 1'],
    ['when half an instance is asked for', () => Capacity.fixedSize({ instanceCount: 1.5 }), 'instanceCount 1.5 must be a whole number'],
    ['when the region does not offer the type', () => build({ capacity: Capacity.fixedSize({ instanceType: 'ml.t2.medium' }) }, undefined, 'eu-south-2'),
      'InferenceEndpoint "Endpoint": capacity: "ml.t2.medium" is not offered for hosting in eu-south-2; "ml.c5.large" is, for example'],
    ['when the region does not offer the type of the profile',
      () => build({ profile: StageProfile.of({ capacity: Capacity.fixedSize({ instanceType: 'ml.t2.medium' }) }) }, undefined, 'eu-south-2'),
      'InferenceEndpoint "Endpoint": capacity: "ml.t2.medium" is not offered for hosting in eu-south-2'],
    ['when the type is not one of SageMaker', () => Capacity.fixedSize({ instanceType: 'm5.large' }), 'instanceType "m5.large" must be a SageMaker instance type'],
    ['when scaling aims at nothing', () => Capacity.autoscaled({ invocationsPerInstance: 0 }), 'invocationsPerInstance 0 must be more than 0'],
  ])('%s', (_, make, message) => {
    expect(make).toThrow(message);
  });
});
