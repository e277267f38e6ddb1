import { createHash } from 'crypto';
import * as fs from 'fs';
import * as path from 'path';
import { Stage, Token } from 'aws-cdk-lib';
import * as s3assets from 'aws-cdk-lib/aws-s3-assets';
import { Construct, IConstruct } from 'constructs';

const ASSETS = path.join(__dirname, '..', '..', 'assets');

/** Path of a file or folder below the package's `assets/`. */
export function assetPath(...segments: string[]): string {
  return path.join(ASSETS, ...segments);
}

/** An asset of one JSON file with this content. The name follows the content, so equal content is one file. */
export function jsonAsset(scope: Construct, id: string, content: unknown): s3assets.Asset {
  const text = JSON.stringify(content, undefined, 2);
  const file = path.join(workFolder(scope), `${digest(text)}.json`);
  fs.writeFileSync(file, text);
  return new s3assets.Asset(scope, id, { path: file });
}

/** A copy of a folder of `assets/` with further files beside its own: name and text of each. */
export function folderWithFiles(scope: IConstruct, folder: string, files: Record<string, string>): string {
  const target = path.join(workFolder(scope), digest(JSON.stringify([folder, files])));
  fs.cpSync(folder, target, { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    fs.writeFileSync(path.join(target, name), text);
  }
  return target;
}

/** A copy of a folder of `assets/` with another folder in it, under this name. */
export function folderWithFolder(scope: IConstruct, folder: string, name: string, inner: string): string {
  const target = path.join(workFolder(scope), digest(JSON.stringify([folder, name, path.resolve(inner)])));
  fs.rmSync(target, { recursive: true, force: true });
  for (const [source, copy] of [[folder, target], [path.resolve(inner), path.join(target, name)]]) {
    fs.cpSync(source, copy, { recursive: true, filter: (file) => file === source || isSource(file) });
  }
  return target;
}

/** Caches and hidden files are not part of a source. */
function isSource(file: string): boolean {
  return !/^(\..+|__pycache__)$/.test(path.basename(file));
}

/** An asset keeps its name where a job finds it. */
export function assetFileName(asset: s3assets.Asset): string {
  const name = asset.s3ObjectKey.split('/').pop()!;
  if (Token.isUnresolved(name)) {
    throw new Error(`asset "${asset.node.path}": the name of its file is known only when it is deployed; use the default stack synthesizer`);
  }
  return name;
}

/** Generated sources of assets live in the cloud assembly: they go with it. */
function workFolder(scope: IConstruct): string {
  const outdir = Stage.of(scope)!.outdir;
  const folder = path.join(outdir, '.generated');
  fs.mkdirSync(folder, { recursive: true });
  return folder;
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}
