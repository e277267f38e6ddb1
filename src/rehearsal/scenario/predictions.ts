import { InvokeEndpointCommand, SageMakerRuntimeClient } from '@aws-sdk/client-sagemaker-runtime';
import { ApiClient, describeResponse } from './api-client';
import { HeldOut, featuresOf, makeWrong, targetOf } from './instances';
import { RunContext } from './run-context';
import { PredictedRow, Scores, score } from './scores';
import { StepRunner, Step } from './step-runner';
import { valueAt } from './training';
import { SchemaDocument } from '../../data/schema-document';
import { RehearsalError } from '../command/errors';
import { short } from '../command/text';

const MOST = 1000;
const PER_REQUEST = 100;
const SINGLES = 3;
/** The deployed model must score on the test split what it scored when it was evaluated, but for rounding. */
const TOLERANCE = 0.02;

export interface PredictionResult {
  readonly rows: readonly PredictedRow[];
  readonly scores: Scores;
  /** Milliseconds of each single prediction. */
  readonly latencies: readonly number[];
  /** Whether the rows are the whole test split. */
  readonly complete: boolean;
}

/** Predicts held-out rows with the deployed model and compares them with the truth. */
export async function predictHeldOut(
  runner: StepRunner, context: RunContext, schema: SchemaDocument, endpointName: string, held: () => Promise<HeldOut[]>, evaluation: unknown,
): Promise<PredictionResult> {
  return runner.run('predictions', async (step) => {
    const all = await held();
    const chosen = all.slice(0, MOST);
    const { api } = context;
    const path = api?.pathOf('POST /inference/predict', endpointName);
    const ask = api && path ? apiPredictor(api, path, schema) : runtimePredictor(context, schema, endpointName);
    const latencies: number[] = [];
    for (const row of chosen.slice(0, SINGLES)) {
      const start = performance.now();
      await ask([row]);
      latencies.push(performance.now() - start);
    }
    const rows: PredictedRow[] = [];
    for (let from = 0; from < chosen.length; from += PER_REQUEST) {
      step.now(`${from} of ${chosen.length} rows`);
      step.signal.throwIfAborted();
      rows.push(...await ask(chosen.slice(from, from + PER_REQUEST)));
    }
    const scores = score(schema.problemType, rows);
    const complete = chosen.length === all.length;
    compare(step, schema, scores, evaluation, complete);
    const measured = Object.entries(scores).map(([name, value]) => `${name} ${short(value)}`).join(', ');
    step.summary(`${rows.length} rows ${path ? 'through the API' : 'at the endpoint'}: ${measured}; one takes ${Math.round(Math.min(...latencies))} ms`);
    return { rows, scores, latencies, complete };
  });
}

type Predictor = (rows: readonly HeldOut[]) => Promise<PredictedRow[]>;

function apiPredictor(api: ApiClient, path: string, schema: SchemaDocument): Predictor {
  const target = targetOf(schema).name;
  return async (rows) => {
    const answer = await api.post(path, { instances: rows.map(({ instance }) => instance) });
    if (answer.status !== 200) {
      throw new RehearsalError(`POST /inference/predict answered ${describeResponse(answer)}`);
    }
    const { predictions } = answer.body as { predictions?: Record<string, unknown>[] };
    if (predictions?.length !== rows.length || predictions.some((prediction) => prediction[target] === undefined)) {
      throw new RehearsalError(`POST /inference/predict with ${rows.length} rows answered without a "${target}" for each: ${describeResponse(answer)}`);
    }
    return rows.map(({ truth }, i) => ({ truth, predicted: String(predictions[i][target]) }));
  };
}

/** For an app without an API: the endpoint itself, with rows in stored units. */
function runtimePredictor({ aws }: RunContext, schema: SchemaDocument, EndpointName: string): Predictor {
  const client = new SageMakerRuntimeClient(aws.options);
  return async (rows) => {
    const Body = rows.map(({ instance }) => featuresOf(schema).map(({ name, perUnit }) => {
      const value = instance[name];
      return csvField(typeof value === 'number' ? String(Number((value * (perUnit ?? 1)).toPrecision(12))) : String(value ?? ''));
    }).join(',')).join('\n');
    const answer = await client.send(new InvokeEndpointCommand({ EndpointName, ContentType: 'text/csv', Accept: 'text/csv', Body }));
    const lines = new TextDecoder().decode(answer.Body).trim().split(/\r?\n/);
    return rows.map(({ truth }, i) => ({ truth, predicted: classOrNumber(schema, lines[i] ?? '') }));
  };
}

function csvField(text: string): string {
  return /[",\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
}

function classOrNumber(schema: SchemaDocument, line: string): string {
  const numbers = line.replace(/[[\]]/g, '').split(',').map(Number);
  const values = targetOf(schema).values ?? [];
  switch (schema.problemType) {
    case 'regression': return String(numbers[0]);
    case 'binary_classification': return values[numbers[0] >= 0.5 ? 1 : 0];
    case 'multiclass_classification': return values[numbers.indexOf(Math.max(...numbers))];
  }
}

/** Predictions that score differently from the evaluation come from another model, or from other data. */
function compare(step: Step, schema: SchemaDocument, scores: Scores, evaluation: unknown, complete: boolean): void {
  const group = schema.problemType === 'regression' ? 'regression_metrics' : `${schema.problemType}_metrics`;
  const metric = schema.problemType === 'regression' ? 'mse' : 'accuracy';
  const evaluated = valueAt(evaluation, `${group}.${metric}.value`);
  if (evaluated === undefined || !complete) {
    return;
  }
  const difference = Math.abs(scores[metric] - evaluated);
  if (difference > TOLERANCE * Math.max(Math.abs(evaluated), 1e-9)) {
    throw new RehearsalError(`the deployed model scores ${metric} ${short(scores[metric])} on the test split, but was evaluated there with ${short(evaluated)}: ` +
      'is it another model, or are units converted twice?');
  }
  step.detail(`the evaluation in the pipeline found ${metric} ${short(evaluated)} on the same rows`);
}

/** Sends requests that must be refused: one without credentials, one with a wrong field. */
export async function refuse(runner: StepRunner, api: ApiClient, path: string, schema: SchemaDocument, row: HeldOut): Promise<void> {
  await runner.run('refusals', async (step) => {
    const seen: string[] = [];
    if (api.facts.access !== 'open') {
      const answer = await api.post(path, { instances: [row.instance] }, { anonymous: true });
      const wanted = api.facts.access === 'cognito' ? [401] : [401, 403];
      if (!wanted.includes(answer.status)) {
        throw new RehearsalError(`a prediction without credentials should be refused with ${wanted.join(' or ')}, but the answer was ${describeResponse(answer)}`);
      }
      seen.push(`no credentials: ${answer.status}`);
    }
    const wrong = makeWrong(schema, row.instance);
    const answer = await api.post(path, { instances: [wrong.instance] });
    if (answer.status !== 400) {
      throw new RehearsalError(`${wrong.field} = "${String(wrong.value)}" should be refused with 400, but the answer was ${describeResponse(answer)}`);
    }
    const missing = [wrong.field, String(wrong.value), ...wrong.expected].filter((part) => !answer.text.includes(part));
    if (missing.length > 0) {
      throw new RehearsalError(`the 400 for ${wrong.field} = "${String(wrong.value)}" does not name ${missing.join(', ')}: ${describeResponse(answer)}`);
    }
    const { error } = answer.body as { error?: { message?: string; details?: { message?: string }[] } };
    step.detail(`400: ${error?.details?.[0]?.message ?? error?.message ?? answer.text}`);
    seen.push(`${wrong.field} = "${String(wrong.value)}": 400 that names field, value and what is allowed`);
    step.summary(seen.join('; '));
  });
}
