import { spawnSync } from 'child_process';
import { createHash } from 'crypto';
import * as fs from 'fs';
import * as os from 'os';
import * as path from 'path';

const ROOT = path.join(__dirname, '..');
const EXAMPLE = path.join(ROOT, 'examples', 'abalone');

interface Violation {
  readonly ruleName: string;
  readonly severity: string;
  readonly violatingConstructs: { readonly constructPath: string }[];
}

/** Synthesizes an app of the example's folder with every check of the CDK and of cdk-nag on. */
function synth(app: string, context: Record<string, unknown> = {}): {
  status: number | null; output: string; outdir: string; violations: Violation[];
} {
  const outdir = fs.mkdtempSync(path.join(os.tmpdir(), 'cdk-mlops-example-'));
  const settings = JSON.parse(fs.readFileSync(path.join(EXAMPLE, 'cdk.json'), 'utf8')) as { context: Record<string, unknown> };
  const run = spawnSync(process.execPath, ['--require', require.resolve('tsx/cjs'), app], {
    cwd: EXAMPLE,
    env: { ...process.env, CDK_VALIDATION: 'true', CDK_OUTDIR: outdir, CDK_CONTEXT_JSON: JSON.stringify({ ...settings.context, ...context }) },
    encoding: 'utf8',
  });
  const report = path.join(outdir, 'validation-report.json');
  const violations = fs.existsSync(report)
    ? (JSON.parse(fs.readFileSync(report, 'utf8')) as { pluginReports: { violations: Violation[] }[] }).pluginReports.flatMap((plugin) => plugin.violations)
    : [];
  return { status: run.status, output: run.stdout + run.stderr, outdir, violations };
}

describe('examples/abalone', () => {
  const made: string[] = [];
  afterAll(() => made.forEach((folder) => fs.rmSync(folder, { recursive: true, force: true })));

  test.each([['dev', 'AbaloneDev'], ['prod', 'Abalone']])('synthesizes in the profile %s with no open finding', (profile, stack) => {
    const { status, output, outdir, violations } = synth('app.ts', { profile });
    made.push(outdir);
    expect({ status, violations, output: status === 0 ? '' : output }).toEqual({ status: 0, violations: [], output: '' });
    expect(fs.existsSync(path.join(outdir, `${stack}.template.json`))).toBe(true);
  }, 120_000);

  test('fails when a finding has no reason', () => {
    const app = path.join(EXAMPLE, 'unacknowledged.ts');
    fs.writeFileSync(app, fs.readFileSync(path.join(EXAMPLE, 'app.ts'), 'utf8').replace(/^acknowledge\(.*$/m, ''));
    try {
      const { status, outdir, violations } = synth('unacknowledged.ts');
      made.push(outdir);
      expect(status).not.toBe(0);
      expect(violations.map((violation) => violation.ruleName)).toContain('AwsSolutions-S1');
    } finally {
      fs.rmSync(app);
    }
  }, 120_000);

  test('is one file of at most 100 lines, with no Python of its own', () => {
    expect(fs.readFileSync(path.join(EXAMPLE, 'app.ts'), 'utf8').trimEnd().split('\n').length).toBeLessThanOrEqual(100);
    expect(fs.readdirSync(EXAMPLE, { recursive: true }).filter((file) => String(file).endsWith('.py'))).toEqual([]);
  });

  test('holds the data set that its checksum names', () => {
    const data = path.join(EXAMPLE, 'data');
    const [expected] = fs.readFileSync(path.join(data, 'abalone.csv.sha256'), 'utf8').split(' ');
    const bytes = fs.readFileSync(path.join(data, 'abalone.csv'));
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(expected);
    expect(bytes.toString('utf8').trimEnd().split('\n')).toHaveLength(4177 + 1);
  });
});
