/** The package as npm packs it from a fresh clone, installed and used where nothing of the checkout is. */
import * as fs from 'fs';
import * as path from 'path';
import { ABALONE, pinned, ROOT, run, succeed, testFolder } from './command';

const EXAMPLE = path.join(ROOT, 'examples', 'abalone');
const clone = testFolder('clone');
const [name] = fs.readdirSync(testFolder('packed'));
const tarball = testFolder('packed', name);

test('a fresh clone packs what a built checkout does', async () => {
  const [packed] = Object.values(JSON.parse(await succeed('npm', ['pack', '--dry-run', '--ignore-scripts', '--json'], ROOT)) as { files: { path: string }[] }[]);
  const files = (await succeed('tar', ['-tzf', tarball], ROOT)).trim().split('\n').map((file) => file.replace(/^package\//, ''));
  expect(files.sort()).toEqual(packed.files.map((file) => file.path).sort());
});

test('what is built is not built again, and what is older than its source is', async () => {
  const [compiled, bundled] = [path.join(clone, '.jsii'), path.join(clone, 'assets', 'rehearsal', 'cli.js')];
  const times = () => [compiled, bundled].map((file) => fs.statSync(file).mtimeMs);
  const before = times();
  await succeed('npx', ['projen', 'prepack'], clone);
  expect(times()).toEqual(before);
  fs.utimesSync(bundled, 0, 0);
  await succeed('npx', ['projen', 'prepack'], clone);
  expect(times()).toEqual([before[0], expect.any(Number)]);
  expect(times()[1]).toBeGreaterThanOrEqual(before[1]);
});

describe('installed in a copy of the example', () => {
  const app = testFolder('npm-app');

  beforeAll(async () => {
    fs.mkdirSync(app);
    ['app.ts', 'acknowledgements.ts', 'cdk.json'].forEach((file) => fs.copyFileSync(path.join(EXAMPLE, file), path.join(app, file)));
    const manifest = JSON.parse(fs.readFileSync(path.join(EXAMPLE, 'package.json'), 'utf8')) as { dependencies: Record<string, string> };
    const dependencies = { ...manifest.dependencies, 'cdk-mlops': `file:${tarball}`, 'aws-cdk-lib': pinned('aws-cdk-lib'), 'constructs': pinned('constructs') };
    fs.writeFileSync(path.join(app, 'package.json'), JSON.stringify({ ...manifest, dependencies }));
    await succeed('npm', ['install', '--no-audit', '--no-fund', '--no-package-lock'], app);
  });

  test('the command line may be executed', () => {
    expect(fs.statSync(path.join(app, 'node_modules', 'cdk-mlops', 'assets', 'rehearsal', 'cli.js')).mode % 0o1000).toBe(0o755);
  });

  test('it rehearses', async () => {
    const { code, output } = await run('npx', ['cdk-mlops', 'rehearse', '--data', ABALONE], app);
    expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining('everything worked') as string });
  });
});
