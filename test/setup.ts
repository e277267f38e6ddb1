import * as fs from 'fs';
import * as os from 'os';
import * as path from 'path';

/**
 * For the unit tests: a temporary folder of their own, removed at the end with the cloud assemblies that the CDK puts there.
 * The CDK checks every synthesized template against the schemas of CloudFormation, which takes seconds a synth; unit tests
 * look at templates themselves, and test/example.test.ts synthesizes the whole example with these checks on.
 */
export default function setUp(): void {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cdk-mlops-unit-'));
  process.env.CDK_MLOPS_TEST_FOLDER = folder;
  process.env.TMPDIR = folder;
  process.env.CDK_VALIDATION ??= 'false';
}
