import { Duration } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import { JsonObject, reference } from '../../shared/pipeline-tokens';
import { stepsOf } from '../definition-graph';
import type { StepContext } from '../step-context';

/** What a step is repeated for. */
export enum RetryReason {
  /** SageMaker itself failed. */
  SERVICE_FAULT = 'Step.SERVICE_FAULT',
  /** Too many requests. */
  THROTTLING = 'Step.THROTTLING',
  /** The job failed for a reason inside SageMaker. Jobs only. */
  JOB_INTERNAL_ERROR = 'SageMaker.JOB_INTERNAL_ERROR',
  /** No instance of the type was free. Jobs only. */
  CAPACITY_ERROR = 'SageMaker.CAPACITY_ERROR',
  /** A quota of the account is used up. Jobs only. */
  RESOURCE_LIMIT = 'SageMaker.RESOURCE_LIMIT',
}

/** How often and how fast a step is repeated. */
export interface StepRetry {
  /** What it is repeated for. */
  readonly reasons: RetryReason[];
  /** Wait before the first repetition. @default Duration.seconds(1) */
  readonly interval?: Duration;
  /** Factor by which each wait is longer than the last. @default 2 */
  readonly backoffRate?: number;
  /** Number of attempts. Give this or `expireAfter`. @default - 5, unless `expireAfter` is given */
  readonly maxAttempts?: number;
  /** Time after which it is not repeated any more, in whole minutes. @default - `maxAttempts` decides */
  readonly expireAfter?: Duration;
}

/** What every step has. */
export interface PipelineStepProps {
  /** Name, unique in the definition: 1 to 64 letters, digits, hyphens and underscores. */
  readonly name: string;
  /** Name shown in SageMaker Studio. @default - the name */
  readonly displayName?: string;
  /** What the step is for. @default - none */
  readonly description?: string;
  /** Steps that must be done before, beside those whose values this one uses. @default - none */
  readonly dependsOn?: PipelineStep[];
}

/** What every step has that starts a job. */
export interface JobStepProps extends PipelineStepProps {
  /** Role of the job. @default - the job role of the `TrainingPipeline` that takes the definition */
  readonly role?: iam.IRole;
  /**
   * Takes the result of an earlier execution with equal arguments unless it is older than this. Arguments that hold the
   * execution's id or time are never equal. @default - always runs
   */
  readonly cacheFor?: Duration;
  /** When to repeat the step. @default - service faults and throttling, and faults and lack of capacity of jobs: 5 attempts */
  readonly retries?: StepRetry[];
}

/** How a step that is written as JSON is taken in. */
export interface StepImportOptions {
  /**
   * Roles that the step is run with: those whose ARNs stand in its JSON and, where a parameter says the role, all that may be given.
   * They are granted what the step needs, and the pipeline may pass them.
   * @default - the job role of the `TrainingPipeline` alone, where its ARN stands in the JSON
   */
  readonly roles?: iam.IRole[];
}

/**
 * One step of a pipeline definition. Make a `ProcessingStep`, `TrainingStep`, `ConditionStep`, `RegisterModelStep` or
 * `FailStep`; `PipelineStep.fromJson` takes a step of any other kind.
 */
export abstract class PipelineStep {
  /**
   * A step of any kind, as the definition language writes it: `{"Name": ..., "Type": ..., "Arguments": {...}}`. Values of other
   * steps and CDK tokens may stand in its strings; they are checked like those of typed steps. What can be read from it is granted:
   * images, places in S3, functions, queues, roles to pass. Of the rest a warning at synth (`cdk-mlops:pipeline-permission`) names the
   * step and the permission.
   */
  public static fromJson(json: string, options: StepImportOptions = {}): PipelineStep {
    const content = JSON.parse(json) as JsonObject;
    if (typeof content?.Name !== 'string' || typeof content.Type !== 'string') {
      throw new Error('PipelineStep.fromJson: the step must be an object with the strings "Name" and "Type"');
    }
    return new JsonStep(content.Name, content, options.roles ?? []);
  }

  /** Name of the step. */
  public readonly name: string;

  protected constructor(name: string) {
    this.name = name;
  }

  /**
   * A value of the answer to the step's Describe call, by its path, e.g. `ModelArtifacts.S3ModelArtifacts`. Throws at synth,
   * when the definition is made, if a step of this kind has no such value.
   */
  public property(path: string): string {
    return reference(`Steps.${this.name}.${path}`).asString();
  }

  /** Like `property`, where a number is asked for. */
  public propertyAsNumber(path: string): number {
    return reference(`Steps.${this.name}.${path}`, false).asNumber();
  }

  /**
   * The step as JSON, tokens not yet replaced.
   * @internal
   */
  public abstract _render(context: StepContext): JsonObject;
}

class JsonStep extends PipelineStep {
  constructor(name: string, private readonly content: JsonObject, private readonly roles: readonly iam.IRole[]) {
    super(name);
  }

  public _render(context: StepContext): JsonObject {
    stepsOf({ Steps: [this.content] }).forEach(({ name }) => context.nameRoles(name, this.roles));
    return this.content;
  }
}

const JOB_RETRIES: StepRetry[] = [
  { reasons: [RetryReason.SERVICE_FAULT, RetryReason.THROTTLING], interval: Duration.seconds(5), maxAttempts: 5 },
  { reasons: [RetryReason.JOB_INTERNAL_ERROR, RetryReason.CAPACITY_ERROR], interval: Duration.seconds(60), maxAttempts: 5 },
];

const SERVICE_RETRIES: StepRetry[] = [JOB_RETRIES[0]];

/** The keys that steps of all kinds share, in the order of the official SDK. */
export function renderStep(type: string, props: PipelineStepProps, args: JsonObject, further: JsonObject = {}): JsonObject {
  return {
    Name: props.name,
    Type: type,
    Arguments: args,
    DependsOn: props.dependsOn?.length ? props.dependsOn.map((step) => step.name) : undefined,
    DisplayName: props.displayName,
    Description: props.description,
    ...further,
  };
}

/** The keys that steps share which start a job. */
export function renderJobStep(type: string, props: JobStepProps, args: JsonObject, further: JsonObject = {}): JsonObject {
  return renderStep(type, props, args, {
    RetryPolicies: renderRetries(props.retries ?? JOB_RETRIES),
    CacheConfig: props.cacheFor && { Enabled: true, ExpireAfter: props.cacheFor.toIsoString() },
    ...further,
  });
}

export function renderRetries(retries: StepRetry[] = SERVICE_RETRIES): JsonObject[] | undefined {
  return retries.length === 0 ? undefined : retries.map((retry) => ({
    BackoffRate: retry.backoffRate ?? 2,
    IntervalSeconds: (retry.interval ?? Duration.seconds(1)).toSeconds(),
    MaxAttempts: retry.maxAttempts ?? (retry.expireAfter ? undefined : 5),
    ExpireAfterMin: retry.expireAfter?.toMinutes(),
    ExceptionType: retry.reasons,
  }));
}
