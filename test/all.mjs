// Compiles the library, runs every check of the project and closes with the total: `N passed, N failed`. Two suites run
// side by side, each shown when it has ended; the rehearsals, which use both cores, come last and alone.
// `--full` adds the suites that take long. `node test/all.mjs unit glue` runs only the suites named, and compiles when one of
// them needs the library.
import { AsyncLocalStorage } from 'node:async_hooks';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const work = mkdtempSync(path.join(tmpdir(), 'cdk-mlops-test-'));
const node = process.execPath;
const bin = (name) => path.join(root, 'node_modules', '.bin', name);
const environment = { ...process.env, TMPDIR: work, PATH: `${bin('')}${path.delimiter}${process.env.PATH}` };

/** Each leads a process group, so that a signal reaches what it has started too. */
const running = new Set();
let interrupted = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, async () => {
    interrupted = true;
    const groups = [...running];
    const alive = (number) => groups.filter((child) => tryKill(child, number)).length > 0;
    alive(signal);
    for (const until = Date.now() + 20_000; alive(0) && Date.now() < until;) {
      await sleep(100);
    }
    alive('SIGKILL');
    rmSync(work, { recursive: true, force: true, maxRetries: 5 });
    process.exit(130);
  });
}

function tryKill(child, signal) {
  try {
    return process.kill(-child.pid, signal);
  } catch {
    return false; // it has ended
  }
}

/** The output of the suite that runs here. */
const told = new AsyncLocalStorage();

/** Runs a command, its output added to what its suite tells; gives its exit code and standard output. */
function run(command, args, { env = {} } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, env: { ...environment, ...env }, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    running.add(child);
    const lines = told.getStore();
    let output = '';
    child.stdout.on('data', (chunk) => (output += chunk, lines.push(chunk)));
    child.stderr.on('data', (chunk) => lines.push(chunk));
    child.on('error', reject);
    child.on('close', (code) => {
      running.delete(child);
      resolve({ code: code ?? 1, output });
    });
  });
}

/** A command that passes or fails as one. */
async function check(command, args, options) {
  const { code } = await run(command, args, options);
  return code === 0 ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 1, skipped: 0 };
}

async function jest(name, ...args) {
  const file = path.join(work, `${name}.json`);
  const { code } = await run(node, [path.join(root, 'node_modules/jest/bin/jest.js'), '--ci', '--json', `--outputFile=${file}`, ...args]);
  const result = JSON.parse(readFileSync(file, 'utf8'));
  const failed = result.numFailedTests + result.numRuntimeErrorTestSuites;
  const skipped = result.testResults.flatMap((tests) => tests.assertionResults).filter(({ status }) => status === 'pending');
  told.getStore().push(...skipped.map(({ fullName }) => `skipped: ${fullName}\n`));
  return { passed: result.numPassedTests, failed: code === 0 ? failed : Math.max(1, failed), skipped: skipped.length };
}

let python;
function interpreter() {
  python ??= run(node, ['assets/rehearsal/cli.js', 'prepare', '--dev']).then(({ code, output }) => {
    if (code !== 0) {
      throw new Error('the Python environment could not be prepared');
    }
    return output.trim().split('\n').at(-1);
  });
  return python;
}

async function pytest(folder) {
  const file = path.join(work, `${path.basename(folder)}.xml`);
  const { code } = await run(await interpreter(), ['-m', 'pytest', '-c', 'assets/pyproject.toml', `--rootdir=${folder}`, `--junitxml=${file}`, folder]);
  const [errors, failures, skipped, tests] = /<testsuite [^>]*errors="(\d+)" failures="(\d+)" skipped="(\d+)" tests="(\d+)"/
    .exec(readFileSync(file, 'utf8')).slice(1).map(Number);
  const failed = errors + failures;
  return { passed: tests - failed - skipped, failed: code === 0 ? failed : Math.max(1, failed), skipped };
}

const compile = () => check(bin('projen'), ['compile']);

/** Those that need no library come first, the longest before the others, so that both lanes end at about the same time. */
const suites = {
  emulator: () => pytest('assets/rehearsal'),
  glue: () => pytest('assets/glue'),
  unit: () => jest('unit', '--testPathIgnorePatterns', 'test/(docs|package)\\.test\\.ts$'),
  docs: () => jest('docs', 'test/docs.test.ts'),
  sagemaker: () => pytest('assets/sagemaker'),
  algorithms: () => pytest('assets/algorithms'),
  lint: () => check(bin('eslint'), ['--ext', '.ts', 'src', 'test', 'examples'], { env: { ESLINT_USE_FLAT_CONFIG: 'false', NODE_NO_WARNINGS: '1' } }),
  types: () => check(bin('tsc'), ['--noEmit', '-p', 'test/tsconfig.json']),
  package: () => jest('package', 'test/package.test.ts'),
  'python-types': async () => check(await interpreter(), ['-m', 'mypy', '--no-incremental', '--config-file', 'assets/pyproject.toml', 'assets/rehearsal/emulator'], { env: { MYPYPATH: 'assets/rehearsal' } }),
  'python-lint': async () => check(await interpreter(), ['-m', 'ruff', 'check', '--no-cache', 'assets']),
  'python-format': async () => check(await interpreter(), ['-m', 'ruff', 'format', '--no-cache', '--check', 'assets']),
};
const needLibrary = ['unit', 'docs', 'lint', 'types', 'package', 'rehearsal', 'apps', 'languages'];
const rehearsals = {
  rehearsal: () => jest('rehearsal', '--config', 'test/rehearsal/jest.config.json'),
};

/** Rehearsals of other apps, those that build and install the package as its users do, and a browser. They take minutes: they run when named, or with `--full`. */
const slow = {
  browser: () => jest('browser', '--config', 'test/browser/jest.config.json'),
  apps: () => jest('apps', '--config', 'test/apps/jest.config.json'),
  languages: () => jest('languages', '--config', 'test/languages/jest.config.json'),
};

const full = process.argv.includes('--full');
const wanted = process.argv.slice(2).filter((argument) => argument !== '--full');
const known = Object.keys({ ...suites, ...rehearsals, ...slow });
const unknown = wanted.filter((name) => !known.includes(name));
if (unknown.length > 0) {
  console.error(`no suite "${unknown[0]}": there are ${known.join(', ')}`);
  process.exit(2);
}

const total = { passed: 0, failed: 0, skipped: 0 };
const rows = [];

/** Plays one suite and shows what it told. */
async function play(name, suite) {
  const start = Date.now();
  const lines = [];
  console.log(`... ${name}`);
  const result = await told.run(lines, suite).catch((error) => {
    lines.push(`${name}: ${error.message}\n`);
    return { passed: 0, failed: 1, skipped: 0 };
  });
  if (interrupted) {
    await new Promise(() => undefined); // the signal's handler ends all
  }
  process.stdout.write(`\n=== ${name}\n${lines.join('')}\n`);
  total.passed += result.passed;
  total.failed += result.failed;
  total.skipped += result.skipped;
  rows.push(`${name.padEnd(14)} ${String(result.passed).padStart(5)} passed ${String(result.failed).padStart(4)} failed ${((Date.now() - start) / 1000).toFixed(1).padStart(7)} s`);
}

const chosen = known.filter((name) => wanted.includes(name) || (wanted.length === 0 && (full || !(name in slow))));
const compiled = chosen.some((name) => needLibrary.includes(name)) ? play('compile', compile) : undefined;

/** Plays suites in so many lanes, each taking the next one that nobody has taken. */
async function playAll(some, lanes) {
  const queue = Object.entries(some).filter(([name]) => chosen.includes(name));
  await Promise.all(Array.from({ length: lanes }, async () => {
    for (let next = queue.shift(); next; next = queue.shift()) {
      await (needLibrary.includes(next[0]) ? compiled : undefined);
      await play(...next);
    }
  }));
}

await playAll(suites, 2);
await playAll({ ...rehearsals, ...slow }, 1);
rmSync(work, { recursive: true, force: true });

console.log(`\n${rows.join('\n')}\n`);
console.log(`${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ''}`);
process.exit(total.failed === 0 ? 0 : 1);
