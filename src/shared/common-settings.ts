import type * as logs from 'aws-cdk-lib/aws-logs';

/** Settings that a construct hands on to whatever it makes. */
export interface CommonSettings {
  /** How long logs are kept. */
  readonly logRetention: logs.RetentionDays;
}
