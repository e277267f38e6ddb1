import * as iam from 'aws-cdk-lib/aws-iam';

/**
 * What a data pipeline starts when data are ready: a SageMaker pipeline with the parameters `InputData` (S3 URI of a folder with
 * `train/`, `validation/` and `test/`) and `ManifestId`. `TrainingPipeline` is one. Its grant principal is the role of its
 * jobs, which is granted to read the processed data.
 */
export interface ITrainingTarget extends iam.IGrantable {
  /** Name of the SageMaker pipeline. */
  readonly pipelineName: string;

  /** Grants the given identity permission to start executions of the pipeline. */
  grantStartPipelineExecution(grantee: iam.IGrantable): iam.Grant;
}
