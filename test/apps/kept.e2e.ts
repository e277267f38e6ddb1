import * as fs from 'fs';
import * as path from 'path';
import { writeApp } from './foreign-app';
import { ABALONE, rehearse, ROOT, stepOf, testFolder } from '../rehearsal/command';

/** The columns of the README's schema. */
function fewColumns(): string {
  const [header, ...rows] = fs.readFileSync(ABALONE, 'utf8').trim().split('\n').map((line) => line.trim().split(','));
  const wanted = ['sex', 'length', 'shell_weight', 'rings'].map((column) => header.indexOf(column));
  const file = path.join(testFolder(), 'few-columns.csv');
  fs.writeFileSync(file, [header, ...rows].map((row) => wanted.map((index) => row[index]).join(',')).join('\n'));
  return file;
}

describe('what a destroy keeps', () => {
  test('on purpose is told and fails nothing: the first app of the README', async () => {
    const [, code] = /```ts nofixture\n([\s\S]*?)```/.exec(fs.readFileSync(path.join(ROOT, 'README.md'), 'utf8'))!;
    const run = await rehearse('readme', '--app', writeApp('readme', code), '--data', fewColumns());
    expect({ exitCode: run.exitCode, failure: run.document.failure }).toEqual({ exitCode: 0, failure: undefined });
    const kept = stepOf(run.document, 'leftovers')!.details.join('\n');
    expect(kept).toMatch(/stays: s3 bucket abalone-\S+, its removal policy retains it/);
    expect(kept).toMatch(/stays: sagemaker model-package-group \S+, its removal policy retains it/);
    expect(kept).toMatch(/stays: sagemaker model-package \S+, it is in a group that its removal policy retains/);
  });

  test('by protection is lifted first, and told', async () => {
    const run = await rehearse('protected', '--app', writeApp('protected', `
      import { App, RemovalPolicy, Stack } from 'aws-cdk-lib';
      import { UserPool } from 'aws-cdk-lib/aws-cognito';
      import { AttributeType, Table } from 'aws-cdk-lib/aws-dynamodb';
      const stack = new Stack(new App(), 'Guarded', { terminationProtection: true });
      const removalPolicy = RemovalPolicy.DESTROY;
      new Table(stack, 'Table', { partitionKey: { name: 'id', type: AttributeType.STRING }, deletionProtection: true, removalPolicy });
      new UserPool(stack, 'People', { deletionProtection: true, removalPolicy });
    `));
    expect({ exitCode: run.exitCode, failure: run.document.failure }).toEqual({ exitCode: 0, failure: undefined });
    expect([...stepOf(run.document, 'destroy')!.details].sort()).toEqual([
      expect.stringMatching(/^lifted first: the deletion protection of table Guarded-Table/),
      expect.stringMatching(/^lifted first: the deletion protection of user pool us-east-1_/),
      'lifted first: the termination protection of stack Guarded',
    ]);
  });
});
