/**
 * The catalog's items, as everybody reads them. One table a registry:
 *
 * | pk           | sk                     | what                                              |
 * |--------------|------------------------|---------------------------------------------------|
 * | `MODEL`      | `v#000012`             | a model version, kept in step by SageMaker events |
 * | `SERVING`    | `<endpoint>`           | what an endpoint serves                           |
 * | `LOCK`       | `<endpoint>`           | the deployment that is at work on it              |
 * | `DEPLOYMENT` | `<endpoint>#<time>#..` | how a deployment ended                            |
 */
export const CATALOG = {
  partitionKey: 'pk',
  sortKey: 'sk',
  models: 'MODEL',
  serving: 'SERVING',
  locks: 'LOCK',
  deployments: 'DEPLOYMENT',
} as const;

/** Environment names of the catalog handler. */
export const CATALOG_ENVIRONMENT = {
  table: 'CATALOG_TABLE',
} as const;

/** Keys of `CustomerMetadataProperties` that the catalog shows. */
export const LINEAGE = {
  manifestId: 'ManifestId',
  pipelineExecutionArn: 'PipelineExecutionArn',
  approvedBy: 'ApprovedBy',
} as const;

/** Status of a model version whose package no longer exists. */
export const DELETED = 'Deleted';

/** A model version. */
export interface ModelItem {
  readonly pk: string;
  readonly sk: string;
  readonly version: number;
  readonly modelPackageArn: string;
  /** `PendingManualApproval`, `Approved`, `Rejected` or `Deleted`. */
  readonly status: string;
  /** Whether SageMaker finished the package: `Completed`, `Failed`, ... */
  readonly packageStatus?: string;
  readonly metrics?: Record<string, number>;
  /** Why metrics are missing. */
  readonly metricsProblem?: string;
  readonly manifestId?: string;
  readonly pipelineExecutionArn?: string;
  readonly createdAt?: string;
  /** Last change in SageMaker, ISO 8601 in UTC with milliseconds, so that text order is time order. */
  readonly updatedAt: string;
  readonly approvedBy?: string;
  readonly approvalDescription?: string;
}

/** Sort key of a version: as text in the order of the numbers. */
export function versionKey(version: number): string {
  return `v#${String(version).padStart(6, '0')}`;
}

/** The version in a model package ARN, e.g. 12 in `arn:aws:sagemaker:eu-west-1:111122223333:model-package/abalone/12`. */
export function versionOf(modelPackageArn: string): number | undefined {
  const match = /:model-package\/[^/]+\/(\d{1,9})$/.exec(modelPackageArn);
  return match ? Number(match[1]) : undefined;
}

/** Smallest and largest magnitude that DynamoDB stores. */
const TINY = 1e-130;
const HUGE = 1e125;

/**
 * The metrics of an evaluation report by name: `{"regression_metrics": {"mse": {"value": 4.7}}}` gives `{mse: 4.7}`.
 * What is not a number (a confusion matrix, a curve, NaN) is left out.
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
        metrics[name] = Math.abs(value) < TINY ? 0 : value;
      }
    }
  }
  return metrics;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
