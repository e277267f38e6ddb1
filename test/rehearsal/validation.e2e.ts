import * as fs from 'fs';
import * as path from 'path';
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';
import { ListPipelineExecutionsCommand } from '@aws-sdk/client-sagemaker';
import { DescribeExecutionCommand, DescribeExecutionCommandOutput, GetExecutionHistoryCommand, ListExecutionsCommand, StartExecutionCommand, StopExecutionCommand } from '@aws-sdk/client-sfn';
import { ScanCommand } from '@aws-sdk/lib-dynamodb';
import { ABALONE, assembly, deploy, Deployed, rehearse, testFolder } from './command';
import { DataSet } from '../../src/rehearsal/scenario/data';
import { RunContext } from '../../src/rehearsal/scenario/run-context';

const ROWS = fs.readFileSync(ABALONE, 'utf8').trimEnd().split('\n').map((line) => line.split(','));
const HEADER = ROWS[0];

/** The abalone data with each row (the header is row 0) changed by `change`. */
function spoiled(change: (cells: string[], row: number) => string[]): string {
  return `${ROWS.map((cells, row) => change([...cells], row).join(',')).join('\n')}\n`;
}

function set(column: string, value: string, when: (row: number) => boolean): string {
  return spoiled((cells, row) => row > 0 && when(row) ? cells.map((cell, i) => i === HEADER.indexOf(column) ? value : cell) : cells);
}

interface Finding {
  readonly column?: string;
  readonly rule: string;
  readonly count: number;
  readonly severity?: string;
  readonly message: string;
  readonly examples: { readonly row: number; readonly value?: string }[];
}

/** `first` is the line of the file, the header being line 1. */
const BAD: Record<string, {
  readonly csv: string;
  readonly column?: string;
  readonly count: number;
  readonly first?: { row: number; value?: string };
}> = {
  'a column is missing': { csv: spoiled((cells) => cells.filter((_, i) => i !== HEADER.indexOf('height'))), column: 'height', count: 1 },
  'a value is not allowed': { csv: set('sex', 'X', (row) => row % 1000 === 7), column: 'sex', count: 5, first: { row: 8, value: 'X' } },
  'text stands in a number': { csv: set('diameter', 'wide', (row) => row === 12 || row === 99), column: 'diameter', count: 2, first: { row: 13, value: 'wide' } },
  'the file is empty': { csv: '', count: 0 },
  'a fifth is missing': { csv: set('shell_weight', '', (row) => row % 5 === 0), column: 'shell_weight', count: 835, first: { row: 6 } },
};

describe('data that break the contract', () => {
  const ended = new Map<string, DescribeExecutionCommandOutput>();
  let deployed: Deployed;
  let context: RunContext;
  let facts: { bucket: string; stateMachineArn: string; tableName: string; pipelineName?: string };

  beforeAll(async () => {
    deployed = await deploy('validation', assembly());
    context = deployed.context;
    facts = context.parts.data!.facts;
    await Promise.all(Object.entries(BAD).map(([name, { csv }]) => context.aws.s3.send(new PutObjectCommand({
      Bucket: facts.bucket, Key: `raw/${name}.csv`, Body: Buffer.from(csv),
    }))));
    const executions = await until(async () => {
      const found = await executionsSoFar();
      return found.length === Object.keys(BAD).length && found.every(({ status }) => status !== 'RUNNING') ? found : undefined;
    });
    for (const { executionArn } of executions) {
      const execution = await context.aws.stepFunctions.send(new DescribeExecutionCommand({ executionArn }));
      ended.set(Object.keys(BAD).find((name) => execution.input!.includes(`raw/${name}.csv`))!, execution);
    }
  });

  afterAll(async () => {
    await deployed?.end();
  });

  test.each(Object.entries(BAD))('%s: a red execution, quarantine, and a report that names column, rule, count and first rows', async (name, { column, count, first }) => {
    const execution = ended.get(name)!;
    expect(execution.status).toBe('FAILED');
    const dataSet = (await dataSets()).find(({ executionArn }) => executionArn === execution.executionArn)!;
    expect(dataSet.status).toBe('QUARANTINED');

    const { Contents: kept = [] } = await context.aws.s3.send(new ListObjectsV2Command({ Bucket: facts.bucket, Prefix: `quarantine/${dataSet.id}/` }));
    expect(kept.map(({ Key }) => Key).sort()).toEqual([`quarantine/${dataSet.id}/${name}.csv`, `quarantine/${dataSet.id}/validation.json`]);
    const { KeyCount: raw } = await context.aws.s3.send(new ListObjectsV2Command({ Bucket: facts.bucket, Prefix: `raw/${name}` }));
    expect(raw).toBe(0);

    const object = await context.aws.s3.send(new GetObjectCommand({ Bucket: facts.bucket, Key: `quarantine/${dataSet.id}/validation.json` }));
    const report = JSON.parse(await object.Body!.transformToString()) as { valid: boolean; findings: Finding[] };
    expect(report.valid).toBe(false);
    const finding = report.findings.find((each) => each.severity !== 'warning' && (column === undefined || each.column === column))!;
    expect(finding).toMatchObject({ count, rule: expect.any(String) as string, message: expect.any(String) as string });
    if (first) {
      expect(finding.examples[0]).toMatchObject(first);
    }
    expect(execution.cause).toContain(column ?? 'empty');
  });

  test('nothing was trained', async () => {
    const list = new ListPipelineExecutionsCommand({ PipelineName: facts.pipelineName });
    const { PipelineExecutionSummaries: executions } = await context.aws.sageMaker.send(list);
    expect(executions).toEqual([]);
  });

  test('an upload whose event is delivered twice at once is processed and trained on once', async () => {
    const before = new Set((await executionsSoFar()).map(({ executionArn }) => executionArn));
    await deployed.fault({ kind: 'duplicate-event', detailType: 'Object Created' });
    await context.aws.s3.send(new PutObjectCommand({ Bucket: facts.bucket, Key: 'raw/twice.csv', Body: fs.readFileSync(ABALONE) }));
    const both = await until(async () => {
      const fresh = (await executionsSoFar()).filter(({ executionArn }) => !before.has(executionArn));
      return fresh.length === 2 && fresh.every(({ status }) => status !== 'RUNNING') ? fresh : undefined;
    });
    expect(both.map(({ status }) => status)).toEqual(['SUCCEEDED', 'SUCCEEDED']);
    const { aws: { stepFunctions } } = context;
    const described = await Promise.all(both.map(({ executionArn }) => stepFunctions.send(new DescribeExecutionCommand({ executionArn }))));
    const outcomes = described.map(({ output }) => (JSON.parse(output!) as { ingestion: { outcome: string } }).ingestion.outcome);
    expect(outcomes.sort()).toEqual(['DUPLICATE', 'NEW']);
    const claimed = (await dataSets()).filter(({ status }) => status === 'SUCCEEDED');
    expect(claimed).toEqual([expect.objectContaining({ rows: 4177 })]);
    const list = new ListPipelineExecutionsCommand({ PipelineName: facts.pipelineName });
    const { PipelineExecutionSummaries: trainings = [] } = await context.aws.sageMaker.send(list);
    expect(trainings.map(({ PipelineExecutionArn }) => PipelineExecutionArn)).toEqual([claimed[0].pipelineExecutionArn]);
  });

  test.each(['WriteManifest', 'Validate', 'Preprocess'])('an execution that is stopped at %s leaves a data set that failed and can be processed again', async (state) => {
    const { aws: { s3, stepFunctions } } = context;
    const before = new Set((await executionsSoFar()).map(({ executionArn }) => executionArn));
    const csv = spoiled((cells, row) => row % 100 === state.length ? cells.map((cell, i) => i === HEADER.indexOf('rings') ? '9' : cell) : cells);
    await s3.send(new PutObjectCommand({ Bucket: facts.bucket, Key: `raw/stopped at ${state}.csv`, Body: Buffer.from(csv) }));
    const executionArn = await until(async () => {
      const found = (await executionsSoFar()).find((each) => !before.has(each.executionArn))?.executionArn;
      const { events = [] } = found ? await stepFunctions.send(new GetExecutionHistoryCommand({ executionArn: found, maxResults: 1000 })) : {};
      return events.some(({ stateEnteredEventDetails: entered }) => entered?.name === state) ? found : undefined;
    }, 100);
    await stepFunctions.send(new StopExecutionCommand({ executionArn, cause: 'a test' }));
    const held = async (arn: string) => (await dataSets()).find((item) => item.executionArn === arn);
    // Stopped before it claimed, it holds nothing, or gives back what it claimed.
    await until(async () => {
      const item = await held(executionArn!);
      return (item === undefined && state === 'WriteManifest') || item?.status === 'FAILED' ? true : undefined;
    });

    const { input } = await stepFunctions.send(new DescribeExecutionCommand({ executionArn }));
    const again = await stepFunctions.send(new StartExecutionCommand({ stateMachineArn: facts.stateMachineArn, input }));
    await until(async () => (await stepFunctions.send(new DescribeExecutionCommand({ executionArn: again.executionArn }))).status === 'SUCCEEDED' ? true : undefined);
    expect(await held(again.executionArn!)).toMatchObject({ status: 'SUCCEEDED', rows: 4177 });
    expect(await held(again.executionArn!)).not.toHaveProperty('error');
    expect(await held(executionArn!)).toBeUndefined();
  });

  async function executionsSoFar() {
    const { executions = [] } = await context.aws.stepFunctions.send(new ListExecutionsCommand({ stateMachineArn: facts.stateMachineArn }));
    return executions;
  }

  async function dataSets(): Promise<DataSet[]> {
    const { Items = [] } = await context.aws.dynamo.send(new ScanCommand({ TableName: facts.tableName, ConsistentRead: true }));
    return Items as DataSet[];
  }
});

test('the command ends with 4 and prints column, rule, count and first rows', async () => {
  const csv = path.join(testFolder(), 'spoiled.csv');
  fs.writeFileSync(csv, BAD['a value is not allowed'].csv);
  const { exitCode, document, progress } = await rehearse('quarantine', '--app', assembly(), '--data', csv);
  expect(exitCode).toBe(4);
  expect(document.failure).toMatchObject({ step: 'data' });
  expect(progress).toMatch(/nothing was trained: .*sex/);
  expect(progress).toMatch(/count 5: first: .*row 8.*"X"/);
});

async function until<T>(look: () => Promise<T | undefined>, every = 500): Promise<T> {
  for (const end = Date.now() + 200_000; Date.now() < end;) {
    const found = await look();
    if (found !== undefined) {
      return found;
    }
    await new Promise((resolve) => setTimeout(resolve, every));
  }
  throw new Error('waited 200 s in vain');
}
