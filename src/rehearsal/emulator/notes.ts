import { setTimeout as sleep } from 'node:timers/promises';
import { Emulator, Note } from './emulator';

const LINES = 15;

/** The lines that explain a failure best: what the job or function that failed wrote last. */
export function linesOfFailure(notes: readonly Note[]): string[] {
  const failed = notes.filter((note) => note.kind === 'function-failed' || note.kind === 'error' || (note.kind === 'job' && logOf(note).length > 0)).at(-1);
  const written = failed ? logOf(failed) : [];
  const lines = written.length > 0 ? written : notes.filter(({ kind, name }) => kind === 'log' && (!failed?.name || name === failed.name)).map(({ message }) => message);
  const readable = lines.map(plainLine).filter((line) => line.trim() !== '' && !/^\s+at /.test(line)); // stack frames of a bundle do not help
  return [...readable.slice(-LINES), ...(failed ? [failed.message] : [])];
}

/** Functions log JSON: its message, and that of the error. */
function plainLine(line: string): string {
  try {
    const { level, message, error } = JSON.parse(line) as { level?: string; message?: string; error?: { name: string; message: string } };
    return level && message ? `${level} ${message}${error ? `: ${error.name}: ${error.message}` : ''}` : line;
  } catch {
    return line;
  }
}

/** One note with the log that came with it, for a file. */
export function render(note: Note): string {
  const time = new Date(momentOf(note.time)).toISOString().slice(11, 23);
  const subject = note.kind === 'log' ? `${String(note.name ?? '')}: ` : '';
  return [`${time} ${note.kind.padEnd(15)} ${subject}${note.message}`, ...logOf(note).map((line) => `${' '.repeat(29)}${line}`)].join('\n');
}

/** Milliseconds since the epoch; the emulator reports seconds. */
export function momentOf(time: number | string): number {
  return typeof time === 'string' ? Date.parse(time) : time < 1e11 ? time * 1000 : time;
}

/** Hands each new note to `use` until `signal` is aborted. */
export async function followNotes(emulator: Emulator, signal: AbortSignal, use: (note: Note) => void): Promise<void> {
  let seen = 0;
  while (!signal.aborted && !emulator.hasEnded) {
    const fresh = await emulator.notes(seen).catch(() => []);
    for (const note of fresh) {
      seen = Math.max(seen, note.seq);
      use(note);
    }
    await sleep(500, undefined, { signal }).catch(() => undefined);
  }
}

function logOf({ log }: Note): string[] {
  return Array.isArray(log) ? log.map(String) : [];
}
