import { createHash } from 'crypto';
import { Env, Prefix, VALIDATION_REPORT } from './environment';

/** The states of a data set in the table. */
export type DatasetStatus = 'RUNNING' | 'SUCCEEDED' | 'QUARANTINED' | 'FAILED';

/** One version of one object, exactly. */
export interface ManifestFile {
  readonly bucket: string;
  readonly key: string;
  /** Absent where the bucket keeps no versions. */
  readonly versionId?: string;
  readonly etag: string;
  readonly size: number;
  readonly lastModified?: string;
}

/** `manifests/<id>.json`: which object versions a data set is made of. */
export interface Manifest {
  readonly version: 1;
  readonly id: string;
  readonly dataset: string;
  readonly createdAt: string;
  readonly files: readonly ManifestFile[];
}

/** What the states of the workflow hand on. */
export interface Ingestion {
  /** `NEW`: to be processed; `DUPLICATE`: was or is processed by another execution; `SKIPPED`: nothing to process. */
  readonly outcome: 'NEW' | 'DUPLICATE' | 'SKIPPED';
  /** One sentence for the reader of the execution. */
  readonly reason: string;
  readonly id?: string;
  readonly bucket?: string;
  /** S3 URIs that the jobs take as arguments. */
  readonly manifest?: string;
  readonly report?: string;
  readonly summary?: string;
  readonly output?: string;
  readonly files?: readonly ManifestFile[];
}

/** An ingestion that was claimed. */
export type ClaimedIngestion = Ingestion & Required<Pick<Ingestion, 'id' | 'bucket' | 'manifest' | 'report' | 'summary' | 'output' | 'files'>>;

/** The same object versions have the same id, whenever and however often they are announced. */
export function manifestId(files: readonly ManifestFile[]): string {
  const lines = files.map(({ bucket, key, versionId, etag }) => JSON.stringify([bucket, key, versionId ?? '', etag])).sort();
  return createHash('sha256').update(lines.join('\n')).digest('hex');
}

/** The prefix of the data pipeline. */
export function pipelinePrefix(): string {
  return process.env[Env.PREFIX] ?? '';
}

/** Where everything about one data set lies. */
export function placesOf(bucket: string, id: string): { manifest: string; report: string; summary: string; output: string } {
  const root = `s3://${bucket}/${pipelinePrefix()}`;
  return {
    manifest: `${root}${Prefix.MANIFESTS}${id}.json`,
    report: `${root}${Prefix.REPORTS}${id}/${VALIDATION_REPORT}`,
    summary: `${root}${Prefix.REPORTS}${id}/preprocess.json`,
    output: `${root}${Prefix.PROCESSED}${id}`,
  };
}

/** The part of an S3 URI behind the bucket. */
export function keyOf(uri: string): string {
  return uri.replace(/^s3:\/\/[^/]+\//, '');
}

/** Cut to what a state machine's cause, a mail or a table item can hold with ease. */
export function shorten(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}
