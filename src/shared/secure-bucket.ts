import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as s3 from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';

export interface SecureBucketProps {
  readonly removalPolicy: RemovalPolicy;
  /** @default - a key of S3 */
  readonly encryptionKey?: kms.IKey;
  /** Sends object events to EventBridge. @default false */
  readonly eventBridgeEnabled?: boolean;
  /** Rules beside those that every bucket has. */
  readonly lifecycleRules?: s3.LifecycleRule[];
}

/**
 * A bucket with the defaults that every bucket of this library has: encrypted, versioned, TLS only, not public,
 * old versions gone after 90 days. With `RemovalPolicy.DESTROY` its objects are deleted with it.
 */
export class SecureBucket extends s3.Bucket {
  private readonly eventBridge: boolean;

  constructor(scope: Construct, id: string, props: SecureBucketProps) {
    super(scope, id, {
      encryption: props.encryptionKey ? s3.BucketEncryption.KMS : s3.BucketEncryption.S3_MANAGED,
      encryptionKey: props.encryptionKey,
      // One call to KMS for many objects.
      bucketKeyEnabled: props.encryptionKey ? true : undefined,
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      enforceSSL: true,
      minimumTLSVersion: 1.2,
      versioned: true,
      removalPolicy: props.removalPolicy,
      autoDeleteObjects: props.removalPolicy === RemovalPolicy.DESTROY,
      lifecycleRules: [
        { noncurrentVersionExpiration: Duration.days(90), abortIncompleteMultipartUploadAfter: Duration.days(7) },
        ...(props.lifecycleRules ?? []),
      ],
    });
    this.eventBridge = props.eventBridgeEnabled ?? false;
    if (this.eventBridge) {
      // The property of CloudFormation does it; `eventBridgeEnabled` of the CDK would add a custom resource for it.
      (this.node.defaultChild as s3.CfnBucket).notificationConfiguration = { eventBridgeConfiguration: { eventBridgeEnabled: true } };
    }
  }

  /** Notifications of a user's own come with the CDK's custom resource, which sets all of a bucket: EventBridge too, then. */
  public addEventNotification(event: s3.EventType, target: s3.IBucketNotificationDestination, ...filters: s3.NotificationKeyFilter[]): void {
    if (this.eventBridge) {
      this.enableEventBridgeNotification();
    }
    super.addEventNotification(event, target, ...filters);
  }
}
