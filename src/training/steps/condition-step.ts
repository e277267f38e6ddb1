import type { JsonObject } from '../../shared/pipeline-tokens';
import { PipelineCondition } from '../pipeline-condition';
import type { StepContext } from '../step-context';
import { PipelineStep, PipelineStepProps, renderStep } from './pipeline-step';

/** Props of `ConditionStep`. */
export interface ConditionStepProps extends PipelineStepProps {
  /** All must hold. */
  readonly conditions: PipelineCondition[];
  /** Steps that run when all conditions hold. They are not listed in the definition once more. @default - none */
  readonly ifSteps?: PipelineStep[];
  /** Steps that run when a condition does not hold. @default - none */
  readonly elseSteps?: PipelineStep[];
}

/** Chooses which steps run. */
export class ConditionStep extends PipelineStep {
  constructor(private readonly props: ConditionStepProps) {
    super(props.name);
  }

  /** @internal */
  public _render(context: StepContext): JsonObject {
    return renderStep('Condition', this.props, {
      Conditions: this.props.conditions.map((condition) => condition._render()),
      IfSteps: (this.props.ifSteps ?? []).map((step) => step._render(context)),
      ElseSteps: (this.props.elseSteps ?? []).map((step) => step._render(context)),
    });
  }
}
