import * as s3assets from 'aws-cdk-lib/aws-s3-assets';
import type { AlgorithmConfig } from './algorithm-config';
import type { HyperParameter } from './hyper-parameter';
import { PipelineCondition } from './pipeline-condition';
import { PipelineDefinition } from './pipeline-definition';
import { pascalCase, PipelineParameter } from './pipeline-parameter';
import { ExecutionVariable } from './pipeline-values';
import { MetricComparison, MetricLimit, QualityGate } from './quality-gate';
import type { SchemaDocument } from '../data/schema-document';
import type { ModelApproval } from '../profile';
import { ContainerImage } from '../references/container-image';
import { S3Location } from '../references/s3-location';
import { GATE_PREFIX } from '../registry/catalog.lambda-shared';
import type { IModelRegistry } from '../registry/model-registry';
import { assetFileName } from '../shared/assets';
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
const PREPROCESSING_IMAGE = ContainerImage.scikitLearn();

/** SageMaker takes no `<` in metadata. */
const IN_WORDS = { [MetricComparison.AT_MOST]: 'at most', [MetricComparison.AT_LEAST]: 'at least' };

/** Parameters that whoever starts the pipeline must give. */
export const INPUT_DATA = 'InputData';
export const MANIFEST_ID = 'ManifestId';

export interface DefaultDefinitionProps {
  readonly pipelineName: string;
  readonly document: SchemaDocument;
  readonly algorithm: AlgorithmConfig;
  readonly gate: QualityGate;
  readonly modelApproval: ModelApproval;
  readonly processingInstanceType: string;
  readonly trainingInstanceType: string;
  /** The scripts of the steps, one zip. */
  readonly scripts: s3assets.Asset;
  /** schema.json. */
  readonly schema: s3assets.Asset;
  /** The file that loads the model, where it does not lie in the model. */
  readonly loader?: s3assets.Asset;
  readonly registry: IModelRegistry;
}

/** The pipeline that needs no script of one's own: Preprocess, Train, Evaluate, Gate, then Register or Reject. */
export class DefaultDefinition {
  private readonly inputData = PipelineParameter.ofString(INPUT_DATA);
  private readonly manifestId = PipelineParameter.ofString(MANIFEST_ID);
  private readonly processingInstance: PipelineParameter;
  private readonly trainingInstance: PipelineParameter;
  private readonly approvalStatus: PipelineParameter;
  private readonly hyperParameters: HyperParameter[];
  private readonly limits: { readonly limit: MetricLimit; readonly parameter: PipelineParameter }[];

  constructor(private readonly props: DefaultDefinitionProps) {
    this.processingInstance = PipelineParameter.ofString('ProcessingInstanceType', { defaultValue: props.processingInstanceType });
    this.trainingInstance = PipelineParameter.ofString('TrainingInstanceType', { defaultValue: props.trainingInstanceType });
    this.approvalStatus = PipelineParameter.ofString('ModelApprovalStatus', {
      defaultValue: props.modelApproval,
      allowedValues: ['PendingManualApproval', 'Approved', 'Rejected'],
    });
    this.hyperParameters = props.algorithm.hyperParameters ?? [];
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
        ...this.hyperParameters.flatMap(({ parameter }) => parameter ?? []),
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
      image: PREPROCESSING_IMAGE,
      instanceType: this.processingInstance.valueAsString,
      entrypoint: this.entrypoint('preprocess'),
      containerArguments: [
        '--input', `${INPUT}/data`,
        '--schema', `${INPUT}/schema/${assetFileName(this.props.schema)}`,
        ...names.flatMap((name) => [`--${name}`, `${OUTPUT}/${name}`]),
        ...MESSAGE,
      ],
      inputs: [{ name: 'data', source: S3Location.fromUri(this.inputData.valueAsString) }, ...this.assetInputs()],
      outputs: names.map((name) => ({ name, destination: this.place(`Preprocess/${name}`) })),
    });
  }

  private train(preprocess: ProcessingStep): TrainingStep {
    const { algorithm } = this.props;
    return new TrainingStep({
      name: 'Train',
      image: algorithm.trainingImage,
      instanceType: this.trainingInstance.valueAsString,
      entrypoint: algorithm.entrypoint,
      containerArguments: algorithm.containerArguments,
      environment: algorithm.trainingEnvironment,
      metricDefinitions: algorithm.metricDefinitions,
      outputPath: this.place('Train'),
      channels: [
        ...['train', 'validation'].map((name) => ({ name, source: preprocess.output(name), contentType: 'text/csv' })),
        ...(algorithm.code ? [{ name: 'code', source: algorithm.code }] : []),
      ],
      hyperParameters: Object.fromEntries(this.hyperParameters.map(({ name, value }) => [name, value])),
    });
  }

  private evaluate(preprocess: ProcessingStep, train: TrainingStep): ProcessingStep {
    const { algorithm, loader } = this.props;
    return new ProcessingStep({
      name: 'Evaluate',
      description: 'Measures the model on the test split, which it has never seen',
      image: algorithm.evaluationImage ?? algorithm.trainingImage,
      instanceType: this.processingInstance.valueAsString,
      entrypoint: this.entrypoint('evaluate'),
      containerArguments: [
        '--model', `${INPUT}/model`,
        '--loader', loader ? `${INPUT}/loader/${assetFileName(loader)}` : algorithm.modelLoader._inModel!,
        '--test', `${INPUT}/test`,
        '--schema', `${INPUT}/schema/${assetFileName(this.props.schema)}`,
        '--evaluation', `${OUTPUT}/evaluation`,
        '--require', this.limits.map(({ limit }) => limit.metric.metricName).join(','),
        ...MESSAGE,
      ],
      inputs: [
        { name: 'model', source: train.modelArtifacts },
        { name: 'test', source: preprocess.output('test') },
        ...(loader ? [{ name: 'loader', source: locationOf(loader) }] : []),
        ...this.assetInputs(),
      ],
      outputs: [{ name: 'evaluation', destination: this.place('Evaluate/evaluation') }],
      propertyFiles: [{ name: REPORT, output: 'evaluation', path: 'evaluation.json' }],
    });
  }

  private register(preprocess: ProcessingStep, train: TrainingStep, evaluate: ProcessingStep): RegisterModelStep {
    const { algorithm } = this.props;
    return new RegisterModelStep({
      name: 'Register',
      registry: this.props.registry,
      approvalStatus: this.approvalStatus.valueAsString,
      containers: [
        {
          image: PREPROCESSING_IMAGE,
          modelData: preprocess.output('preprocessor').at('model.tar.gz'),
          environment: {
            SAGEMAKER_PROGRAM: 'inference.py',
            SAGEMAKER_SUBMIT_DIRECTORY: '/opt/ml/model/code',
            SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT: 'text/csv',
            SAGEMAKER_CONTAINER_LOG_LEVEL: '20',
          },
        },
        {
          image: algorithm.servingImage ?? algorithm.trainingImage,
          modelData: train.modelArtifacts,
          environment: algorithm.servingEnvironment,
        },
      ],
      modelQuality: evaluate.output('evaluation').at('evaluation.json'),
      metadata: {
        ManifestId: this.manifestId.valueAsString,
        PipelineName: this.props.pipelineName,
        PipelineExecutionArn: ExecutionVariable.PIPELINE_EXECUTION_ARN,
        // Those that held in this run: a start of the pipeline can give others, and who approves must see them.
        ...Object.fromEntries(this.limits.map(({ limit, parameter }) =>
          [`${GATE_PREFIX}${limit.metric.metricName}`, `${IN_WORDS[limit.comparison]} ${parameter.valueAsString}`])),
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
      name: this.limits.length === 1 ? 'Reject' : `Reject${pascalCase(metricName)}`,
      message: `${metricName} ${value} ${limit.comparison === MetricComparison.AT_MOST ? '>' : '<'} ${parameter.valueAsString}`,
    });
    return index === this.limits.length - 1 ? fail : new ConditionStep({
      name: `Kept${pascalCase(metricName)}`,
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
    return ['python3', `${INPUT}/code/${assetFileName(this.props.scripts)}`, command];
  }

  private assetInputs() {
    return [
      { name: 'schema', source: locationOf(this.props.schema) },
      { name: 'code', source: locationOf(this.props.scripts) },
    ];
  }

  /** Each execution writes to a place of its own, below the group of its models, so that two at once and two groups never mix. */
  private place(path: string): S3Location {
    const { pipelineName, registry } = this.props;
    return S3Location.fromBucket(registry.bucket, `${registry.modelPackageGroupName}/${pipelineName}/${ExecutionVariable.PIPELINE_EXECUTION_ID}/${path}`);
  }
}

function locationOf(asset: s3assets.Asset): S3Location {
  return S3Location.fromObject(asset.bucket, asset.s3ObjectKey);
}
