import * as iam from 'aws-cdk-lib/aws-iam';
import * as s3 from 'aws-cdk-lib/aws-s3';
import { OBJECT_READ_KEY_ACTIONS, OBJECT_WRITE_KEY_ACTIONS } from '../shared/encryption';

/**
 * Grants on parts of the data bucket. `bucket.grantRead()` would also let the grantee list and describe the whole bucket;
 * these let it do what is named, below the prefixes that are named, and use the bucket's key where it has one.
 */
export class DataAccess {
  /** @param prefix of the data pipeline, before all others */
  constructor(private readonly bucket: s3.IBucket, private readonly prefix: string) {}

  /** Reads objects, the exact versions too. */
  public read(grantee: iam.IGrantable, ...prefixes: string[]): iam.Grant {
    return this.objects(grantee, ['s3:GetObject', 's3:GetObjectVersion'], prefixes, OBJECT_READ_KEY_ACTIONS);
  }

  /** Writes new objects and replaces existing ones. */
  public write(grantee: iam.IGrantable, ...prefixes: string[]): iam.Grant {
    return this.objects(grantee, ['s3:PutObject', 's3:AbortMultipartUpload'], prefixes, OBJECT_WRITE_KEY_ACTIONS);
  }

  /** Deletes objects. */
  public delete(grantee: iam.IGrantable, ...prefixes: string[]): iam.Grant {
    return this.objects(grantee, ['s3:DeleteObject'], prefixes);
  }

  /** Deletes exact versions of objects. */
  public deleteVersions(grantee: iam.IGrantable, ...prefixes: string[]): iam.Grant {
    return this.objects(grantee, ['s3:DeleteObject', 's3:DeleteObjectVersion'], prefixes);
  }

  /** Lists what lies below the prefixes. */
  public list(grantee: iam.IGrantable, ...prefixes: string[]): iam.Grant {
    return iam.Grant.addToPrincipal({
      grantee,
      actions: ['s3:ListBucket'],
      resourceArns: [this.bucket.bucketArn],
      conditions: { StringLike: { 's3:prefix': prefixes.flatMap((prefix) => [`${this.prefix}${prefix.replace(/\/$/, '')}`, `${this.prefix}${prefix}*`]) } },
    });
  }

  /**
   * Tells "there is no such object" (404) from "you may not know" (403): S3 does so only for who may list the bucket,
   * and such a request carries no prefix that a condition could look at.
   */
  public seeWhetherThere(grantee: iam.IGrantable): iam.Grant {
    return iam.Grant.addToPrincipal({ grantee, actions: ['s3:ListBucket'], resourceArns: [this.bucket.bucketArn] });
  }

  private objects(grantee: iam.IGrantable, actions: string[], prefixes: string[], keyActions: string[] = []): iam.Grant {
    const grant = iam.Grant.addToPrincipal({ grantee, actions, resourceArns: prefixes.map((prefix) => this.bucket.arnForObjects(`${this.prefix}${prefix}*`)) });
    const key = this.bucket.encryptionKey;
    return key && keyActions.length > 0 ? grant.combine(key.grant(grantee, ...keyActions)) : grant;
  }
}
