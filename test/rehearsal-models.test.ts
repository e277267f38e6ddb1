/** Which parts of an app belong to one model, which file and which API are for it. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { findAppParts, groupOf, ModelParts } from '../src/rehearsal/app/app-parts';
import { AssembledStack } from '../src/rehearsal/app/assembly';
import { DeployedStack } from '../src/rehearsal/app/deployed-stacks';
import { UsageError } from '../src/rehearsal/command/errors';
import { Terminal } from '../src/rehearsal/command/terminal';
import { ApiClient } from '../src/rehearsal/scenario/api-client';
import { assignDataFiles, dataPipelinesOf, parseDataFile } from '../src/rehearsal/scenario/data-files';
import { noRetraining } from '../src/rehearsal/scenario/retraining';
import { DeployedApp, RunContext } from '../src/rehearsal/scenario/run-context';
import { ModelResults, runScenario } from '../src/rehearsal/scenario/scenario';
import { ReachedUntil, StepRunner } from '../src/rehearsal/scenario/step-runner';

type Entry = [kind: string, where: string, facts: object];

const environment = { account: '000000000000', region: 'us-east-1' };

function stacksOf(...entries: Entry[]): AssembledStack[] {
  return [{ id: 'A', stage: '', environment, metadata: entries.map(([kind, where, data]) => ({ type: `cdk-mlops:${kind}`, path: where, data })) }] as unknown as AssembledStack[];
}

const partsOf = (stacks: AssembledStack[]) => findAppParts(stacks, stacks as unknown as DeployedStack[]);

const data = (where: string, dataset: string, pipelineName?: string): Entry => ['data-pipeline', where, { pipelineName, schema: { name: dataset } }];
const training = (where: string, pipelineName: string, modelPackageGroupName: string): Entry => ['training-pipeline', where, { pipelineName, modelPackageGroupName }];
const registry = (where: string, modelPackageGroupName: string): Entry => ['model-registry', where, { modelPackageGroupName }];
const endpoint = (where: string, endpointName: string, modelPackageGroupName: string): Entry =>
  ['inference-endpoint', where, { endpointName, modelPackageGroupName, schema: { name: 'any' } }];
const api = (where: string, serves: Partial<Record<'data' | 'training' | 'registry' | 'endpoint', string[]>>): Entry =>
  ['api', where, { serves: { data: [], training: [], registry: [], endpoint: [], ...serves } }];

/** `name: data training registry endpoints api`. */
const outline = (models: readonly ModelParts[]) => models.map(({ name, ...parts }) =>
  `${name}: ${[parts.data, parts.training, parts.registry, ...parts.endpoints, parts.api].map((part) => part?.path ?? '-').join(' ')}`);

describe('parts of a model', () => {
  test('follow from the names in their facts, in whatever order they stand', () => {
    const entries = [
      data('D1', 'abalone', 'train-a'), data('D2', 'wine', 'train-w'), training('T1', 'train-a', 'abalone'), training('T2', 'train-w', 'wine'),
      registry('R1', 'abalone'), registry('R2', 'wine'), endpoint('E1', 'serve-a', 'abalone'), endpoint('E2', 'serve-w', 'wine'),
      api('Api', { endpoint: ['serve-a', 'serve-w'] }),
    ];
    const wanted = ['abalone: D1 T1 R1 E1 Api', 'wine: D2 T2 R2 E2 Api'];
    expect(outline(partsOf(stacksOf(...entries)).models)).toEqual(wanted);
    const reversed = partsOf(stacksOf(...entries.reverse()));
    expect(outline(reversed.models)).toEqual([...wanted].reverse());
    expect(reversed.remarks).toEqual([]);
  });

  test('are of one account and region, where the same names occur in several', () => {
    const entries = [data('D', 'wine', 'train'), training('T', 'train', 'wine'), registry('R', 'wine'), endpoint('E', 'serve', 'wine'), api('Api', { endpoint: ['serve'] })];
    const stacks = [environment, { account: '222222222222', region: 'eu-west-1' }].flatMap((place, i) =>
      stacksOf(...entries.map(([kind, where, facts]): Entry => [kind, `S${i}/${where}`, facts])).map((stack) => ({ ...stack, id: `S${i}`, environment: place })));
    const { models } = partsOf(stacks);
    expect(outline(models)).toEqual(['S0/D: S0/D S0/T S0/R S0/E S0/Api', 'S1/D: S1/D S1/T S1/R S1/E S1/Api']);
    expect(models.map((model) => model.environment)).toEqual(stacks.map((stack) => stack.environment));
  });

  test('what nothing feeds is said, and not taken in the place of what is missing', () => {
    const { models, remarks } = partsOf(stacksOf(
      training('T1', 'one', 'g1'), registry('R1', 'g1'), endpoint('E1', 'e1', 'g1'), training('T2', 'two', 'g2'), data('D2', 'iris', 'two'), registry('R3', 'g3'),
    ));
    expect(outline(models)).toEqual(['iris: D2 T2 - -']);
    expect(groupOf(models[0])).toBe('g2');
    expect(remarks).toEqual(['not rehearsed, since they belong to no data pipeline: T1, R1, R3, E1']);
  });

  test('several endpoints may serve one group, each model has the API that serves most of it, and a name that two share names neither', () => {
    const { models } = partsOf(stacksOf(
      data('D1', 'iris', 'one'), data('D2', 'iris', 'two'), training('T1', 'one', 'g1'), training('T2', 'two', 'g2'),
      endpoint('E1', 'e1', 'g1'), endpoint('E2', 'e2', 'g1'), api('ReadApi', { training: ['one', 'two'] }), api('WholeApi', { training: ['two'], registry: ['g2'] }),
    ));
    expect(outline(models)).toEqual(['D1: D1 T1 - E1 E2 ReadApi', 'D2: D2 T2 - WholeApi']);
  });

  test('an app without data has models that begin at what it has', () => {
    expect(outline(partsOf(stacksOf(endpoint('E', 'e', 'g'), registry('R', 'g'), api('Api', {}))).models)).toEqual(['R: - - R E Api']);
    expect(outline(partsOf(stacksOf(api('Api', {}))).models)).toEqual([': - - - Api']);
    expect(outline(partsOf([]).models)).toEqual([': - - - -']);
  });
});

describe('the API of a model', () => {
  const routes = ['GET /models', 'POST /inference/predict', 'POST /training/start', 'GET /models/{group}/versions/{version}'];
  const client = (serves: Partial<ApiClient['facts']['serves']>, given = routes) => new ApiClient({
    url: 'https://abc.execute-api.us-east-1.amazonaws.com/',
    access: 'open',
    routes: given,
    serves: { data: [], training: [], registry: [], endpoint: [], ...serves },
    trainingParameters: [],
  }, { endpoint: 'http://127.0.0.1:1', region: 'us-east-1', credentials: { accessKeyId: 'a', secretAccessKey: 's' } });

  test('is asked by the name of a part only where it serves several', () => {
    expect(client({ registry: ['g'] }).pathOf('GET /models', 'g')).toBe('/models');
    expect(client({ registry: ['g', 'h'] }).pathOf('GET /models', 'g')).toBe('/models?group=g');
    expect(client({ registry: ['g', 'h'] }).pathOf('GET /models/{group}/versions/{version}', 'h', { group: 'h', version: 3 })).toBe('/models/h/versions/3');
  });

  test('is not asked for what it does not serve', () => {
    expect(client({ endpoint: ['e'] }).pathOf('POST /inference/predict', 'other')).toBeUndefined();
    expect(client({ endpoint: ['e'] }).pathOf('POST /inference/predict', undefined)).toBeUndefined();
    expect(client({ endpoint: ['e'] }, ['GET /health']).pathOf('POST /inference/predict', 'e')).toBeUndefined();
    const context = (given: ApiClient) => ({ api: given, parts: { training: { facts: { pipelineName: 'p' } } } }) as unknown as RunContext;
    expect(noRetraining(context(client({ training: ['p'] })))).toBeUndefined();
    expect(noRetraining(context(client({ training: ['q'] })))).toContain('another pipeline');
    expect(noRetraining(context(client({ training: ['p'] }, ['GET /models'])))).toBe('the app has no API that starts trainings');
  });
});

describe('data files', () => {
  let folder: string;
  const column = (name: string, required = true) => ({ name, required });
  const pipelines = dataPipelinesOf(stacksOf(
    ['data-pipeline', 'App/Abalone', { schema: { name: 'abalone', columns: [column('sex'), column('rings'), column('note', false)] } }],
    ['data-pipeline', 'App/Wine', { schema: { name: 'wine', columns: [column('ash'), column('cultivar')] } }],
    ['api', 'App/Api', {}],
  ));
  const file = (name: string, text = '') => {
    const where = path.join(folder, name);
    fs.writeFileSync(where, text);
    return where;
  };
  const assign = (...given: string[]) => Object.fromEntries(assignDataFiles(given.map(parseDataFile), pipelines));

  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'data-files-'));
  });
  afterEach(() => fs.rmSync(folder, { recursive: true }));

  test('are for the data set that they are named with, or whose columns their header has', () => {
    const [wine, abalone] = [file('w.csv', '\uFEFF"cultivar",ash\r\nx,1\r\n'), file('a.csv', 'rings,sex\n1,M\n')];
    expect(assign(wine, abalone)).toEqual({ 'App/Wine': wine, 'App/Abalone': abalone });
    const odd = file('odd=name.csv');
    expect(assign(`wine=${odd}`)).toEqual({ 'App/Wine': odd });
    expect(assign(`App/Abalone=${odd}`)).toEqual({ 'App/Abalone': odd });
    expect(parseDataFile(odd)).toEqual({ file: odd });
  });

  test('of an app with one data set need no name, and of one without are for nobody', () => {
    const any = file('any.csv', 'x\n1\n');
    expect([...assignDataFiles([{ file: any }], pipelines.slice(0, 1))]).toEqual([['App/Abalone', any]]);
    expect([...assignDataFiles([{ file: any }], [])]).toEqual([]);
  });

  test.each([
    ['the data set is unknown', ['wines=F'], /the app has no data set "wines"; it has "abalone", "wine"/],
    ['the header fits none', ['F'], /has the data sets "abalone", "wine", and its header fits none of them; say which one it is: --data abalone=/],
    ['the header fits both', ['BOTH'], /its header fits "abalone", "wine"/],
    ['two are for one', ['wine=F', 'wine=BOTH'], /are both for the data set "wine"/],
    ['one does not exist', ['wine=nowhere.csv'], /the data file nowhere.csv does not exist/],
  ])('fails when %s', (_, given, message) => {
    const files = { F: file('f.csv', 'x,y\n'), BOTH: file('both.csv', 'sex,rings,ash,cultivar\n') };
    const named = given.map((text) => text.replace(/F$|BOTH$/, (key) => files[key as keyof typeof files]));
    expect(() => assign(...named)).toThrow(UsageError);
    expect(() => assign(...named)).toThrow(message);
  });

  test('are for their data set in every stage, and in one if that is named', () => {
    const stages = ['Dev', 'Prod'].map((stage) => ({ ...pipelines[1], stage, path: `${stage}/Wine` }));
    const both = [['Dev/Wine', 'w.csv'], ['Prod/Wine', 'w.csv']];
    expect([...assignDataFiles([{ file: 'w.csv' }], stages)]).toEqual(both);
    expect([...assignDataFiles([{ dataset: 'wine', file: 'w.csv' }], [...stages, pipelines[0]])]).toEqual(both);
    expect([...assignDataFiles([{ dataset: 'Prod/Wine', file: 'w.csv' }], stages)]).toEqual([both[1]]);
    const wine = file('w.csv', 'ash,cultivar\n');
    expect([...assignDataFiles([{ file: wine }], [...stages, pipelines[0]])]).toEqual([['Dev/Wine', wine], ['Prod/Wine', wine]]);
  });

  test('fails when a name means two data pipelines', () => {
    const twins = [pipelines[1], { ...pipelines[1], path: 'Other/Wine' }];
    expect(() => assignDataFiles([{ dataset: 'wine', file: 'w.csv' }], twins)).toThrow('2 data pipelines are of the data set "wine"; name one by its path, "App/Wine", "Other/Wine"');
  });
});

describe('the steps of several models', () => {
  const silent = new Terminal({ write: () => undefined });
  const app = (...names: string[]) => ({
    options: { parameters: {} }, models: names.map((name) => ({ parts: { name, environment, endpoints: [] } })),
  }) as unknown as DeployedApp;

  test('carry the name of their model, and those of one model none', async () => {
    const runner = new StepRunner(silent, new AbortController().signal);
    const results: ModelResults[] = [];
    await runScenario(runner, app('abalone', 'wine'), results);
    expect(results.map(({ name }) => name)).toEqual(['abalone', 'wine']);
    expect(runner.results.filter(({ id }) => id === 'upload').map(({ title, model }) => [title, model]))
      .toEqual([['upload the data (abalone)', 'abalone'], ['upload the data (wine)', 'wine']]);
    const one = new StepRunner(silent, new AbortController().signal);
    await runScenario(one, app('abalone'), []);
    expect(one.results.find(({ id }) => id === 'upload')).toMatchObject({ title: 'upload the data', model: undefined });
  });

  test('are run for each model up to that of --until', async () => {
    const runner = new StepRunner(silent, new AbortController().signal, 'data');
    await expect(runScenario(runner, app('abalone', 'wine'), [])).rejects.toThrow(ReachedUntil);
    expect(runner.results.map(({ id, model }) => `${id} ${model}`)).toEqual(['upload abalone', 'data abalone', 'upload wine', 'data wine']);
  });

  test('fails when a parameter is given and there is no training pipeline', async () => {
    const given = { ...app('abalone'), options: { parameters: { MaxDepth: '3' } } } as unknown as DeployedApp;
    await expect(runScenario(new StepRunner(silent, new AbortController().signal), given, [])).rejects.toThrow('--parameter changes a training pipeline, but the app has none');
  });
});
