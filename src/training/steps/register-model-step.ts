import type { ContainerImage } from '../../references/container-image';
import type { S3Location } from '../../references/s3-location';
import type { IModelRegistry } from '../../registry/model-registry';
import type { JsonObject } from '../../shared/pipeline-tokens';
import type { StepContext } from '../step-context';
import { PipelineStep, PipelineStepProps, renderRetries, renderStep, StepRetry } from './pipeline-step';

/** One container of a registered model. */
export interface RegisteredContainer {
  /** The serving image. */
  readonly image: ContainerImage;
  /** Its `model.tar.gz`. */
  readonly modelData: S3Location;
  /** Environment of the container. @default - none */
  readonly environment?: { [name: string]: string };
}

/** Props of `RegisterModelStep`. */
export interface RegisterModelStepProps extends PipelineStepProps {
  /** The registry whose model package group gets the version. */
  readonly registry: IModelRegistry;
  /** The containers, 1 to 15, in the order in which a request passes them. */
  readonly containers: RegisteredContainer[];
  /** `PendingManualApproval`, `Approved` or `Rejected`, or a parameter. @default 'PendingManualApproval' */
  readonly approvalStatus?: string;
  /** Media types of requests. @default ['text/csv'] */
  readonly contentTypes?: string[];
  /** Media types of answers. @default ['text/csv'] */
  readonly responseTypes?: string[];
  /** Instance types that may serve the model. @default ['ml.c5.large', 'ml.m5.large', 'ml.m5.xlarge'], which every region offers */
  readonly inferenceInstances?: string[];
  /** Instance types that may transform batches with it. @default ['ml.m5.xlarge', 'ml.m5.2xlarge'], which every region offers */
  readonly transformInstances?: string[];
  /** A JSON file with the model's metrics. @default - none */
  readonly modelQuality?: S3Location;
  /** What else to remember of the version: at most 50 entries of 256 characters. @default - nothing */
  readonly metadata?: { [name: string]: string };
  /** When to repeat the step. @default - service faults and throttling: 5 attempts */
  readonly retries?: StepRetry[];
}

/** Registers a version of a model in a model package group. */
export class RegisterModelStep extends PipelineStep {
  /** ARN of the version that was registered. */
  public readonly modelPackageArn: string;

  constructor(private readonly props: RegisterModelStepProps) {
    super(props.name);
    this.modelPackageArn = this.property('ModelPackageArn');
  }

  /** @internal */
  public _render(context: StepContext): JsonObject {
    const { props } = this;
    return renderStep('RegisterModel', props, {
      ModelPackageGroupName: context.registry(props.registry),
      ModelMetrics: props.modelQuality && {
        ModelQuality: { Statistics: { ContentType: 'application/json', S3Uri: context.location(props.modelQuality) } },
      },
      CustomerMetadataProperties: props.metadata,
      InferenceSpecification: {
        Containers: props.containers.map((container) => ({
          Image: context.image(container.image),
          ModelDataUrl: context.location(container.modelData),
          Environment: container.environment ?? {},
        })),
        SupportedContentTypes: props.contentTypes ?? ['text/csv'],
        SupportedResponseMIMETypes: props.responseTypes ?? ['text/csv'],
        SupportedRealtimeInferenceInstanceTypes: props.inferenceInstances ?? ['ml.c5.large', 'ml.m5.large', 'ml.m5.xlarge'],
        SupportedTransformInstanceTypes: props.transformInstances ?? ['ml.m5.xlarge', 'ml.m5.2xlarge'],
      },
      ModelApprovalStatus: props.approvalStatus ?? 'PendingManualApproval',
    }, {
      RetryPolicies: renderRetries(props.retries),
    });
  }
}
