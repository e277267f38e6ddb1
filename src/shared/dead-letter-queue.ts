import { Duration } from 'aws-cdk-lib';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { CommonSettings } from './common-settings';
import { allowEvents } from './encryption';

/** A queue for events that EventBridge could not deliver, kept for two weeks. */
export class DeadLetterQueue extends sqs.Queue {
  constructor(scope: Construct, id: string, { encryptionKey }: Pick<CommonSettings, 'encryptionKey'>) {
    super(scope, id, {
      encryption: encryptionKey ? sqs.QueueEncryption.KMS : sqs.QueueEncryption.SQS_MANAGED,
      encryptionMasterKey: encryptionKey,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    });
    if (encryptionKey) {
      allowEvents(this, encryptionKey);
    }
  }
}
