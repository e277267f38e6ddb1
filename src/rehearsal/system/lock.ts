import * as fs from 'node:fs';
import * as path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive, removeFolder } from './files';

/** A folder that was made but whose owner wrote no name into it for so long has lost its owner. In milliseconds. */
const NAMELESS = 10_000;

/**
 * Does `work` while no other process does it under the same lock. A lock is a folder (made by one process only) with the id
 * of its owner in it; one whose owner has died is taken over.
 */
export async function withLock<T>(lock: string, signal: AbortSignal, onWait: () => void, work: () => Promise<T>): Promise<T> {
  fs.mkdirSync(path.dirname(lock), { recursive: true });
  for (let waited = false; !tryLock(lock); waited = true) {
    if (!waited) {
      onWait();
    }
    await sleep(200, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
  try {
    return await work();
  } finally {
    removeFolder(lock);
  }
}

function tryLock(lock: string): boolean {
  try {
    fs.mkdirSync(lock);
    fs.writeFileSync(path.join(lock, 'owner'), String(process.pid));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
      throw error;
    }
  }
  if (isAbandoned(lock)) {
    const aside = `${lock}.${process.pid}`; // of all that see it abandoned, one succeeds in moving it away
    try {
      fs.renameSync(lock, aside);
      removeFolder(aside);
    } catch {
      // another was first
    }
  }
  return false;
}

function isAbandoned(lock: string): boolean {
  try {
    const owner = Number(fs.readFileSync(path.join(lock, 'owner'), 'utf8'));
    return Number.isInteger(owner) && owner > 0 ? !isAlive(owner) : age(lock) > NAMELESS;
  } catch {
    return age(lock) > NAMELESS;
  }
}

function age(file: string): number {
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  return stat ? Date.now() - stat.mtimeMs : 0;
}
