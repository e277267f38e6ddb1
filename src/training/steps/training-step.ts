import { Duration, Size } from 'aws-cdk-lib';
import type { JsonObject } from '../tokens';
import { JobStepProps, PipelineStep, renderJobStep, StepContext } from './pipeline-step';

/** Files from S3 that a training job finds in `/opt/ml/input/data/<name>`. */
export interface TrainingChannel {
  /** Name, unique in the step. */
  readonly name: string;
  /** S3 URI of an object or a prefix. */
  readonly source: string;
  /** Media type of the files, e.g. `text/csv`. @default - not said */
  readonly contentType?: string;
}

/** Props of `TrainingStep`. */
export interface TrainingStepProps extends JobStepProps {
  /** URI of the training image. */
  readonly image: string;
  /** Instance type of the job, e.g. `ml.m5.large`, or a parameter. */
  readonly instanceType: string;
  /** S3 URI of the prefix for the model artifacts. */
  readonly outputPath: string;
  /** Number of instances. @default 1 */
  readonly instanceCount?: number;
  /** What the job reads. @default - nothing */
  readonly channels?: TrainingChannel[];
  /** Hyper-parameters, all as strings. References are welcome. @default - none */
  readonly hyperParameters?: { [name: string]: string };
  /** Environment of the container. @default - none */
  readonly environment?: { [name: string]: string };
  /** Disk of each instance. @default Size.gibibytes(30) */
  readonly volumeSize?: Size;
  /** Training time after which the job is stopped. @default Duration.hours(1) */
  readonly maxRuntime?: Duration;
  /**
   * Trains on spot instances, up to 90 % cheaper, and waits at most this long for them, training time included.
   * At least `maxRuntime`. @default - on-demand instances
   */
  readonly spotMaxWait?: Duration;
}

/** Trains a model: a SageMaker training job. Costs its instances while it runs. */
export class TrainingStep extends PipelineStep {
  /** S3 URI of the `model.tar.gz` that the job leaves. */
  public readonly modelArtifacts: string;

  constructor(private readonly props: TrainingStepProps) {
    super(props.name);
    this.modelArtifacts = this.property('ModelArtifacts.S3ModelArtifacts');
  }

  /** The last value of a metric that the job emitted, e.g. `validation:rmse`. */
  public finalMetric(name: string): number {
    return this.propertyAsNumber(`FinalMetricDataList['${name}'].Value`);
  }

  /** @internal */
  public _render(context: StepContext): JsonObject {
    return renderJobStep('Training', this.props, this.renderArguments(context));
  }

  private renderArguments(context: StepContext): JsonObject {
    const { props } = this;
    return {
      AlgorithmSpecification: { TrainingInputMode: 'File', TrainingImage: props.image },
      OutputDataConfig: { S3OutputPath: props.outputPath },
      StoppingCondition: {
        MaxRuntimeInSeconds: (props.maxRuntime ?? Duration.hours(1)).toSeconds(),
        MaxWaitTimeInSeconds: props.spotMaxWait?.toSeconds(),
      },
      ResourceConfig: {
        VolumeSizeInGB: (props.volumeSize ?? Size.gibibytes(30)).toGibibytes(),
        InstanceCount: props.instanceCount ?? 1,
        InstanceType: props.instanceType,
      },
      RoleArn: props.role?.roleArn ?? context.jobRoleArn,
      InputDataConfig: props.channels?.map((channel) => ({
        DataSource: {
          S3DataSource: { S3DataType: 'S3Prefix', S3Uri: channel.source, S3DataDistributionType: 'FullyReplicated' },
        },
        ContentType: channel.contentType,
        ChannelName: channel.name,
      })),
      HyperParameters: props.hyperParameters,
      Environment: props.environment,
      EnableManagedSpotTraining: props.spotMaxWait && true,
    };
  }
}
