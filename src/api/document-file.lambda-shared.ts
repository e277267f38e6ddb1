import * as fs from 'fs';
import * as path from 'path';

const read = new Map<string, unknown>();

/** A JSON document that the construct put beside the code of the handler. Read once. */
export function documentIn<T>(file: string): T {
  if (!read.has(file)) {
    read.set(file, JSON.parse(fs.readFileSync(path.resolve(__dirname, file), 'utf8')));
  }
  return read.get(file) as T;
}
