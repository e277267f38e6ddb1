import { Token } from 'aws-cdk-lib';
import * as s3 from 'aws-cdk-lib/aws-s3';
import { Node } from 'constructs';
import type { Problems } from '../shared/validation';

/** Folders that Spark, Athena and URLs take as they are: it leaves out what begins with `_` or `.`. */
const PREFIX = /^([A-Za-z0-9][\w.=-]*\/)*$/;

/** A prefix as keys have it: folders, each with a slash behind it. */
export function prefixOf(given = ''): string {
  return given === '' || given.endsWith('/') ? given : `${given}/`;
}

/** What the check looks at of a data pipeline. */
interface Place {
  readonly node: Node;
  readonly bucket: s3.IBucket;
  readonly prefix: string;
}

/** Checks that the prefix is one, and that none of the others takes its files from there. */
export function checkPrefix(problems: Problems, prefix: string, bucket: s3.IBucket | undefined, others: readonly Place[]): void {
  problems.check(!Token.isUnresolved(prefix) && PREFIX.test(prefix) && prefix.length <= 512, () =>
    `prefix "${prefix}" must be known at synth: folders of letters, digits, hyphens, underscores, dots and equals signs, which begin with a letter or `
    + 'digit, such as "abalone" or "team/abalone"');
  const other = bucket && others.find((place) =>
    isSame(place.bucket, bucket) && (place.prefix.startsWith(prefix) || prefix.startsWith(place.prefix)));
  problems.check(!other, () => `bucket is that of the data pipeline "${other?.node.path}" too, `
    + `and of the prefixes "${prefix}" and "${other?.prefix}" one is below the other: each would take the files of the other for its own and move `
    + 'them to quarantine; give each a prefix of its own, such as "abalone", or a bucket of its own');
}

function isSame(one: s3.IBucket, other: s3.IBucket): boolean {
  return namesOf(one).some((name) => namesOf(other).includes(name));
}

/** Name and ARN as given or referred to, and the name in the declaration, by which another stack may import the bucket. */
function namesOf(bucket: s3.IBucket): string[] {
  const resource = bucket.node.defaultChild;
  const declared = resource instanceof s3.CfnBucket ? resource.bucketName : undefined;
  return [bucket.bucketName, bucket.bucketArn, ...declared !== undefined ? [declared] : []];
}
