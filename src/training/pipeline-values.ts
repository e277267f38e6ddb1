import { join, PipelineToken, reference, renderReferences } from '../shared/pipeline-tokens';

/** What SageMaker knows about the execution that a step belongs to. Usable wherever a step takes a string. */
export class ExecutionVariable {
  /** When the execution started, ISO 8601. A step that uses it is never taken from the cache. */
  public static readonly START_DATE_TIME = ExecutionVariable.of('StartDateTime');
  /** When the value is read, ISO 8601. A step that uses it is never taken from the cache. */
  public static readonly CURRENT_DATE_TIME = ExecutionVariable.of('CurrentDateTime');
  /** Name of the pipeline. */
  public static readonly PIPELINE_NAME = ExecutionVariable.of('PipelineName');
  /** ARN of the pipeline. */
  public static readonly PIPELINE_ARN = ExecutionVariable.of('PipelineArn');
  /** Id of the execution: 12 letters and digits. A step that uses it is never taken from the cache. */
  public static readonly PIPELINE_EXECUTION_ID = ExecutionVariable.of('PipelineExecutionId');
  /** ARN of the execution. A step that uses it is never taken from the cache. */
  public static readonly PIPELINE_EXECUTION_ARN = ExecutionVariable.of('PipelineExecutionArn');
  /** Name of the training job that the step starts. */
  public static readonly TRAINING_JOB_NAME = ExecutionVariable.of('TrainingJobName');
  /** Name of the processing job that the step starts. */
  public static readonly PROCESSING_JOB_NAME = ExecutionVariable.of('ProcessingJobName');

  private static of(name: string): string {
    return reference(`Execution.${name}`).asString();
  }

  private constructor() {}
}

/** Functions that SageMaker evaluates while the pipeline runs. */
export class PipelineFn {
  /**
   * The values with `delimiter` between them. Where nothing stands between them, a plain string with `${...}` does the same.
   */
  public static join(delimiter: string, values: string[]): string {
    return new PipelineToken(join(delimiter, values), true).asString();
  }

  /** A number in a JSON file on S3, by its path in the file (`metrics.mse.value`). */
  public static jsonNumberAt(s3Uri: string, path: string): number {
    return jsonAt(s3Uri, path).asNumber();
  }

  /** Any value in a JSON file on S3, as text, by its path in the file. */
  public static jsonStringAt(s3Uri: string, path: string): string {
    return jsonAt(s3Uri, path).asString();
  }

  private constructor() {}
}

function jsonAt(s3Uri: string, path: string): PipelineToken {
  const uri = renderReferences(s3Uri);
  return new PipelineToken({ 'Std:JsonGet': { S3Uri: uri, Path: path } }, false);
}
