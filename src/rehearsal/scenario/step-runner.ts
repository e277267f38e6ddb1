import { setTimeout as sleep } from 'node:timers/promises';
import { RehearsalError, messageOf } from '../command/errors';
import { STEPS, Span, StepId, StepResult } from '../command/steps';
import { Terminal } from '../command/terminal';

/** What a step may say and ask while it runs. */
export interface Step {
  /** Aborted when the step takes too long, the rehearsal takes too long, or the person presses Ctrl-C. */
  readonly signal: AbortSignal;
  /** What happens now; replaced by the next. */
  now(text: string): void;
  /** Something that is done and worth keeping. */
  detail(text: string): void;
  /** A part with a time of its own. */
  span(name: string, start: Date | number, end: Date | number, failed?: boolean): void;
  /** One line for when the step has passed. */
  summary(text: string): void;
}

/** Thrown after the step named by --until. */
export class ReachedUntil extends Error {}

/** Adds to a failure what the emulator knows of it, such as calls that were denied. */
export type Explain = (error: RehearsalError, stepBegan: number) => Promise<RehearsalError>;

/** Asked after the work of a step: throws what was wrong until `before` although the work was done. */
export type Audit = (before: number) => Promise<void>;

/** Milliseconds at the end of a step that sets something off, in which that has begun already. */
const NEXT_HAS_BEGUN = 3000;

/** Runs steps one after the other, shows them and keeps their results. */
export class StepRunner {
  public readonly began = Date.now();
  public readonly results: StepResult[] = [];
  /** What is known of a failure besides its message. */
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

  /** Plays one step. Throws what it threw, in words. */
  public async run<T>(id: StepId, work: (step: Step) => Promise<T>): Promise<T> {
    const { title, timeout, ...more } = STEPS.find((step) => step.id === id)!;
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
      this.results.push({ id, title, status, summary: line, start: start - this.began, end: Date.now() - this.began, details, spans });
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

  /** Notes that steps have nothing to do in this app. */
  public skip(ids: readonly StepId[], why: string): void {
    const now = Date.now() - this.began;
    const skipped = STEPS.filter(({ id }) => ids.includes(id));
    this.terminal.end('skipped', 'not played', `${skipped.map(({ title }) => title).join(', ')}: ${why}`, 0);
    for (const { id, title } of skipped) {
      this.results.push({ id, title, status: 'skipped', summary: why, start: now, end: now, details: [], spans: [] });
    }
    if (this.until && ids.includes(this.until)) {
      throw new ReachedUntil();
    }
  }
}

/** Errors of the SDK and of this program's own making are told by name; foreseen ones stay as they are. */
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

/** Asks until there is an answer. */
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
