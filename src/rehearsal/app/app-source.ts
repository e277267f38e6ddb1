import * as path from 'node:path';
import { UsageError } from '../command/errors';
import { isFile, isFolder } from '../system/files';

/** What was named with --app. */
export type AppSource =
  | { readonly kind: 'folder'; readonly folder: string }
  | { readonly kind: 'assembly'; readonly folder: string }
  | { readonly kind: 'command'; readonly folder: string; readonly command: string };

/** Distinguishes a folder with a cdk.json, a cloud assembly and a command. */
export function findApp(app: string, cwd = process.cwd()): AppSource {
  const folder = path.resolve(cwd, app);
  if (isFolder(folder)) {
    if (isFile(path.join(folder, 'manifest.json'))) {
      return { kind: 'assembly', folder };
    }
    if (isFile(path.join(folder, 'cdk.json'))) {
      return { kind: 'folder', folder };
    }
    throw new UsageError(`${app === '.' ? 'this folder' : `"${app}"`} has neither a cdk.json nor a manifest.json: name the folder of a CDK app with --app`);
  }
  if (isFile(folder)) {
    throw new UsageError(`--app "${app}" is a file: name its folder, or the command that runs it, for example --app "npx tsx ${app}"`);
  }
  if (!/\s/.test(app.trim())) {
    throw new UsageError(`--app "${app}" is not a folder here; a command has a program and its arguments, for example --app "node app.js"`);
  }
  return { kind: 'command', folder: cwd, command: app };
}
