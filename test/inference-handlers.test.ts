import * as http from 'http';
import { ApplicationAutoScalingClient, DeregisterScalableTargetCommand } from '@aws-sdk/client-application-auto-scaling';
import {
  DeleteEndpointCommand, DeleteEndpointConfigCommand, DeleteModelCommand, DescribeEndpointCommand, ListEndpointConfigsCommand, ListModelsCommand,
  SageMakerClient,
} from '@aws-sdk/client-sagemaker';
import { InvokeEndpointCommand, SageMakerRuntimeClient } from '@aws-sdk/client-sagemaker-runtime';
import { ListExecutionsCommand, SFNClient, StopExecutionCommand } from '@aws-sdk/client-sfn';
import { DeleteCommand, DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import type { CloudFormationCustomResourceEvent, Context } from 'aws-lambda';
import { mockClient } from 'aws-sdk-client-mock';
import * as fc from 'fast-check';
import { logLines } from './log-lines';
import { Column, DatasetSchema } from '../src/data';
import { handler, removeAll } from '../src/inference/cleanup.lambda';
import { smokeHandler } from '../src/inference/smoke.lambda';
import { answerProblem, smokeRows } from '../src/inference/smoke.lambda-shared';

const sagemaker = mockClient(SageMakerClient);
const runtime = mockClient(SageMakerRuntimeClient);
const autoscaling = mockClient(ApplicationAutoScalingClient);
const sfn = mockClient(SFNClient);
const dynamodb = mockClient(DynamoDBDocumentClient);

function awsError(name: string, message: string, extra: object = {}): Error {
  return Object.assign(new Error(message), { name, ...extra });
}

beforeEach(() => [sagemaker, runtime, autoscaling, sfn, dynamodb].forEach((mock) => mock.reset()));

const abalone = DatasetSchema.of('abalone', [
  Column.categorical('sex', { values: ['F', 'I', 'M'] }),
  Column.numeric('length', { min: 0, max: 0.9 }),
  Column.integer('count', { min: 1, max: 2, required: false, maxMissing: 0.1 }),
  Column.flag('wild'),
  Column.identifier('id'),
  Column.target('rings', { min: 1, max: 40 }),
])._document();
const binary = DatasetSchema.of('b', [Column.numeric('x', {}), Column.target('y', { values: ['no', 'yes'] })])._document();
const multiclass = DatasetSchema.of('m', [Column.numeric('x', {}), Column.target('y', { values: ['a', 'b', 'c'] })])._document();

describe('smoke rows', () => {
  test('hold middling values in the order of the schema, and what may be missing is missing once', () => {
    expect(smokeRows(abalone)).toEqual(['F,0.45,2,true', 'F,0.45,,true']);
    expect(smokeRows(binary)).toEqual(['1']);
  });

  test('property: values are within their allowed range', () => {
    fc.assert(fc.property(fc.integer({ min: -1000, max: 1000 }), fc.nat(500), fc.boolean(), (min, width, whole) => {
      const column = whole ? Column.integer('x', { min, max: min + width }) : Column.numeric('x', { min, max: min + width + 0.5 });
      const value = Number(smokeRows(DatasetSchema.of('d', [column, Column.target('y', { min: 0, max: 1 })])._document())[0]);
      expect(value).toBeGreaterThanOrEqual(min);
      expect(value).toBeLessThanOrEqual(min + width + 0.5);
      expect(!whole || Number.isInteger(value)).toBe(true);
    }));
  });
});

describe('the answer to the smoke prediction', () => {
  test.each([
    ['lines', abalone, '9.5\n10.1\n'],
    ['one line', abalone, '9.5,10.1'],
    ['brackets', abalone, '[9.5, 10.1]'],
    ['a prediction somewhat out of range', abalone, '-2\n50'],
    ['a probability', binary, '0.25'],
    ['probabilities of several classes', multiclass, '[0.2, 0.3, 0.5]'],
  ])('is good: %s', (_, document, body) => {
    expect(answerProblem(document, smokeRows(document).length, body)).toBeUndefined();
  });

  test.each([
    ['text', abalone, 'oops\n1', 'holds "oops", which is not a number: the model must answer text/csv, one number a row'],
    ['nan', abalone, 'nan\n1', 'holds "nan", which is not a number'],
    ['nothing', abalone, '', 'of 2 row(s) was answered with 0 number(s) instead of 2'],
    ['too few', abalone, '9.5', 'answered with 1 number(s) instead of 2'],
    ['far out of range', abalone, '9.5\n5000', 'of rings is 5000, far from its range of 1 to 40'],
    ['too many', multiclass, '0.2,0.3,0.5,0', 'with 4 number(s) instead of 3: the model must answer text/csv, 3 numbers a row'],
    ['no probability', binary, '7', 'holds 7, which is not a probability'],
    ['probabilities that do not sum up', multiclass, '0.5,0.5,0.5', 'sum up to 1.5'],
  ])('is bad: %s', (_, document, body, problem) => {
    expect(answerProblem(document, smokeRows(document).length, body)).toContain(problem);
  });

  test('property: any text gets a sentence or none, never an error', () => {
    fc.assert(fc.property(fc.string(), fc.constantFrom(abalone, binary, multiclass), (body, document) => {
      expect(['string', 'undefined']).toContain(typeof answerProblem(document, 2, body));
    }));
  });
});

describe('smoke handler', () => {
  const smoke = smokeHandler(() => abalone, new SageMakerRuntimeClient({}), 1);
  const bytes = (text: string) => Object.assign(new TextEncoder().encode(text), { transformToString: () => text }) as never;

  test('sends the rows as CSV without a header', async () => {
    runtime.on(InvokeEndpointCommand).resolves({ Body: bytes('9.5\n10\n') });
    await expect(smoke({ endpointName: 'e' })).resolves.toEqual({ problem: undefined, answer: '9.5\n10\n' });
    const { Body, ...request } = runtime.commandCalls(InvokeEndpointCommand)[0].args[0].input;
    expect(request).toEqual({ EndpointName: 'e', ContentType: 'text/csv', Accept: 'text/csv' });
    expect(Buffer.from(Body as Uint8Array).toString()).toBe('F,0.45,2,true\nF,0.45,,true\n');
  });

  test('tries again when the model is not ready, and says what the model says when it stays so', async () => {
    const error = awsError('ModelError', 'Received server error (500)', { OriginalMessage: 'KeyError: sex' });
    runtime.on(InvokeEndpointCommand).rejectsOnce(error).resolves({ Body: bytes('9.5\n10\n') });
    await expect(smoke({ endpointName: 'e' })).resolves.toMatchObject({ problem: undefined });
    runtime.reset();
    runtime.on(InvokeEndpointCommand).rejects(error);
    await expect(smoke({ endpointName: 'e' })).resolves.toEqual({ problem: 'the model answered the smoke prediction with an error: KeyError: sex' });
    expect(runtime.commandCalls(InvokeEndpointCommand)).toHaveLength(3);
  });

  test('fails when it may not invoke the endpoint', async () => {
    runtime.on(InvokeEndpointCommand).rejects(awsError('AccessDeniedException', 'not authorized'));
    await expect(smoke({ endpointName: 'e' })).rejects.toThrow('not authorized');
    expect(runtime.commandCalls(InvokeEndpointCommand)).toHaveLength(1);
  });
});

describe('cleanup', () => {
  const StateMachineArn = 'arn:aws:states:eu-west-1:1:stateMachine:abalone-deploy';
  const properties = { EndpointName: 'abalone', Prefix: 'abalone', StateMachineArn, TableName: 't', GroupName: 'animals' };
  const time = { remainingMillis: () => 600_000 };
  const release = (digit: string) => `abalone-${digit.repeat(16)}`;

  /** SageMaker with some things in it. An endpoint is busy for so many looks, then takes so many to be deleted. */
  function world(things: { endpoint?: { busy: number; deleting: number }; configs?: string[]; models?: string[] }) {
    const { endpoint } = things;
    const state = { status: endpoint ? (endpoint.busy > 0 ? 'Updating' : 'InService') : undefined as string | undefined, order: [] as string[] };
    const configs = new Set(things.configs);
    const models = new Set(things.models);
    sagemaker.on(DescribeEndpointCommand).callsFake(async () => {
      if (state.status === 'Updating' && --endpoint!.busy <= 0) {
        state.status = 'InService';
      } else if (state.status === 'Deleting' && --endpoint!.deleting <= 0) {
        state.status = undefined;
      }
      if (!state.status) {
        throw awsError('ValidationException', 'Could not find endpoint "abalone".');
      }
      return { EndpointStatus: state.status };
    });
    sagemaker.on(DeleteEndpointCommand).callsFake(async () => {
      if (state.status === 'Updating') {
        throw awsError('ValidationException', 'Cannot delete in-progress endpoint');
      }
      state.status = 'Deleting';
      state.order.push('endpoint');
      return {};
    });
    sagemaker.on(ListEndpointConfigsCommand)
      .callsFake(async () => ({ EndpointConfigs: [...configs].map((EndpointConfigName) => ({ EndpointConfigName })) }));
    sagemaker.on(ListModelsCommand).callsFake(async () => ({ Models: [...models].map((ModelName) => ({ ModelName })) }));
    sagemaker.on(DeleteEndpointConfigCommand).callsFake(async ({ EndpointConfigName }) => {
      state.order.push(EndpointConfigName);
      configs.delete(EndpointConfigName);
      return {};
    });
    sagemaker.on(DeleteModelCommand).callsFake(async ({ ModelName }) => {
      models.delete(ModelName);
      return {};
    });
    sfn.on(ListExecutionsCommand).resolves({ executions: [] });
    autoscaling.on(DeregisterScalableTargetCommand).rejects(awsError('ObjectNotFoundException', 'none'));
    dynamodb.on(DeleteCommand).resolves({});
    return { state, configs, models };
  }

  beforeEach(() => {
    jest.spyOn(global, 'setTimeout').mockImplementation(((run: () => void) => setImmediate(run)) as never);
    logLines();
  });
  afterEach(() => jest.restoreAllMocks());

  test('an endpoint that never was is nothing to do', async () => {
    world({});
    await removeAll(properties, time);
    expect(sagemaker.commandCalls(DeleteEndpointCommand)).toHaveLength(0);
  });

  test('waits for the endpoint, then deletes what was made for it and nothing of others', async () => {
    const others = ['abalone', 'abalone-eu-1111111111111111', 'my-abalone-1111111111111111', `${release('1')}0`];
    const { state, configs, models } = world({
      endpoint: { busy: 3, deleting: 3 },
      configs: [release('1'), release('2'), ...others],
      models: [release('1'), release('3'), ...others],
    });
    await removeAll(properties, time);
    expect([...configs]).toEqual(others);
    expect([...models]).toEqual(others);
    expect(state.order[0]).toBe('endpoint');
    expect(dynamodb.commandCalls(DeleteCommand).map((call) => call.args[0].input.Key)).toEqual([
      { pk: 'SERVING#animals', sk: 'abalone' }, { pk: 'LOCK#animals', sk: 'abalone' },
    ]);
  });

  test('stops what still runs, and deregisters the scalable target', async () => {
    world({});
    sfn.on(ListExecutionsCommand).resolves({ executions: [{ executionArn: 'one' }, { executionArn: 'two' }] as never });
    sfn.on(StopExecutionCommand).resolves({});
    sfn.on(StopExecutionCommand, { executionArn: 'one' }).rejects(awsError('ExecutionDoesNotExist', 'ended'));
    autoscaling.on(DeregisterScalableTargetCommand).resolves({});
    await removeAll(properties, time);
    expect(sfn.commandCalls(StopExecutionCommand)).toHaveLength(2);
    expect(autoscaling.commandCalls(DeregisterScalableTargetCommand)[0].args[0].input).toEqual({
      ServiceNamespace: 'sagemaker', ResourceId: 'endpoint/abalone/variant/AllTraffic', ScalableDimension: 'sagemaker:variant:DesiredInstanceCount',
    });
  });

  test('a state machine and a table that are gone are no error', async () => {
    world({});
    sfn.on(ListExecutionsCommand).rejects(awsError('StateMachineDoesNotExist', 'gone'));
    dynamodb.on(DeleteCommand).rejects(awsError('ResourceNotFoundException', 'gone'));
    await removeAll(properties, time);
  });

  test('fails when time runs out, with what is left', async () => {
    world({ endpoint: { busy: 1e9, deleting: 1 } });
    await expect(removeAll(properties, { remainingMillis: () => 0 })).rejects.toThrow('still there: endpoint abalone (Updating)');
  });

  test.each([
    ['sagemaker:DescribeEndpoint', () => sagemaker.on(DescribeEndpointCommand)],
    ['sagemaker:ListModels', () => sagemaker.on(ListModelsCommand)],
    ['states:ListExecutions', () => sfn.on(ListExecutionsCommand)],
    ['application-autoscaling:DeregisterScalableTarget', () => autoscaling.on(DeregisterScalableTargetCommand)],
    ['dynamodb:DeleteItem', () => dynamodb.on(DeleteCommand)],
  ])('fails when %s is denied', async (action, on) => {
    world({});
    (on() as { rejects(error: Error): void }).rejects(awsError('AccessDeniedException', `not authorized to perform: ${action}`));
    await expect(removeAll(properties, time)).rejects.toThrow(action);
  });

  test('property: whatever is there and however long it takes, nothing of ours is left', async () => {
    const names = fc.uniqueArray(fc.constantFrom(...'0123456789abcdef'), { maxLength: 5 }).map((digits) => digits.map(release));
    await fc.assert(fc.asyncProperty(fc.option(fc.record({ busy: fc.nat(4), deleting: fc.nat(4) }), { nil: undefined }), names, names,
      async (endpoint, ofConfigs, ofModels) => {
        [sagemaker, sfn, autoscaling, dynamodb].forEach((mock) => mock.reset());
        const { state, configs, models } = world({ endpoint, configs: ofConfigs, models: ofModels });
        await removeAll(properties, time);
        expect([state.status, configs.size, models.size]).toEqual([undefined, 0, 0]);
      }), { numRuns: 20 });
  });

  test('refuses a name that another endpoint has, and then deletes nothing', async () => {
    jest.restoreAllMocks();
    logLines();
    world({ endpoint: { busy: 0, deleting: 1 } });
    const answers: { Status: string; PhysicalResourceId: string; Reason?: string }[] = [];
    const server = http.createServer((request, response) => {
      let body = '';
      request.on('data', (chunk) => { body += chunk; });
      request.on('end', () => {
        answers.push(JSON.parse(body));
        response.end();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address() as { port: number };
    const context = { getRemainingTimeInMillis: () => 60_000, logStreamName: 's' } as unknown as Context;
    const request = (RequestType: string, PhysicalResourceId?: string) => ({
      RequestType,
      PhysicalResourceId,
      ResponseURL: `http://127.0.0.1:${address.port}/`,
      StackId: 's',
      RequestId: 'r',
      LogicalResourceId: 'l',
      ResourceProperties: properties,
    }) as unknown as CloudFormationCustomResourceEvent;
    await handler(request('Create'), context);
    expect(answers[0]).toMatchObject({ Status: 'FAILED', Reason: expect.stringContaining('endpoint abalone (InService) exists already') });
    await handler(request('Delete', answers[0].PhysicalResourceId), context);
    server.close();
    expect(answers[1]).toMatchObject({ Status: 'SUCCESS' });
    expect(sagemaker.commandCalls(DeleteEndpointCommand)).toHaveLength(0);
  });
});
