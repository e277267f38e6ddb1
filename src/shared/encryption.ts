import { Annotations, ArnFormat, Aws, Resource, Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import type * as sns from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';

/** What S3 asks of a customer key for who reads objects. */
export const OBJECT_READ_KEY_ACTIONS = ['kms:Decrypt'];

/** What S3 asks of a customer key for who writes objects: it reads the parts of a large upload to put them together. */
export const OBJECT_WRITE_KEY_ACTIONS = ['kms:GenerateDataKey*', 'kms:Decrypt'];

/** Actions on a table that only read. */
const TABLE_READS = ['dynamodb:GetItem', 'dynamodb:Query', 'dynamodb:Scan', 'dynamodb:BatchGetItem'];

/** Something that a customer key may encrypt, such as a table. */
export interface Encrypted {
  readonly encryptionKey?: kms.IKey;
}

/** Grants what these actions on a table need of its customer key; nothing where it has none. */
export function grantTableKey(table: Encrypted, grantee: iam.IGrantable, actions: string[]): iam.Grant | undefined {
  const key = table.encryptionKey;
  return actions.every((action) => TABLE_READS.includes(action)) ? key?.grantDecrypt(grantee) : key?.grantEncryptDecrypt(grantee);
}

/** What who makes a job or an endpoint needs of the key of its volumes: SageMaker gets a grant of it, and nobody else. */
export function volumeKeyStatements(keyArn: string): iam.PolicyStatement[] {
  return [
    new iam.PolicyStatement({ actions: ['kms:DescribeKey'], resources: [keyArn] }),
    new iam.PolicyStatement({ actions: ['kms:CreateGrant'], resources: [keyArn], conditions: { Bool: { 'kms:GrantIsForAWSResource': 'true' } } }),
  ];
}

/** CloudWatch Logs may use the key for log groups of this account and region. */
export function allowLogs(scope: Construct, key: kms.IKey): void {
  const logGroups = Stack.of(scope).formatArn({ service: 'logs', resource: 'log-group', resourceName: '*', arnFormat: ArnFormat.COLON_RESOURCE_NAME });
  allow(scope, key, `logs.${Stack.of(scope).region}.${Aws.URL_SUFFIX}`, {
    actions: ['kms:Encrypt*', 'kms:Decrypt*', 'kms:ReEncrypt*', 'kms:GenerateDataKey*', 'kms:Describe*'],
    conditions: { ArnLike: { 'kms:EncryptionContext:aws:logs:arn': logGroups } },
  });
}

/** EventBridge may use the key to send events of this account to a queue. It names its account, but not the rule. */
export function allowEvents(scope: Construct, key: kms.IKey): void {
  allow(scope, key, 'events.amazonaws.com', {
    actions: ['kms:GenerateDataKey', 'kms:Decrypt'],
    conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(scope).account } },
  });
}

/** Alarms of this account may use the key to publish to a topic. */
export function allowAlarms(scope: Construct, key: kms.IKey): void {
  allow(scope, key, 'cloudwatch.amazonaws.com', {
    actions: ['kms:GenerateDataKey*', 'kms:Decrypt'],
    conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(scope).account } },
  });
}

/** Warns of a topic that was imported without its key: whether it has one, and which, cannot be known here. */
export function checkTopicKey(scope: Construct, topic: sns.ITopic, publishers: string): void {
  if (!topic.masterKey && !Resource.isOwnedResource(topic)) {
    Annotations.of(scope).addWarningV2('cdk-mlops:topic-key',
      `the topic "${topic.node.path}" was imported without its key: if a customer key encrypts it, import it by `
      + `Topic.fromTopicAttributes({ topicArn, keyArn }), or grant kms:GenerateDataKey* and kms:Decrypt on the key to ${publishers}`);
  }
}

/** Services have no role that a grant could go to: the policy of the key lets them in. */
function allow(scope: Construct, key: kms.IKey, service: string, { actions, conditions }: iam.PolicyStatementProps): void {
  const statement = new iam.PolicyStatement({ actions, conditions, resources: ['*'], principals: [new iam.ServicePrincipal(service)] });
  if (!key.addToResourcePolicy(statement).statementAdded) {
    Annotations.of(scope).addWarningV2(`cdk-mlops:key-policy:${service.split('.')[0]}`,
      `the policy of the key "${key.node.path}" cannot be changed here: see to it that it permits ${actions?.join(', ')} to ${service}`);
  }
}
