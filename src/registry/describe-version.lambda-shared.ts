import { DescribeModelPackageCommand, DescribeModelPackageCommandOutput, SageMakerClient } from '@aws-sdk/client-sagemaker';
import { isGone } from '../shared/custom-resource.lambda-shared';

/** A version as SageMaker has it; undefined where it was deleted. */
export async function describeVersion(sagemaker: SageMakerClient, modelPackageArn: string): Promise<DescribeModelPackageCommandOutput | undefined> {
  try {
    return await sagemaker.send(new DescribeModelPackageCommand({ ModelPackageName: modelPackageArn }));
  } catch (error) {
    if (isGone(error)) {
      return undefined;
    }
    throw error;
  }
}
