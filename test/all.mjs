// Runs every check of the project, one suite after the other, and closes with the total: `N passed, N failed`.
// `node test/all.mjs unit python` runs only the suites named.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const work = mkdtempSync(path.join(tmpdir(), 'cdk-mlops-test-'));
const node = process.execPath;
const bin = (name) => path.join(root, 'node_modules', '.bin', name);

let running;
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    running?.kill(signal);
    rmSync(work, { recursive: true, force: true });
    process.exit(130);
  });
}

/** Runs a command with its output on this terminal; gives its exit code and, with `capture`, its standard output. */
function run(command, args, { capture = false, env = {} } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, env: { ...process.env, ...env }, stdio: ['ignore', capture ? 'pipe' : 'inherit', 'inherit'] });
    running = child;
    let output = '';
    child.stdout?.on('data', (chunk) => (output += chunk));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? 1, output }));
  });
}

/** A command that passes or fails as one. */
async function check(command, args, options) {
  const { code } = await run(command, args, options);
  return code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}

async function jest(name, ...args) {
  const file = path.join(work, `${name}.json`);
  const { code } = await run(node, [path.join(root, 'node_modules/jest/bin/jest.js'), '--ci', '--json', `--outputFile=${file}`, ...args]);
  const result = JSON.parse(readFileSync(file, 'utf8'));
  const failed = result.numFailedTests + result.numRuntimeErrorTestSuites;
  return { passed: result.numPassedTests, failed: code === 0 ? failed : Math.max(1, failed) };
}

let python;
async function interpreter() {
  if (!python) {
    const { code, output } = await run(node, ['assets/rehearsal/cli.js', 'prepare', '--dev'], { capture: true });
    if (code !== 0) {
      throw new Error('the Python environment could not be prepared');
    }
    python = output.trim().split('\n').at(-1);
  }
  return python;
}

async function pytest(folder) {
  const file = path.join(work, `${path.basename(folder)}.xml`);
  const { code } = await run(await interpreter(), ['-m', 'pytest', '-c', 'assets/pyproject.toml', `--rootdir=${folder}`, `--junitxml=${file}`, folder]);
  const counts = /<testsuite [^>]*errors="(\d+)" failures="(\d+)" skipped="\d+" tests="(\d+)"/.exec(readFileSync(file, 'utf8')).slice(1).map(Number);
  const failed = counts[0] + counts[1];
  return { passed: counts[2] - failed, failed: code === 0 ? failed : Math.max(1, failed) };
}

const suites = {
  lint: () => check(bin('eslint'), ['--ext', '.ts', 'src', 'test', 'examples'], { env: { ESLINT_USE_FLAT_CONFIG: 'false', NODE_NO_WARNINGS: '1' } }),
  types: () => check(bin('tsc'), ['--noEmit', '-p', 'test/tsconfig.json']),
  unit: () => jest('unit', '--testPathIgnorePatterns', 'test/(docs|package)\\.test\\.ts$'),
  docs: () => jest('docs', 'test/docs.test.ts'),
  package: () => jest('package', 'test/package.test.ts'),
  'python-lint': async () => check(await interpreter(), ['-m', 'ruff', 'check', '--no-cache', 'assets']),
  'python-format': async () => check(await interpreter(), ['-m', 'ruff', 'format', '--no-cache', '--check', 'assets']),
  'python-types': async () => check(await interpreter(), ['-m', 'mypy', '--no-incremental', '--config-file', 'assets/pyproject.toml', 'assets/rehearsal/emulator'], { env: { MYPYPATH: 'assets/rehearsal' } }),
  glue: () => pytest('assets/glue'),
  sagemaker: () => pytest('assets/sagemaker'),
  emulator: () => pytest('assets/rehearsal'),
  rehearsal: () => jest('rehearsal', '--config', 'test/rehearsal/jest.config.json'),
};

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !(name in suites));
if (unknown.length > 0) {
  console.error(`no suite "${unknown[0]}": there are ${Object.keys(suites).join(', ')}`);
  process.exit(2);
}

const total = { passed: 0, failed: 0 };
const rows = [];
for (const [name, suite] of Object.entries(suites)) {
  if (wanted.length > 0 && !wanted.includes(name)) {
    continue;
  }
  console.log(`\n=== ${name}`);
  const start = Date.now();
  let result;
  try {
    result = await suite();
  } catch (error) {
    console.error(`${name}: ${error.message}`);
    result = { passed: 0, failed: 1 };
  }
  total.passed += result.passed;
  total.failed += result.failed;
  rows.push(`${name.padEnd(14)} ${String(result.passed).padStart(5)} passed ${String(result.failed).padStart(4)} failed ${((Date.now() - start) / 1000).toFixed(1).padStart(7)} s`);
}
rmSync(work, { recursive: true, force: true });

console.log(`\n${rows.join('\n')}\n`);
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exit(total.failed === 0 ? 0 : 1);
