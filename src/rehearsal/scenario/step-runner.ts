import { setTimeout as sleep } from 'node:timers/promises';
import { RehearsalError, messageOf } from '../command/errors';
import { STEPS, Span, StepId, StepResult } from '../command/steps';
import { Terminal } from '../command/terminal';

/** What a step can do while it runs. */
export interface Step {
  /** Aborted when the step takes too long, the rehearsal takes too long, or somebody presses Ctrl-C. */
  readonly signal: AbortSignal;
  /** Shows what happens now; the next call replaces it. */
  now(text: string): void;
  /** Adds a line to what the step has done. */
  detail(text: string): void;
  /** Adds a part that takes time of its own. */
  span(name: string, start: Date | number, end: Date | number, failed?: boolean): void;
  /** Sets the line that is shown when the step has passed. */
  summary(text: string): void;
}

/** Thrown after the step named by --until. */
export class ReachedUntil extends Error {}

/** Adds to a failure what the emulator knows of it, such as calls that were denied. */
export type Explain = (error: RehearsalError, stepBegan: number) => Promise<RehearsalError>;

/** Called after the work of a step: throws when something went wrong until `before` that the work did not notice. */
export type Audit = (before: number) => Promise<void>;

/** Milliseconds before the end of a triggering step within which the triggered work may have begun. */
const NEXT_HAS_BEGUN = 3000;

/** Runs steps one after the other, shows them and keeps their results. */
export class StepRunner {
  public readonly began = Date.now();
  public readonly results: StepResult[] = [];
  /** What is known of a failure besides its message. */
  /** Name of the model to which the next steps belong, where there are several. */
  public model?: string;
  public explain: Explain;
  public audit: Audit;

  constructor(
    private readonly terminal: Terminal,
    private readonly signal: AbortSignal,
    private readonly until?: StepId,
  ) {
    this.explain = async (error) => error;
    this.audit = async () => undefined;
  }

  /** Runs one step; what its work throws becomes a `RehearsalError`. */
  public async run<T>(id: StepId, work: (step: Step) => Promise<T>): Promise<T> {
    const { timeout, ...more } = STEPS.find((step) => step.id === id)!;
    const { model } = this;
    const title = this.titled(more.title);
    const start = Date.now();
    const details: string[] = [];
    const spans: Span[] = [];
    let summary = '';
    const controller = linked(this.signal, timeout * 1000, `"${title}" took longer than ${timeout} s and was stopped`);
    const step: Step = {
      signal: controller.signal,
      now: (text) => this.terminal.now(text),
      detail: (text) => {
        details.push(text);
        this.terminal.detail(text);
      },
      span: (name, from, to, failed) => spans.push({ name, start: Number(from) - this.began, end: Number(to) - this.began, failed }),
      summary: (text) => summary = text,
    };
    const close = (status: 'passed' | 'failed', line: string) => {
      this.terminal.end(status, title, line, Date.now() - start);
      this.results.push({ id, title, model, status, summary: line, start: start - this.began, end: Date.now() - this.began, details, spans });
    };
    this.terminal.begin(title);
    try {
      this.signal.throwIfAborted();
      const result = await work(step);
      await this.audit(Date.now() - ('setsOff' in more ? NEXT_HAS_BEGUN : 0));
      close('passed', summary);
      if (id === this.until) {
        throw new ReachedUntil();
      }
      return result;
    } catch (thrown) {
      if (thrown instanceof ReachedUntil) {
        throw thrown;
      }
      const reason: unknown = controller.signal.aborted ? controller.signal.reason : thrown;
      const error = await this.explain(inWords(reason), start).catch(() => inWords(reason));
      close('failed', error.message);
      throw error;
    } finally {
      controller.abort();
    }
  }

  /** Records that steps have nothing to do in this app. */
  public skip(ids: readonly StepId[], why: string): void {
    const now = Date.now() - this.began;
    const { model } = this;
    const skipped = STEPS.filter(({ id }) => ids.includes(id)).map(({ id, title }) => ({ id, title: this.titled(title) }));
    this.terminal.end('skipped', 'skipped', `${skipped.map(({ title }) => title).join(', ')}: ${why}`, 0);
    for (const { id, title } of skipped) {
      this.results.push({ id, title, model, status: 'skipped', summary: why, start: now, end: now, details: [], spans: [] });
    }
    if (this.until && ids.includes(this.until)) {
      throw new ReachedUntil();
    }
  }

  private titled(title: string): string {
    return this.model === undefined ? title : `${title} (${this.model})`;
  }
}

/** Unexpected errors, those of the SDK among them, are prefixed with their name; expected ones stay as they are. */
function inWords(thrown: unknown): RehearsalError {
  if (thrown instanceof RehearsalError) {
    return thrown;
  }
  const name = thrown instanceof Error && thrown.name !== 'Error' ? `${thrown.name}: ` : '';
  const cause = thrown instanceof Error && thrown.cause instanceof Error ? ` (${thrown.cause.message})` : '';
  const frames = thrown instanceof Error && !('$metadata' in thrown) ? (thrown.stack ?? '').split('\n').slice(1, 6).map((line) => line.trim()) : [];
  return new RehearsalError(`${name}${messageOf(thrown)}${cause}`, { log: frames });
}

function linked(parent: AbortSignal, milliseconds: number, message: string): AbortController {
  const controller = new AbortController();
  const follow = () => controller.abort(parent.reason);
  const timer = setTimeout(() => controller.abort(new RehearsalError(message)), milliseconds);
  parent.addEventListener('abort', follow, { once: true });
  controller.signal.addEventListener('abort', () => {
    clearTimeout(timer);
    parent.removeEventListener('abort', follow);
  }, { once: true });
  if (parent.aborted) {
    follow();
  }
  return controller;
}

export interface PollOptions {
  /** Milliseconds between tries. @default 300 */
  readonly every?: number;
  /** Milliseconds after which `otherwise` is thrown. */
  readonly within?: number;
  readonly otherwise?: () => string | RehearsalError;
}

/** Calls `ask` until it returns a value. */
export async function poll<T>(signal: AbortSignal, ask: () => Promise<T | undefined>, options: PollOptions = {}): Promise<T> {
  const deadline = options.within === undefined ? Infinity : Date.now() + options.within;
  for (;;) {
    signal.throwIfAborted();
    const answer = await ask();
    if (answer !== undefined) {
      return answer;
    }
    if (Date.now() > deadline) {
      const otherwise = options.otherwise?.() ?? 'it did not happen in time';
      throw typeof otherwise === 'string' ? new RehearsalError(otherwise) : otherwise;
    }
    await sleep(options.every ?? 300, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}
