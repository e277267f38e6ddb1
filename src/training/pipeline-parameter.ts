import { JsonObject, PipelineToken, reference } from '../shared/pipeline-tokens';

/** Options of a string parameter. */
export interface StringParameterOptions {
  /** Value when a start gives none. @default - every start must give a value */
  readonly defaultValue?: string;
  /** The only values that a start may give. @default - any string */
  readonly allowedValues?: string[];
}

/** Options of an integer or a float parameter. */
export interface NumberParameterOptions {
  /** Value when a start gives none. @default - every start must give a value */
  readonly defaultValue?: number;
}

/** Options of a boolean parameter. */
export interface BooleanParameterOptions {
  /** Value when a start gives none. @default - every start must give a value */
  readonly defaultValue?: boolean;
}

/**
 * A value that whoever starts the pipeline can give. Declare it in `PipelineDefinition`, use its `valueAs...` in steps.
 */
export class PipelineParameter {
  /** A string parameter. */
  public static ofString(name: string, options: StringParameterOptions = {}): PipelineParameter {
    return new PipelineParameter(name, 'String', options.defaultValue, options.allowedValues);
  }

  /** An integer parameter. */
  public static ofInteger(name: string, options: NumberParameterOptions = {}): PipelineParameter {
    return new PipelineParameter(name, 'Integer', options.defaultValue);
  }

  /** A float parameter. */
  public static ofFloat(name: string, options: NumberParameterOptions = {}): PipelineParameter {
    return new PipelineParameter(name, 'Float', options.defaultValue);
  }

  /** A boolean parameter. */
  public static ofBoolean(name: string, options: BooleanParameterOptions = {}): PipelineParameter {
    return new PipelineParameter(name, 'Boolean', options.defaultValue);
  }

  /** @internal */
  public static _fromJson({ Name, Type, DefaultValue, EnumValues }: JsonObject): PipelineParameter {
    return new PipelineParameter(String(Name), String(Type), DefaultValue as string, EnumValues as string[]);
  }

  /** Name, as a start gives it. */
  public readonly name: string;
  /** Its value where a string is asked for. May be part of a longer string. */
  public readonly valueAsString: string;

  private readonly token: PipelineToken;

  private constructor(
    name: string,
    private readonly type: string,
    private readonly defaultValue?: string | number | boolean,
    private readonly allowedValues?: string[],
  ) {
    this.name = name;
    this.token = reference(`Parameters.${name}`, type === 'String');
    this.valueAsString = this.token.asString();
  }

  /**
   * Its value where a number is asked for.
   * Throws when the parameter is not an integer or float.
   */
  public get valueAsNumber(): number {
    if (this.type !== 'Integer' && this.type !== 'Float') {
      throw new Error(`PipelineParameter "${this.name}" is of type ${this.type}: valueAsNumber needs an integer or float parameter`);
    }
    return this.token.asNumber();
  }

  /** @internal */
  public _reference(): PipelineToken {
    return this.token;
  }

  /** @internal */
  public _render(): JsonObject {
    return {
      Name: this.name,
      Type: this.type,
      DefaultValue: this.defaultValue,
      EnumValues: this.allowedValues,
    };
  }
}

/** A name in Pascal case, as parameters and steps of a pipeline are called: `tree_method` is `TreeMethod`. */
export function pascalCase(name: string): string {
  return name.split(/[^A-Za-z0-9]+/).map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
}
