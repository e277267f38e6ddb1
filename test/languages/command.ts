import { ChildProcess, spawn } from 'child_process';
import * as fs from 'fs';
import * as path from 'path';
import { ABALONE, processesIn, ROOT } from '../rehearsal/command';

export { ABALONE, processesIn, ROOT };

/** Folder of this test run, removed at its end. */
export function testFolder(...names: string[]): string {
  return path.join(process.env.CDK_MLOPS_TEST_FOLDER!, ...names);
}

/** A version that the checkout is tested with, which is the oldest that the package allows. */
export function pinned(name: string): string {
  const { version } = JSON.parse(fs.readFileSync(path.join(ROOT, 'node_modules', name, 'package.json'), 'utf8')) as { version: string };
  return version;
}

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  /** Both streams, as they came. */
  readonly output: string;
}

/** Runs a command to its end; `started` is handed its process, and `onOutput` all that it said so far. */
export async function run(
  command: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = process.env,
  { detached = false, onOutput = () => undefined }: { detached?: boolean; onOutput?: (output: string, child: ChildProcess) => void } = {},
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, detached, stdio: ['ignore', 'pipe', 'pipe'] });
    let [stdout, output] = ['', ''];
    child.stdout.on('data', (text: Buffer) => (stdout += text.toString()));
    [child.stdout, child.stderr].forEach((stream) => stream.on('data', (text: Buffer) => {
      output += text.toString();
      onOutput(output, child);
    }));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? -1, stdout, output }));
  });
}

/** Runs a command that must succeed; gives its standard output. */
export async function succeed(command: string, args: readonly string[], cwd: string, env?: NodeJS.ProcessEnv): Promise<string> {
  const { code, stdout, output } = await run(command, args, cwd, env);
  if (code !== 0) {
    throw new Error(`${command} ${args.join(' ')} ended with ${code}:\n${output}`);
  }
  return stdout;
}
