import * as sagemaker from 'aws-cdk-lib/aws-sagemaker';
import { DatasetSchema, IDataPipeline } from '../data';
import { IModelRegistry } from '../registry';

/**
 * The parts that belong to one model. Each part that is given brings its routes.
 */
export interface ServedModel {
  /**
   * Brings `GET /datasets`, and `POST /training/start` trains on its data sets.
   *
   * @default - no data sets: who starts a training gives the place of the data as pipeline parameters
   */
  readonly data?: IDataPipeline;

  /**
   * Brings `POST /training/start`: a `TrainingPipeline`, or any SageMaker pipeline.
   *
   * @default - no such route
   */
  readonly training?: sagemaker.IPipeline;

  /**
   * Parameters of the training pipeline that callers may set, beside the hyper-parameters of a `TrainingPipeline`, which they may set
   * within their ranges. Think twice about limits of the gate, instance types and places of data: they cost money, or let a bad model pass.
   *
   * @default - none
   */
  readonly trainingParameters?: string[];

  /**
   * Brings `GET /models`, its versions and their approval.
   *
   * @default - no such routes
   */
  readonly registry?: IModelRegistry;

  /**
   * Brings `POST /inference/predict`: an `InferenceEndpoint`, or any SageMaker endpoint that takes and gives CSV.
   *
   * @default - no such route
   */
  readonly endpoint?: sagemaker.IEndpoint;

  /**
   * The contract that prediction requests are checked against.
   *
   * @default - that of `endpoint`, else that of `data`
   */
  readonly schema?: DatasetSchema;
}
