import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DeleteModelPackageCommand, paginateListModelPackages, SageMakerClient } from '@aws-sdk/client-sagemaker';
import { DeleteCommand, DynamoDBDocumentClient, paginateQuery } from '@aws-sdk/lib-dynamodb';
import { CATALOG_KINDS, catalogPartition } from './catalog.lambda-shared';
import { customResourceHandler, isGone, Time } from '../shared/custom-resource.lambda-shared';

const sagemaker = new SageMakerClient({ maxAttempts: 8 });
const dynamodb = DynamoDBDocumentClient.from(new DynamoDBClient({ maxAttempts: 8 }));

/** Deletes every version of a model package group, so that the group itself can be deleted. */
export async function deleteVersions(modelPackageGroupName: string, time: Time): Promise<number> {
  const arns: string[] = [];
  try {
    for await (const page of paginateListModelPackages({ client: sagemaker, pageSize: 100 }, { ModelPackageGroupName: modelPackageGroupName })) {
      arns.push(...(page.ModelPackageSummaryList ?? []).map((summary) => summary.ModelPackageArn!));
    }
  } catch (error) {
    if (isGone(error)) {
      return 0;
    }
    throw error;
  }
  for (const [done, arn] of arns.entries()) {
    if (time.remainingMillis() < 0) {
      throw new Error(`${done} of ${arns.length} model versions of ${modelPackageGroupName} are deleted so far; delete the stack again for the rest`);
    }
    await sagemaker.send(new DeleteModelPackageCommand({ ModelPackageName: arn })).catch((error: unknown) => {
      if (!isGone(error)) {
        throw error;
      }
    });
  }
  return arns.length;
}

/** Deletes all that the catalog holds of a group, from a table that stays. */
export async function deleteItems(TableName: string, modelPackageGroupName: string): Promise<void> {
  for (const kind of CATALOG_KINDS) {
    const pk = catalogPartition(kind, modelPackageGroupName);
    for await (const page of paginateQuery({ client: dynamodb }, {
      TableName, KeyConditionExpression: 'pk = :pk', ExpressionAttributeValues: { ':pk': pk }, ProjectionExpression: 'sk', ConsistentRead: true,
    })) {
      for (const { sk } of page.Items ?? []) {
        await dynamodb.send(new DeleteCommand({ TableName, Key: { pk, sk } }));
      }
    }
  }
}

export const handler = customResourceHandler({
  physicalId: (properties) => `${properties.GroupName}`,
  delete: async (properties, time) => {
    await deleteVersions(`${properties.GroupName}`, time);
    if (properties.TableName !== undefined) {
      await deleteItems(`${properties.TableName}`, `${properties.GroupName}`);
    }
  },
});
