import { Duration, Size } from 'aws-cdk-lib';
import type { ContainerImage } from '../../references/container-image';
import { S3Location } from '../../references/s3-location';
import { PipelineToken } from '../../shared/pipeline-tokens';
import type { JsonObject } from '../../shared/pipeline-tokens';
import { Problems } from '../../shared/validation';
import type { StepContext } from '../step-context';
import { JobStepProps, PipelineStep, renderJobStep } from './pipeline-step';
import { checkRuntime, LONGEST_PROCESSING, MAX_RUNTIME } from './runtime';

/** Files from S3 that a processing job finds in a folder. */
export interface ProcessingInput {
  /** Name, unique in the step. */
  readonly name: string;
  /** An object or a prefix, such as `step.output('train')` of another step. */
  readonly source: S3Location;
  /** Folder in the container, below `/opt/ml/processing`. @default - `/opt/ml/processing/input/<name>` */
  readonly localPath?: string;
}

/** A folder that a processing job leaves on S3. */
export interface ProcessingOutput {
  /** Name, unique in the step. `step.output(name)` refers to it. */
  readonly name: string;
  /** The prefix to write to. */
  readonly destination: S3Location;
  /** Folder in the container, below `/opt/ml/processing`. @default - `/opt/ml/processing/output/<name>` */
  readonly localPath?: string;
}

/** A JSON file of an output that conditions and messages can read values from. */
export interface PropertyFile {
  /** Name, unique in the step. */
  readonly name: string;
  /** Name of the output that holds the file. */
  readonly output: string;
  /** Path of the file in the output. */
  readonly path: string;
}

/** Props of `ProcessingStep`. */
export interface ProcessingStepProps extends JobStepProps {
  /** The container image. */
  readonly image: ContainerImage;
  /** Instance type of the job, e.g. `ml.m5.large`, or a parameter. */
  readonly instanceType: string;
  /** Number of instances. @default 1 */
  readonly instanceCount?: number;
  /** Command in the container. @default - that of the image */
  readonly entrypoint?: string[];
  /** Arguments of the command. @default - none */
  readonly containerArguments?: string[];
  /** Environment of the command. @default - none */
  readonly environment?: { [name: string]: string };
  /** What the job reads. @default - nothing */
  readonly inputs?: ProcessingInput[];
  /** What the job writes. @default - nothing */
  readonly outputs?: ProcessingOutput[];
  /** Files of the outputs whose values later steps read. @default - none */
  readonly propertyFiles?: PropertyFile[];
  /** Disk of each instance. @default Size.gibibytes(30) */
  readonly volumeSize?: Size;
  /** Time after which the job is stopped. @default Duration.hours(1) */
  readonly maxRuntime?: Duration;
}

/** Runs a script or a container on files from S3: a SageMaker processing job. Costs its instances while it runs. */
export class ProcessingStep extends PipelineStep {
  constructor(private readonly props: ProcessingStepProps) {
    super(props.name);
    const problems = new Problems(`ProcessingStep "${props.name}"`);
    checkRuntime(problems, 'maxRuntime', props.maxRuntime ?? MAX_RUNTIME, LONGEST_PROCESSING);
    problems.throwIfAny();
  }

  /** The place of an output of this step. A step that reads it is granted to. */
  public output(name: string): S3Location {
    return S3Location.fromUri(this.property(`ProcessingOutputConfig.Outputs['${name}'].S3Output.S3Uri`));
  }

  /** A number in a property file of this step, by its path in the file, e.g. `regression_metrics.mse.value`. */
  public jsonNumber(propertyFile: string, path: string): number {
    return this.json(propertyFile, path).asNumber();
  }

  /** Any value in a property file of this step, as text. */
  public jsonString(propertyFile: string, path: string): string {
    return this.json(propertyFile, path).asString();
  }

  /** @internal */
  public _render(context: StepContext): JsonObject {
    const files = (this.props.propertyFiles ?? []).map((file) => ({
      PropertyFileName: file.name, OutputName: file.output, FilePath: file.path,
    }));
    return renderJobStep('Processing', this.props, this.renderArguments(context), {
      PropertyFiles: files.length > 0 ? files : undefined,
    });
  }

  private renderArguments(context: StepContext): JsonObject {
    const { props } = this;
    const vpcConfig = context.vpcConfig();
    return {
      ProcessingResources: {
        ClusterConfig: {
          InstanceType: props.instanceType,
          InstanceCount: props.instanceCount ?? 1,
          VolumeSizeInGB: (props.volumeSize ?? Size.gibibytes(30)).toGibibytes(),
          VolumeKmsKeyId: context.volumeKey(props.instanceType),
        },
      },
      AppSpecification: {
        ImageUri: context.image(props.image),
        ContainerArguments: props.containerArguments,
        ContainerEntrypoint: props.entrypoint,
      },
      RoleArn: context.role(props.role),
      Environment: props.environment,
      ProcessingInputs: props.inputs?.map((input) => ({
        InputName: input.name,
        S3Input: {
          S3Uri: context.location(input.source),
          LocalPath: input.localPath ?? `/opt/ml/processing/input/${input.name}`,
          S3DataType: 'S3Prefix',
          S3InputMode: 'File',
          S3DataDistributionType: 'FullyReplicated',
          S3CompressionType: 'None',
        },
      })),
      ProcessingOutputConfig: props.outputs && {
        KmsKeyId: context.outputKey(...props.outputs.map(({ destination }) => destination)),
        Outputs: props.outputs.map((output) => ({
          OutputName: output.name,
          S3Output: {
            S3Uri: context.location(output.destination),
            LocalPath: output.localPath ?? `/opt/ml/processing/output/${output.name}`,
            S3UploadMode: 'EndOfJob',
          },
        })),
      },
      StoppingCondition: { MaxRuntimeInSeconds: (props.maxRuntime ?? MAX_RUNTIME).toSeconds() },
      NetworkConfig: vpcConfig && { VpcConfig: vpcConfig },
      Tags: context.jobs.tags,
    };
  }

  private json(propertyFile: string, path: string): PipelineToken {
    const file = { Get: `Steps.${this.name}.PropertyFiles.${propertyFile}` };
    return new PipelineToken({ 'Std:JsonGet': { PropertyFile: file, Path: path } }, false);
  }
}
