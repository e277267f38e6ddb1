import * as iam from 'aws-cdk-lib/aws-iam';
import * as s3 from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import { COPIES, copiesOf } from './version-artifacts.lambda-shared';
import { S3Location } from '../references/s3-location';
import { modelPackageArns } from '../shared/arns';

/** The bucket and the group of a registry. */
export interface VersionStore {
  readonly bucket: s3.IBucket;
  readonly modelPackageGroupName: string;
}

/** Where the copies of a registry's artifacts are. */
export function copiesIn({ bucket, modelPackageGroupName }: VersionStore): S3Location {
  return S3Location.fromBucket(bucket, copiesOf(modelPackageGroupName));
}

/**
 * Forbids a role, whatever else it is granted, to change what was registered: the copies of the bucket, whichever group they are of, and
 * the versions of the group.
 */
export function forbidChangeOfVersions(scope: Construct, { bucket, modelPackageGroupName }: VersionStore, role: iam.IRole): void {
  const forbid = (actions: string[], resources: string[]) =>
    role.addToPrincipalPolicy(new iam.PolicyStatement({ effect: iam.Effect.DENY, actions, resources }));
  forbid(['s3:PutObject*', 's3:DeleteObject*'], [bucket.arnForObjects(`${COPIES}*`)]);
  forbid(['sagemaker:UpdateModelPackage'], modelPackageArns(scope, modelPackageGroupName));
}
