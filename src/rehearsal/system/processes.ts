import { ChildProcess, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { RehearsalError, messageOf } from '../command/errors';

const LINES_SHOWN = 15;

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** File that receives the output, both streams. */
  readonly log?: string;
  readonly onLine?: (line: string) => void;
}

export interface Finished {
  readonly code: number;
  readonly stdout: string;
  /** The last lines of both streams, as they came. */
  readonly tail: readonly string[];
}

/**
 * The processes of one run. Each has a process group of its own, so that a Ctrl-C at the terminal reaches only the
 * command line, which then ends them in order; and so that their children end with them.
 */
export class Processes {
  private readonly alive = new Set<ChildProcess>();

  /** Runs a command to its end. It is ended when `signal` is aborted. */
  public async run(signal: AbortSignal, command: string, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
    signal.throwIfAborted();
    const child = this.start(command, args, options);
    const tail: string[] = [];
    let stdout = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => stdout += text);
    eachLine(child, (line) => {
      tail.push(line);
      if (tail.length > LINES_SHOWN) {
        tail.shift();
      }
      options.onLine?.(line);
    });
    const abort = () => void this.stop(child, 2000);
    signal.addEventListener('abort', abort, { once: true });
    try {
      const code = await ended(child);
      signal.throwIfAborted();
      return { code, stdout, tail };
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  /** Starts a process that goes on until `stop`. */
  public start(command: string, args: readonly string[], options: RunOptions): ChildProcess {
    const child = spawn(command, args, { cwd: options.cwd, env: options.env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    this.alive.add(child);
    child.once('close', () => this.alive.delete(child));
    child.once('error', () => this.alive.delete(child));
    if (options.log) {
      fs.mkdirSync(path.dirname(options.log), { recursive: true });
      const file = fs.openSync(options.log, 'a');
      const write = (data: Buffer | string) => void fs.writeSync(file, data.toString());
      child.stdout?.on('data', write);
      child.stderr?.on('data', write);
      child.once('close', () => fs.closeSync(file));
    }
    return child;
  }

  /** Asks a process to end; ends its whole group after `grace` milliseconds. */
  public async stop(child: ChildProcess, grace: number): Promise<void> {
    if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
      const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
      signalGroup(child, 'SIGTERM');
      const timer = setTimeout(() => signalGroup(child, 'SIGKILL'), grace);
      await gone;
      clearTimeout(timer);
    }
    signalGroup(child, 'SIGKILL'); // what the group's leader left behind
  }

  /** Opens a file with the desktop's program for it, which outlives this process. */
  public open(file: string): void {
    const command = process.platform === 'darwin' ? 'open' : 'xdg-open';
    spawn(command, [file], { stdio: 'ignore', detached: true }).once('error', () => undefined).unref();
  }

  /** Ends all of them at once, without waiting. */
  public kill(): void {
    for (const child of this.alive) {
      signalGroup(child, 'SIGKILL');
    }
  }
}

/** Calls `use` with each line of both streams. */
export function eachLine(child: ChildProcess, use: (line: string) => void): void {
  for (const stream of [child.stdout, child.stderr]) {
    let rest = '';
    stream?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split(/\r?\n|\r/);
      rest = lines.pop() ?? '';
      lines.filter((line) => line.trim()).forEach(use);
    });
    stream?.once('end', () => rest.trim() && use(rest));
  }
}

/** The last lines of a file, or none. */
export function lastLines(file: string, count = LINES_SHOWN): string[] {
  if (!fs.existsSync(file)) {
    return [];
  }
  return fs.readFileSync(file, 'utf8').split(/\r?\n/).filter((line) => line.trim()).slice(-count);
}

async function ended(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(new RehearsalError(`cannot run ${child.spawnfile}: ${messageOf(error)}`)));
    child.once('close', (code) => resolve(code ?? 1));
  });
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (child.pid !== undefined) {
      process.kill(-child.pid, signal);
    }
  } catch {
    // the group has ended by itself
  }
}
