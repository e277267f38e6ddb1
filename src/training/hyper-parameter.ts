import { Token } from 'aws-cdk-lib';
import { pascalCase, PipelineParameter } from './pipeline-parameter';

/** Options of a hyper-parameter of numbers. */
export interface NumericHyperParameterOptions {
  /** The value, unless a start of the pipeline gives another. */
  readonly value: number;
  /** Least value. @default - no limit */
  readonly min?: number;
  /** Greatest value. @default - no limit */
  readonly max?: number;
  /** Whether the least value itself is not allowed. @default false */
  readonly exclusiveMin?: boolean;
  /** Name of the pipeline parameter that holds the value. @default - the name in Pascal case: `max_depth` is `MaxDepth` */
  readonly parameterName?: string;
}

/** Options of a hyper-parameter of text. */
export interface TextHyperParameterOptions {
  /** The value, unless a start of the pipeline gives another. */
  readonly value: string;
  /** The only values that are allowed. @default - any */
  readonly allowedValues?: string[];
  /** Name of the pipeline parameter that holds the value. @default - the name in Pascal case: `tree_method` is `TreeMethod` */
  readonly parameterName?: string;
}

/** What an algorithm is told beside the data. Each but a constant is a parameter of the pipeline, so that a start can change it. */
export class HyperParameter {
  /** A whole number. @throws Error when the value is outside of its range */
  public static ofInteger(name: string, options: NumericHyperParameterOptions): HyperParameter {
    throwIf(name, numberProblem(options, true));
    const parameter = PipelineParameter.ofInteger(options.parameterName ?? pascalCase(name), { defaultValue: options.value });
    return new HyperParameter(name, parameter.valueAsString, parameter, options.min, options.max, options.exclusiveMin);
  }

  /** A number. @throws Error when the value is outside of its range */
  public static ofFloat(name: string, options: NumericHyperParameterOptions): HyperParameter {
    throwIf(name, numberProblem(options, false));
    const parameter = PipelineParameter.ofFloat(options.parameterName ?? pascalCase(name), { defaultValue: options.value });
    return new HyperParameter(name, parameter.valueAsString, parameter, options.min, options.max, options.exclusiveMin);
  }

  /** A text. @throws Error when the value is not among the allowed ones */
  public static ofString(name: string, options: TextHyperParameterOptions): HyperParameter {
    const { value, allowedValues } = options;
    throwIf(name, textProblem(options));
    const parameter = PipelineParameter.ofString(options.parameterName ?? pascalCase(name), { defaultValue: value, allowedValues });
    return new HyperParameter(name, parameter.valueAsString, parameter);
  }

  /** A value that no start changes. Values of the pipeline run may stand in it. */
  public static constant(name: string, value: string): HyperParameter {
    return new HyperParameter(name, value);
  }

  private constructor(
    /** Name, as the algorithm knows it. */
    public readonly name: string,
    /** The value where a training job takes it: that of the parameter, or the constant. */
    public readonly value: string,
    /** The parameter of the pipeline that holds the value. Undefined for a constant. */
    public readonly parameter?: PipelineParameter,
    /** Least value of a number, where it has one. */
    public readonly min?: number,
    /** Greatest value of a number, where it has one. */
    public readonly max?: number,
    /** Whether the least value itself is not allowed. */
    public readonly exclusiveMin?: boolean,
  ) {}
}

/** What is wrong with a number, if anything. */
export function numberProblem({ value, min, max, exclusiveMin }: NumericHyperParameterOptions, whole: boolean): string | undefined {
  if (Token.isUnresolved(value)) {
    return undefined;
  }
  const inside = Number.isFinite(value) && (min === undefined || (exclusiveMin ? value > min : value >= min)) && (max === undefined || value <= max);
  const limits = [min === undefined ? '' : `${exclusiveMin ? 'above' : 'at least'} ${min}`, max === undefined ? '' : `at most ${max}`].filter(Boolean);
  if (!inside) {
    return `is ${value}; it must be ${limits.join(' and ') || 'a finite number'}`;
  }
  return whole && !Number.isInteger(value) ? `is ${value}; it must be a whole number` : undefined;
}

/** What is wrong with a text, if anything. */
export function textProblem({ value, allowedValues }: TextHyperParameterOptions): string | undefined {
  return !allowedValues || Token.isUnresolved(value) || allowedValues.includes(value)
    ? undefined
    : `is "${value}"; it must be one of ${allowedValues.map((allowed) => `"${allowed}"`).join(', ')}`;
}

function throwIf(name: string, problem: string | undefined): void {
  if (problem) {
    throw new Error(`HyperParameter "${name}": value ${problem}`);
  }
}
