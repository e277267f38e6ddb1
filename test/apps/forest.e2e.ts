import * as path from 'path';
import { ABALONE, rehearse, Rehearsed, ROOT, stepOf } from '../rehearsal/command';

describe('an algorithm of a team\'s own', () => {
  let run: Rehearsed;
  beforeAll(async () => {
    run = await rehearse('forest', '--app', path.join(ROOT, 'test', 'apps', 'forest'), '--data', ABALONE);
  });

  test('is trained, measured, registered, served and asked, under the grants that follow from it', () => {
    expect({ exitCode: run.exitCode, failure: run.document.failure, denials: run.document.emulated?.denials })
      .toEqual({ exitCode: 0, failure: undefined, denials: [] });
    expect(run.document.steps.filter(({ status }) => status !== 'passed')).toEqual([]);
  });

  test('tells what it learned: metrics, importance, and the same errors when it serves', () => {
    const { regression_metrics: metrics, feature_importance: importance } = run.document.evaluation as unknown as {
      readonly regression_metrics: Record<string, { readonly value: number }>;
      readonly feature_importance: Record<string, number>;
    };
    expect(metrics.mae.value).toBeGreaterThan(1);
    expect(metrics.mae.value).toBeLessThan(2);
    expect(Object.keys(importance)[0]).toBe('shell_weight');
    expect(stepOf(run.document, 'predictions')!.summary).toContain('621 rows through the API');
  });
});
