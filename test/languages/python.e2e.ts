/** The package for Python: its wheel, installed in a virtual environment, synthesizes the same templates and rehearses. */
import { spawnSync } from 'child_process';
import * as fs from 'fs';
import * as path from 'path';
import { ABALONE, pinned, processesIn, ROOT, run, succeed, testFolder } from './command';

const usable = spawnSync('python3', ['-c', 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))']).status === 0;
const TYPESCRIPT = [process.execPath, '--require', require.resolve('tsx/cjs'), 'app.ts'];
const withPython = usable ? describe : describe.skip;

withPython(`the wheel${usable ? '' : ' (no Python 3.10 or later that makes virtual environments)'}`, () => {
  const venv = testFolder('venv');
  const app = testFolder('python-app');
  const command = path.join(venv, 'bin', 'cdk-mlops');
  const PYTHON = [path.join(venv, 'bin', 'python'), 'app.py'];
  const NEIGHBOURS = path.join(ROOT, 'test', 'languages', 'neighbours-python');

  /** Template and assets of the stack of the app in a folder. */
  async function synthesize([program, ...args]: readonly string[], folder: string, stack: string, profile?: string): Promise<object> {
    const outdir = fs.mkdtempSync(testFolder('synthesized-'));
    const { context } = JSON.parse(fs.readFileSync(path.join(folder, 'cdk.json'), 'utf8')) as { context?: object };
    await succeed(program, args, folder, { ...process.env, CDK_OUTDIR: outdir, CDK_CONTEXT_JSON: JSON.stringify({ ...context, profile }) });
    const read = (kind: string) => JSON.parse(fs.readFileSync(path.join(outdir, `${stack}.${kind}.json`), 'utf8')) as unknown;
    return { template: read('template'), assets: read('assets') };
  }

  beforeAll(async () => {
    const clone = testFolder('clone');
    await succeed('npx', ['projen', 'package:python'], clone);
    const dist = path.join(clone, 'dist', 'python');
    const [wheel] = fs.readdirSync(dist).filter((file) => file.endsWith('.whl'));
    await succeed('python3', ['-m', 'venv', venv], ROOT);
    const versions = [['jsii', 'jsii-pacmak'], ['aws-cdk-lib', 'aws-cdk-lib'], ['constructs', 'constructs']].map(([name, npm]) => `${name}==${pinned(npm)}`);
    await succeed(path.join(venv, 'bin', 'pip'), ['install', '--disable-pip-version-check', '--no-input', path.join(dist, wheel), ...versions], ROOT);
    fs.cpSync(path.join(ROOT, 'examples', 'abalone-python'), app, { recursive: true });
  });

  test.each([['dev', 'AbaloneDev'], ['prod', 'Abalone']])('synthesizes the template and the assets of the TypeScript app (%s)', async (profile, stack) => {
    const typescript = await synthesize(TYPESCRIPT, path.join(ROOT, 'examples', 'abalone'), stack, profile);
    expect(await synthesize(PYTHON, app, stack, profile)).toEqual(typescript);
  });

  test('synthesizes an algorithm that is a class of Python as one of TypeScript', async () => {
    const typescript = await synthesize(TYPESCRIPT, path.join(ROOT, 'test', 'apps', 'neighbours'), 'Neighbours');
    expect(await synthesize(PYTHON, NEIGHBOURS, 'Neighbours')).toEqual(typescript);
  });

  test('rehearses an algorithm that is a class of Python, in an image of the team\'s own', async () => {
    const program = (name: string) => path.join(ROOT, 'test', 'apps', 'neighbours', 'container', name);
    const env = { ...process.env, CDK_MLOPS_STAND_INS: JSON.stringify({ 'team/neighbours': { train: program('train.py'), serve: program('serve.py') } }) };
    const { code, output } = await run(command, ['rehearse', '--app', NEIGHBOURS, '--data', ABALONE], app, env);
    expect({ code, output }).toEqual({ code: 0, output: expect.stringMatching(/621 rows through the API[^]*everything worked/) as string });
  });

  test('rehearses with its own Python, neither activated nor confused by settings for another', async () => {
    const settings = path.join(testFolder('python-settings'));
    fs.mkdirSync(settings);
    fs.writeFileSync(path.join(settings, 'boto3.py'), 'raise ImportError("of the app, not of the rehearsal")\n');
    const { code, output } = await run(command, ['rehearse', '--data', ABALONE], app, { ...process.env, PYTHONPATH: settings });
    expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining('everything worked') as string });
  });

  test('Ctrl-C leaves no process and no folder', async () => {
    const temporary = testFolder('interrupted');
    fs.mkdirSync(temporary);
    let interrupted = false;
    const { code } = await run(command, ['rehearse', '--data', ABALONE], app, { ...process.env, TMPDIR: temporary }, {
      detached: true,
      onOutput: (output, child) => {
        if (!interrupted && output.includes('✔ start the emulator')) {
          interrupted = true;
          process.kill(-child.pid!, 'SIGINT'); // as a terminal does: to the whole group
        }
      },
    });
    expect(code).not.toBe(0);
    const left = () => [...processesIn(temporary), ...fs.readdirSync(temporary)];
    for (const until = Date.now() + 30_000; left().length > 0 && Date.now() < until;) {
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    expect({ interrupted, left: left() }).toEqual({ interrupted: true, left: [] });
  });
});
