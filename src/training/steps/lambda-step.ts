import * as lambda from 'aws-cdk-lib/aws-lambda';
import { PipelineStep, PipelineStepProps, renderStep } from './pipeline-step';
import type { JsonObject } from '../../shared/pipeline-tokens';
import type { StepContext } from '../step-context';

/** A value that a function or the receiver of a message gives back to the pipeline. */
export interface StepOutput {
  /** Name, unique in the step. `step.outputValue(name)` refers to it. */
  readonly name: string;
  /** Type of the value. @default StepOutputType.STRING */
  readonly valueType?: StepOutputType;
}

/** Types of the values that steps give back. */
export enum StepOutputType {
  /** Text. */
  STRING = 'String',
  /** A whole number. */
  INTEGER = 'Integer',
  /** True or false. */
  BOOLEAN = 'Boolean',
  /** A number. */
  FLOAT = 'Float',
}

/** Props of `LambdaStep`. */
export interface LambdaStepProps extends PipelineStepProps {
  /** The function. It may run for ten minutes at most. The pipeline is granted to invoke it. */
  readonly lambdaFunction: lambda.IFunction;
  /** What the function is called with, as its event. Values of other steps may stand in it. @default - nothing */
  readonly inputs?: { [name: string]: string };
  /** What the function gives back, as an object of these names, at most 10. @default - nothing */
  readonly outputs?: StepOutput[];
}

/** Calls a Lambda function and takes values from its answer. */
export class LambdaStep extends PipelineStep {
  constructor(private readonly props: LambdaStepProps) {
    super(props.name);
  }

  /** A value that the function gives back. */
  public outputValue(name: string): string {
    return this.property(`OutputParameters['${name}']`);
  }

  /** @internal */
  public _render(context: StepContext): JsonObject {
    return renderStep('Lambda', this.props, { ...this.props.inputs }, {
      FunctionArn: context.function(this.props.lambdaFunction),
      OutputParameters: renderOutputs(this.props.outputs),
    });
  }
}

export function renderOutputs(outputs: readonly StepOutput[] = []): JsonObject[] {
  return outputs.map(({ name, valueType }) => ({ OutputName: name, OutputType: valueType ?? StepOutputType.STRING }));
}
