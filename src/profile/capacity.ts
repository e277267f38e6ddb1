import { Duration, Token } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import { missingInstanceType } from '../shared/instance-types';
import { Problems } from '../shared/validation';

/**
 * Options of `Capacity.fixedSize`.
 */
export interface FixedSizeCapacityOptions {
  /**
   * SageMaker instance type, e.g. `ml.m5.large`.
   *
   * @default 'ml.m5.large'
   */
  readonly instanceType?: string;

  /**
   * Number of instances. From two on, SageMaker spreads them over availability zones.
   *
   * @default 1
   */
  readonly instanceCount?: number;
}

/**
 * Options of `Capacity.autoscaled`.
 */
export interface AutoscaledCapacityOptions {
  /**
   * SageMaker instance type, e.g. `ml.m5.large`. Burstable types (`ml.t2`, `ml.t3`) cannot scale by themselves.
   *
   * @default 'ml.m5.large'
   */
  readonly instanceType?: string;

  /**
   * Least number of instances, at least 1.
   *
   * @default 2
   */
  readonly minCapacity?: number;

  /**
   * Largest number of instances.
   *
   * @default - twice `minCapacity`
   */
  readonly maxCapacity?: number;

  /**
   * Invocations per instance and minute that scaling aims at. Measure what one instance bears, and take about 70 % of it.
   *
   * @default 1000
   */
  readonly invocationsPerInstance?: number;

  /**
   * Time after adding instances before more are added.
   *
   * @default Duration.minutes(1)
   */
  readonly scaleOutCooldown?: Duration;

  /**
   * Time after removing instances before more are removed.
   *
   * @default Duration.minutes(5)
   */
  readonly scaleInCooldown?: Duration;
}

/** How a variant scales, as the workflow needs it. */
export interface Autoscaling {
  readonly minCapacity: number;
  readonly maxCapacity: number;
  readonly invocationsPerInstance: number;
  readonly scaleOutSeconds: number;
  readonly scaleInSeconds: number;
}

/** A capacity as the workflow needs it. */
export interface CapacitySettings {
  readonly instanceType: string;
  readonly instanceCount: number;
  readonly autoscaling?: Autoscaling;
}

const INSTANCE_TYPE = /^ml\.[a-z0-9-]+\.[a-z0-9-]+$/;

/**
 * How many instances of which type serve a model. An endpoint costs as long as it exists: one `ml.m5.large` is about 84 USD
 * a month, one `ml.c5.large` about 74 USD.
 */
export class Capacity {
  /**
   * Always the same number of instances.
   *
   * @throws Error when the instance type or the number cannot be right
   */
  public static fixedSize(options: FixedSizeCapacityOptions = {}): Capacity {
    const instanceType = options.instanceType ?? 'ml.m5.large';
    const instanceCount = options.instanceCount ?? 1;
    const problems = new Problems('Capacity.fixedSize');
    checkInstanceType(problems, instanceType);
    checkWhole(problems, 'instanceCount', instanceCount, 1);
    problems.throwIfAny();
    return new Capacity({ instanceType, instanceCount });
  }

  /**
   * As many instances as the load asks for, between two bounds.
   *
   * @throws Error when the instance type is burstable or the bounds cannot be right
   */
  public static autoscaled(options: AutoscaledCapacityOptions = {}): Capacity {
    const instanceType = options.instanceType ?? 'ml.m5.large';
    const minCapacity = options.minCapacity ?? 2;
    const maxCapacity = options.maxCapacity ?? minCapacity * 2;
    const invocationsPerInstance = options.invocationsPerInstance ?? 1000;
    const problems = new Problems('Capacity.autoscaled');
    checkInstanceType(problems, instanceType);
    problems.check(Token.isUnresolved(instanceType) || !/^ml\.t\d/.test(instanceType), () =>
      `instanceType "${instanceType}" is burstable and cannot scale by itself; use e.g. "ml.m5.large", or Capacity.fixedSize`);
    checkWhole(problems, 'minCapacity', minCapacity, 1);
    checkWhole(problems, 'maxCapacity', maxCapacity, 1);
    problems.check(Token.isUnresolved(minCapacity) || Token.isUnresolved(maxCapacity) || maxCapacity >= minCapacity, () =>
      `maxCapacity ${maxCapacity} must be at least minCapacity, which is ${minCapacity}`);
    problems.check(Token.isUnresolved(invocationsPerInstance) || invocationsPerInstance > 0, () =>
      `invocationsPerInstance ${invocationsPerInstance} must be more than 0`);
    problems.throwIfAny();
    return new Capacity({
      instanceType,
      instanceCount: minCapacity,
      autoscaling: {
        minCapacity,
        maxCapacity,
        invocationsPerInstance,
        scaleOutSeconds: (options.scaleOutCooldown ?? Duration.minutes(1)).toSeconds(),
        scaleInSeconds: (options.scaleInCooldown ?? Duration.minutes(5)).toSeconds(),
      },
    });
  }

  private constructor(private readonly settings: CapacitySettings) {}

  /** Whether the number of instances follows the load. */
  public get isAutoscaled(): boolean {
    return this.settings.autoscaling !== undefined;
  }

  /**
   * Whether the region of the stack offers the instance type.
   * @internal
   */
  public _check(scope: Construct, problems: Problems): void {
    const missing = missingInstanceType(scope, 'hosting', this.settings.instanceType);
    problems.check(missing === undefined, () => `capacity: ${missing}`);
  }

  /** @internal */
  public _settings(): CapacitySettings {
    return this.settings;
  }

  /** The same for equal capacities: recorded with what serves, so that another capacity is deployed by the next approval. */
  public toString(): string {
    const { instanceType, instanceCount, autoscaling: scaling } = this.settings;
    return scaling
      ? `${scaling.minCapacity}-${scaling.maxCapacity} ${instanceType} @${scaling.invocationsPerInstance}/${scaling.scaleOutSeconds}/${scaling.scaleInSeconds}`
      : `${instanceCount} ${instanceType}`;
  }
}

function checkInstanceType(problems: Problems, instanceType: string): void {
  problems.check(Token.isUnresolved(instanceType) || INSTANCE_TYPE.test(instanceType), () =>
    `instanceType "${instanceType}" must be a SageMaker instance type such as "ml.m5.large"`);
}

function checkWhole(problems: Problems, name: string, value: number, least: number): void {
  problems.check(Token.isUnresolved(value) || (Number.isInteger(value) && value >= least), () =>
    `${name} ${value} must be a whole number of at least ${least}`);
}
