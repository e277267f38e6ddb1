import { Names, Stack, Token } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as s3assets from 'aws-cdk-lib/aws-s3-assets';
import * as sagemaker from 'aws-cdk-lib/aws-sagemaker';
import { Construct } from 'constructs';
import { Algorithm } from './algorithm';
import { AlgorithmConfig, checkJob } from './algorithm-config';
import { DefaultDefinition, INPUT_DATA, MANIFEST_ID } from './default-definition';
import { DefinitionGrants } from './definition-grants';
import { checkPlatform, warnOfEndOfPatch } from './definition-platform';
import type { HyperParameter } from './hyper-parameter';
import { PipelineDefinition } from './pipeline-definition';
import { QualityGate } from './quality-gate';
import { StepContext } from './step-context';
import { ITrainingPipeline, TrainingPipelineAttributes, TrainingPipelineBase } from './training-pipeline-base';
import { DatasetSchema } from '../data/schema';
import { CommonProps, ModelApproval, StageProfile } from '../profile';
import { IModelRegistry } from '../registry/model-registry';
import { sageMakerArns } from '../shared/arns';
import { assetPath, jsonAsset } from '../shared/assets';
import { CHEAPEST_EVERYWHERE } from '../shared/instance-types';
import { connectionsOf, Network } from '../shared/network';
import type { JsonObject } from '../shared/pipeline-tokens';
import { describeForRehearsal } from '../shared/rehearsal-facts';
import { RunTimeTags } from '../shared/run-time-tags';
import { serviceOfAccount } from '../shared/service-principal';
import { Problems, suggestion } from '../shared/validation';

/** Props of `TrainingPipeline`. */
export interface TrainingPipelineProps extends CommonProps {
  /** The data set to learn from. */
  readonly schema: DatasetSchema;

  /** Where models are registered, and whose bucket holds what the jobs write. */
  readonly registry: IModelRegistry;

  /** How the model is trained. @default Algorithm.xgboost() */
  readonly algorithm?: Algorithm;

  /**
   * What a model must reach on the test data to be registered.
   * @default - the floor of a useful model: R² of at least 0.2, or an area under the ROC curve of at least 0.65
   */
  readonly gate?: QualityGate;

  /**
   * A whole pipeline of your own instead of the built-in one. It must declare the string parameters `InputData` and `ManifestId`, which
   * whoever starts the pipeline gives. `algorithm`, `gate`, `modelApproval` and the instance types are then yours to say in it.
   * @default - Preprocess, Train, Evaluate, Gate, then Register or Reject
   */
  readonly definition?: PipelineDefinition;

  /**
   * What becomes of a model version that kept the limits of the gate: the default of the parameter `ModelApprovalStatus`.
   * @default - as the profile says
   */
  readonly modelApproval?: ModelApproval;

  /** Name of the pipeline: letters, digits and hyphens. @default - derived from the construct's path */
  readonly pipelineName?: string;

  /** Role of the pipeline: starts the jobs and registers models. @default - a new role with the least that the definition needs */
  readonly role?: iam.IRole;

  /** Role of the jobs: reads the data, writes below the pipeline's prefix of the registry's bucket. @default - a new role */
  readonly jobRole?: iam.IRole;

  /** Default of the parameter `ProcessingInstanceType`. @default 'ml.m5.large', the cheapest that every region offers for it */
  readonly processingInstanceType?: string;

  /** Default of the parameter `TrainingInstanceType`. @default 'ml.m5.large', the cheapest that every region offers for it */
  readonly trainingInstanceType?: string;
}

/**
 * A SageMaker pipeline that trains a model, measures it on data that it has never seen, and registers it only if it is good enough.
 *
 * Creates the pipeline, a role for it and a role for its jobs, so that code that runs in a job can neither start jobs nor register
 * models. It costs nothing while it does not run; a run costs the instances of its three jobs, with the default types and a small
 * data set about 5 US cents.
 *
 * With `encryptionKey` the volumes of the jobs are encrypted with it, but for instance types that encrypt disks of their own (such as
 * `ml.g4dn` and `ml.g5`): SageMaker refuses a key for them, so that a start cannot ask for one instead. What the jobs write is encrypted
 * with the key of the bucket that it goes to. Jobs log to `/aws/sagemaker/*`, groups that all jobs of an account share: `logRetention`
 * does not reach them.
 *
 * @see https://docs.aws.amazon.com/sagemaker/latest/dg/pipelines.html
 *
 * @example
 * declare const animals: DatasetSchema;
 * const registry = new ModelRegistry(this, 'Models');
 * const training = new TrainingPipeline(this, 'Training', {
 *   schema: animals,
 *   registry,
 *   algorithm: Algorithm.xgboost({ maxDepth: 5, rounds: 50 }),
 *   gate: QualityGate.of(ModelMetric.mse().atMost(6.0)),
 * });
 */
export class TrainingPipeline extends TrainingPipelineBase implements ec2.IConnectable {
  /** A training pipeline that exists, in the account and region of the stack. */
  public static fromTrainingPipelineAttributes(scope: Construct, id: string, attributes: TrainingPipelineAttributes): ITrainingPipeline {
    class Import extends TrainingPipelineBase {
      public readonly pipelineName = attributes.pipelineName;
      public readonly pipelineArn = sageMakerArns(this, 'pipeline', attributes.pipelineName)[0];
      public readonly grantPrincipal = attributes.jobRole?.grantPrincipal ?? new iam.UnknownPrincipal({ resource: this });
    }
    return new Import(scope, id);
  }

  /** Name of the pipeline. */
  public readonly pipelineName: string;
  /** ARN of the pipeline. */
  public readonly pipelineArn: string;
  /** Role of the pipeline. */
  public readonly role: iam.IRole;
  /** Role of the jobs. */
  public readonly jobRole: iam.IRole;
  /** The jobs, as a principal: grant them what they are to read beside the data. */
  public readonly grantPrincipal: iam.IPrincipal;
  /** What the pipeline consists of. */
  public readonly definition: PipelineDefinition;
  /** What the algorithm is told beside the data. Empty with a `definition` of your own, which does not say which parameters these are. */
  public readonly hyperParameters: HyperParameter[];

  private readonly gate?: QualityGate;
  private readonly network?: Network;

  constructor(scope: Construct, id: string, props: TrainingPipelineProps) {
    super(scope, id);
    this.validate(id, props);
    // A literal, not the Ref of the resource: the data pipeline's stack, which this one's jobs read from, must not need this stack.
    this.pipelineName = props.pipelineName ?? this.derivedName();
    this.pipelineArn = sageMakerArns(this, 'pipeline', this.pipelineName)[0];
    this.role = props.role ?? new iam.Role(this, 'Role', {
      description: `Runs the SageMaker pipeline ${this.pipelineName}`,
      assumedBy: serviceOfAccount(this, 'sagemaker.amazonaws.com'),
    });
    this.jobRole = props.jobRole ?? new iam.Role(this, 'JobRole', {
      description: `Jobs of the SageMaker pipeline ${this.pipelineName}`,
      assumedBy: serviceOfAccount(this, 'sagemaker.amazonaws.com'),
    });
    this.grantPrincipal = this.jobRole.grantPrincipal;
    this.network = Network.of(this, props);
    this.gate = props.definition ? undefined : props.gate ?? QualityGate._default(props.schema.problemType);
    const algorithm = props.definition ? undefined : this.bindAlgorithm(props);
    this.hyperParameters = algorithm?.hyperParameters ?? [];
    this.definition = props.definition ?? this.defaultDefinition(props, this.gate!, algorithm!);
    this.createPipeline(id, props);
    describeForRehearsal(this, 'cdk-mlops:training-pipeline', {
      pipelineName: this.pipelineName,
      modelPackageGroupName: props.registry.modelPackageGroupName,
      gate: (this.gate?.limits ?? []).map((limit) => ({
        metric: limit.metric.metricName,
        path: limit._path(props.schema.problemType),
        parameter: limit.parameterName,
        operator: limit.comparison,
      })),
    });
  }

  /** The security groups of its jobs. Fails where they run in no VPC. */
  public get connections(): ec2.Connections {
    return connectionsOf(this, this.network);
  }

  private validate(id: string, props: TrainingPipelineProps): void {
    const problems = new Problems(`TrainingPipeline "${id}"`);
    const { definition, pipelineName } = props;
    problems.check(pipelineName === undefined || Token.isUnresolved(pipelineName) || /^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,255}$/.test(pipelineName), () =>
      `pipelineName is "${pipelineName}"; it has up to 256 letters, digits and hyphens, with no hyphen at the ends`);
    for (const prop of ['processingInstanceType', 'trainingInstanceType'] as const) {
      const type = props[prop];
      problems.check(type === undefined || Token.isUnresolved(type) || /^ml\.[a-z0-9-]+\.[a-z0-9-]+$/.test(type), () =>
        `${prop} is "${type}"; instance types of SageMaker look like "ml.m5.large"`);
    }
    if (definition) {
      [INPUT_DATA, MANIFEST_ID].forEach((name) => problems.check(definition.parameterNames.includes(name), () =>
        `definition: it does not declare the parameter "${name}", which every start gives; ${suggestion(name, definition.parameterNames)}`));
      (['algorithm', 'gate', 'modelApproval', 'processingInstanceType', 'trainingInstanceType'] as const).forEach((prop) =>
        problems.check(props[prop] === undefined, () => `${prop}: the definition that you gave decides it; leave one of the two out`));
    } else {
      props.gate?._check(props.schema.problemType, problems);
    }
    problems.throwIfAny();
  }

  /** Lower case: older ARNs of pipelines are, whatever the name. */
  private derivedName(): string {
    return Names.uniqueResourceName(this, { maxLength: 60, separator: '-', allowedSpecialCharacters: '-' }).toLowerCase();
  }

  private bindAlgorithm(props: TrainingPipelineProps): AlgorithmConfig {
    const algorithm = (props.algorithm ?? Algorithm.xgboost()).bind(new Construct(this, 'Algorithm'), { schema: props.schema });
    const problems = new Problems(`TrainingPipeline "${this.node.id}": algorithm`);
    checkJob(problems, algorithm);
    problems.throwIfAny();
    return algorithm;
  }

  private defaultDefinition(props: TrainingPipelineProps, gate: QualityGate, algorithm: AlgorithmConfig): PipelineDefinition {
    const document = props.schema._document();
    const scripts = new s3assets.Asset(this, 'Scripts', {
      path: assetPath('sagemaker'),
      exclude: ['test_*.py', 'conftest.py', '__pycache__', '.*', '*.toml'],
    });
    const schema = jsonAsset(this, 'Schema', document);
    const loader = algorithm.modelLoader._file;
    return new DefaultDefinition({
      pipelineName: this.pipelineName,
      document,
      gate,
      modelApproval: props.modelApproval ?? (props.profile ?? StageProfile.of()).modelApproval,
      algorithm,
      processingInstanceType: props.processingInstanceType ?? CHEAPEST_EVERYWHERE.processing,
      trainingInstanceType: props.trainingInstanceType ?? CHEAPEST_EVERYWHERE.training,
      scripts,
      schema,
      loader: loader === undefined ? undefined : new s3assets.Asset(this, 'ModelLoader', { path: loader }),
      registry: props.registry,
    }).definition();
  }

  /** Grants what the definition needs and makes the pipeline of it. */
  private createPipeline(id: string, { encryptionKey, registry }: TrainingPipelineProps): void {
    const stack = Stack.of(this);
    const tags = new RunTimeTags(this, 'JobTags', 'AWS::SageMaker::ProcessingJob').render();
    const context = new StepContext(this, { role: this.jobRole, network: this.network, encryptionKey, tags });
    const definition = this.definition._render(context);
    this.checkPlatform(id, definition);
    new DefinitionGrants(this, { definition, context, role: this.role, registry, grantedByCaller: [INPUT_DATA] });
    const resource = new sagemaker.CfnPipeline(this, 'Resource', {
      pipelineName: this.pipelineName,
      pipelineDisplayName: this.pipelineName,
      pipelineDescription: `Made by ${this.node.path}`,
      roleArn: this.role.roleArn,
      pipelineDefinition: { PipelineDefinitionBody: stack.toJsonString(definition) },
    });
    // SageMaker checks the role when the pipeline is made, and a start right after must find it complete.
    resource.node.addDependency(this.role, this.jobRole);
  }

  private checkPlatform(id: string, definition: JsonObject): void {
    const problems = new Problems(`TrainingPipeline "${id}"`);
    checkPlatform(this, definition, problems);
    problems.throwIfAny();
    warnOfEndOfPatch(this, definition);
  }
}
