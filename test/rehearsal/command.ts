import { spawn } from 'child_process';
import * as fs from 'fs';
import * as os from 'os';
import * as path from 'path';
import type { RehearsalDocument } from '../../src/rehearsal/report/document';

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

export function stepOf(document: RehearsalDocument, id: string) {
  return document.steps.find((step) => step.id === id);
}
