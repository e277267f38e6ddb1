import { EmulatorReport } from '../emulator';
import { RehearsalError } from '../failures';
import { packageVersion } from '../files';
import { RehearseOptions } from '../options';
import { targetOf } from '../scenario/instances';
import { Findings } from '../scenario/play';
import { Judged, Scores } from '../scenario/scores';
import { Stage } from '../scenario/stage';
import { StepResult } from '../scenario/steps';
import { GateCheck } from '../scenario/training';

/** All that there is to tell of a rehearsal when it has ended. */
export interface Told {
  readonly options: RehearseOptions;
  readonly stage: Stage;
  readonly findings: Findings;
  readonly outcome?: RehearsalError;
  readonly emulated?: EmulatorReport;
}

/** The rehearsal as plain data: what --json prints and what the report shows. */
export interface RehearsalDocument {
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
    readonly rows: readonly Judged[];
  };
  readonly emulated?: EmulatorReport;
}

export function rehearsalDocument({ options, stage, findings, outcome, emulated }: Told): RehearsalDocument {
  const failed = stage.results.find(({ status }) => status === 'failed');
  const { ingested, evaluated, model, endpointName, predicted, schema } = findings;
  return {
    version: 1,
    tool: { name: 'cdk-mlops', version: packageVersion(), node: process.version, platform: `${process.platform} ${process.arch}` },
    app: options.app,
    data: options.data,
    began: new Date(stage.began).toISOString(),
    milliseconds: Date.now() - stage.began,
    passed: outcome === undefined,
    exitCode: outcome?.exitCode ?? 0,
    failure: outcome && { step: failed?.id, message: outcome.message, log: outcome.log, file: outcome.file },
    steps: stage.results,
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
    emulated,
  };
}
