import type { VersionArtifacts } from './version-artifacts.lambda-shared';

/**
 * The catalog's items, as everybody reads them. One table may hold several model package groups: each partition is of one group.
 *
 * | pk                   | sk                     | what                                              |
 * |----------------------|------------------------|---------------------------------------------------|
 * | `MODEL#<group>`      | `v#000012`             | a model version, kept in step by SageMaker events |
 * | `SERVING#<group>`    | `<endpoint>`           | what an endpoint serves                           |
 * | `LOCK#<group>`       | `<endpoint>`           | the deployment that is at work on it              |
 * | `DEPLOYMENT#<group>` | `<endpoint>#<time>#..` | how a deployment ended                            |
 */
export const CATALOG = { partitionKey: 'pk', sortKey: 'sk' } as const;

/** What the items of a partition are about. */
export type CatalogKind = 'MODEL' | 'SERVING' | 'LOCK' | 'DEPLOYMENT';
export const CATALOG_KINDS: CatalogKind[] = ['MODEL', 'SERVING', 'LOCK', 'DEPLOYMENT'];

/** Key of one item. */
export interface CatalogKey {
  readonly pk: string;
  readonly sk: string;
}

/** Partition key of a group's items of one kind. No name of a group has a `#`. */
export function catalogPartition(kind: CatalogKind, modelPackageGroupName: string): string {
  return `${kind}#${modelPackageGroupName}`;
}

/** Key of a model version. */
export function modelKey(modelPackageGroupName: string, version: number): CatalogKey {
  return { pk: catalogPartition('MODEL', modelPackageGroupName), sk: versionKey(version) };
}

/** Key of what an endpoint serves. */
export function servingKey(modelPackageGroupName: string, endpointName: string): CatalogKey {
  return { pk: catalogPartition('SERVING', modelPackageGroupName), sk: endpointName };
}

/** Key of the deployment that is at work on an endpoint. */
export function lockKey(modelPackageGroupName: string, endpointName: string): CatalogKey {
  return { pk: catalogPartition('LOCK', modelPackageGroupName), sk: endpointName };
}

/** Environment names of the catalog handler. */
export const CATALOG_ENVIRONMENT = {
  table: 'CATALOG_TABLE',
  bucket: 'ARTIFACT_BUCKET',
  modelPackageGroupName: 'MODEL_PACKAGE_GROUP_NAME',
} as const;

/** Keys of `CustomerMetadataProperties` that the catalog shows. */
export const LINEAGE = {
  manifestId: 'ManifestId',
  pipelineExecutionArn: 'PipelineExecutionArn',
  approvedBy: 'ApprovedBy',
} as const;

/** Beginning of the keys of `CustomerMetadataProperties` that hold limits of the gate: `Gate.mse` is `at most 6`. */
export const GATE_PREFIX = 'Gate.';

/** Status of a model version whose package no longer exists. */
export const DELETED = 'Deleted';

/** A model version. */
export interface ModelItem extends CatalogKey {
  readonly version: number;
  readonly modelPackageArn: string;
  /** `PendingManualApproval`, `Approved`, `Rejected` or `Deleted`. */
  readonly status: string;
  /** Whether SageMaker finished the package: `Completed`, `Failed`, ... */
  readonly packageStatus?: string;
  readonly metrics?: Record<string, number>;
  /** Why metrics are missing, all or some. */
  readonly metricsProblem?: string;
  /** Limits of the gate that held for the version, by metric: `at most 6`. */
  readonly gate?: Record<string, string>;
  readonly manifestId?: string;
  readonly pipelineExecutionArn?: string;
  readonly createdAt?: string;
  /** Last change in SageMaker, ISO 8601 in UTC with milliseconds, so that text order is time order. */
  readonly updatedAt: string;
  readonly approvedBy?: string;
  readonly approvalDescription?: string;
  /** What the version consists of, since its artifacts were copied. Later states of the version do not change it. */
  readonly artifacts?: VersionArtifacts;
  /** Why the artifacts could not be copied, so that the version cannot be deployed. */
  readonly artifactsProblem?: string;
}

/** Sort key of a version: as text in the order of the numbers. */
export function versionKey(version: number): string {
  return `v#${String(version).padStart(6, '0')}`;
}

/**
 * The version in the ARN of a model package of a group, e.g. 12 in `arn:aws:sagemaker:eu-west-1:111122223333:model-package/abalone/12`.
 * SageMaker may have put the name of the group into lower case there.
 */
export function versionOf(modelPackageArn: string, modelPackageGroupName: string): number | undefined {
  const [, group, version] = /:model-package\/([^/]+)\/(\d{1,9})$/.exec(modelPackageArn) ?? [];
  return group?.toLowerCase() === modelPackageGroupName.toLowerCase() ? Number(version) : undefined;
}

/**
 * Limits of what the catalog keeps of an evaluation report: an item of DynamoDB holds 400 KB, and a version must appear whatever its
 * report holds.
 */
export const MAX_REPORT_BYTES = 2 ** 20;
export const MAX_METRICS = 200;
const MAX_METRIC_NAME = 100;

/** Smallest and largest magnitude that DynamoDB stores. */
const TINY = 1e-130;
const HUGE = 1e125;

/**
 * The metrics of an evaluation report by name: `{"regression_metrics": {"mse": {"value": 4.7}}}` gives `{mse: 4.7}`.
 * What is not a number (a confusion matrix, a curve, NaN) is left out; of a long name its beginning stays.
 */
export function flattenMetrics(report: unknown): Record<string, number> {
  const metrics: Record<string, number> = {};
  for (const [section, entries] of Object.entries(isRecord(report) ? report : {})) {
    if (!section.endsWith('_metrics') || !isRecord(entries)) {
      continue;
    }
    for (const [name, entry] of Object.entries(entries)) {
      const value = isRecord(entry) ? entry.value : entry;
      if (typeof value === 'number' && Number.isFinite(value) && Math.abs(value) < HUGE) {
        metrics[name.slice(0, MAX_METRIC_NAME)] = Math.abs(value) < TINY ? 0 : value;
      }
    }
  }
  return metrics;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
