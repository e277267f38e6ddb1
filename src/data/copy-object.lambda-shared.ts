import {
  AbortMultipartUploadCommand, CompletedPart, CompleteMultipartUploadCommand, CopyObjectCommand, CreateMultipartUploadCommand, S3Client,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import type { ManifestFile } from './ingestion.lambda-shared';

/** S3 copies up to this size at once; larger objects part by part. */
const LARGEST_COPY = 5 * 1024 ** 3;
const PART = 1024 ** 3;
const AT_A_TIME = 8;

/**
 * Copies exactly this version inside S3, whatever its size.
 *
 * @returns whether it was there to copy
 */
export async function copyVersion(s3: S3Client, file: ManifestFile, bucket: string, key: string): Promise<boolean> {
  const version = file.versionId ? `?versionId=${encodeURIComponent(file.versionId)}` : '';
  const source = {
    CopySource: `${file.bucket}/${file.key.split('/').map(encodeURIComponent).join('/')}${version}`,
    CopySourceIfMatch: file.versionId ? undefined : file.etag,
  };
  try {
    if (file.size > LARGEST_COPY) {
      await copyInParts(s3, file.size, source, bucket, key);
    } else {
      // Tags would need further permissions, and say nothing about data that nobody will use.
      await s3.send(new CopyObjectCommand({ Bucket: bucket, Key: key, ...source, TaggingDirective: 'REPLACE' }));
    }
    return true;
  } catch (error) {
    const status = (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
    // Gone, a delete marker, or replaced in a bucket without versions.
    if (status === 404 || status === 405 || status === 412) {
      return false;
    }
    throw error;
  }
}

async function copyInParts(
  s3: S3Client, size: number, source: { CopySource: string; CopySourceIfMatch?: string }, bucket: string, key: string,
): Promise<void> {
  const place = { Bucket: bucket, Key: key };
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand(place));
  try {
    const parts: CompletedPart[] = [];
    const count = Math.ceil(size / PART);
    for (let first = 0; first < count; first += AT_A_TIME) {
      const numbers = Array.from({ length: Math.min(AT_A_TIME, count - first) }, (_, i) => first + i);
      parts.push(...await Promise.all(numbers.map(async (number) => {
        const range = `bytes=${number * PART}-${Math.min(size, (number + 1) * PART) - 1}`;
        const { CopyPartResult } = await s3.send(new UploadPartCopyCommand({
          ...place, ...source, UploadId, PartNumber: number + 1, CopySourceRange: range,
        }));
        return { PartNumber: number + 1, ETag: CopyPartResult?.ETag };
      })));
    }
    await s3.send(new CompleteMultipartUploadCommand({ ...place, UploadId, MultipartUpload: { Parts: parts } }));
  } catch (error) {
    await s3.send(new AbortMultipartUploadCommand({ ...place, UploadId }));
    throw error;
  }
}
