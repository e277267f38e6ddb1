/** Exit codes of the process. */
export const ExitCode = {
  OK: 0,
  STEP_FAILED: 1,
  USAGE: 2,
  GATE_REJECTED: 3,
  DATA_QUARANTINED: 4,
  INTERRUPTED: 130,
} as const;

export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** An expected failure: its message is for whoever runs the command and needs no stack trace. */
export class RehearsalError extends Error {
  /** Last lines of the log that explain it. */
  public readonly log: readonly string[];
  /** File with the whole log. */
  public readonly file?: string;
  public readonly exitCode: ExitCode;

  constructor(message: string, options: { exitCode?: ExitCode; log?: readonly string[]; file?: string } = {}) {
    super(message);
    this.name = new.target.name;
    this.exitCode = options.exitCode ?? ExitCode.STEP_FAILED;
    this.log = options.log ?? [];
    this.file = options.file;
  }

  /** The same error with another log file. */
  public withFile(file: string): RehearsalError {
    return new RehearsalError(this.message, { exitCode: this.exitCode, log: this.log, file });
  }
}

/** The command line was wrong, or this machine lacks what a rehearsal needs. */
export class UsageError extends RehearsalError {
  constructor(message: string, options: { log?: readonly string[]; file?: string } = {}) {
    super(message, { ...options, exitCode: ExitCode.USAGE });
  }
}

/** Somebody pressed Ctrl-C or sent SIGTERM. */
export class Interrupted extends RehearsalError {
  constructor() {
    super('interrupted', { exitCode: ExitCode.INTERRUPTED });
  }
}

/** The gate of the training pipeline rejected the model; everything before it worked. */
export class GateRejected extends RehearsalError {
  constructor(message: string) {
    super(message, { exitCode: ExitCode.GATE_REJECTED });
  }
}

/** Validation put the data into quarantine; everything before it worked. */
export class DataQuarantined extends RehearsalError {
  constructor(message: string, log: readonly string[]) {
    super(message, { exitCode: ExitCode.DATA_QUARANTINED, log });
  }
}

/** The message of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
