import { RehearsalError } from '../command/errors';
import { RehearseOptions } from '../command/options';
import { StepResult } from '../command/steps';
import { EmulatorReport } from '../emulator/emulator';
import { targetOf } from '../scenario/instances';
import { ModelResults } from '../scenario/scenario';
import { PredictedRow, Scores } from '../scenario/scores';
import { StepRunner } from '../scenario/step-runner';
import { GateCheck } from '../scenario/training';
import { packageVersion } from '../system/files';

/** All that is known of a rehearsal when it has ended. */
export interface RehearsalResult {
  readonly options: RehearseOptions;
  readonly runner: StepRunner;
  readonly results: readonly ModelResults[];
  readonly outcome?: RehearsalError;
  readonly emulated?: EmulatorReport;
}

/** What became of one model. */
export interface ModelDocument {
  readonly dataSet?: { readonly id: string; readonly name?: string; readonly rows?: number };
  readonly gate: readonly GateCheck[];
  readonly evaluation?: unknown;
  readonly model?: { readonly arn: string; readonly version: number; readonly group: string };
  readonly endpoint?: string;
  readonly predictions?: {
    readonly problemType: string;
    readonly target: string;
    readonly classes: readonly string[];
    readonly scores: Scores;
    readonly complete: boolean;
    readonly latencies: readonly number[];
    readonly rows: readonly PredictedRow[];
  };
}

/** One of the models of an app that has several. */
export interface NamedModelDocument extends ModelDocument {
  readonly name: string;
  readonly data?: string;
}

/** The rehearsal as plain data: what --json prints and what the report shows. What became of the model stands in it. */
export interface RehearsalDocument extends ModelDocument {
  readonly version: 1;
  readonly tool: { readonly name: string; readonly version: string; readonly node: string; readonly platform: string };
  readonly app: string;
  readonly data?: string;
  readonly began: string;
  readonly milliseconds: number;
  readonly passed: boolean;
  readonly exitCode: number;
  readonly failure?: { readonly step?: string; readonly message: string; readonly log: readonly string[]; readonly file?: string };
  readonly steps: readonly StepResult[];
  /** What became of each model, where the app has several: then it does not stand beside. */
  readonly models?: readonly NamedModelDocument[];
  readonly emulated?: EmulatorReport;
}

/** The document of a rehearsal that ended. */
export function rehearsalDocument({ options, runner, results, outcome, emulated }: RehearsalResult): RehearsalDocument {
  const failed = runner.results.find(({ status }) => status === 'failed');
  const hasSeveral = results.length > 1;
  return {
    version: 1,
    tool: { name: 'cdk-mlops', version: packageVersion(), node: process.version, platform: `${process.platform} ${process.arch}` },
    app: options.app,
    data: options.data.length > 0 ? options.data.join(', ') : undefined,
    began: new Date(runner.began).toISOString(),
    milliseconds: Date.now() - runner.began,
    passed: outcome === undefined,
    exitCode: outcome?.exitCode ?? 0,
    failure: outcome && { step: failed?.id, message: outcome.message, log: outcome.log, file: outcome.file },
    steps: runner.results,
    ...modelDocument(hasSeveral ? undefined : results[0]),
    models: hasSeveral ? results.map((result) => ({ name: result.name, data: result.file, ...modelDocument(result) })) : undefined,
    emulated,
  };
}

function modelDocument({ ingested, evaluated, model, endpointName, predicted, schema }: Partial<ModelResults> = {}): ModelDocument {
  return {
    dataSet: ingested && { id: ingested.dataSet.id, name: ingested.dataSet.name, rows: ingested.dataSet.rows },
    gate: evaluated?.checks ?? [],
    evaluation: evaluated?.evaluation,
    model: model && { arn: model.arn, version: model.version, group: model.group },
    endpoint: endpointName,
    predictions: predicted && schema && {
      problemType: schema.problemType,
      target: targetOf(schema).name,
      classes: targetOf(schema).values ?? [],
      scores: predicted.scores,
      complete: predicted.complete,
      latencies: predicted.latencies,
      rows: predicted.rows,
    },
  };
}
