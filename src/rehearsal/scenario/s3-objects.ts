import { GetObjectCommand, S3Client, paginateListObjectsV2 } from '@aws-sdk/client-s3';
import { RehearsalError } from '../command/errors';

export interface ObjectPlace {
  readonly bucket: string;
  readonly key: string;
}

export function parseS3Uri(uri: string): ObjectPlace {
  const [, bucket, key] = /^s3:\/\/([^/]+)\/?(.*)$/.exec(uri) ?? [];
  if (!bucket) {
    throw new RehearsalError(`"${uri}" is not an S3 URI`);
  }
  return { bucket, key };
}

export async function getText(client: S3Client, { bucket, key }: ObjectPlace): Promise<string> {
  const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
  return Body!.transformToString('utf-8');
}

export async function listKeys(client: S3Client, bucket: string, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of paginateListObjectsV2({ client }, { Bucket: bucket, Prefix: prefix })) {
    keys.push(...(page.Contents ?? []).map(({ Key }) => Key!));
  }
  return keys;
}
