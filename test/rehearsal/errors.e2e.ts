import { spawn } from 'child_process';
import * as fs from 'fs';
import { createServer } from 'net';
import * as os from 'os';
import * as path from 'path';
import { ABALONE, assembly, processesIn, ROOT, run } from './command';

/** A temporary folder for one command, which must be empty when the command has ended. */
async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cdk-mlops-errors-'));
  try {
    const result = await work(folder);
    expect(fs.readdirSync(folder)).toEqual([]);
    return result;
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

describe('what a person gets wrong', () => {
  test('a data file that is not there is one sentence', async () => {
    const { exitCode, stdout } = await inFolder((folder) => run(['rehearse', '--app', assembly(), '--data', 'no-such.csv'], folder));
    expect(exitCode).toBe(2);
    expect(stdout.trim().split('\n')).toHaveLength(1);
    expect(stdout).toContain('no-such.csv does not exist');
  });

  test('a port that is taken is named', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as { port: number };
    try {
      const { exitCode, stdout } = await inFolder((folder) => run(
        ['rehearse', '--app', assembly(), '--data', ABALONE, '--port', String(port), '--report', path.join(os.tmpdir(), `port-${port}.html`)], folder));
      expect(exitCode).toBe(2);
      expect(stdout).toMatch(new RegExp(`port ${port}.*(taken|in use)`));
    } finally {
      server.close();
      [`port-${port}.html`, `port-${port}.log`].forEach((file) => fs.rmSync(path.join(os.tmpdir(), file), { force: true }));
    }
  });

  test('without Python it says what to install', async () => {
    await inFolder((folder) => new Promise<void>((resolve, reject) => {
      const child = spawn(process.execPath, ['assets/rehearsal/cli.js', 'rehearse', '--app', assembly(), '--data', ABALONE, '--report', path.join(folder, 'r.html')], {
        cwd: ROOT, env: { PATH: folder, HOME: folder, TMPDIR: folder }, stdio: ['ignore', 'pipe', 'pipe'],
      });
      let output = '';
      child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
      child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
      child.on('error', reject);
      child.on('close', (code) => {
        try {
          expect(code).toBe(2);
          expect(output).toMatch(/Python 3\.10/);
          fs.rmSync(path.join(folder, 'r.html'), { force: true });
          fs.rmSync(path.join(folder, 'r.log'), { force: true });
          resolve();
        } catch (error) {
          reject(error as Error);
        }
      });
    }));
  });

  test('Ctrl-C in the middle leaves no process, no port and no folder', async () => {
    await inFolder(async (folder) => {
      const { code, output, endpoint } = await interrupted(folder, 'upload the data', 1);
      expect(processesIn(folder)).toEqual([]);
      expect({ code, port: await answers(endpoint) }).toEqual({ code: 130, port: false });
      expect(output).toContain('interrupted');
    });
  });

  test('a second Ctrl-C ends at once, and what ran ends with it', async () => {
    await inFolder(async (folder) => {
      const { code, endpoint } = await interrupted(folder, '✔ cdk bootstrap', 2);
      for (const until = Date.now() + 3000; processesIn(folder).length > 0 && Date.now() < until;) {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      expect(processesIn(folder)).toEqual([]);
      expect({ code, port: await answers(endpoint) }).toEqual({ code: 130, port: false });
    });
  });
});

/** Rehearses until `line` is told, then presses Ctrl-C so many times. */
async function interrupted(folder: string, line: string, times: number): Promise<{ code: number | null; output: string; endpoint?: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['assets/rehearsal/cli.js', 'rehearse', '--app', assembly(), '--data', ABALONE, '--report', path.join(folder, 'r.html')], {
      cwd: ROOT, env: { ...process.env, TMPDIR: folder }, stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    let pressed = false;
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (!pressed && output.includes(line)) {
        pressed = true;
        for (let i = 0; i < times; i++) {
          setTimeout(() => child.kill('SIGINT'), 50 * i);
        }
      }
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, output, endpoint: /http:\/\/127\.0\.0\.1:\d+/.exec(output)?.[0] }));
  });
}

async function answers(endpoint?: string): Promise<boolean> {
  return fetch(`${endpoint}/_rehearsal/health`).then(() => true, () => false);
}
