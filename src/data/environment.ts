/** Environment variables of the data room's handlers, shared by construct and handler. */
export const Env = {
  TABLE_NAME: 'TABLE_NAME',
  DATASET_NAME: 'DATASET_NAME',
  PIPELINE_NAME: 'PIPELINE_NAME',
  TOPIC_ARN: 'TOPIC_ARN',
  /** What the keys of the data pipeline begin with. */
  PREFIX: 'PREFIX',
} as const;

/** Where things lie in the data bucket, below the prefix of the data pipeline. */
export const Prefix = {
  RAW: 'raw/',
  MANIFESTS: 'manifests/',
  REPORTS: 'reports/',
  QUARANTINE: 'quarantine/',
  PROCESSED: 'processed/',
} as const;

export const VALIDATION_REPORT = 'validation.json';

/** Parameters of the training pipeline that the data pipeline fills in. */
export const TrainingParameter = { INPUT_DATA: 'InputData', MANIFEST_ID: 'ManifestId' } as const;
