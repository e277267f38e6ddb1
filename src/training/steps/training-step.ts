import { Duration, Size } from 'aws-cdk-lib';
import type { ContainerImage } from '../../references/container-image';
import { S3Location } from '../../references/s3-location';
import type { JsonObject } from '../../shared/pipeline-tokens';
import { Problems } from '../../shared/validation';
import type { StepContext } from '../step-context';
import { JobStepProps, PipelineStep, renderJobStep } from './pipeline-step';
import { checkRuntime, checkSpotMaxWait, LONGEST_TRAINING, MAX_RUNTIME } from './runtime';

/** Files from S3 that a training job finds in `/opt/ml/input/data/<name>`. */
export interface TrainingChannel {
  /** Name, unique in the step. */
  readonly name: string;
  /** An object or a prefix, such as `step.output('train')` of another step. */
  readonly source: S3Location;
  /** Media type of the files, e.g. `text/csv`. @default - not said */
  readonly contentType?: string;
}

/** A metric that SageMaker reads from the log of a training job. */
export interface MetricDefinition {
  /** Name of the metric, e.g. `validation:rmse`. */
  readonly name: string;
  /** Regular expression whose first group is the value, e.g. `rmse=([0-9.]+)`. */
  readonly regex: string;
}

/** Props of `TrainingStep`. */
export interface TrainingStepProps extends JobStepProps {
  /** The training image. */
  readonly image: ContainerImage;
  /** Instance type of the job, e.g. `ml.m5.large`, or a parameter. */
  readonly instanceType: string;
  /** The prefix for the model artifacts. */
  readonly outputPath: S3Location;
  /** Command in the container. @default - that of the image */
  readonly entrypoint?: string[];
  /** Arguments of the command. @default - none */
  readonly containerArguments?: string[];
  /** Metrics that SageMaker reads from the log of the job, at most 40. @default - those that the image sends itself */
  readonly metricDefinitions?: MetricDefinition[];
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
  /** The `model.tar.gz` that the job leaves. */
  public readonly modelArtifacts: S3Location;

  constructor(private readonly props: TrainingStepProps) {
    super(props.name);
    const { maxRuntime = MAX_RUNTIME, spotMaxWait } = props;
    const problems = new Problems(`TrainingStep "${props.name}"`);
    checkRuntime(problems, 'maxRuntime', maxRuntime, LONGEST_TRAINING);
    if (spotMaxWait !== undefined) {
      checkRuntime(problems, 'spotMaxWait', spotMaxWait);
      checkSpotMaxWait(problems, spotMaxWait, maxRuntime);
    }
    problems.throwIfAny();
    this.modelArtifacts = S3Location.fromUri(this.property('ModelArtifacts.S3ModelArtifacts'));
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
      AlgorithmSpecification: {
        TrainingInputMode: 'File',
        TrainingImage: context.image(props.image),
        ContainerEntrypoint: props.entrypoint,
        ContainerArguments: props.containerArguments,
        MetricDefinitions: props.metricDefinitions?.map(({ name, regex }) => ({ Name: name, Regex: regex })),
      },
      OutputDataConfig: { S3OutputPath: context.location(props.outputPath), KmsKeyId: context.outputKey(props.outputPath) },
      StoppingCondition: {
        MaxRuntimeInSeconds: (props.maxRuntime ?? MAX_RUNTIME).toSeconds(),
        MaxWaitTimeInSeconds: props.spotMaxWait?.toSeconds(),
      },
      ResourceConfig: {
        VolumeSizeInGB: (props.volumeSize ?? Size.gibibytes(30)).toGibibytes(),
        InstanceCount: props.instanceCount ?? 1,
        InstanceType: props.instanceType,
        VolumeKmsKeyId: context.volumeKey(props.instanceType),
      },
      RoleArn: context.role(props.role),
      InputDataConfig: props.channels?.map((channel) => ({
        DataSource: {
          S3DataSource: { S3DataType: 'S3Prefix', S3Uri: context.location(channel.source), S3DataDistributionType: 'FullyReplicated' },
        },
        ContentType: channel.contentType,
        ChannelName: channel.name,
      })),
      HyperParameters: props.hyperParameters,
      Environment: props.environment,
      EnableManagedSpotTraining: props.spotMaxWait && true,
      VpcConfig: context.vpcConfig(),
      Tags: context.jobs.tags,
    };
  }
}
