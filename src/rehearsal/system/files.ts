import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';

/** The folder `assets/rehearsal` of this package: beside the bundled command line, or seen from the sources. */
export function rehearsalAssets(): string {
  const bundled = path.basename(path.dirname(__dirname)) === 'assets';
  return bundled ? __dirname : path.join(__dirname, '..', '..', '..', 'assets', 'rehearsal');
}

export function packageVersion(): string {
  const file = path.join(rehearsalAssets(), '..', '..', 'package.json');
  return (JSON.parse(fs.readFileSync(file, 'utf8')) as { version: string }).version;
}

/** What is kept between runs. */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  const base = env.XDG_CACHE_HOME && path.isAbsolute(env.XDG_CACHE_HOME) ? env.XDG_CACHE_HOME : path.join(os.homedir(), '.cache');
  return path.join(base, 'cdk-mlops');
}

const PREFIX = 'cdk-mlops-';

/** A folder for one run, named after this process. Folders whose process was killed are removed on the way. */
export function makeWorkFolder(parent = os.tmpdir()): string {
  for (const name of fs.readdirSync(parent)) {
    const owner = new RegExp(`^${PREFIX}(\\d+)-\\w+$`).exec(name)?.[1];
    if (owner !== undefined && Number(owner) !== process.pid && !isAlive(Number(owner))) {
      removeFolder(path.join(parent, name));
    }
  }
  return fs.realpathSync(fs.mkdtempSync(path.join(parent, `${PREFIX}${process.pid}-`)));
}

/** Removes a folder of ours as far as that is possible. */
export function removeFolder(folder: string): void {
  try {
    fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  } catch {
    // somebody else's, or still written to: the next run tries again
  }
}

/** Whether a process with this id exists. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

export function isFile(file: string): boolean {
  return fs.statSync(file, { throwIfNoEntry: false })?.isFile() ?? false;
}

export function isFolder(folder: string): boolean {
  return fs.statSync(folder, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
