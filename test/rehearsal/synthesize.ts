import { spawnSync } from 'child_process';
import * as fs from 'fs';
import * as os from 'os';
import * as path from 'path';

/**
 * Synthesizes the example once for all rehearsals of its cloud assembly. No app is held against the schemas of CloudFormation
 * here, which takes longer than its synth: test/example.test.ts does that.
 */
export default function synthesize(): void {
  const root = path.join(__dirname, '..', '..');
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cdk-mlops-rehearsals-'));
  process.env.CDK_MLOPS_TEST_FOLDER = folder;
  process.env.CDK_VALIDATION = 'false';
  const run = spawnSync(path.join(root, 'node_modules/.bin/cdk'), ['synth', '--quiet', '--output', path.join(folder, 'assembly')], {
    cwd: path.join(root, 'examples', 'abalone'), encoding: 'utf8',
  });
  if (run.status !== 0) {
    throw new Error(`the example does not synthesize:\n${run.stdout}${run.stderr}`);
  }
}
