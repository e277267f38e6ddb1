/** The steps of a rehearsal in their order. `setsOff`: the step triggers what the next one follows. */
export const STEPS = [
  { id: 'prepare', title: 'Python environment', timeout: 1200 },
  { id: 'emulator', title: 'start the emulator', timeout: 90 },
  { id: 'synth', title: 'synthesize the app', timeout: 300 },
  { id: 'bootstrap', title: 'cdk bootstrap', timeout: 180 },
  { id: 'deploy', title: 'cdk deploy', timeout: 900 },
  { id: 'upload', title: 'upload the data', timeout: 120, setsOff: true },
  { id: 'data', title: 'data pipeline', timeout: 900, setsOff: true },
  { id: 'training', title: 'training pipeline', timeout: 1200 },
  { id: 'gate', title: 'quality gate', timeout: 60 },
  { id: 'registration', title: 'model registry', timeout: 120 },
  { id: 'approval', title: 'approve the model', timeout: 120, setsOff: true },
  { id: 'endpoint', title: 'deploy the model', timeout: 600 },
  { id: 'predictions', title: 'predict held-out rows', timeout: 300 },
  { id: 'refusals', title: 'refuse what is wrong', timeout: 120 },
  { id: 'reads', title: 'read models and data sets', timeout: 120 },
  { id: 'retraining', title: 'train through the API', timeout: 120 },
  { id: 'duplicate', title: 'same event again', timeout: 600 },
  { id: 'destroy', title: 'cdk destroy', timeout: 600 },
  { id: 'leftovers', title: 'look for leftovers', timeout: 60 },
] as const satisfies readonly { id: string; title: string; timeout: number; setsOff?: boolean }[];

export type StepId = (typeof STEPS)[number]['id'];

export type StepStatus = 'passed' | 'failed' | 'skipped';

/** How a step ended, for the terminal, the JSON document and the report. */
export interface StepResult {
  readonly id: StepId;
  readonly title: string;
  /** Name of the model that it belongs to, where the app has several. */
  readonly model?: string;
  readonly status: StepStatus;
  /** One line: what was seen, why it was skipped, or what went wrong. */
  readonly summary: string;
  /** Milliseconds since the rehearsal began. */
  readonly start: number;
  readonly end: number;
  readonly details: readonly string[];
  /** Parts that take time of their own, such as the steps of a SageMaker pipeline. */
  readonly spans: readonly Span[];
}

export interface Span {
  readonly name: string;
  /** Milliseconds since the rehearsal began. */
  readonly start: number;
  readonly end: number;
  readonly failed?: boolean;
}
