import { RemovalPolicy } from 'aws-cdk-lib';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import * as kms from 'aws-cdk-lib/aws-kms';
import { Construct } from 'constructs';

export interface SecureTableProps {
  /** Name of the partition key, a string. */
  readonly partitionKey: string;
  /** Name of the sort key, a string. @default - none */
  readonly sortKey?: string;
  /** Name of the attribute that says when an item expires, in seconds since 1970. @default - items stay */
  readonly timeToLiveAttribute?: string;
  readonly removalPolicy: RemovalPolicy;
  /** @default - AWS's key for DynamoDB in this account */
  readonly encryptionKey?: kms.IKey;
}

/** A table with the defaults that every table of this library has: encrypted, paid by request, with point-in-time recovery. */
export class SecureTable extends dynamodb.TableV2 {
  public readonly encryptionKey?: kms.IKey;

  constructor(scope: Construct, id: string, { partitionKey, sortKey, timeToLiveAttribute, removalPolicy, encryptionKey }: SecureTableProps) {
    super(scope, id, {
      partitionKey: { name: partitionKey, type: dynamodb.AttributeType.STRING },
      sortKey: sortKey === undefined ? undefined : { name: sortKey, type: dynamodb.AttributeType.STRING },
      billing: dynamodb.Billing.onDemand(),
      encryption: dynamodb.TableEncryptionV2.awsManagedKey(),
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      timeToLiveAttribute,
      removalPolicy,
    });
    this.encryptionKey = encryptionKey;
    if (encryptionKey) {
      // `TableEncryptionV2.customerManagedKey` fails in a stack without a region, though the one replica is the stack's own.
      (this.node.defaultChild as dynamodb.CfnGlobalTable).addPropertyOverride('Replicas.0.SSESpecification.KMSMasterKeyId', encryptionKey.keyArn);
    }
  }
}
