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
    const output = JSON.parse(run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', work], ROOT)) as Packed[];
    [packed] = Object.values(output);
    files = packed.files.map((file) => file.path);
    fs.mkdirSync(installed, { recursive: true });
    run('tar', ['-xzf', path.join(work, packed.filename), '--strip-components=1', '-C', installed], work);
    for (const peer of ['aws-cdk-lib', 'constructs']) {
      fs.symlinkSync(path.join(ROOT, 'node_modules', peer), path.join(work, 'node_modules', peer), 'dir');
    }
  }, 120_000);

  afterAll(() => fs.rmSync(work, { recursive: true, force: true }));

  test('has library, assembly, handlers, scripts, emulator, command line and what explains them', () => {
    const handlers = (fs.readdirSync(path.join(ROOT, 'src'), { recursive: true }) as string[])
      .filter((file) => file.endsWith('.lambda.ts')).map((file) => `assets/handlers/${file.slice(0, -3)}/index.js`);
    expect(handlers.length).toBeGreaterThan(9);
    expect(files).toEqual(expect.arrayContaining([
      '.jsii', 'LICENSE', 'README.md', 'API.md', 'package.json', 'lib/index.js', 'lib/index.d.ts', ...handlers,
      'assets/glue/validate.py', 'assets/glue/preprocess.py', 'assets/glue/tabular/rows.py',
      'assets/sagemaker/__main__.py', 'assets/sagemaker/preprocess.py', 'assets/sagemaker/evaluate.py', 'assets/sagemaker/inference.py',
      'assets/rehearsal/cli.js', 'assets/rehearsal/emulator/__main__.py', 'assets/rehearsal/emulator/ministack/server.py',
      'assets/rehearsal/emulator/sagemaker/pipelines.py', 'assets/rehearsal/emulator/sagemaker/containers/xgboost_serve.py',
      'assets/rehearsal/requirements.txt', 'assets/rehearsal/requirements-jdk.txt', 'assets/rehearsal/requirements-uv.txt',
    ]));
  });

  test.each([
    ['sources', /^(src|test|examples|rosetta|projenrc|docs)\/|tsconfig|\.projenrc|(?<!\.d)\.ts$/],
    ['tests of Python', /test_[^/]*\.py$|\/(testing|fake_host)\.py$|conftest\.py$|pyproject\.toml$/],
    ['caches and leavings', /__pycache__|\.pyc$|_cache\/|\.hypothesis|cdk\.out|\.tabl\.json|rehearsal-report|\.tgz$|\.log$/],
    ['compiled handlers and command line beside their bundles', /^lib\/rehearsal\/|\.lambda\.(js|d\.ts)$/],
    ['settings of tools', /(^|\/)\.(?!jsii$)/],
  ])('has no %s', (_, pattern) => {
    expect(files.filter((file) => pattern.test(file))).toEqual([]);
  });

  test('has nothing whose source is gone', () => {
    const compiled = files.filter((file) => /^lib\/.*\.js$/.test(file));
    expect(compiled.filter((file) => !fs.existsSync(path.join(ROOT, file.replace(/^lib/, 'src').replace(/\.js$/, '.ts'))))).toEqual([]);
  });

  test('has types that refer only to what is in it', () => {
    const missing = files.filter((file) => file.endsWith('.d.ts')).flatMap((file) =>
      [...fs.readFileSync(path.join(installed, file), 'utf8').matchAll(/from '(\.[^']*)'/g)]
        .map(([, target]) => path.posix.join(path.posix.dirname(file), target))
        .filter((target) => !files.includes(`${target}.d.ts`) && !files.includes(`${target}/index.d.ts`)));
    expect(missing).toEqual([]);
  });

  test('is small: less than 5 MB to download, 16 MB on disk', () => {
    expect(packed.size).toBeLessThan(5 * MEGABYTE);
    expect(packed.unpackedSize).toBeLessThan(16 * MEGABYTE);
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
    expect(run(process.execPath, [cli, '--help'], work)).toContain('cdk-mlops rehearse');
  });
});
