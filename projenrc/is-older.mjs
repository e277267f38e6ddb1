// `node is-older.mjs PRODUCT... -- SOURCE...` exits with 0 when a product is missing or older than a source. The age of a folder
// is that of the newest file in it.
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';

const at = process.argv.indexOf('--');
const [products, sources] = [process.argv.slice(2, at), process.argv.slice(at + 1)];

function newest(file) {
  const found = statSync(file, { throwIfNoEntry: false });
  return found?.isDirectory() ? Math.max(0, ...readdirSync(file).map((name) => newest(path.join(file, name)))) : found?.mtimeMs ?? 0;
}

process.exit(Math.min(...products.map(newest)) < Math.max(...sources.map(newest)) ? 0 : 1);
