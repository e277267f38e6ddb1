import { spawnSync } from 'child_process';
import * as fs from 'fs';
import * as path from 'path';
import { rehearse, Rehearsed, ROOT, run as command, stepOf, testFolder } from './command';

/** Writes the wine data that scikit-learn ships, with some of the measures of ash left out. */
const WRITE_WINE = `
import sys
from sklearn.datasets import load_wine
wine = load_wine(as_frame=True)
frame = wine.data.rename(columns={"od280/od315_of_diluted_wines": "od280_od315"})
frame.loc[frame.index % 12 == 0, "ash"] = None
frame.insert(0, "bottle", [f"bottle-{i}" for i in range(len(frame))])
frame["cultivar"] = [["barolo", "grignolino", "barbera"][k] for k in wine.target]
frame.to_csv(sys.argv[1], index=False)
`;

describe('another data set: three classes, missing values, an identifier; a customer key and a VPC', () => {
  let run: Rehearsed;
  beforeAll(async () => {
    const { stdout } = await command(['prepare'], testFolder());
    const csv = path.join(testFolder(), 'wine.csv');
    const written = spawnSync(stdout.trim().split('\n').at(-1)!, ['-c', WRITE_WINE, csv], { encoding: 'utf8' });
    expect({ status: written.status, stderr: written.stderr }).toEqual({ status: 0, stderr: '' });
    expect(fs.readFileSync(csv, 'utf8').split('\n')).toHaveLength(178 + 2);
    run = await rehearse('wine', '--app', path.join(ROOT, 'test', 'rehearsal', 'wine'), '--data', csv);
  });

  test('passes every step', () => {
    expect({ exitCode: run.exitCode, failure: run.document.failure }).toEqual({ exitCode: 0, failure: undefined });
    expect(run.document.steps.filter(({ status }) => status !== 'passed')).toEqual([]);
  });

  test('classifies most bottles right, with the metrics of a classification', () => {
    const { multiclass_classification_metrics: metrics } = run.document.evaluation as Record<string, Record<string, { value: number }>>;
    expect(Object.keys(metrics)).toEqual(expect.arrayContaining(['accuracy', 'precision', 'recall', 'f1', 'auc']));
    expect(metrics.accuracy.value).toBeGreaterThan(0.8);
    expect(run.document.predictions).toMatchObject({ problemType: 'multiclass_classification', classes: ['barolo', 'grignolino', 'barbera'] });
  });

  test('answers callers with AWS credentials, and refuses one without', () => {
    expect(stepOf(run.document, 'refusals')!.summary).toContain('no credentials: 403');
    expect(stepOf(run.document, 'predictions')!.summary).toContain('through the API');
  });

  test('denies nothing; the crawler looked at the raw files and wrote the table it found', () => {
    const { denials, grants } = run.document.emulated!;
    expect(denials).toEqual([]);
    expect(grants.exercised).toEqual(expect.arrayContaining([
      expect.objectContaining({ action: 'glue:CreateTable', logicalId: expect.stringContaining('CrawlerRole') as string }),
    ]));
  });

  test('whoever touches what the customer key encrypts used a grant of the key', () => {
    const users = run.document.emulated!.grants.exercised.filter(({ action }) => action.startsWith('kms:'));
    expect([...new Set(users.map(({ logicalId }) => logicalId.replace(/[0-9A-F]{8}$/, '')))].sort()).toEqual([
      'ApiDatasetsRole', 'ApiModelsRole', 'ApiTrainingRole', 'DataFunctionsFinishRole', 'DataFunctionsManifestRole', 'DataFunctionsVerdictRole',
      'DataGlueTableCrawlerRole', 'DataJobsPreprocessRole', 'DataJobsValidateRole', 'DataWorkflowRole', 'EndpointArtifactsRole', 'EndpointCleanupHandlerRole',
      'EndpointDeployRole', 'EndpointRole', 'ModelsFeedHandlerRole', 'TrainingJobRole', 'TrainingRole',
    ]);
  });
});
