import { spawnSync } from 'child_process';
import * as crypto from 'crypto';
import * as fs from 'fs';
import * as path from 'path';
import { ApplicationAutoScalingClient, DescribeScalableTargetsCommand, DescribeScalingPoliciesCommand } from '@aws-sdk/client-application-auto-scaling';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import {
  CreateModelPackageCommand, DescribeEndpointCommand, DescribeEndpointConfigCommand, ListEndpointConfigsCommand, ListEndpointsCommand,
  ListModelsCommand, ModelApprovalStatus, UpdateModelPackageCommand,
} from '@aws-sdk/client-sagemaker';
import { InvokeEndpointCommand, SageMakerRuntimeClient } from '@aws-sdk/client-sagemaker-runtime';
import {
  DescribeExecutionCommand, DescribeExecutionCommandOutput, GetExecutionHistoryCommand, ListExecutionsCommand,
  StartExecutionCommand, StopExecutionCommand,
} from '@aws-sdk/client-sfn';
import { QueryCommand } from '@aws-sdk/lib-dynamodb';
import { deploy, Deployed, ROOT, run } from './command';
import { RunContext } from '../../src/rehearsal/scenario/run-context';
import { signedHeaders } from '../../src/rehearsal/scenario/signed-headers';
import { IMAGE_ACCOUNTS } from '../../src/shared/container-images';

const APP = path.join(ROOT, 'test', 'rehearsal', 'deployments');

/** Each model answers with one number, so that a prediction tells which version serves; null cannot be loaded. */
const MODELS = { one: 1, two: 2, three: 3, broken: null, nonsense: 90_000 } as const;
type Model = keyof typeof MODELS;

interface Serving {
  readonly version: number;
  readonly modelPackageArn: string;
  readonly release: string;
}

describe('deployments', () => {
  let deployed: Deployed;
  let context: RunContext;
  let runtime: SageMakerRuntimeClient;
  let scaling: ApplicationAutoScalingClient;
  let endpoint: { endpointName: string; stateMachineArn: string; schema: unknown };
  let registry: { modelPackageGroupName: string; tableName: string; bucket: string };
  const known = new Set<string>();

  beforeAll(async () => {
    deployed = await deploy('deployments', APP);
    context = deployed.context;
    runtime = new SageMakerRuntimeClient(context.aws.options);
    scaling = new ApplicationAutoScalingClient(context.aws.options);
    endpoint = context.parts.endpoints[0].facts;
    registry = context.parts.registry!.facts;
    await uploadModels();
  });

  afterAll(async () => {
    runtime?.destroy();
    scaling?.destroy();
    await deployed?.end();
  });

  test('the stack deploys without a model, and makes no endpoint', async () => {
    expect(await made()).toEqual({ endpoints: [], configs: [], models: [] });
    expect(await serving()).toBeUndefined();
  });

  test('a first model that cannot be loaded is a red deployment that leaves nothing', async () => {
    const [first] = await after(() => register('broken', 'Approved'));
    expect(first).toMatchObject({ status: 'FAILED', error: 'EndpointFailed' });
    expect(first.cause).toMatch(/the endpoint is Failed with version 1: .*did not pass the ping health check/);
    expect(first.cause).toMatch(/the endpoint was deleted$/);
    expect(await made()).toEqual({ endpoints: [], configs: [], models: [] });
    expect(await serving()).toBeUndefined();
    expect(await items('LOCK')).toEqual([]);
  });

  test('a registered version waits for its approval, which creates the endpoint', async () => {
    const arn = await register('one');
    const [first] = await after(() => decide(arn, 'Approved'));
    expect(first.status).toBe('SUCCEEDED');
    expect(JSON.parse(first.output!)).toMatchObject({ outcome: 'DEPLOYED', message: 'version 2 serves' });
    await expectServing({ version: 2, predicts: 1 });
    expect(await scalingOf()).toEqual(SCALED);
    const { ProductionVariants: variants } = await context.aws.sageMaker.send(new DescribeEndpointCommand({ EndpointName: endpoint.endpointName }));
    expect(variants).toMatchObject([{ VariantName: 'AllTraffic', CurrentInstanceCount: 2 }]);
  });

  test('the next version updates the endpoint, once, although its approval is delivered twice', async () => {
    const before = (await serving())!;
    await deployed.fault({ kind: 'duplicate-event', rule: 'OnApproved' });
    const both = await after(() => register('two', 'Approved'), 2);
    expect(both.map(({ status }) => status)).toEqual(['SUCCEEDED', 'SUCCEEDED']);
    expect(outcomes(both)).toEqual(['ALREADY_SERVING', 'DEPLOYED']);
    await expectServing({ version: 3, predicts: 2 });
    expect((await serving())!.release).not.toBe(before.release);
    expect(await scalingOf()).toEqual(SCALED);
  });

  test('the same input by hand deploys nothing again', async () => {
    const { release, modelPackageArn } = (await serving())!;
    const [again] = await after(async () => context.aws.stepFunctions.send(new StartExecutionCommand({
      stateMachineArn: endpoint.stateMachineArn, input: JSON.stringify({ modelPackageArn }),
    })));
    expect(outcomes([again])).toEqual(['ALREADY_SERVING']);
    expect((await serving())!.release).toBe(release);
  });

  test('a rollback of which SageMaker says nothing is red and names both configs; the earlier version serves on', async () => {
    const before = (await serving())!;
    await deployed.fault({ kind: 'endpoint-rollback', endpoint: endpoint.endpointName });
    const [silent] = await after(() => register('three', 'Approved'));
    expect(silent).toMatchObject({ status: 'FAILED', error: 'RolledBack' });
    const [, served, asked] = /^SageMaker rolled the endpoint back .* in service with config (\S+) instead of (\S+), which was asked for$/.exec(silent.cause!)!;
    expect(served).toBe(before.release);
    expect(asked).toMatch(new RegExp(`^${endpoint.endpointName}-[0-9a-f]{16}$`));
    expect(asked).not.toBe(served);
    await expectServing({ version: 3, predicts: 2 });
    expect(await serving()).toEqual(before);
    expect(await scalingOf()).toEqual(SCALED);
  });

  test.each([
    { model: 'broken', error: 'RolledBack', cause: /instead of/ },
    { model: 'nonsense', error: 'SmokePredictionFailed', cause: /version 6 does not predict: .*90000.*far from its range of 0 to 100.*goes back to what it served before$/ },
  ] as const)('a model that is $model is red, and the earlier version serves as before', async ({ model, error, cause }) => {
    const before = (await serving())!;
    const [failed] = await after(() => register(model, 'Approved'));
    expect(failed).toMatchObject({ status: 'FAILED', error });
    expect(failed.cause).toMatch(cause);
    await expectServing({ version: 3, predicts: 2 });
    expect(await serving()).toEqual(before);
    expect(await scalingOf()).toEqual(SCALED);
  });

  test('of approvals that come together the highest version wins; one that comes late is skipped', async () => {
    const late = await register('one');
    const arns = [await register('two'), await register('three')];
    const both = await after(() => Promise.all(arns.map(async (arn) => decide(arn, 'Approved'))), 2);
    expect(both.map(({ status }) => status)).toEqual(['SUCCEEDED', 'SUCCEEDED']);
    expect(outcomes(both)).toContain('DEPLOYED');
    await expectServing({ version: 9, predicts: 3 });

    const [skipped] = await after(() => decide(late, 'Approved'));
    expect(skipped.status).toBe('SUCCEEDED');
    expect(JSON.parse(skipped.output!)).toMatchObject({
      outcome: 'SKIPPED', message: 'version 7 is older than version 9, which serves and is approved: reject that one first to go back',
    });
    await expectServing({ version: 9, predicts: 3 });
  });

  test('rejecting the version that serves and approving an older one again goes back to it', async () => {
    const arnOf = (version: number) => (arn: string) => arn.replace(/\d+$/, String(version));
    const { modelPackageArn } = (await serving())!;
    await decide(modelPackageArn, 'Rejected');
    const [back] = await after(() => decide(arnOf(7)(modelPackageArn), 'Approved'));
    expect(outcomes([back])).toEqual(['DEPLOYED']);
    await expectServing({ version: 7, predicts: 1 });
    expect(await scalingOf()).toEqual(SCALED);
  });

  test('every deployment is in the history', async () => {
    const told = await items('DEPLOYMENT');
    expect(told.map(({ version, outcome }) => `${String(version)} ${String(outcome)}`).sort()).toEqual(expect.arrayContaining([
      '1 FAILED', '2 DEPLOYED', '3 DEPLOYED', '4 FAILED', '5 FAILED', '6 FAILED', '7 DEPLOYED', '9 DEPLOYED',
    ]));
    expect(told.filter(({ version }) => version === 3)).toHaveLength(1);
  });

  test.each(['CreateEndpointConfig', 'PauseAutoscaling', 'LookAtRelease', 'SmokePrediction', 'RecordServing'])(
    'a deployment that is stopped at %s is undone, unless it is recorded: model, capacity and lock are right', async (state) => {
      const before = (await serving())!;
      const stopped = await startedUntil(state, () => register('two', 'Approved'));
      const [restoration] = await after(() => context.aws.stepFunctions.send(new StopExecutionCommand({ executionArn: stopped })));
      expect(outcomes([restoration])).toEqual(['RESTORED']);
      const now = (await serving())!;
      const recorded = now.release !== before.release;
      await expectServing(recorded ? { version: now.version, predicts: 2 } : { version: before.version, predicts: 1 });
      expect(await scalingOf()).toEqual(SCALED);
      if (recorded) {
        const { modelPackageArn } = before;
        await decide(now.modelPackageArn, 'Rejected');
        expect(outcomes(await after(() => decide(modelPackageArn, 'Approved')))).toEqual(['DEPLOYED']);
      }
    });

  test('a deployment that was stopped loses its lock to the next one, which waits for the endpoint', async () => {
    const stopped = await atWork(() => register('two', 'Approved'));
    const both = await after(async () => {
      await context.aws.stepFunctions.send(new StopExecutionCommand({ executionArn: stopped }));
      await register('three', 'Approved');
    }, 2);
    expect(outcomes(both)).toEqual(['DEPLOYED', 'RESTORED']);
    await expectServing({ version: 16, predicts: 3 });
    expect(await scalingOf()).toEqual(SCALED);
  });

  test('an artifact that is overwritten after the registration is not what serves: the copy is', async () => {
    const arn = await register('two');
    await copyOf(17);
    await upload('two/model.tar.gz', 'one');
    expect(outcomes(await after(() => decide(arn, 'Approved')))).toEqual(['DEPLOYED']);
    await expectServing({ version: 17, predicts: 2 });
    expect(await scalingOf()).toEqual(SCALED);
  });

  test('a copy that is overwritten is red before anything is replaced, and the cause names version, object and both digests', async () => {
    const before = (await serving())!;
    const arn = await register('three');
    const { key, sha256 } = await copyOf(18);
    await upload(key, 'one');
    const [failed] = await after(() => decide(arn, 'Approved'));
    expect(failed).toMatchObject({ status: 'FAILED', error: 'ArtifactsNotVerified' });
    const forged = crypto.createHash('sha256').update(archive('one')).digest('base64');
    expect(failed.cause).toBe(
      `version 18 is not what was registered: s3://${registry.bucket}/${key} has the SHA-256 ${forged}, and had ${sha256} at the registration`);
    await expectServing({ version: 17, predicts: 2 });
    expect(await serving()).toEqual(before);
  });

  test('what served before and was overwritten is not gone back to; once it is right again it can be', async () => {
    const { release, modelPackageArn } = (await serving())!;
    const { key } = await copyOf(17);
    await upload(key, 'one');
    const [failed] = await after(() => register('nonsense', 'Approved'));
    expect(failed).toMatchObject({ status: 'FAILED', error: 'SmokePredictionFailed' });
    expect(failed.cause).toMatch(/; the endpoint does not go back to what it served before: version 17 is not what was registered: s3:.* has the SHA-256 .*, and had /);
    const described = await context.aws.sageMaker.send(new DescribeEndpointCommand({ EndpointName: endpoint.endpointName }));
    expect(described.EndpointStatus).toBe('InService');
    expect(described.EndpointConfigName).not.toBe(release);

    await upload(key, 'two');
    await decide(modelPackageArn.replace(/\d+$/, '19'), 'Rejected');
    expect(outcomes(await after(() => decide(modelPackageArn, 'Approved')))).toEqual(['DEPLOYED']);
    await expectServing({ version: 17, predicts: 2 });
    expect(await scalingOf()).toEqual(SCALED);
  });

  test('the containers log as the role of the model, into the group of the endpoint', async () => {
    const lines = await logged(`/aws/sagemaker/Endpoints/${endpoint.endpointName}`);
    expect(lines.join('\n')).toContain('UnpicklingError'); // of the model that could not be loaded
  });

  test('the stack takes everything along while a deployment is at work: its release, those before, the logs of the containers', async () => {
    await atWork(() => register('one', 'Approved'));
    expect((await context.emulator.report()).denials).toEqual([]);
    await context.cdk.destroy(new AbortController().signal);
    const left = await context.emulator.leftovers();
    expect(left.filter(({ why }) => why === undefined)).toEqual([]);
    expect(await made()).toEqual({ endpoints: [], configs: [], models: [] });
    expect(await scalingOf()).toEqual({ targets: [], policies: [] });
  });

  const SCALED = {
    targets: [{ min: 2, max: 3 }],
    policies: [{ target: 600, metric: 'SageMakerVariantInvocationsPerInstance' }],
  };

  // --- what the tests do ---

  async function uploadModels(): Promise<void> {
    const schema = path.join(deployed.work, 'schema.json');
    fs.writeFileSync(schema, JSON.stringify(endpoint.schema));
    const { stdout } = await run(['prepare'], deployed.work);
    const folder = path.join(deployed.work, 'models');
    const written = spawnSync(stdout.trim().split('\n').at(-1)!, [path.join(APP, 'models.py'), schema, folder, path.join(ROOT, 'assets', 'sagemaker')], {
      input: JSON.stringify(MODELS), encoding: 'utf8', env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
    });
    expect({ status: written.status, stderr: written.status === 0 ? '' : written.stderr }).toEqual({ status: 0, stderr: '' });
    await upload('preprocessor/model.tar.gz', 'preprocessor');
    await Promise.all((Object.keys(MODELS) as Model[]).map(async (name) => upload(`${name}/model.tar.gz`, name)));
  }

  function archive(name: Model | 'preprocessor'): Buffer {
    return fs.readFileSync(path.join(deployed.work, 'models', name === 'preprocessor' ? 'preprocessor/model.tar.gz' : `${name}.tar.gz`));
  }

  async function upload(Key: string, name: Model | 'preprocessor'): Promise<void> {
    await context.aws.s3.send(new PutObjectCommand({ Bucket: registry.bucket, Key, Body: archive(name), ChecksumAlgorithm: 'SHA256' }));
  }

  /** The copy of the model of a version, as soon as the catalog knows it. */
  async function copyOf(version: number): Promise<{ readonly key: string; readonly sha256: string }> {
    interface Item {
      readonly version: number;
      readonly artifacts?: { readonly containers: { readonly objects: { key: string; sha256: string }[] }[] };
    }
    let found: Item['artifacts'];
    await until(async () => {
      found = (await items('MODEL') as unknown as Item[]).find((item) => item.version === version)?.artifacts;
      return found !== undefined;
    });
    return found!.containers[1].objects[0];
  }

  /** As the training pipeline registers it: preprocessor and model in a row. */
  async function register(model: Model, approval: ModelApprovalStatus = 'PendingManualApproval'): Promise<string> {
    const { region } = context.parts.environment;
    const image = (name: string) => `${IMAGE_ACCOUNTS[region]}.dkr.ecr.${region}.amazonaws.com/${name}`;
    const { ModelPackageArn } = await context.aws.sageMaker.send(new CreateModelPackageCommand({
      ModelPackageGroupName: registry.modelPackageGroupName,
      ModelApprovalStatus: approval,
      InferenceSpecification: {
        Containers: [
          {
            Image: image('sagemaker-scikit-learn:1.2-1-cpu-py3'),
            ModelDataUrl: `s3://${registry.bucket}/preprocessor/model.tar.gz`,
            Environment: {
              SAGEMAKER_PROGRAM: 'inference.py',
              SAGEMAKER_SUBMIT_DIRECTORY: '/opt/ml/model/code',
              SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT: 'text/csv',
            },
          },
          { Image: image('sagemaker-xgboost:1.7-1'), ModelDataUrl: `s3://${registry.bucket}/${model}/model.tar.gz` },
        ],
        SupportedContentTypes: ['text/csv'],
        SupportedResponseMIMETypes: ['text/csv'],
      },
    }));
    return ModelPackageArn!;
  }

  async function decide(ModelPackageArn: string, status: ModelApprovalStatus): Promise<void> {
    await context.aws.sageMaker.send(new UpdateModelPackageCommand({ ModelPackageArn, ModelApprovalStatus: status }));
  }

  /** The deployments that `act` starts, ended: as many as expected, and no more. */
  async function after(act: () => Promise<unknown>, expected = 1): Promise<DescribeExecutionCommandOutput[]> {
    const { aws: { stepFunctions } } = context;
    await act();
    const fresh = async () => {
      const { executions = [] } = await stepFunctions.send(new ListExecutionsCommand({ stateMachineArn: endpoint.stateMachineArn }));
      return executions.filter(({ executionArn }) => !known.has(executionArn!));
    };
    await until(async () => {
      const executions = await fresh();
      return executions.length >= expected && executions.every(({ status }) => status !== 'RUNNING');
    });
    const executions = await fresh();
    expect(executions).toHaveLength(expected);
    executions.forEach(({ executionArn }) => known.add(executionArn!));
    return Promise.all(executions.map(async ({ executionArn }) => stepFunctions.send(new DescribeExecutionCommand({ executionArn }))));
  }

  /** The deployment that `act` starts, at the moment when SageMaker updates the endpoint for it. */
  async function atWork(act: () => Promise<unknown>): Promise<string> {
    const { sageMaker, stepFunctions } = context.aws;
    await act();
    await until(async () => {
      const { EndpointStatus } = await sageMaker.send(new DescribeEndpointCommand({ EndpointName: endpoint.endpointName }));
      return EndpointStatus === 'Updating';
    }, 50);
    const { executions = [] } = await stepFunctions.send(new ListExecutionsCommand({ stateMachineArn: endpoint.stateMachineArn, statusFilter: 'RUNNING' }));
    expect(executions).toHaveLength(1);
    known.add(executions[0].executionArn!);
    return executions[0].executionArn!;
  }

  /** The deployment that `act` starts, at the moment when it enters a state. */
  async function startedUntil(state: string, act: () => Promise<unknown>): Promise<string> {
    const { stepFunctions } = context.aws;
    await act();
    let executionArn: string | undefined;
    await until(async () => {
      const { executions = [] } = await stepFunctions.send(new ListExecutionsCommand({ stateMachineArn: endpoint.stateMachineArn }));
      executionArn = executions.find((each) => !known.has(each.executionArn!))?.executionArn;
      if (executionArn === undefined) {
        return false;
      }
      const { events = [] } = await stepFunctions.send(new GetExecutionHistoryCommand({ executionArn, reverseOrder: true, maxResults: 1000 }));
      return events.some(({ stateEnteredEventDetails: entered }) => entered?.name === state);
    }, 50);
    known.add(executionArn!);
    return executionArn!;
  }

  function outcomes(executions: DescribeExecutionCommandOutput[]): string[] {
    return executions.map(({ output, cause }) => output ? (JSON.parse(output) as { outcome: string }).outcome : String(cause)).sort();
  }

  // --- what the tests see ---

  /** Endpoint, catalog and prediction agree, one release is there and nobody holds the lock. */
  async function expectServing({ version, predicts }: { version: number; predicts: number }): Promise<void> {
    const record = (await serving())!;
    expect(record).toMatchObject({ version, modelPackageArn: expect.stringMatching(new RegExp(`/${version}$`)) as string });
    const described = await context.aws.sageMaker.send(new DescribeEndpointCommand({ EndpointName: endpoint.endpointName }));
    expect(described).toMatchObject({ EndpointStatus: 'InService', EndpointConfigName: record.release });
    expect(await made()).toEqual({ endpoints: [endpoint.endpointName], configs: [record.release], models: [record.release] });
    const config = await context.aws.sageMaker.send(new DescribeEndpointConfigCommand({ EndpointConfigName: record.release }));
    expect(config.ProductionVariants).toMatchObject([{ ModelName: record.release, InstanceType: 'ml.m5.large', InitialInstanceCount: 2 }]);
    expect(await predictions()).toEqual([predicts, predicts]);
    expect(await items('LOCK')).toEqual([]);
  }

  async function predictions(): Promise<number[]> {
    const { Body: answer } = await runtime.send(new InvokeEndpointCommand({
      EndpointName: endpoint.endpointName, ContentType: 'text/csv', Accept: 'text/csv', Body: 'nut,2.5\nbolt,\n',
    }));
    return Buffer.from(answer!).toString().trim().split(/[,\n]/).map(Number);
  }

  async function serving(): Promise<Serving | undefined> {
    const found = await items('SERVING');
    expect(found.length).toBeLessThanOrEqual(1);
    return found[0] as unknown as Serving | undefined;
  }

  async function items(partition: string): Promise<Record<string, unknown>[]> {
    const { Items = [] } = await context.aws.dynamo.send(new QueryCommand({
      TableName: registry.tableName, KeyConditionExpression: 'pk = :pk', ExpressionAttributeValues: { ':pk': `${partition}#${registry.modelPackageGroupName}` }, ConsistentRead: true,
    }));
    return Items;
  }

  async function made(): Promise<{ endpoints: string[]; configs: string[]; models: string[] }> {
    const { sageMaker } = context.aws;
    const [{ Endpoints = [] }, { EndpointConfigs = [] }, { Models = [] }] = await Promise.all([
      sageMaker.send(new ListEndpointsCommand({})), sageMaker.send(new ListEndpointConfigsCommand({})), sageMaker.send(new ListModelsCommand({})),
    ]);
    return {
      endpoints: Endpoints.map(({ EndpointName }) => EndpointName!),
      configs: EndpointConfigs.map(({ EndpointConfigName }) => EndpointConfigName!),
      models: Models.map(({ ModelName }) => ModelName!),
    };
  }

  async function logged(logGroupName: string): Promise<string[]> {
    const url = new URL(`${context.emulator.endpoint}/`);
    const request = {
      method: 'POST',
      headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': 'Logs_20140328.FilterLogEvents' },
      body: JSON.stringify({ logGroupName }),
    };
    const response = await fetch(url, { ...request, headers: await signedHeaders({ url, ...request }, 'logs', context.aws.options) });
    return (await response.json() as { events: { message: string }[] }).events.map(({ message }) => message);
  }

  async function scalingOf() {
    const ServiceNamespace = 'sagemaker';
    const ResourceId = `endpoint/${endpoint.endpointName}/variant/AllTraffic`;
    const { ScalableTargets = [] } = await scaling.send(new DescribeScalableTargetsCommand({ ServiceNamespace, ResourceIds: [ResourceId] }));
    const { ScalingPolicies = [] } = await scaling.send(new DescribeScalingPoliciesCommand({ ServiceNamespace, ResourceId }));
    return {
      targets: ScalableTargets.map(({ MinCapacity, MaxCapacity }) => ({ min: MinCapacity, max: MaxCapacity })),
      policies: ScalingPolicies.map(({ TargetTrackingScalingPolicyConfiguration: tracking }) => ({
        target: tracking?.TargetValue, metric: tracking?.PredefinedMetricSpecification?.PredefinedMetricType,
      })),
    };
  }
});

async function until(condition: () => Promise<boolean>, every = 300): Promise<void> {
  const end = Date.now() + 200_000;
  while (Date.now() < end) {
    if (await condition()) {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, every));
  }
  throw new Error('waited 200 s in vain');
}
