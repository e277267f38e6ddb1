import type * as kms from 'aws-cdk-lib/aws-kms';
import type * as logs from 'aws-cdk-lib/aws-logs';
import type { Network } from './network';

/** Settings that a construct hands on to whatever it makes. */
export interface CommonSettings {
  /** How long logs are kept. */
  readonly logRetention: logs.RetentionDays;
  /** Encrypts what rests: with keys of AWS otherwise. */
  readonly encryptionKey?: kms.IKey;
  /** Where functions, jobs and models run: outside of any VPC of the account otherwise. */
  readonly network?: Network;
}
