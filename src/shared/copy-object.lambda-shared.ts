import {
  AbortMultipartUploadCommand, CompletedPart, CompleteMultipartUploadCommand, CopyObjectCommand, CreateMultipartUploadCommand, S3Client,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';

/** S3 copies up to this size at once; larger objects part by part. */
const LARGEST_COPY = 5 * 1024 ** 3;
const PART = 1024 ** 3;
const AT_A_TIME = 8;

/** An object as it was seen. */
export interface SeenObject {
  readonly bucket: string;
  readonly key: string;
  /** Absent where the bucket keeps no versions: then the ETag tells whether it is still the same. */
  readonly versionId?: string;
  readonly etag: string;
  readonly size: number;
}

/** How a copy is written. */
export interface CopyOptions {
  /** Writes nothing where there is an object already (412), and lets S3 keep the SHA-256 of the bytes. @default false */
  readonly once?: boolean;
}

/** Copies exactly what was seen inside S3, whatever its size. Fails with S3's 412 where the source is another one by now. */
export async function copyObject(s3: S3Client, from: SeenObject, Bucket: string, Key: string, { once = false }: CopyOptions = {}): Promise<void> {
  const version = from.versionId ? `?versionId=${encodeURIComponent(from.versionId)}` : '';
  const source = {
    CopySource: `${from.bucket}/${from.key.split('/').map(encodeURIComponent).join('/')}${version}`,
    CopySourceIfMatch: from.versionId ? undefined : from.etag,
  };
  const checksum = once ? { ChecksumAlgorithm: 'SHA256' as const } : {};
  const condition = once ? { IfNoneMatch: '*' } : {};
  if (from.size <= LARGEST_COPY) {
    // Tags would need further permissions, and say nothing about the copy.
    await s3.send(new CopyObjectCommand({ Bucket, Key, ...source, ...checksum, ...condition, TaggingDirective: 'REPLACE' }));
    return;
  }
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key, ...checksum }));
  try {
    const parts: CompletedPart[] = [];
    const count = Math.ceil(from.size / PART);
    for (let first = 0; first < count; first += AT_A_TIME) {
      const numbers = Array.from({ length: Math.min(AT_A_TIME, count - first) }, (_, i) => first + i);
      parts.push(...await Promise.all(numbers.map(async (number) => {
        const range = `bytes=${number * PART}-${Math.min(from.size, (number + 1) * PART) - 1}`;
        const { CopyPartResult } = await s3.send(new UploadPartCopyCommand({
          Bucket, Key, ...source, UploadId, PartNumber: number + 1, CopySourceRange: range,
        }));
        return { PartNumber: number + 1, ETag: CopyPartResult?.ETag, ...once ? { ChecksumSHA256: CopyPartResult?.ChecksumSHA256 } : {} };
      })));
    }
    await s3.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, ...condition, MultipartUpload: { Parts: parts } }));
  } catch (error) {
    await s3.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
    throw error;
  }
}

/** HTTP status of an answer of S3, where the error is one. */
export function statusOf(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
}
