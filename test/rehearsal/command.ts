import { spawn } from 'child_process';
import * as fs from 'fs';
import * as os from 'os';
import * as path from 'path';
import { DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { findApp } from '../../src/rehearsal/app/app-source';
import { parseOptions, RehearseOptions } from '../../src/rehearsal/command/options';
import { Terminal } from '../../src/rehearsal/command/terminal';
import { AwsClients } from '../../src/rehearsal/emulator/aws-clients';
import { Emulator } from '../../src/rehearsal/emulator/emulator';
import type { RehearsalDocument } from '../../src/rehearsal/report/document';
import { RunContext } from '../../src/rehearsal/scenario/run-context';
import { setUp } from '../../src/rehearsal/scenario/set-up';
import { StepRunner } from '../../src/rehearsal/scenario/step-runner';
import { Processes } from '../../src/rehearsal/system/processes';

export const ROOT = path.join(__dirname, '..', '..');
export const ABALONE = path.join(ROOT, 'examples', 'abalone', 'data', 'abalone.csv');
const CLI = path.join(ROOT, 'assets', 'rehearsal', 'cli.js');

/** Folder of this test run, removed at its end; the example's cloud assembly is in it. */
export function testFolder(): string {
  return process.env.CDK_MLOPS_TEST_FOLDER!;
}

export function assembly(): string {
  return path.join(testFolder(), 'assembly');
}

export interface Rehearsed {
  readonly exitCode: number;
  /** What a person sees. */
  readonly progress: string;
  readonly document: RehearsalDocument;
  readonly report: string;
}

/** Runs the command as a user would, with `--json`, and a temporary folder of its own, which must be empty afterwards. */
export async function rehearse(name: string, ...args: string[]): Promise<Rehearsed> {
  const report = path.join(testFolder(), `${name}.html`);
  const temporary = fs.mkdtempSync(path.join(os.tmpdir(), `cdk-mlops-${name}-`));
  const { exitCode, stdout, stderr } = await run(['rehearse', '--json', '--report', report, ...args], temporary);
  const left = fs.readdirSync(temporary);
  fs.rmSync(temporary, { recursive: true, force: true });
  if (left.length > 0) {
    throw new Error(`the rehearsal left ${left.join(', ')} in its temporary folder`);
  }
  if (stdout.trim() === '') {
    throw new Error(`the rehearsal printed no document (exit code ${exitCode}):\n${stderr}`);
  }
  return { exitCode, progress: stderr, document: JSON.parse(stdout) as RehearsalDocument, report };
}

export function run(args: string[], temporary: string): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [CLI, ...args], { cwd: ROOT, env: { ...process.env, TMPDIR: temporary }, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.on('error', reject);
    child.on('close', (code) => resolve({ exitCode: code ?? -1, stdout, stderr }));
  });
}

/** Command lines of the processes that speak of a folder. */
export function processesIn(folder: string): string[] {
  return fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name)).flatMap((pid) => {
    try {
      const line = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      return line.includes(folder) && Number(pid) !== process.pid ? [line] : [];
    } catch {
      return []; // it ended meanwhile
    }
  });
}

export function stepOf(document: RehearsalDocument, id: string) {
  return document.steps.find((step) => step.id === id);
}

export interface Deployed {
  readonly context: RunContext;
  /** A folder for what the test writes, removed with the others. */
  readonly work: string;
  /** Makes something go wrong once, as AWS may: see `assets/rehearsal/emulator/ministack/control.py`. */
  fault(body: Readonly<Record<string, string>>): Promise<void>;
  /** Ends the emulator and all that runs in it. */
  end(): Promise<void>;
}

/** The outputs of a stack, by their names. */
export async function outputsOf({ cloudFormation }: AwsClients, StackName: string): Promise<Record<string, string>> {
  const { Stacks: [stack] = [] } = await cloudFormation.send(new DescribeStacksCommand({ StackName }));
  return Object.fromEntries((stack.Outputs ?? []).map(({ OutputKey, OutputValue }) => [OutputKey, OutputValue]));
}

/** An app deployed to an emulator, for tests that play on it themselves. */
export async function deploy(name: string, app: string): Promise<Deployed> {
  const work = path.join(testFolder(), name);
  fs.mkdirSync(work);
  const processes = new Processes();
  const emulators: Emulator[] = [];
  const stop = async () => {
    await Promise.all(emulators.map(async (emulator) => emulator.stop()));
    processes.kill();
  };
  const options = parseOptions(['rehearse', '--app', app, '--report', path.join(work, 'report.html')]) as RehearseOptions;
  try {
    const deployed = await setUp(new StepRunner(new Terminal({ write: () => undefined }), new AbortController().signal), {
      options,
      files: [],
      app: findApp(options.app),
      env: { ...process.env, TMPDIR: work },
      work,
      processes,
      onEmulator: (emulator) => void emulators.push(emulator),
    });
    const [context] = deployed.models;
    const fault = async (body: Readonly<Record<string, string>>) => {
      const response = await fetch(`${context.emulator.endpoint}/_rehearsal/faults`, { method: 'POST', headers: { Authorization: `Bearer ${context.emulator.token}` }, body: JSON.stringify(body) });
      expect({ status: response.status, text: response.ok ? '' : await response.text() }).toEqual({ status: 200, text: '' });
    };
    const end = async () => {
      context.aws.destroy();
      await stop();
    };
    return { context, work, fault, end };
  } catch (error) {
    await stop();
    throw error;
  }
}
