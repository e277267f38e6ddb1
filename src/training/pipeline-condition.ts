import { PipelineParameter } from './pipeline-parameter';
import { Json, JsonObject } from '../shared/pipeline-tokens';

/** What a `ConditionStep` asks. Numbers and strings may be references to parameters, properties and property files. */
export class PipelineCondition {
  /** Both numbers are equal. */
  public static numberEquals(left: number, right: number): PipelineCondition {
    return PipelineCondition.compare('Equals', left, right);
  }

  /** Both strings are equal. */
  public static stringEquals(left: string, right: string): PipelineCondition {
    return PipelineCondition.compare('Equals', left, right);
  }

  /** A boolean parameter is true. */
  public static isTrue(parameter: PipelineParameter): PipelineCondition {
    return PipelineCondition.compare('Equals', parameter._reference(), true);
  }

  /** `left > right` */
  public static greaterThan(left: number, right: number): PipelineCondition {
    return PipelineCondition.compare('GreaterThan', left, right);
  }

  /** `left >= right` */
  public static greaterThanOrEqualTo(left: number, right: number): PipelineCondition {
    return PipelineCondition.compare('GreaterThanOrEqualTo', left, right);
  }

  /** `left < right` */
  public static lessThan(left: number, right: number): PipelineCondition {
    return PipelineCondition.compare('LessThan', left, right);
  }

  /** `left <= right` */
  public static lessThanOrEqualTo(left: number, right: number): PipelineCondition {
    return PipelineCondition.compare('LessThanOrEqualTo', left, right);
  }

  /** The value is one of those given. */
  public static isIn(value: string, values: string[]): PipelineCondition {
    return new PipelineCondition({ Type: 'In', QueryValue: value, Values: values });
  }

  /** The condition does not hold. */
  public static negate(condition: PipelineCondition): PipelineCondition {
    return new PipelineCondition({ Type: 'Not', Condition: condition._render() });
  }

  /** At least one of the conditions holds. */
  public static anyOf(...conditions: PipelineCondition[]): PipelineCondition {
    return new PipelineCondition({ Type: 'Or', Conditions: conditions.map((condition) => condition._render()) });
  }

  private static compare(type: string, left: Json, right: Json): PipelineCondition {
    return new PipelineCondition({ Type: type, LeftValue: left, RightValue: right });
  }

  private constructor(private readonly content: JsonObject) {}

  /** @internal */
  public _render(): JsonObject {
    return this.content;
  }
}
