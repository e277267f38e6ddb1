import { RemovalPolicy } from 'aws-cdk-lib';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Capacity } from './capacity';
import { CHEAPEST_EVERYWHERE } from '../shared/instance-types';

/** What becomes of a model version that kept the limits of its gate. */
export enum ModelApproval {
  /** It waits until somebody approves or rejects it. */
  MANUAL = 'PendingManualApproval',

  /** It is approved when it is registered, and goes into service. */
  AUTOMATIC = 'Approved',
}

/** Options of `StageProfile.of`. */
export interface StageProfileOptions {
  /**
   * How many instances of which type serve a model.
   * @default - one `ml.c5.large`, the cheapest type that every region offers for endpoints
   */
  readonly capacity?: Capacity;

  /**
   * What becomes of data, models and users with the stack.
   * @default RemovalPolicy.RETAIN
   */
  readonly removalPolicy?: RemovalPolicy;

  /**
   * How long logs are kept.
   * @default logs.RetentionDays.THREE_MONTHS
   */
  readonly logRetention?: logs.RetentionDays;

  /**
   * What becomes of a model version that kept the limits of its gate.
   * @default ModelApproval.MANUAL
   */
  readonly modelApproval?: ModelApproval;
}

/**
 * What differs between the stages of one app: one value for all constructs of a stage. Each construct takes it as `profile`; a single
 * prop of the construct (`capacity`, `removalPolicy`, `logRetention`) comes before it. Without a profile a construct goes by
 * `StageProfile.of()`.
 *
 * | | `dev()` | `staging()` | `prod()` | `of()` |
 * |---|---|---|---|---|
 * | capacity | one `ml.c5.large` | one `ml.m5.large` | two to four `ml.m5.large` | one `ml.c5.large` |
 * | with the stack, data and models | are deleted | are deleted | stay | stay |
 * | logs | one month | three months | one year | three months |
 * | models are approved | by people | by people | by people | by people |
 *
 * @example
 * new ModelRegistry(this, 'Models', { profile: StageProfile.dev() });
 */
export class StageProfile {
  /** For development: cheap, and all of it goes with the stack. */
  public static dev(): StageProfile {
    return StageProfile.of({ removalPolicy: RemovalPolicy.DESTROY, logRetention: logs.RetentionDays.ONE_MONTH });
  }

  /**
   * For the last tests before production: the instance type and the approval of production, on one instance. It holds copies, so that it
   * goes with the stack and can be built anew under the same names; a stage that people keep data in is
   * `StageProfile.of({ removalPolicy: RemovalPolicy.RETAIN, ... })`.
   */
  public static staging(): StageProfile {
    return StageProfile.of({ capacity: Capacity.fixedSize({ instanceType: 'ml.m5.large', instanceCount: 1 }), removalPolicy: RemovalPolicy.DESTROY });
  }

  /** For production: instances in two availability zones, as many as the load asks for. Data, models and users stay when the stack goes. */
  public static prod(): StageProfile {
    return StageProfile.of({
      capacity: Capacity.autoscaled({ instanceType: 'ml.m5.large', minCapacity: 2, maxCapacity: 4 }),
      removalPolicy: RemovalPolicy.RETAIN,
      logRetention: logs.RetentionDays.ONE_YEAR,
    });
  }

  /** A profile of a team's own. */
  public static of(options: StageProfileOptions = {}): StageProfile {
    return new StageProfile(options);
  }

  /** How many instances of which type serve a model. */
  public readonly capacity: Capacity;

  /** What becomes of data, models and users with the stack. */
  public readonly removalPolicy: RemovalPolicy;

  /** How long logs are kept. */
  public readonly logRetention: logs.RetentionDays;

  /** What becomes of a model version that kept the limits of its gate. */
  public readonly modelApproval: ModelApproval;

  private constructor(options: StageProfileOptions) {
    this.capacity = options.capacity ?? Capacity.fixedSize({ instanceType: CHEAPEST_EVERYWHERE.hosting, instanceCount: 1 });
    this.removalPolicy = options.removalPolicy ?? RemovalPolicy.RETAIN;
    this.logRetention = options.logRetention ?? logs.RetentionDays.THREE_MONTHS;
    this.modelApproval = options.modelApproval ?? ModelApproval.MANUAL;
  }
}
