import * as fs from 'fs';
import * as path from 'path';
import { ABALONE, rehearse, Rehearsed, ROOT, stepOf } from '../rehearsal/command';

const APP = path.join(ROOT, 'test', 'apps', 'neighbours');

describe('an algorithm in a container image of a team\'s own', () => {
  let run: Rehearsed;
  beforeAll(async () => {
    process.env.CDK_MLOPS_STAND_INS = JSON.stringify({ 'team/neighbours': { train: 'container/train.py', serve: 'container/serve.py' } });
    run = await rehearse('neighbours', '--app', APP, '--data', ABALONE);
  });
  afterAll(() => {
    delete process.env.CDK_MLOPS_STAND_INS;
  });

  test('is trained, measured, registered, served and asked, under the grants that follow from it', () => {
    expect({ exitCode: run.exitCode, failure: run.document.failure, denials: run.document.emulated?.denials })
      .toEqual({ exitCode: 0, failure: undefined, denials: [] });
    expect(run.document.steps.filter(({ status }) => status !== 'passed')).toEqual([]);
  });

  test('its model serves with the errors that the evaluation found by the loader', () => {
    const { regression_metrics: { mae } } = run.document.evaluation as unknown as {
      readonly regression_metrics: Record<string, { readonly value: number }>;
    };
    expect(mae.value).toBeGreaterThan(1);
    expect(stepOf(run.document, 'predictions')!.summary).toContain(`mae ${mae.value.toFixed(3)}`);
  });

  test('it is told what plays the image', () => {
    expect(run.progress).toMatch(/image \d+\.dkr\.ecr\.[^ ]+\/team\/neighbours:1\.0: played by the team's own train\.py, serve\.py/);
  });

  test('the rehearsal writes nothing into the folder of the app', () => {
    expect((fs.readdirSync(APP, { recursive: true }) as string[]).sort())
      .toEqual(['app.ts', 'cdk.json', 'container', 'container/model.py', 'container/serve.py', 'container/train.py', 'loader.py']);
  });
});
