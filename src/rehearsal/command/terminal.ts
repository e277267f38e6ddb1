import { RehearsalError } from './errors';
import { seconds } from './text';

const SPINNER = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const CODES = { red: 31, green: 32, yellow: 33, cyan: 36, dim: 2, bold: 1 } as const;
const SHORT = 100;
type Style = keyof typeof CODES;

/** The part of a stream that a terminal needs. */
export interface Sink {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Shows the progress of steps: one line each, with the time it took; on a terminal the line of the running step is updated. */
export class Terminal {
  private readonly colour: boolean;
  private readonly live: boolean;
  private running?: { title: string; text: string; since: number; timer: NodeJS.Timeout };
  private frame = 0;

  constructor(private readonly sink: Sink, env: NodeJS.ProcessEnv = process.env) {
    this.live = sink.isTTY === true && env.TERM !== 'dumb' && !env.CI;
    this.colour = sink.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb';
  }

  /** A line on its own. */
  public line(text = ''): void {
    this.erase();
    this.sink.write(`${text}\n`);
    this.draw();
  }

  /** Begins a step; `end` closes it. */
  public begin(title: string): void {
    const timer = setInterval(() => this.draw(), 120);
    timer.unref();
    this.running = { title, text: '', since: Date.now(), timer };
    this.draw();
  }

  /** What the running step does now: shown on a terminal only, and replaced by the next. */
  public now(text: string): void {
    if (this.running) {
      this.running.text = text;
      this.draw();
    }
  }

  /** A part of the running step is done: stays on the screen. */
  public detail(text: string): void {
    this.line(this.paint('dim', `     ${text}`));
  }

  public end(status: 'passed' | 'failed' | 'skipped', title: string, summary: string, milliseconds: number): void {
    this.erase();
    clearInterval(this.running?.timer);
    this.running = undefined;
    const mark = { passed: this.paint('green', '✔'), failed: this.paint('red', '✘'), skipped: this.paint('yellow', '–') }[status];
    const time = status === 'skipped' ? '' : seconds(milliseconds);
    // The whole message of a failure is shown after the steps.
    const line = status === 'failed' && summary.length > SHORT ? `${summary.slice(0, SHORT)}…` : summary;
    this.sink.write(` ${mark} ${title.padEnd(27)} ${this.paint('dim', time.padStart(10))}  ${line}\n`);
  }

  /** A failure with the last lines of its log and the file to open. */
  public failure(error: RehearsalError, step?: string): void {
    this.erase();
    this.line();
    this.line(`${this.paint('red', step ? `${step} failed:` : 'error:')} ${error.message}`);
    for (const text of error.log) {
      this.line(this.paint('dim', `   │ ${text}`));
    }
    if (error.file) {
      this.line(`   more in ${error.file}`);
    }
  }

  public paint(style: Style, text: string): string {
    return this.colour ? `\u001b[${CODES[style]}m${text}\u001b[0m` : text;
  }

  private draw(): void {
    if (!this.running || !this.live) {
      return;
    }
    this.frame = (this.frame + 1) % SPINNER.length;
    const { title, text, since } = this.running;
    const width = this.sink.columns ?? 100;
    const plain = `   ${title.padEnd(27)} ${seconds(Date.now() - since).padStart(10)}  ${text}`;
    const cut = plain.length > width - 1 ? `${plain.slice(0, width - 2)}…` : plain;
    this.sink.write(`\r\u001b[2K ${this.paint('cyan', SPINNER[this.frame])}${cut.slice(2)}`);
  }

  private erase(): void {
    if (this.running && this.live) {
      this.sink.write('\r\u001b[2K');
    }
  }
}
