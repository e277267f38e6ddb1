import { UsageError } from '../command/errors';
import { Processes } from '../system/processes';

const OLDEST_MINOR = 10;
/** Of a virtual environment it is the Python that it was made with: all share the rehearsal's own environment. */
const ASK = 'import os, sys, sysconfig; print("|".join([os.path.realpath(sys._base_executable), "%d.%d.%d" % sys.version_info[:3], sysconfig.get_platform()]))';

/** An interpreter that is on this machine. */
export interface Python {
  readonly executable: string;
  readonly version: string;
  readonly platform: string;
}

/** Finds Python 3.10 or later: `CDK_MLOPS_PYTHON`, or else python3, python, py. */
export async function findPython(processes: Processes, signal: AbortSignal, env: NodeJS.ProcessEnv): Promise<Python> {
  const wanted = env.CDK_MLOPS_PYTHON;
  const seen: string[] = [];
  for (const command of wanted ? [wanted] : ['python3', 'python', 'py', 'python3.13', 'python3.12', 'python3.11', 'python3.10']) {
    const python = await ask(processes, signal, command, env);
    if (python && isNewEnough(python.version)) {
      return python;
    }
    if (python) {
      seen.push(`${command} is ${python.version}`);
    }
  }
  const found = seen.length > 0 ? ` (${seen.join(', ')})` : '';
  throw new UsageError(wanted
    ? `CDK_MLOPS_PYTHON names "${wanted}", which is not Python 3.${OLDEST_MINOR} or later${found}`
    : `the rehearsal needs Python 3.${OLDEST_MINOR} or later on the PATH${found}: install it, or name one in the variable CDK_MLOPS_PYTHON`);
}

async function ask(processes: Processes, signal: AbortSignal, command: string, env: NodeJS.ProcessEnv): Promise<Python | undefined> {
  try {
    const { code, stdout } = await processes.run(signal, command, ['-c', ASK], { env: withoutPythonSettings(env) });
    const [executable, version, platform] = stdout.trim().split('|');
    return code === 0 && platform ? { executable, version, platform } : undefined;
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}

/** Variables of an active virtual environment or Python setup must not leak into ours. */
export function withoutPythonSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { PYTHONPATH: _path, PYTHONHOME: _home, VIRTUAL_ENV: _venv, ...rest } = env;
  return rest;
}

function isNewEnough(version: string): boolean {
  const [major, minor] = version.split('.').map(Number);
  return major === 3 && minor >= OLDEST_MINOR;
}

/** Whether this machine has a Java that Spark 3.5 runs on: 17 or 21. */
export async function hasJava(processes: Processes, signal: AbortSignal, env: NodeJS.ProcessEnv): Promise<boolean> {
  const command = env.JAVA_HOME ? `${env.JAVA_HOME}/bin/java` : 'java';
  try {
    const { code, tail } = await processes.run(signal, command, ['-version'], { env });
    const major = /version "(\d+)/.exec(tail.join('\n'))?.[1];
    return code === 0 && (major === '17' || major === '21');
  } catch {
    signal.throwIfAborted();
    return false;
  }
}
