import { HeadObjectCommand, paginateListObjectsV2, S3Client } from '@aws-sdk/client-s3';
import type { DescribeModelPackageCommandOutput } from '@aws-sdk/client-sagemaker';
import {
  ArtifactObject, ArtifactProblem, containersOf, digestOf, MAX_ARTIFACTS_BYTES, MAX_OBJECTS, prefixOf, VersionArtifacts, VersionContainer,
} from './version-artifacts.lambda-shared';
import { copyObject, SeenObject, statusOf } from '../shared/copy-object.lambda-shared';

/**
 * Copies every artifact of a version to where only this function writes. A copy that is there is kept, whatever the source is by now:
 * late, repeated and concurrent calls give the same.
 *
 * @throws ArtifactProblem what no repetition cures
 */
export async function copyArtifacts(
  s3: S3Client, bucket: string, group: string, described: DescribeModelPackageCommandOutput,
): Promise<VersionArtifacts> {
  const prefix = prefixOf(group, described);
  const containers: VersionContainer[] = [];
  for (const [index, container] of containersOf(described).entries()) {
    const registered = described.InferenceSpecification?.Containers?.[index];
    const etag = registered?.ModelDataETag ?? registered?.ModelDataSource?.S3DataSource?.ETag;
    const objects: ArtifactObject[] = [];
    for (const { from, name } of await sourcesOf(s3, container)) {
      const key = `${prefix}${index}/${name}`;
      const copy = await lookAt(s3, bucket, key) ?? await copyOnce(s3, from, bucket, key, container.kind === 'S3Prefix' ? undefined : etag);
      if (copy?.sha256 === undefined) {
        throw new ArtifactProblem(`s3://${bucket}/${key} has no SHA-256: somebody else than the registry wrote it`);
      }
      objects.push({ key, sha256: copy.sha256 });
    }
    containers.push({ ...container, objects });
  }
  const artifacts = { digest: digestOf(containers), prefix, containers };
  const bytes = Buffer.byteLength(JSON.stringify(artifacts));
  if (bytes > MAX_ARTIFACTS_BYTES) {
    throw new ArtifactProblem(`containers and artifacts take ${bytes} bytes to list, of which the catalog keeps at most ${MAX_ARTIFACTS_BYTES}`);
  }
  return artifacts;
}

/** The SHA-256 that S3 keeps of an object, where it keeps one; undefined where there is no object. */
export async function lookAt(s3: S3Client, Bucket: string, Key: string): Promise<{ readonly sha256?: string } | undefined> {
  try {
    return { sha256: (await s3.send(new HeadObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED' }))).ChecksumSHA256 };
  } catch (error) {
    if (statusOf(error) === 404) {
      return undefined;
    }
    throw error;
  }
}

type Source = { readonly from: Pick<SeenObject, 'bucket' | 'key'>; readonly name: string };

async function sourcesOf(s3: S3Client, { source, kind }: VersionContainer): Promise<Source[]> {
  if (source === undefined) {
    return [];
  }
  const [, bucket, key] = /^s3:\/\/([^/]+)\/(.+)$/.exec(source) ?? [];
  if (bucket === undefined) {
    throw new ArtifactProblem(`${source} is not a place in S3`);
  }
  if (kind !== 'S3Prefix') {
    return [{ from: { bucket, key }, name: key.split('/').at(-1)! }];
  }
  const found: Source[] = [];
  await explained(source, async () => {
    for await (const page of paginateListObjectsV2({ client: s3 }, { Bucket: bucket, Prefix: key })) {
      found.push(...(page.Contents ?? []).filter(({ Key }) => !Key!.endsWith('/')).map(({ Key }) => ({ from: { bucket, key: Key! }, name: Key!.slice(key.length) })));
      if (found.length > MAX_OBJECTS) {
        throw new ArtifactProblem(`${source} holds more than ${MAX_OBJECTS} objects, which is the most that is copied of a version`);
      }
    }
  });
  if (found.length === 0) {
    throw new ArtifactProblem(`${source} holds no objects`);
  }
  return found;
}

/** @param registeredETag what the version says that the object was, if it says so */
async function copyOnce(s3: S3Client, { bucket, key }: Source['from'], to: string, copy: string, registeredETag?: string): ReturnType<typeof lookAt> {
  const uri = `s3://${bucket}/${key}`;
  const bare = (etag: string) => etag.replaceAll('"', '');
  return explained(uri, async () => {
    const head = await s3.send(new HeadObjectCommand({ Bucket: bucket, Key: key }));
    const etag = bare(head.ETag ?? '');
    if (registeredETag !== undefined && bare(registeredETag) !== etag) {
      throw new ArtifactProblem(`${uri} was changed after the version was registered: its ETag is ${etag} instead of ${bare(registeredETag)}`);
    }
    try {
      await copyObject(s3, { bucket, key, etag, size: head.ContentLength ?? 0 }, to, copy, { once: true });
    } catch (error) {
      // Another call made the copy meanwhile. Where it did not, the source was replaced in this moment: the next call sees it.
      if (statusOf(error) !== 412 || await lookAt(s3, to, copy) === undefined) {
        throw error;
      }
    }
    return lookAt(s3, to, copy);
  });
}

/** Tells what cannot be read; faults of the service stay as they are, so that the call is repeated. */
async function explained<T>(uri: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const status = statusOf(error);
    if (!(error instanceof ArtifactProblem) && (status === 403 || status === 404)) {
      throw new ArtifactProblem(`${uri} cannot be copied: ${status === 404 ? 'it does not exist' : 'the registry is not granted to read it'}`);
    }
    throw error;
  }
}
