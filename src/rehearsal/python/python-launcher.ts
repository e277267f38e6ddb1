import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';

/**
 * Whether this is the command `cdk-mlops` of the Python package: a script that jsii generates, which starts this command line
 * from a temporary folder. Three things differ from a start by npm: Node's folder comes first on the PATH, so a Python there
 * hides that of the virtual environment; a Ctrl-C gives the command line a quarter of a second before it is killed; and each
 * run has another folder.
 */
export function isLaunchedByPython(env: NodeJS.ProcessEnv): boolean {
  return env.JSII_AGENT?.startsWith('Python/') ?? false;
}

/**
 * Does the work in a second process with the virtual environment's PATH. When this one ends first, the channel between them
 * closes, which the second takes as a Ctrl-C: it removes what it made, in its own time.
 */
export async function relaunch(args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const child = spawn(process.execPath, [process.argv[1], ...args], {
    env: environmentOfApp(env, callersInterpreter()), detached: true, stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  });
  child.channel?.unref(); // the wait ends with the child, whether its end of the channel is closed by then or not
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => child.kill(signal));
  }
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid !== parent && child.connected) {
      child.disconnect();
    }
  }, 500);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => {
      clearInterval(watch);
      resolve(code ?? 1);
    });
  });
}

/** The variables with which the CDK app runs: its `python3` is that of the active virtual environment, or else the caller's. */
export function environmentOfApp(env: NodeJS.ProcessEnv, interpreter: string | undefined): NodeJS.ProcessEnv {
  const { JSII_AGENT: _agent, ...rest } = env;
  const folder = env.VIRTUAL_ENV ? path.join(env.VIRTUAL_ENV, 'bin') : interpreter && path.dirname(interpreter);
  return {
    ...rest,
    PATH: [folder, env.PATH].filter(Boolean).join(path.delimiter),
    PYTHONDONTWRITEBYTECODE: '1', // it would be kept for a folder that no later run has
  };
}

/**
 * The path by which Python was started, a link of a virtual environment not followed. It is the parent of this process, or with
 * an older jsii that of the shell between them. Linux tells it, macOS does not.
 */
function callersInterpreter(pid = process.ppid, levels = 2): string | undefined {
  try {
    const [command] = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    if (/\/python[\d.]*$/.test(command)) {
      return command;
    }
    const parent = Number(/^PPid:\s*(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
    return levels > 1 ? callersInterpreter(parent, levels - 1) : undefined;
  } catch {
    return undefined;
  }
}
