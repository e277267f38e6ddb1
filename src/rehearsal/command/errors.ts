/** What the process says to its caller. */
export const ExitCode = {
  OK: 0,
  STEP_FAILED: 1,
  USAGE: 2,
  GATE_REJECTED: 3,
  DATA_QUARANTINED: 4,
  INTERRUPTED: 130,
} as const;

export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** A failure that was foreseen: its message is for the person at the terminal and needs no stack trace. */
export class RehearsalError extends Error {
  /** Last lines of the log that explain it. */
  public readonly log: readonly string[];
  /** File with everything. */
  public readonly file?: string;
  public readonly exitCode: ExitCode;

  constructor(message: string, options: { exitCode?: ExitCode; log?: readonly string[]; file?: string } = {}) {
    super(message);
    this.name = new.target.name;
    this.exitCode = options.exitCode ?? ExitCode.STEP_FAILED;
    this.log = options.log ?? [];
    this.file = options.file;
  }

  /** The same with another file to open. */
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

/** The person pressed Ctrl-C, or somebody sent SIGTERM. */
export class Interrupted extends RehearsalError {
  constructor() {
    super('interrupted', { exitCode: ExitCode.INTERRUPTED });
  }
}

/** The training pipeline's gate refused the model; everything before it worked. */
export class GateRejected extends RehearsalError {
  constructor(message: string) {
    super(message, { exitCode: ExitCode.GATE_REJECTED });
  }
}

/** Validation refused the data; everything before it worked. */
export class DataQuarantined extends RehearsalError {
  constructor(message: string, log: readonly string[]) {
    super(message, { exitCode: ExitCode.DATA_QUARANTINED, log });
  }
}

/** The message of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
