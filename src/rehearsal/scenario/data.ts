import * as fs from 'node:fs';
import * as path from 'node:path';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { StartExecutionCommand } from '@aws-sdk/client-sfn';
import { ScanCommand } from '@aws-sdk/lib-dynamodb';
import { executionsOf, failureOf, followExecution, newExecution } from './executions';
import { RunContext } from './run-context';
import { getText, parseS3Uri } from './s3-objects';
import { StepRunner } from './step-runner';
import { pipelineExecutions } from './training';
import { describeFindings } from './validation-report';
import { Part } from '../app/app-parts';
import { DataQuarantined, RehearsalError } from '../command/errors';
import { count } from '../command/text';

type DataPart = Part<'cdk-mlops:data-pipeline'>;

/** One item of the table of data sets. */
export interface DataSet {
  readonly id: string;
  readonly status: string;
  readonly name?: string;
  readonly rows?: number;
  readonly report?: string;
  readonly executionArn?: string;
  readonly pipelineExecutionArn?: string;
}

export interface Ingestion {
  readonly dataSet: DataSet;
  readonly executionArn: string;
  /** What the event handed to the state machine. */
  readonly input: string;
}

/** Uploads the file and follows it through the data pipeline. */
export async function ingest(runner: StepRunner, context: RunContext, data: DataPart, file: string): Promise<Ingestion> {
  const { aws } = context;
  const { stateMachineArn, bucket, rawPrefix, pipelineName } = data.facts;
  const before = await executionsOf(aws.stepFunctions, stateMachineArn);
  const trainedBefore = pipelineName ? await pipelineExecutions(aws.sageMaker, pipelineName) : [];
  await runner.run('upload', async (step) => {
    const { size } = fs.statSync(file);
    const Key = `${rawPrefix.replace(/\/?$/, '/')}${path.basename(file)}`;
    await aws.s3.send(new PutObjectCommand({
      Bucket: bucket, Key, Body: fs.createReadStream(file), ContentLength: size, ContentType: 'text/csv',
    }));
    step.summary(`${path.basename(file)} (${size.toLocaleString('en')} bytes) to s3://${bucket}/${Key}`);
  });
  return runner.run('data', async (step) => {
    const executionArn = await newExecution(aws.stepFunctions, step, stateMachineArn, before,
      'does the bucket send its events to EventBridge, and may the rule start the state machine?');
    const execution = await followExecution(aws.stepFunctions, step, executionArn);
    const dataSet = await findDataSet(context, data, executionArn);
    if (dataSet?.status === 'QUARANTINED') {
      throw await quarantined(context, data, dataSet, trainedBefore);
    }
    if (execution.status !== 'SUCCEEDED') {
      throw new RehearsalError(await failureOf(aws.stepFunctions, execution));
    }
    if (!dataSet) {
      throw new RehearsalError(`the state machine succeeded, but the table ${data.facts.tableName} names no data set for it`);
    }
    if (dataSet.status !== 'SUCCEEDED') {
      throw new RehearsalError(`the state machine succeeded, but data set ${dataSet.id} is ${dataSet.status} in ${data.facts.tableName}`);
    }
    step.summary(`data set ${dataSet.id.slice(0, 12)}${dataSet.rows === undefined ? '' : `, ${dataSet.rows} rows`}: accepted`);
    return { dataSet, executionArn, input: execution.input ?? '{}' };
  });
}

async function findDataSet({ aws }: RunContext, { facts }: DataPart, executionArn: string): Promise<DataSet | undefined> {
  const { Items = [] } = await aws.dynamo.send(new ScanCommand({ TableName: facts.tableName, ConsistentRead: true }));
  const sets = Items as DataSet[];
  return sets.find((set) => set.executionArn === executionArn) ?? (sets.length === 1 ? sets[0] : undefined);
}

/** The error that names what validation found, after a check that nothing was trained on the data. */
async function quarantined(context: RunContext, data: DataPart, dataSet: DataSet, trainedBefore: readonly string[]): Promise<RehearsalError> {
  const { pipelineName } = data.facts;
  const executions = pipelineName ? await pipelineExecutions(context.aws.sageMaker, pipelineName) : [];
  const trained = executions.filter((arn) => !trainedBefore.includes(arn));
  if (trained.length > 0) {
    return new RehearsalError(`data set ${dataSet.id} is in quarantine, yet the training pipeline ${pipelineName} was started: ${trained[0]}`);
  }
  const uri = dataSet.report ?? `s3://${data.facts.bucket}/${data.facts.reportsPrefix}${dataSet.id}/validation.json`;
  const text = await getText(context.aws.s3, parseS3Uri(uri)).catch(() => undefined);
  const findings = text === undefined ? [`the report ${uri} cannot be read`] : describeFindings(JSON.parse(text));
  const first = findings[0]?.split(': ')[0] ?? 'the report names no finding';
  const more = findings.length > 1 ? ` and ${count(findings.length - 1, 'more finding')}` : '';
  return new DataQuarantined(`data set ${dataSet.id.slice(0, 12)} is in quarantine, nothing was trained: ${first}${more}`, [...findings, `report: ${uri}`]);
}

/** Hands the state machine the same event once more, as EventBridge may, and expects that nothing is trained again. */
export async function deliverAgain(runner: StepRunner, context: RunContext, data: DataPart, first: Ingestion): Promise<void> {
  const { aws } = context;
  const { stateMachineArn, pipelineName } = data.facts;
  await runner.run('duplicate', async (step) => {
    const before = pipelineName ? await pipelineExecutions(aws.sageMaker, pipelineName) : [];
    const { executionArn } = await aws.stepFunctions.send(new StartExecutionCommand({ stateMachineArn, input: first.input }));
    const execution = await followExecution(aws.stepFunctions, step, executionArn!);
    if (execution.status !== 'SUCCEEDED') {
      throw new RehearsalError(`the second delivery of the same event should succeed: ${await failureOf(aws.stepFunctions, execution)}`);
    }
    const after = pipelineName ? await pipelineExecutions(aws.sageMaker, pipelineName) : [];
    if (after.length !== before.length) {
      throw new RehearsalError(`the same event delivered twice started ${after.length - before.length + 1} trainings: ${after.join(', ')}`);
    }
    step.summary(pipelineName ? 'delivered twice, trained once' : 'delivered twice, succeeded');
  });
}
