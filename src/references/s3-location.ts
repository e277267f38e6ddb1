import { Aws } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as s3 from 'aws-cdk-lib/aws-s3';
import { OBJECT_READ_KEY_ACTIONS, OBJECT_WRITE_KEY_ACTIONS } from '../shared/encryption';
import { knownBeginning } from '../shared/pipeline-tokens';

/** What can be granted on. */
interface Place {
  readonly bucketArn: string;
  readonly bucket?: s3.IBucket;
  readonly prefix: string;
  /** What follows the prefix in ARNs and conditions: a wildcard, unless it is the whole key. */
  readonly rest: '*' | '';
}

/**
 * A place in S3: an object, or all objects whose key begins with a prefix. Who is handed one is granted what it needs there, with the
 * customer key of the bucket, if it has one.
 *
 * @example
 * declare const bucket: s3.IBucket;
 * const raw = S3Location.fromBucket(bucket, 'raw/2026/');
 */
export class S3Location {
  /**
   * All objects of a bucket whose key begins with a prefix.
   *
   * @param bucket the bucket; its customer key is granted with it
   * @param prefix beginning of the keys; empty for the whole bucket. Values of the pipeline run may stand in it: what
   *   is granted then ends before the first of them
   * @throws Error when the prefix begins with a slash or is a URI
   */
  public static fromBucket(bucket: s3.IBucket, prefix: string = ''): S3Location {
    checkKey('S3Location.fromBucket: prefix', prefix);
    return new S3Location(`s3://${bucket.bucketName}/${prefix}`, bucket);
  }

  /**
   * The place that a URI names. Outputs of steps, parameters and execution variables of a pipeline enter here; of an output the
   * pipeline knows where it lies, of a parameter only its default. The customer key of a bucket that is named by its URI is not known:
   * grant it yourself, or use `fromBucket`.
   *
   * @throws Error when it is not an S3 URI
   */
  public static fromUri(uri: string): S3Location {
    const { text, complete } = knownBeginning(uri);
    if (text === '' ? complete : !/^s3:\/\/([^/]+(\/|$)|$)/.test(text)) {
      throw new Error(`S3Location.fromUri: "${uri}" must be an S3 URI such as "s3://my-bucket/raw/"`);
    }
    return new S3Location(uri);
  }

  /** One object of a bucket, by its whole key. */
  public static fromObject(bucket: s3.IBucket, key: string): S3Location {
    checkKey('S3Location.fromObject: key', key);
    return new S3Location(`s3://${bucket.bucketName}/${key}`, bucket, true);
  }

  /** The place as `s3://bucket/prefix`. */
  public readonly uri: string;

  private constructor(uri: string, private readonly bucket?: s3.IBucket, private readonly isObject: boolean = false) {
    this.uri = uri;
  }

  /**
   * Customer key of the bucket, where the bucket is known.
   * @internal
   */
  public get _encryptionKey(): kms.IKey | undefined {
    return this.bucket?.encryptionKey;
  }

  /** A place below this one: `path` is put behind its URI, with a slash between. */
  public at(path: string): S3Location {
    return new S3Location(`${this.uri.replace(/\/$/, '')}/${path}`, this.bucket);
  }

  /** Grants the given identity permission to read the objects and to list them. Of a place that only a pipeline run knows, nothing. */
  public grantRead(grantee: iam.IGrantable): iam.Grant {
    const place = this.place();
    return place ? this.grant(place, grantee, ['s3:GetObject'], OBJECT_READ_KEY_ACTIONS).combine(this.grantList(place, grantee)) : dropped(grantee);
  }

  /** Grants the given identity permission to write objects. Of a place that only a pipeline run knows, nothing. */
  public grantWrite(grantee: iam.IGrantable): iam.Grant {
    const place = this.place();
    return place ? this.grant(place, grantee, ['s3:PutObject', 's3:AbortMultipartUpload'], OBJECT_WRITE_KEY_ACTIONS) : dropped(grantee);
  }

  private grant(place: Place, grantee: iam.IGrantable, actions: string[], keyActions: string[]): iam.Grant {
    const grant = addTo(place, { grantee, actions, resourceArns: [`${place.bucketArn}/${place.prefix}${place.rest}`] });
    const key = place.bucket?.encryptionKey;
    return key ? grant.combine(key.grant(grantee, ...keyActions)) : grant;
  }

  private grantList(place: Place, grantee: iam.IGrantable): iam.Grant {
    const conditions = place.prefix === '' ? undefined : { StringLike: { 's3:prefix': [`${place.prefix}${place.rest}`] } };
    return addTo(place, { grantee, actions: ['s3:ListBucket'], resourceArns: [place.bucketArn], conditions });
  }

  private place(): Place | undefined {
    const match = /^s3:\/\/([^/]+)(?:\/(.*))?$/s.exec(this.uri);
    if (!match || !knownBeginning(match[1]).complete) {
      return undefined;
    }
    const prefix = knownBeginning(match[2] ?? '');
    return {
      bucketArn: this.bucket?.bucketArn ?? `arn:${Aws.PARTITION}:s3:::${match[1]}`,
      bucket: this.bucket,
      prefix: prefix.text,
      rest: this.isObject && prefix.complete ? '' : '*',
    };
  }
}

function addTo(place: Place, options: iam.GrantOnPrincipalOptions & iam.CommonGrantOptions): iam.Grant {
  return place.bucket ? iam.Grant.addToPrincipalOrResource({ ...options, resource: place.bucket }) : iam.Grant.addToPrincipal(options);
}

function dropped(grantee: iam.IGrantable): iam.Grant {
  return iam.Grant.drop(grantee, 'where the place lies is known only while the pipeline runs');
}

function checkKey(what: string, key: string): void {
  if (/^(\/|s3:\/\/)/.test(key)) {
    throw new Error(`${what} "${key}" must be a key such as "raw/data.csv", without the bucket and without a slash first`);
  }
}
