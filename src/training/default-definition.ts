import type { BoundAlgorithm } from './algorithm';
import { PipelineCondition } from './pipeline-condition';
import { PipelineDefinition } from './pipeline-definition';
import { PipelineParameter } from './pipeline-parameter';
import { ExecutionVariable } from './pipeline-values';
import { capitalised, MetricComparison, MetricLimit, QualityGate } from './quality-gate';
import type { SchemaDocument } from '../data/schema-document';
import { ConditionStep } from './steps/condition-step';
import { FailStep } from './steps/fail-step';
import type { PipelineStep } from './steps/pipeline-step';
import { ProcessingStep } from './steps/processing-step';
import { RegisterModelStep } from './steps/register-model-step';
import { TrainingStep } from './steps/training-step';

const INPUT = '/opt/ml/processing/input';
const OUTPUT = '/opt/ml/processing/output';
/** Where SageMaker looks for the sentence that it shows when a job failed. */
const MESSAGE = ['--message', '/opt/ml/output/message'];
const REPORT = 'EvaluationReport';

/** Parameters that whoever starts the pipeline must give. */
export const INPUT_DATA = 'InputData';
export const MANIFEST_ID = 'ManifestId';

export interface DefaultDefinitionProps {
  readonly pipelineName: string;
  readonly document: SchemaDocument;
  readonly algorithm: BoundAlgorithm;
  readonly gate: QualityGate;
  readonly processingImage: string;
  readonly processingInstanceType: string;
  readonly trainingInstanceType: string;
  /** S3 URI and file name of the scripts. */
  readonly scripts: { readonly uri: string; readonly file: string };
  /** S3 URI and file name of schema.json. */
  readonly schema: { readonly uri: string; readonly file: string };
  readonly bucketName: string;
  readonly modelPackageGroupName: string;
}

/** The pipeline that needs no script of one's own: Preprocess, Train, Evaluate, Gate, then Register or Reject. */
export class DefaultDefinition {
  private readonly inputData = PipelineParameter.ofString(INPUT_DATA);
  private readonly manifestId = PipelineParameter.ofString(MANIFEST_ID);
  private readonly processingInstance: PipelineParameter;
  private readonly trainingInstance: PipelineParameter;
  private readonly approvalStatus = PipelineParameter.ofString('ModelApprovalStatus', {
    defaultValue: 'PendingManualApproval',
    allowedValues: ['PendingManualApproval', 'Approved', 'Rejected'],
  });

  private readonly limits: { readonly limit: MetricLimit; readonly parameter: PipelineParameter }[];

  constructor(private readonly props: DefaultDefinitionProps) {
    this.processingInstance = PipelineParameter.ofString('ProcessingInstanceType', { defaultValue: props.processingInstanceType });
    this.trainingInstance = PipelineParameter.ofString('TrainingInstanceType', { defaultValue: props.trainingInstanceType });
    this.limits = props.gate.limits.map((limit) => ({
      limit,
      parameter: PipelineParameter.ofFloat(limit.parameterName, { defaultValue: limit.limit }),
    }));
  }

  public definition(): PipelineDefinition {
    const preprocess = this.preprocess();
    const train = this.train(preprocess);
    const evaluate = this.evaluate(preprocess, train);
    return new PipelineDefinition({
      parameters: [
        this.inputData,
        this.manifestId,
        this.processingInstance,
        this.trainingInstance,
        this.approvalStatus,
        ...this.props.algorithm.parameters,
        ...this.limits.map(({ parameter }) => parameter),
      ],
      steps: [preprocess, train, evaluate, this.gate(evaluate, this.register(preprocess, train, evaluate))],
    });
  }

  private preprocess(): ProcessingStep {
    const names = ['train', 'validation', 'test', 'preprocessor'];
    return new ProcessingStep({
      name: 'Preprocess',
      description: 'Fits the encoders on the training split and applies them to all splits',
      image: this.props.processingImage,
      instanceType: this.processingInstance.valueAsString,
      entrypoint: this.entrypoint('preprocess'),
      containerArguments: [
        '--input', `${INPUT}/data`,
        '--schema', `${INPUT}/schema/${this.props.schema.file}`,
        ...names.flatMap((name) => [`--${name}`, `${OUTPUT}/${name}`]),
        ...MESSAGE,
      ],
      inputs: [{ name: 'data', source: this.inputData.valueAsString }, ...this.assetInputs()],
      outputs: names.map((name) => ({ name, destination: this.place(`Preprocess/${name}`) })),
    });
  }

  private train(preprocess: ProcessingStep): TrainingStep {
    return new TrainingStep({
      name: 'Train',
      image: this.props.algorithm.image,
      instanceType: this.trainingInstance.valueAsString,
      outputPath: this.place('Train'),
      channels: ['train', 'validation'].map((name) => ({ name, source: preprocess.output(name), contentType: 'text/csv' })),
      hyperParameters: this.props.algorithm.hyperParameters,
    });
  }

  private evaluate(preprocess: ProcessingStep, train: TrainingStep): ProcessingStep {
    return new ProcessingStep({
      name: 'Evaluate',
      description: 'Measures the model on the test split, which it has never seen',
      image: this.props.algorithm.image,
      instanceType: this.processingInstance.valueAsString,
      entrypoint: this.entrypoint('evaluate'),
      containerArguments: [
        '--model', `${INPUT}/model`,
        '--test', `${INPUT}/test`,
        '--schema', `${INPUT}/schema/${this.props.schema.file}`,
        '--evaluation', `${OUTPUT}/evaluation`,
        '--require', this.limits.map(({ limit }) => limit.metric.metricName).join(','),
        ...MESSAGE,
      ],
      inputs: [
        { name: 'model', source: train.modelArtifacts },
        { name: 'test', source: preprocess.output('test') },
        ...this.assetInputs(),
      ],
      outputs: [{ name: 'evaluation', destination: this.place('Evaluate/evaluation') }],
      propertyFiles: [{ name: REPORT, output: 'evaluation', path: 'evaluation.json' }],
    });
  }

  private register(preprocess: ProcessingStep, train: TrainingStep, evaluate: ProcessingStep): RegisterModelStep {
    return new RegisterModelStep({
      name: 'Register',
      modelPackageGroupName: this.props.modelPackageGroupName,
      approvalStatus: this.approvalStatus.valueAsString,
      containers: [
        {
          image: this.props.processingImage,
          modelData: `${preprocess.output('preprocessor')}/model.tar.gz`,
          environment: {
            SAGEMAKER_PROGRAM: 'inference.py',
            SAGEMAKER_SUBMIT_DIRECTORY: '/opt/ml/model/code',
            SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT: 'text/csv',
            SAGEMAKER_CONTAINER_LOG_LEVEL: '20',
          },
        },
        { image: this.props.algorithm.image, modelData: train.modelArtifacts },
      ],
      modelQuality: `${evaluate.output('evaluation')}/evaluation.json`,
      metadata: {
        ManifestId: this.manifestId.valueAsString,
        PipelineName: this.props.pipelineName,
        PipelineExecutionArn: ExecutionVariable.PIPELINE_EXECUTION_ARN,
      },
    });
  }

  private gate(evaluate: ProcessingStep, register: RegisterModelStep): ConditionStep {
    return new ConditionStep({
      name: 'Gate',
      conditions: this.limits.map((_, index) => this.condition(evaluate, index)),
      ifSteps: [register],
      elseSteps: [this.reject(evaluate, 0)],
    });
  }

  /**
   * One limit is missed for sure, but only the run knows which: the limits are asked one after the other, so that the first one that
   * is missed has its own sentence. The last needs no question.
   */
  private reject(evaluate: ProcessingStep, index: number): PipelineStep {
    const { limit, parameter } = this.limits[index];
    const { metricName } = limit.metric;
    const value = evaluate.jsonString(REPORT, limit._path(this.props.document.problemType));
    const fail = new FailStep({
      name: this.limits.length === 1 ? 'Reject' : `Reject${capitalised(metricName)}`,
      message: `${metricName} ${value} ${limit.comparison === MetricComparison.AT_MOST ? '>' : '<'} ${parameter.valueAsString}`,
    });
    return index === this.limits.length - 1 ? fail : new ConditionStep({
      name: `Kept${capitalised(metricName)}`,
      conditions: [this.condition(evaluate, index)],
      ifSteps: [this.reject(evaluate, index + 1)],
      elseSteps: [fail],
    });
  }

  private condition(evaluate: ProcessingStep, index: number): PipelineCondition {
    const { limit, parameter } = this.limits[index];
    const value = evaluate.jsonNumber(REPORT, limit._path(this.props.document.problemType));
    return limit.comparison === MetricComparison.AT_MOST
      ? PipelineCondition.lessThanOrEqualTo(value, parameter.valueAsNumber)
      : PipelineCondition.greaterThanOrEqualTo(value, parameter.valueAsNumber);
  }

  private entrypoint(command: string): string[] {
    return ['python3', `${INPUT}/code/${this.props.scripts.file}`, command];
  }

  private assetInputs() {
    return [
      { name: 'schema', source: this.props.schema.uri },
      { name: 'code', source: this.props.scripts.uri },
    ];
  }

  /** Each execution writes to a place of its own, so that two at once never mix. */
  private place(path: string): string {
    return `s3://${this.props.bucketName}/${this.props.pipelineName}/${ExecutionVariable.PIPELINE_EXECUTION_ID}/${path}`;
  }
}
