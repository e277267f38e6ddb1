import * as fs from 'fs';
import * as path from 'path';
import { ROOT, testFolder } from '../rehearsal/command';

/** An app in a folder of its own, which finds the library and its tools where this checkout has them; further files by their path. */
export function writeApp(name: string, code: string, files: Readonly<Record<string, string>> = {}): string {
  const folder = path.join(testFolder(), name);
  fs.mkdirSync(path.join(folder, 'node_modules'), { recursive: true });
  fs.symlinkSync(ROOT, path.join(folder, 'node_modules', 'cdk-mlops'));
  ['aws-cdk-lib', 'constructs', 'aws-cdk', '.bin'].forEach((installed) => (
    fs.symlinkSync(path.join(ROOT, 'node_modules', installed), path.join(folder, 'node_modules', installed))
  ));
  for (const [file, text] of Object.entries({ 'app.ts': code, 'cdk.json': '{ "app": "tsx app.ts" }', ...files })) {
    fs.mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    fs.writeFileSync(path.join(folder, file), text);
  }
  return folder;
}
