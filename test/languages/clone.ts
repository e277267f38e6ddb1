import * as fs from 'fs';
import * as os from 'os';
import * as path from 'path';
import { ROOT, succeed } from './command';

/**
 * Lays out what a fresh clone of this working tree has, with the node_modules of `npm ci`, and packs it: nothing in it is
 * compiled or bundled before.
 */
export default async function clone(): Promise<void> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cdk-mlops-languages-'));
  process.env.CDK_MLOPS_TEST_FOLDER = folder;
  process.env.CDK_VALIDATION = 'false'; // test/example.test.ts synthesizes with it
  const target = path.join(folder, 'clone');
  const files = await succeed('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], ROOT);
  for (const file of files.split('\0').filter((name) => name !== '' && fs.existsSync(path.join(ROOT, name)))) {
    fs.mkdirSync(path.dirname(path.join(target, file)), { recursive: true });
    fs.copyFileSync(path.join(ROOT, file), path.join(target, file));
  }
  fs.symlinkSync(path.join(ROOT, 'node_modules'), path.join(target, 'node_modules'), 'dir');
  fs.mkdirSync(path.join(folder, 'packed'));
  await succeed('npm', ['pack', '--pack-destination', path.join(folder, 'packed')], target);
}
