import type { JsonObject } from '../../shared/pipeline-tokens';
import type { StepContext } from '../step-context';
import { PipelineStep, PipelineStepProps, renderStep } from './pipeline-step';

/** Props of `FailStep`. */
export interface FailStepProps extends PipelineStepProps {
  /** Why the execution failed. Values of other steps may stand in it. */
  readonly message: string;
}

/** Ends the execution as failed, with a message. */
export class FailStep extends PipelineStep {
  constructor(private readonly props: FailStepProps) {
    super(props.name);
  }

  /** @internal */
  public _render(_context: StepContext): JsonObject {
    return renderStep('Fail', this.props, { ErrorMessage: this.props.message });
  }
}
