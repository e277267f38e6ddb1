/** What the library says of itself is complete, compiles and is what its code does. Needs a compiled library (`.jsii`, `lib/`). */
import { spawnSync } from 'child_process';
import * as fs from 'fs';
import * as os from 'os';
import * as path from 'path';
import { HELP } from '../src/rehearsal/command/options';

const ROOT = path.join(__dirname, '..');
const read = (...file: string[]) => fs.readFileSync(path.join(ROOT, ...file), 'utf8');
const README = read('README.md');

interface Docs {
  readonly summary?: string;
  readonly default?: string;
  readonly example?: string;
  readonly see?: string;
}
interface Member {
  readonly name: string;
  readonly optional?: boolean;
  readonly docs?: Docs;
}
interface Type {
  readonly name: string;
  readonly kind: 'class' | 'enum' | 'interface';
  readonly base?: string;
  readonly datatype?: boolean;
  readonly abstract?: boolean;
  readonly docs?: Docs;
  readonly members?: Member[];
  readonly methods?: Member[];
  readonly properties?: Member[];
}

const types = Object.values((JSON.parse(read('.jsii')) as { types: { [fqn: string]: Type } }).types);
const work = fs.mkdtempSync(path.join(os.tmpdir(), 'cdk-mlops-docs-'));
afterAll(() => fs.rmSync(work, { recursive: true, force: true }));

/** Runs Node in the checkout; gives the exit code, with all output where that is not 0. */
function node(...args: string[]): { status: number | null; output: string } {
  const run = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' });
  return { status: run.status, output: run.status === 0 ? '' : run.stdout + run.stderr };
}

describe('the public API', () => {
  const members = types.flatMap((type) =>
    [...type.members ?? [], ...type.methods ?? [], ...type.properties ?? []].map((member) => ({ type, member })));

  test('is there', () => {
    expect(types.map((type) => type.name)).toEqual(expect.arrayContaining(['DatasetSchema', 'MlopsApi', 'PipelineDefinition']));
  });

  test('says of every type and member what it means', () => {
    const silent = [
      ...types.filter((type) => !type.docs?.summary).map((type) => type.name),
      ...members.filter(({ member }) => !member.docs?.summary).map(({ type, member }) => `${type.name}.${member.name}`),
    ];
    expect(silent).toEqual([]);
  });

  test('says in sentences', () => {
    const summaries = [
      ...types.map((type) => [type.name, type.docs?.summary] as const),
      ...members.map(({ type, member }) => [`${type.name}.${member.name}`, member.docs?.summary] as const),
    ];
    expect(summaries.filter(([, summary]) => !/^\S.*[.:?!]$/s.test(summary ?? '.')).map(([name, summary]) => `${name}: ${summary}`)).toEqual([]);
  });

  test('gives the default of every optional prop: a value, or what happens', () => {
    const props = types.filter((type) => type.datatype).flatMap((type) => (type.properties ?? []).map((prop) => ({ name: `${type.name}.${prop.name}`, prop })));
    expect(props.filter(({ prop }) => prop.optional && !prop.docs?.default).map(({ name }) => name)).toEqual([]);
    expect(props.filter(({ prop }) => !prop.optional && prop.docs?.default).map(({ name }) => name)).toEqual([]);
    expect(props.filter(({ prop }) => /undefined|^none$/i.test(prop.docs?.default ?? '')).map(({ name }) => name)).toEqual([]);
  });

  test('shows every construct at work, and points to what AWS says of it', () => {
    const constructs = types.filter((type) => type.kind === 'class' && !type.abstract && /^(constructs\.Construct|aws-cdk-lib\.Resource)$/.test(type.base ?? ''));
    expect(constructs.map((type) => type.name).sort()).toEqual(['DataPipeline', 'InferenceEndpoint', 'MlopsApi', 'ModelRegistry', 'TrainingPipeline']);
    expect(constructs.filter((type) => !type.docs?.example || !type.docs.see).map((type) => type.name)).toEqual([]);
  });

  test('is what API.md says (node test/api-reference.mjs writes it anew)', () => {
    const reference = path.join(work, 'API.md');
    expect(node('test/api-reference.mjs', reference)).toEqual({ status: 0, output: '' });
    const [written, found] = [fs.readFileSync(reference, 'utf8'), read('API.md')];
    // The first line that differs says more than a comparison of 9000.
    const at = written.split('\n').findIndex((line, i) => line !== found.split('\n')[i]);
    expect({ line: at + 1, text: found.split('\n')[at] }).toEqual({ line: at + 1, text: written.split('\n')[at] });
    expect(found === written).toBe(true);
  }, 300_000);
});

describe('examples', () => {
  /** A folder that looks like the package: the compiler of examples leaves its translations beside the assembly. */
  function packageLike(): string {
    const folder = fs.mkdtempSync(path.join(work, 'package-'));
    const assembly = JSON.parse(read('.jsii')) as { readme: { markdown: string } };
    assembly.readme.markdown = README; // as it is now
    fs.writeFileSync(path.join(folder, '.jsii'), JSON.stringify(assembly));
    fs.copyFileSync(path.join(ROOT, 'package.json'), path.join(folder, 'package.json'));
    for (const name of ['lib', 'rosetta', 'node_modules']) {
      fs.symlinkSync(path.join(ROOT, name), path.join(folder, name), 'dir');
    }
    return folder;
  }

  test('in README.md and in the doc comments compile', () => {
    expect(README.match(/^```ts/gm)?.length).toBeGreaterThan(1);
    expect(node(path.join(ROOT, 'node_modules/jsii-rosetta/bin/jsii-rosetta'), 'extract', '--strict', packageLike())).toEqual({ status: 0, output: '' });
  }, 300_000);
});

describe('README.md', () => {
  test('links to what is there', () => {
    const links = [...README.matchAll(/\]\(([^)]+)\)/g)].map(([, target]) => target).filter((target) => !/^https?:/.test(target));
    expect(links).toContain('API.md');
    expect(links.filter((target) => !fs.existsSync(path.join(ROOT, target.split('#')[0])))).toEqual([]);
  });

  test('names only options of the command line, and its exit codes as the command line does', () => {
    const options = [...README.matchAll(/(?<![\w-])--[a-z][a-z-]*/g)].map(([option]) => option);
    expect(options).toContain('--data');
    const ofNpm = ['--save-dev'];
    expect(options.filter((option) => !ofNpm.includes(option) && !new RegExp(`${option}[ ,]`).test(HELP))).toEqual([]);
    const codes = (text: string) => [...new Set([...text.matchAll(/(?<=^|[\s,])(0|1|2|3|4|130) (?=everything|a step|wrong|the gate|the data|validation|interrupted)/gm)].map(([, code]) => code))];
    expect(codes(README)).toEqual(codes(HELP));
  });

  test('names only scripts that package.json has', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: { [name: string]: string } };
    const named = [...README.matchAll(/npm (?:run )?([a-z:]+)/g)].map(([, name]) => name).filter((name) => !['ci', 'install'].includes(name));
    expect(named).toContain('rehearse');
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
  });

  test('names only constructs and members that exist', () => {
    const [, table] = /## The parts([\s\S]*?)###/.exec(README)!;
    const named = [...table.matchAll(/`([A-Z]\w+)`/g)].map(([, name]) => name);
    expect(named).toContain('DataPipeline');
    expect(named.filter((name) => !types.some((type) => type.name === name))).toEqual([]);
  });
});
