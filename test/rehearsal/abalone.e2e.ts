import * as fs from 'fs';
import { ABALONE, assembly, rehearse, Rehearsed, stepOf } from './command';

describe('the example on the real data', () => {
  let run: Rehearsed;
  beforeAll(async () => {
    run = await rehearse('abalone', '--app', assembly(), '--data', ABALONE);
  });

  test('passes every step', () => {
    expect({ exitCode: run.exitCode, failure: run.document.failure }).toEqual({ exitCode: 0, failure: undefined });
    expect(run.document.steps.filter(({ status }) => status !== 'passed')).toEqual([]);
  });

  test('trains a model as good as this data allows', () => {
    const { regression_metrics: metrics } = run.document.evaluation as { regression_metrics: Record<string, { value: number }> };
    expect(metrics.mse.value).toBeGreaterThan(4.0);
    expect(metrics.mse.value).toBeLessThan(5.8);
    expect(metrics.r2.value).toBeGreaterThan(0.45);
    expect(metrics.r2.value).toBeLessThan(0.61);
    expect(run.document.gate).toEqual([expect.objectContaining({ metric: 'mse', limit: 6, passed: true })]);
  });

  test('predicts the held-out animals through the API as the evaluation in the pipeline did', () => {
    const { regression_metrics: metrics } = run.document.evaluation as { regression_metrics: Record<string, { value: number }> };
    const { rows, complete, scores } = run.document.predictions!;
    expect(complete).toBe(true);
    expect(rows.length).toBeGreaterThan(400);
    expect((scores as unknown as { mse: number }).mse).toBeCloseTo(metrics.mse.value, 3);
  });

  test('refuses a call without credentials, and a wrong field by name, value and what is allowed', () => {
    expect(stepOf(run.document, 'refusals')!.summary).toContain('401');
    expect(stepOf(run.document, 'refusals')!.summary).toContain('400');
    expect(stepOf(run.document, 'refusals')!.details.join('\n')).toMatch(/sex must be one of "F", "I", "M"/);
  });

  test('starts one training for two equal requests, on the data set asked for, and refuses a parameter that the pipeline lacks and one that callers may not set', () => {
    const { id } = run.document.dataSet!;
    expect(stepOf(run.document, 'retraining')).toMatchObject({
      status: 'passed',
      summary: expect.stringMatching(new RegExp(`^\\w+: 400 that names \\w+; MseThreshold: 400; asked twice with data set ${id.slice(0, 12)}: started once, then stopped$`)) as string,
    });
    expect(run.document.emulated!.grants.exercised).toEqual(expect.arrayContaining([
      expect.objectContaining({ action: 'sagemaker:StartPipelineExecution', logicalId: expect.stringContaining('ApiTraining') as string }),
    ]));
  });

  test('trains once when the same event is delivered twice', () => {
    expect(stepOf(run.document, 'duplicate')).toMatchObject({ status: 'passed', summary: expect.stringContaining('trained once') as string });
  });

  test('denies nothing, and says what was exercised and what was not rehearsed', () => {
    const { denials, grants, notRehearsed } = run.document.emulated!;
    expect(denials).toEqual([]);
    expect(grants.exercised.length).toBeGreaterThan(30);
    expect(JSON.stringify(notRehearsed)).toMatch(/executions are not logged to CloudWatch here/);
  });

  test('writes one file that needs nothing else', () => {
    const html = fs.readFileSync(run.report, 'utf8');
    expect(html).toContain('<svg');
    expect(html).not.toMatch(/(src|href)="https?:/);
  });
});

describe('the gate', () => {
  let run: Rehearsed;
  beforeAll(async () => {
    run = await rehearse('gate', '--app', assembly(), '--data', ABALONE, '--parameter', 'MseThreshold=1.0');
  });

  test('rejects a model above the limit, says by how much, and exits with 3', () => {
    expect(run.exitCode).toBe(3);
    expect(run.document.failure!.message).toMatch(/mse 4\.\d+ > 1(\.0)?\b/);
  });

  test('registers nothing and makes no endpoint', () => {
    expect(run.document.model).toBeUndefined();
    expect(run.document.endpoint).toBeUndefined();
    expect(run.progress).toMatch(/nothing (was |is )?registered/i);
  });
});
