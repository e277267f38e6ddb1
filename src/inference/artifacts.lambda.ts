import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { S3Client } from '@aws-sdk/client-s3';
import { DescribeModelCommand, DescribeModelPackageCommandOutput, ListTagsCommand, SageMakerClient } from '@aws-sdk/client-sagemaker';
import { DynamoDBDocumentClient, GetCommand } from '@aws-sdk/lib-dynamodb';
import { MODEL_PACKAGE_TAG } from './environment';
import { lookAt } from '../registry/artifact-copies.lambda-shared';
import { CATALOG_ENVIRONMENT, modelKey, ModelItem, versionOf } from '../registry/catalog.lambda-shared';
import { describeVersion } from '../registry/describe-version.lambda-shared';
import { containersOf, digestOf, prefixOf, servingContainer, VersionArtifacts, VersionContainer } from '../registry/version-artifacts.lambda-shared';
import { statusOf } from '../shared/copy-object.lambda-shared';

const sagemaker = new SageMakerClient({ maxAttempts: 5 });
const s3 = new S3Client({ maxAttempts: 5 });
const dynamodb = DynamoDBDocumentClient.from(new DynamoDBClient({ maxAttempts: 5 }));

/** A version that is to be deployed, or the model of one that served before. */
export type ArtifactsRequest = { readonly modelPackageArn: string } | { readonly modelName: string };

export interface ArtifactsResult {
  /** `Containers` of `CreateModel`: what was registered, with the copies of the artifacts. */
  readonly containers?: readonly { readonly [member: string]: unknown }[];
  /** Why the version may not serve, as a sentence. */
  readonly problem?: string;
  /** The registry is still at work on the copies. */
  readonly pending?: boolean;
}

/** Compares what is there of a version with the digest that the catalog keeps of it since its registration. */
export async function handler(request: ArtifactsRequest): Promise<ArtifactsResult> {
  const deploys = 'modelPackageArn' in request;
  const arn = deploys ? request.modelPackageArn : await packageOf(request.modelName);
  const group = process.env[CATALOG_ENVIRONMENT.modelPackageGroupName]!;
  const version = arn === undefined ? undefined : versionOf(arn, group);
  if (arn === undefined || version === undefined) {
    const what = deploys ? request.modelPackageArn : `model ${request.modelName}`;
    return { problem: `${what} does not say which version of ${group} it is, so that its artifacts cannot be verified` };
  }
  const described = await describeVersion(sagemaker, arn);
  if (deploys && described?.ModelApprovalStatus !== 'Approved') {
    return { problem: `version ${version} is not approved (any more): its status is ${described?.ModelApprovalStatus ?? 'Deleted'}` };
  }
  const item = await itemOf(group, version);
  const artifacts = item?.artifacts;
  if (!artifacts || (described && artifacts.prefix !== prefixOf(group, described))) {
    return absence(version, item, described);
  }
  const problem = await difference(artifacts, described ? containersOf(described) : artifacts.containers);
  return problem === undefined
    ? { containers: artifacts.containers.map((_, index) => servingContainer(bucket(), artifacts, index)) }
    : { problem: `version ${version} is not what was registered: ${problem}` };
}

function bucket(): string {
  return process.env[CATALOG_ENVIRONMENT.bucket]!;
}

/** The registry copies by an event of its own: until the catalog knows the state that was approved, there may be copies any moment. */
function absence(version: number, item: ModelItem | undefined, described: DescribeModelPackageCommandOutput | undefined): ArtifactsResult {
  const changed = described?.LastModifiedTime ?? described?.CreationTime;
  const isKnown = item !== undefined && changed !== undefined && item.updatedAt >= changed.toISOString();
  if (isKnown && item.artifactsProblem !== undefined) {
    return { problem: `the artifacts of version ${version} could not be copied: ${item.artifactsProblem}; approve it again once they can` };
  }
  return { pending: true, problem: `the registry has made no copies of the artifacts of version ${version}: look at its dead-letter queue` };
}

/** What differs, as a part of a sentence: an object where there is one, else what the container is made of. */
async function difference({ digest, containers }: VersionArtifacts, described: readonly VersionContainer[]): Promise<string | undefined> {
  const now: VersionContainer[] = [];
  for (const [index, container] of described.entries()) {
    const objects = [];
    for (const { key, sha256 } of containers[index]?.objects ?? []) {
      const found = await sha256Of(key);
      if (found !== sha256) {
        return `s3://${bucket()}/${key} has ${found === undefined ? 'no SHA-256 (it is gone, or was written by somebody else)' : `the SHA-256 ${found}`}, and had ${sha256} at the registration`;
      }
      objects.push({ key, sha256 });
    }
    now.push({ ...container, objects });
  }
  const found = digestOf(now);
  return found === digest ? undefined : `its images, environments and places of model data have the digest ${found}, and had ${digest}`;
}

/** Absent where the object is gone, may not be read, or was written by somebody who let S3 compute none. */
async function sha256Of(key: string): Promise<string | undefined> {
  try {
    return (await lookAt(s3, bucket(), key))?.sha256;
  } catch (error) {
    if (statusOf(error) === 403) {
      return undefined;
    }
    throw error;
  }
}

/** The version that a model was made from. */
async function packageOf(modelName: string): Promise<string | undefined> {
  const { ModelArn } = await sagemaker.send(new DescribeModelCommand({ ModelName: modelName }));
  const { Tags = [] } = await sagemaker.send(new ListTagsCommand({ ResourceArn: ModelArn, MaxResults: 100 }));
  return Tags.find(({ Key }) => Key === MODEL_PACKAGE_TAG)?.Value;
}

async function itemOf(group: string, version: number): Promise<ModelItem | undefined> {
  const { Item } = await dynamodb.send(new GetCommand({
    TableName: process.env[CATALOG_ENVIRONMENT.table], Key: modelKey(group, version), ConsistentRead: true,
  }));
  return Item as ModelItem | undefined;
}
