import * as fs from 'fs';
import * as path from 'path';
import type { NamedModelDocument } from '../../src/rehearsal/report/document';
import { rehearse, Rehearsed, ROOT, testFolder } from '../rehearsal/command';

/** A number from 0 to 1 that looks random and is the same in each run. */
const noise = (i: number, salt: number) => Math.abs(Math.sin(i * 12.9898 + salt * 78.233) * 43758.5453) % 1;

/** Rents that follow from area and district, but for a little noise. */
function rents(): string {
  const rows = Array.from({ length: 400 }, (_, i) => {
    const [area, district] = [20 + 100 * noise(i, 1), noise(i, 2) < 0.5 ? 'north' : 'south'];
    return `${area.toFixed(1)},${district},${(area * (district === 'north' ? 20 : 12) + 50 * noise(i, 3)).toFixed(0)}`;
  });
  return ['area,district,rent', ...rows, ''].join('\n');
}

/** Fruits whose kind follows from weight and length. */
function fruits(): string {
  const kinds = [['apple', 180, 8], ['banana', 120, 20], ['cherry', 8, 2]] as const;
  const rows = Array.from({ length: 300 }, (_, i) => {
    const [kind, weight, length] = kinds[i % 3];
    return `${(weight * (0.8 + 0.4 * noise(i, 4))).toFixed(2)},${(length * (0.8 + 0.4 * noise(i, 5))).toFixed(2)},${kind}`;
  });
  return ['weight,length,kind', ...rows, ''].join('\n');
}

describe('two models behind one API', () => {
  let run: Rehearsed;
  let models: readonly NamedModelDocument[];

  beforeAll(async () => {
    const file = (name: string, text: string) => {
      const where = path.join(testFolder(), name);
      fs.writeFileSync(where, text);
      return where;
    };
    // One file is known by its header, the other is named.
    run = await rehearse('several', '--app', path.join(ROOT, 'test', 'apps', 'several'),
      '--data', file('first.csv', rents()), '--data', `fruits=${file('second.csv', fruits())}`);
    models = run.document.models ?? [];
  });

  test('passes every step, each of both models', () => {
    expect({ exitCode: run.exitCode, failure: run.document.failure }).toEqual({ exitCode: 0, failure: undefined });
    expect(run.document.steps.filter(({ status }) => status !== 'passed')).toEqual([]);
    for (const id of ['upload', 'data', 'training', 'gate', 'registration', 'approval', 'endpoint', 'predictions', 'refusals', 'reads', 'retraining', 'duplicate']) {
      expect(run.document.steps.filter((step) => step.id === id).map(({ model }) => model)).toEqual(['fruits', 'rents']);
    }
  });

  test('trains each model on its own data, in its own group', () => {
    expect(models.map(({ name, dataSet, model }) => [name, dataSet?.name, model?.group, model?.version]))
      .toEqual([['fruits', 'fruits', 'Fruits', 1], ['rents', 'rents', 'Rents', 1]]);
  });

  test('predicts both through the one API, each at its endpoint', () => {
    expect(models.map(({ predictions }) => predictions?.problemType)).toEqual(['multiclass_classification', 'regression']);
    const [fruit, rent] = models.map(({ predictions }) => predictions!.scores);
    expect(fruit.accuracy).toBeGreaterThan(0.9);
    expect(rent.r2).toBeGreaterThan(0.8);
    expect(new Set(models.map(({ endpoint }) => endpoint)).size).toBe(2);
    const summaries = run.document.steps.filter(({ id }) => id === 'predictions').map(({ summary }) => summary);
    summaries.forEach((summary) => expect(summary).toContain('through the API'));
  });

  test('says what nothing feeds', () => {
    expect(run.document.steps.find(({ id }) => id === 'deploy')!.details).toContain('not rehearsed, since they belong to no data pipeline: Several/Unfed');
  });

  test('denies nothing, though each function may read the items of its groups alone', () => {
    expect(run.document.emulated!.denials).toEqual([]);
  });
});
