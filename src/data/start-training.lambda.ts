import { SageMakerClient, StartPipelineExecutionCommand } from '@aws-sdk/client-sagemaker';
import { Env, TrainingParameter } from './environment';
import type { ClaimedIngestion } from './ingestion.lambda-shared';

const sagemaker = new SageMakerClient({});

/** Starts the training pipeline on a data set. The manifest id as token: the same data never train twice. */
export async function handler({ ingestion }: { ingestion: ClaimedIngestion }): Promise<{ pipelineExecutionArn: string }> {
  const { PipelineExecutionArn } = await sagemaker.send(new StartPipelineExecutionCommand({
    PipelineName: process.env[Env.PIPELINE_NAME]!,
    ClientRequestToken: ingestion.id,
    PipelineExecutionDisplayName: `data-${ingestion.id.slice(0, 12)}`,
    PipelineParameters: [
      { Name: TrainingParameter.INPUT_DATA, Value: ingestion.output },
      { Name: TrainingParameter.MANIFEST_ID, Value: ingestion.id },
    ],
  }));
  return { pipelineExecutionArn: PipelineExecutionArn! };
}
