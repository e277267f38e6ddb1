import { Denial, Emulator } from './emulator';
import { linesOfFailure, momentOf } from './notes';
import { ExitCode, RehearsalError } from '../command/errors';

/** Calls that IAM denied: they explain why a step failed, and fail a step that went on without them. */
export class Denials {
  private reported = 0;

  /** @param emulator the one that runs, if any does */
  constructor(private readonly emulator: () => Emulator | undefined) {}

  /** Adds to a failure the calls that were denied during its step. */
  public async explain(error: RehearsalError, start: number): Promise<RehearsalError> {
    const emulator = this.emulator();
    if (error.exitCode !== ExitCode.STEP_FAILED || emulator === undefined || emulator.hasEnded) {
      return error;
    }
    const { denials } = await emulator.report();
    const fresh = denials.filter(({ time }) => time === undefined || momentOf(time) >= start - 1000);
    const notes = (await emulator.notes(0)).filter(({ time }) => momentOf(time) >= start - 1000);
    // Services go on when they may not write a log, so that is seldom the reason.
    const isLog = ({ action }: Denial) => action.startsWith('logs:');
    const cause = fresh.filter((denial) => !isLog(denial)).at(-1);
    const sentences = [...new Set([...fresh.filter((denial) => !isLog(denial)), ...fresh.filter(isLog)].map(denied))];
    const message = cause === undefined || error.message.includes(cause.action) ? error.message : `${error.message}; ${denied(cause)}`;
    const lines = error.log.length > 0 ? error.log : linesOfFailure(notes).filter((line) => !error.message.includes(line));
    return new RehearsalError(message, { exitCode: error.exitCode, file: error.file ?? emulator.log, log: [...sentences, ...lines] });
  }

  /**
   * Throws when something was denied before that moment, and since it was last asked, though the app went on: a log is lost
   * then, or a value.
   */
  public async audit(before: number): Promise<void> {
    const emulator = this.emulator();
    if (emulator === undefined || emulator.hasEnded) {
      return;
    }
    const denials = (await emulator.report()).denials.filter(({ time }) => time === undefined || momentOf(time) <= before);
    const fresh = denials.slice(denials.length < this.reported ? 0 : this.reported);
    this.reported = denials.length;
    if (fresh.length > 0) {
      throw new RehearsalError(`${denied(fresh[0])}; the app went on without (--allow-denials lets it)`);
    }
  }
}

function denied({ principal, action, resource }: Denial): string {
  return `IAM denied ${action} on ${resource} to ${principal}`;
}
