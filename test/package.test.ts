/** The package as it is published: what is in it, and that it works where nothing of the checkout is. Needs a compiled library. */
import { spawnSync } from 'child_process';
import * as fs from 'fs';
import * as os from 'os';
import * as path from 'path';
import { transpileModule, ModuleKind, ScriptTarget } from 'typescript';

const ROOT = path.join(__dirname, '..');
const MEGABYTE = 1024 * 1024;

interface Packed {
  readonly filename: string;
  readonly size: number;
  readonly unpackedSize: number;
  readonly files: { readonly path: string }[];
}

function run(command: string, args: string[], cwd: string, env: NodeJS.ProcessEnv = {}): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8', env: { ...process.env, ...env }, maxBuffer: 64 * MEGABYTE });
  expect({ status, error, output: status === 0 ? '' : stdout + stderr }).toEqual({ status: 0, error: undefined, output: '' });
  return stdout;
}

describe('the package', () => {
  const work = fs.mkdtempSync(path.join(os.tmpdir(), 'cdk-mlops-package-'));
  const installed = path.join(work, 'node_modules', 'cdk-mlops');
  let packed: Packed;
  let files: string[];

  beforeAll(() => {
    // A copy of the checkout, with what tools leave in one.
    const checkout = path.join(work, 'checkout');
    fs.cpSync(ROOT, checkout, { recursive: true, filter: (file) => !['node_modules', '.git', 'dist'].includes(path.relative(ROOT, file)) });
    const strays = ['stray.log', 'cdk.out/stray.json', 'assets/stray.log', 'assets/rehearsal/.mypy_cache/stray.json', 'assets/glue/__pycache__/stray.pyc', 'lib/stray.txt'];
    for (const file of strays.map((stray) => path.join(checkout, stray))) {
      fs.mkdirSync(path.dirname(file), { recursive: true });
      fs.writeFileSync(file, '{}');
    }
    const output = JSON.parse(run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', work], checkout)) as Packed[];
    [packed] = Object.values(output);
    files = packed.files.map((file) => file.path);
    fs.mkdirSync(installed, { recursive: true });
    run('tar', ['-xzf', path.join(work, packed.filename), '--strip-components=1', '-C', installed], work);
    for (const peer of ['aws-cdk-lib', 'constructs']) {
      fs.symlinkSync(path.join(ROOT, 'node_modules', peer), path.join(work, 'node_modules', peer), 'dir');
    }
  }, 120_000);

  afterAll(() => fs.rmSync(work, { recursive: true, force: true }));

  test('has exactly the library, its assembly, handlers, scripts, emulator, command line and what explains them', () => {
    const sources = fs.readdirSync(path.join(ROOT, 'src'), { recursive: true }).map(String);
    const handlers = sources.filter((file) => file.endsWith('.lambda.ts')).map((file) => file.slice(0, -3));
    expect(handlers.length).toBeGreaterThan(9);
    const compiled = sources.filter((file) => /(?<!\.lambda)\.ts$/.test(file) && !file.startsWith('rehearsal')).map((file) => `lib/${file.slice(0, -3)}`);
    const assets = run('git', ['ls-files', 'assets'], ROOT).trim().split('\n')
      .filter((file) => !/\/(test_\w+|conftest|testing|fake_host)\.py$|\.in$|pyproject\.toml$/.test(file));
    expect(assets).toContain('assets/rehearsal/emulator/__main__.py');
    expect([...files].sort()).toEqual([
      '.jsii', 'LICENSE', 'README.md', 'API.md', 'package.json', 'assets/rehearsal/cli.js', ...assets,
      ...handlers.map((name) => `assets/handlers/${name}/index.js`),
      ...compiled.flatMap((name) => [`${name}.js`, `${name}.d.ts`]),
    ].sort());
  });

  test('has types that refer only to what is in it', () => {
    const missing = files.filter((file) => file.endsWith('.d.ts')).flatMap((file) =>
      [...fs.readFileSync(path.join(installed, file), 'utf8').matchAll(/from '(\.[^']*)'/g)]
        .map(([, target]) => path.posix.join(path.posix.dirname(file), target))
        .filter((target) => !files.includes(`${target}.d.ts`) && !files.includes(`${target}/index.d.ts`)));
    expect(missing).toEqual([]);
  });

  test('is small: less than 5 MB to download, 20 MB on disk', () => {
    expect(packed.size).toBeLessThan(5 * MEGABYTE);
    expect(packed.unpackedSize).toBeLessThan(20 * MEGABYTE);
  });

  test('needs nothing but its peers', () => {
    const manifest = JSON.parse(fs.readFileSync(path.join(installed, 'package.json'), 'utf8')) as Record<string, object | undefined>;
    expect(manifest.dependencies ?? {}).toEqual({});
    expect(manifest.optionalDependencies ?? {}).toEqual({});
    expect(Object.keys(manifest.peerDependencies ?? {}).sort()).toEqual(['aws-cdk-lib', 'constructs']);
  });

  test('synthesizes the first example of README.md, as plain JavaScript', () => {
    const [, example] = /```ts[^\n]*\n([\s\S]*?)```/.exec(fs.readFileSync(path.join(installed, 'README.md'), 'utf8'))!;
    const { outputText } = transpileModule(example, { compilerOptions: { module: ModuleKind.CommonJS, target: ScriptTarget.ES2022 } });
    fs.writeFileSync(path.join(work, 'app.js'), outputText);
    run(process.execPath, ['app.js'], work, { CDK_OUTDIR: path.join(work, 'cdk.out'), CDK_VALIDATION: 'false' });
    const template = JSON.parse(fs.readFileSync(path.join(work, 'cdk.out', 'Abalone.template.json'), 'utf8')) as { Resources: { [id: string]: { Type: string } } };
    const types = Object.values(template.Resources).map((resource) => resource.Type);
    expect(types).toEqual(expect.arrayContaining([
      'AWS::Glue::Job', 'AWS::StepFunctions::StateMachine', 'AWS::SageMaker::Pipeline', 'AWS::SageMaker::ModelPackageGroup', 'AWS::ApiGatewayV2::Api',
    ]));
  }, 60_000);

  test('has a command line that runs', () => {
    const cli = path.join('node_modules', 'cdk-mlops', 'assets', 'rehearsal', 'cli.js');
    const { version, bin } = JSON.parse(fs.readFileSync(path.join(installed, 'package.json'), 'utf8')) as { version: string; bin: { [name: string]: string } };
    expect(path.join('node_modules', 'cdk-mlops', bin['cdk-mlops'])).toBe(cli);
    expect(run(process.execPath, [cli, '--version'], work).trim()).toContain(version);
    expect(fs.statSync(path.join(work, cli)).mode % 0o1000).toBe(0o755);
    expect(run(process.execPath, [cli, '--help'], work)).toContain('cdk-mlops rehearse');
  });

  test('says at once what to install where there is no CDK command line', () => {
    fs.writeFileSync(path.join(work, 'cdk.json'), '{ "app": "node app.js" }');
    const cli = path.join(installed, 'assets', 'rehearsal', 'cli.js');
    const { status, stdout } = spawnSync(process.execPath, [cli, 'rehearse'], { cwd: work, encoding: 'utf8', env: { PATH: work, HOME: work } });
    expect(status).toBe(2);
    expect(stdout).toContain('run "npm install --save-dev aws-cdk" in the folder of the app, or "npm install --global aws-cdk"');
    expect(fs.existsSync(path.join(work, '.cache'))).toBe(false);
  });
});
