import * as fs from 'node:fs';
import * as path from 'node:path';
import { Environment } from './environment';
import type { Lookup } from './lookups';
import { RehearsalError } from '../command/errors';
import { isFile } from '../system/files';

interface Manifest {
  readonly missing?: readonly Lookup[];
  readonly artifacts?: Record<string, ManifestArtifact>;
}

interface ManifestArtifact {
  readonly type: string;
  readonly environment?: string;
  readonly displayName?: string;
  readonly dependencies?: readonly string[];
  readonly metadata?: Metadata;
  readonly additionalMetadataFile?: string;
  readonly properties?: {
    readonly stackName?: string;
    readonly templateFile?: string;
    readonly directoryName?: string;
    readonly bootstrapStackVersionSsmParameter?: string;
    readonly assumeRoleArn?: string;
    readonly cloudFormationExecutionRoleArn?: string;
    readonly additionalMetadataFile?: string;
    /** Of an asset manifest. */
    readonly file?: string;
  };
}

interface AssetManifest {
  readonly files?: Assets;
  readonly dockerImages?: Assets;
}

type Assets = Record<string, { readonly destinations: Record<string, Destination> }>;

interface Destination {
  readonly bucketName?: string;
  readonly repositoryName?: string;
  readonly assumeRoleArn?: string;
}

type Metadata = Record<string, { type: string; data?: unknown }[]>;

/** One stack of a cloud assembly. */
export interface AssembledStack {
  /** Path of the stack in the app, such as `Prod/Platform`: its name for the CDK command line. */
  readonly id: string;
  readonly name: string;
  /** Path of the stage that it is in; empty for a stack of the app itself. */
  readonly stage: string;
  /** `unknown-account` and `unknown-region` where the stack names none. */
  readonly environment: Environment;
  /** Ids of the stacks that must be deployed before. */
  readonly dependencies: readonly string[];
  /** Qualifier of the bootstrap stack that it needs. */
  readonly qualifier?: string;
  readonly bootstrap: Bootstrap;
  readonly template: Template;
  readonly metadata: readonly { path: string; type: string; data: unknown }[];
}

/** What a stack needs of the bootstrap of its environment; `${AWS::Partition}` and the like stand in the texts. */
export interface Bootstrap {
  /** ARNs. */
  readonly roles: readonly string[];
  readonly buckets: readonly string[];
  readonly repositories: readonly string[];
  /** SSM parameters with the version. */
  readonly parameters: readonly string[];
}

export interface Template {
  readonly Parameters?: Record<string, { readonly Type?: string; readonly Default?: unknown }>;
  readonly Resources?: Record<string, { Type: string; Properties?: Record<string, unknown> }>;
  readonly Mappings?: Record<string, Record<string, Record<string, unknown>>>;
  readonly Outputs?: Record<string, { Value: unknown; Export?: { Name: unknown } }>;
}

/** Reads the stacks of a cloud assembly and of the stages inside it. */
export function readStacks(folder: string): AssembledStack[] {
  const { artifacts = {} } = readJson<Manifest>(path.join(folder, 'manifest.json'));
  return Object.entries(artifacts).flatMap(([name, artifact]) => {
    if (artifact.type === 'cdk:cloud-assembly' && artifact.properties?.directoryName) {
      return readStacks(path.join(folder, artifact.properties.directoryName));
    }
    return artifact.type === STACK ? [readStack(folder, name, artifacts)] : [];
  });
}

const STACK = 'aws:cloudformation:stack';
const ASSETS = 'cdk:asset-manifest';

/** What the synthesis wanted to know of the account and did not find in the context. */
export function missingIn(folder: string): readonly Lookup[] {
  const manifest = path.join(folder, 'manifest.json');
  return isFile(manifest) ? readJson<Manifest>(manifest).missing ?? [] : [];
}

function bootstrapOf({ properties = {} }: ManifestArtifact, manifests: readonly AssetManifest[]): Bootstrap {
  const places = manifests.flatMap(({ files = {}, dockerImages = {} }) => [...Object.values(files), ...Object.values(dockerImages)])
    .flatMap(({ destinations }) => Object.values(destinations));
  const all = (values: readonly (string | undefined)[]) => [...new Set(values.filter((value) => value !== undefined))];
  return {
    roles: all([properties.assumeRoleArn, properties.cloudFormationExecutionRoleArn, ...places.map(({ assumeRoleArn }) => assumeRoleArn)]),
    buckets: all(places.map(({ bucketName }) => bucketName)),
    repositories: all(places.map(({ repositoryName }) => repositoryName)),
    parameters: all([properties.bootstrapStackVersionSsmParameter]),
  };
}

function readStack(folder: string, name: string, artifacts: Record<string, ManifestArtifact>): AssembledStack {
  const artifact = artifacts[name];
  const idOf = (stack: string) => artifacts[stack].displayName ?? stack;
  const needed = (type: string) => (artifact.dependencies ?? []).filter((other) => artifacts[other]?.type === type);
  const assets = needed(ASSETS).flatMap((other) => artifacts[other].properties?.file ?? []);
  const id = idOf(name);
  const more = artifact.additionalMetadataFile ?? artifact.properties?.additionalMetadataFile;
  const metadata: Metadata = { ...artifact.metadata, ...(more ? readJson<Metadata>(path.join(folder, more)) : {}) };
  const [, account, region] = /^aws:\/\/([^/]+)\/(.+)$/.exec(artifact.environment ?? '') ?? [];
  const { stackName, templateFile, bootstrapStackVersionSsmParameter: parameter } = artifact.properties ?? {};
  return {
    id,
    name: stackName ?? id,
    stage: id.split('/').slice(0, -1).join('/'),
    environment: { account: account ?? 'unknown-account', region: region ?? 'unknown-region' },
    dependencies: needed(STACK).map(idOf),
    bootstrap: bootstrapOf(artifact, assets.map((file) => readJson<AssetManifest>(path.join(folder, file)))),
    qualifier: /^\/cdk-bootstrap\/([^/]+)\/version$/.exec(parameter ?? '')?.[1],
    template: templateFile ? readJson<Template>(path.join(folder, templateFile)) : {},
    metadata: Object.entries(metadata).flatMap(([where, entries]) =>
      entries.map(({ type, data }) => ({ path: where.replace(/^\//, ''), type, data }))),
  };
}

function readJson<T>(file: string): T {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8')) as T;
  } catch {
    throw new RehearsalError(`${file} is missing or not valid JSON: synthesize the app again`);
  }
}
