import * as sqs from 'aws-cdk-lib/aws-sqs';
import { renderOutputs, StepOutput } from './lambda-step';
import { PipelineStep, PipelineStepProps, renderStep } from './pipeline-step';
import type { JsonObject } from '../../shared/pipeline-tokens';
import type { StepContext } from '../step-context';

/** Props of `CallbackStep`. */
export interface CallbackStepProps extends PipelineStepProps {
  /** The queue that gets the message, with the token for the answer. The pipeline is granted to send to it. */
  readonly queue: sqs.IQueue;
  /** What stands in the message. Values of other steps may stand in it. @default - nothing */
  readonly inputs?: { [name: string]: string };
  /** What whoever answers gives back, at most 10. @default - nothing */
  readonly outputs?: StepOutput[];
}

/**
 * Sends a message and waits, for up to seven days, until somebody answers it by `SendPipelineExecutionStepSuccess` or
 * `SendPipelineExecutionStepFailure`.
 */
export class CallbackStep extends PipelineStep {
  constructor(private readonly props: CallbackStepProps) {
    super(props.name);
  }

  /** A value that whoever answered gave back. */
  public outputValue(name: string): string {
    return this.property(`OutputParameters['${name}']`);
  }

  /** @internal */
  public _render(context: StepContext): JsonObject {
    return renderStep('Callback', this.props, { ...this.props.inputs }, {
      SqsQueueUrl: context.queue(this.props.queue),
      OutputParameters: renderOutputs(this.props.outputs),
    });
  }
}
