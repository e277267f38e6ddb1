import { Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as sns from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';
import { alarmArn } from '../shared/arns';
import { allowAlarms } from '../shared/encryption';

export interface NotificationTopicProps {
  readonly datasetName: string;
  /** @default - no key: with that of AWS for SNS, rules and alarms could not publish to the topic */
  readonly encryptionKey?: kms.IKey;
}

/** A topic that people subscribe to. Alarms of the account may publish to it, which SNS's default policy permits, but not one with TLS only. */
export class NotificationTopic extends sns.Topic {
  constructor(scope: Construct, id: string, { datasetName, encryptionKey }: NotificationTopicProps) {
    super(scope, id, { displayName: `Data of ${datasetName}`, enforceSSL: true, masterKey: encryptionKey });
    // https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-use-cases.html
    this.addToResourcePolicy(new iam.PolicyStatement({
      actions: ['sns:Publish'],
      resources: [this.topicArn],
      principals: [new iam.ServicePrincipal('cloudwatch.amazonaws.com')],
      conditions: { ArnLike: { 'aws:SourceArn': alarmArn(this, '*') }, StringEquals: { 'aws:SourceAccount': Stack.of(this).account } },
    }));
    if (encryptionKey) {
      allowAlarms(this, encryptionKey);
    }
  }
}
