import { createHash } from 'crypto';
import type { DescribeModelPackageCommandOutput, ModelPackageContainerDefinition } from '@aws-sdk/client-sagemaker';

/**
 * Beginning of the keys of the copies of artifacts, in the bucket of a registry. No name of a group begins with `_`, so that no place
 * below a group's own name is one of copies.
 */
export const COPIES = '_versions/';

/** Beginning of the keys of the copies of a group. */
export function copiesOf(modelPackageGroupName: string): string {
  return `${COPIES}${modelPackageGroupName}/`;
}

/** One object of a container, and the SHA-256 that S3 computed of its bytes, in base 64; of parts where it was copied in parts. */
export interface ArtifactObject {
  /** Key of the copy. */
  readonly key: string;
  /** Absent where there is no copy with a SHA-256. */
  readonly sha256?: string;
}

/** What a container is told about its model data: `url` stands for `ModelDataUrl`, the rest for `ModelDataSource`. */
export type DataKind = 'url' | 'S3Object' | 'S3Prefix';

/** A container of a version: what decides how it serves. */
export interface VersionContainer {
  readonly image: string;
  readonly environment: { readonly [name: string]: string };
  readonly containerHostname?: string;
  /** Where the version says that its model data are. */
  readonly source?: string;
  readonly kind?: DataKind;
  readonly compression?: 'Gzip' | 'None';
  /** The copies. Empty where the container has no model data. */
  readonly objects: readonly ArtifactObject[];
}

/** What the catalog keeps of a version, from its registration on. */
export interface VersionArtifacts {
  /** SHA-256 over images, environments and the checksums of the bytes. */
  readonly digest: string;
  /** Key prefix of the copies. */
  readonly prefix: string;
  readonly containers: readonly VersionContainer[];
}

/** What cannot be copied by any repetition: the sentence is for people. */
export class ArtifactProblem extends Error {}

/** Limits of what the catalog keeps of a version's artifacts: an item of DynamoDB holds 400 KB, and has metrics too. */
export const MAX_OBJECTS = 100;
export const MAX_ARTIFACTS_BYTES = 200_000;

/**
 * Prefix of the copies of a version. Versions count from 1 again where a group is made anew, so that the time is part of it: copies of an
 * earlier version of the number are no copies of this one.
 */
export function prefixOf(group: string, described: DescribeModelPackageCommandOutput): string {
  const created = (described.CreationTime ?? new Date(0)).toISOString().replace(/[-:.]/g, '');
  return `${copiesOf(group)}${described.ModelPackageVersion}-${created}/`;
}

/** The containers of a version as SageMaker describes it, without copies. */
export function containersOf(described: DescribeModelPackageCommandOutput): VersionContainer[] {
  const containers = described.InferenceSpecification?.Containers ?? [];
  if (containers.length === 0) {
    throw new ArtifactProblem('the version has no InferenceSpecification, so that it cannot serve');
  }
  return containers.map((container, index) => {
    const { Image, Environment, ContainerHostname } = container;
    return {
      image: Image ?? '',
      environment: Environment ?? {},
      ...ContainerHostname === undefined ? {} : { containerHostname: ContainerHostname },
      ...dataOf(container, `container ${index}`),
      objects: [],
    };
  });
}

function dataOf(container: ModelPackageContainerDefinition, name: string): Pick<VersionContainer, 'source' | 'kind' | 'compression'> {
  const { ModelDataUrl, ModelDataSource, AdditionalS3DataSource, AdditionalModelDataSources } = container;
  const source = ModelDataSource?.S3DataSource;
  const unknown = Object.entries({
    AdditionalS3DataSource,
    AdditionalModelDataSources,
    ManifestS3Uri: source?.ManifestS3Uri,
    HubAccessConfig: source?.HubAccessConfig,
    ModelAccessConfig: source?.ModelAccessConfig,
  }).find(([, value]) => value !== undefined);
  if (unknown) {
    throw new ArtifactProblem(`${name} has ${unknown[0]}, of which no copy can be made: name its model data by ModelDataUrl, or by S3Uri alone`);
  }
  if (source) {
    return { source: source.S3Uri, kind: source.S3DataType === 'S3Prefix' ? 'S3Prefix' : 'S3Object', compression: source.CompressionType === 'Gzip' ? 'Gzip' : 'None' };
  }
  return ModelDataUrl === undefined ? {} : { source: ModelDataUrl, kind: 'url' };
}

/** SHA-256 over what decides how containers serve, in their order. */
export function digestOf(containers: readonly VersionContainer[]): string {
  const canonical = containers.map(({ image, environment, containerHostname, source, kind, compression, objects }) => [
    image, Object.entries(environment).sort(([a], [b]) => (a < b ? -1 : 1)), containerHostname ?? null,
    source ?? null, kind ?? null, compression ?? null,
    objects.map(({ key, sha256 }) => [key, sha256 ?? null]),
  ]);
  return createHash('sha256').update(JSON.stringify(canonical)).digest('hex');
}

/** A container as `CreateModel` takes it: with the copy of its model data. */
export function servingContainer(bucket: string, { prefix, containers }: VersionArtifacts, index: number): { readonly [member: string]: unknown } {
  const { image, environment, containerHostname, kind, compression, objects } = containers[index];
  const uri = kind === 'S3Prefix' ? `s3://${bucket}/${prefix}${index}/` : `s3://${bucket}/${objects[0]?.key}`;
  return {
    Image: image,
    Environment: environment,
    ...containerHostname === undefined ? {} : { ContainerHostname: containerHostname },
    ...kind === undefined ? {} : kind === 'url' ? { ModelDataUrl: uri } : {
      ModelDataSource: { S3DataSource: { S3Uri: uri, S3DataType: kind, CompressionType: compression } },
    },
  };
}
