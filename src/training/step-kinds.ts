/**
 * What the checks and the roles need to know of each kind of step: the one place, beside the step's own class, where a kind
 * is added. A kind that is not listed is passed through; its properties are not checked, and a warning says that what it may do is not
 * known.
 */
export interface StepKind {
  /** First parts of the paths that `Steps.<name>.<path>` may have: members of the Describe response. */
  readonly properties: readonly string[];
  /** What it makes in SageMaker: name in the API (`CreateProcessingJob`) and in the ARN (`processing-job/...`). */
  readonly makes?: { readonly api: string; readonly arn: string; readonly verbs: readonly string[] };
  /** Where an S3 place that the Describe response tells stands in the step's arguments. Other places stand where they are told. */
  readonly places?: { readonly [property: string]: string };
}

const JOB = ['Create', 'Describe', 'Stop'];

const PROCESSING = [
  'ProcessingInputs', 'ProcessingOutputConfig', 'ProcessingJobName', 'ProcessingResources', 'StoppingCondition', 'AppSpecification',
  'Environment', 'NetworkConfig', 'RoleArn', 'ExperimentConfig', 'ProcessingJobArn', 'ProcessingJobStatus', 'ExitMessage',
  'FailureReason', 'ProcessingEndTime', 'ProcessingStartTime', 'LastModifiedTime', 'CreationTime', 'MonitoringScheduleArn',
  'AutoMLJobArn', 'TrainingJobArn',
];

const TRAINING = [
  'TrainingJobName', 'TrainingJobArn', 'TuningJobArn', 'LabelingJobArn', 'AutoMLJobArn', 'ModelArtifacts', 'TrainingJobStatus',
  'SecondaryStatus', 'FailureReason', 'HyperParameters', 'AlgorithmSpecification', 'RoleArn', 'InputDataConfig', 'OutputDataConfig',
  'ResourceConfig', 'WarmPoolStatus', 'VpcConfig', 'StoppingCondition', 'CreationTime', 'TrainingStartTime', 'TrainingEndTime',
  'LastModifiedTime', 'SecondaryStatusTransitions', 'FinalMetricDataList', 'EnableNetworkIsolation',
  'EnableInterContainerTrafficEncryption', 'EnableManagedSpotTraining', 'CheckpointConfig', 'TrainingTimeInSeconds',
  'BillableTimeInSeconds', 'DebugHookConfig', 'ExperimentConfig', 'DebugRuleConfigurations', 'TensorBoardOutputConfig',
  'DebugRuleEvaluationStatuses', 'ProfilerConfig', 'ProfilerRuleConfigurations', 'ProfilerRuleEvaluationStatuses', 'ProfilingStatus',
  'Environment', 'RetryStrategy', 'OutputModelPackageArn',
];

const MODEL_PACKAGE = [
  'ModelPackageName', 'ModelPackageGroupName', 'ModelPackageVersion', 'ModelPackageArn', 'ModelPackageDescription', 'CreationTime',
  'InferenceSpecification', 'SourceAlgorithmSpecification', 'ValidationSpecification', 'ModelPackageStatus', 'ModelPackageStatusDetails',
  'CertifyForMarketplace', 'ModelApprovalStatus', 'CreatedBy', 'MetadataProperties', 'ModelMetrics', 'LastModifiedTime', 'LastModifiedBy',
  'ApprovalDescription', 'Domain', 'Task', 'SamplePayloadUrl', 'CustomerMetadataProperties', 'DriftCheckBaselines',
  'AdditionalInferenceSpecifications', 'SkipModelValidation', 'SourceUri', 'SecurityConfig', 'ModelCard', 'ModelLifeCycle',
];

const TUNING = [
  'HyperParameterTuningJobName', 'HyperParameterTuningJobArn', 'HyperParameterTuningJobConfig', 'TrainingJobDefinition', 'TrainingJobDefinitions',
  'HyperParameterTuningJobStatus', 'CreationTime', 'HyperParameterTuningEndTime', 'LastModifiedTime', 'TrainingJobStatusCounters',
  'ObjectiveStatusCounters', 'BestTrainingJob', 'OverallBestTrainingJob', 'WarmStartConfig', 'Autotune', 'FailureReason',
  'TuningJobCompletionDetails', 'ConsumedResources', 'TrainingJobSummaries',
];

const TRANSFORM = [
  'TransformJobName', 'TransformJobArn', 'TransformJobStatus', 'FailureReason', 'ModelName', 'MaxConcurrentTransforms', 'ModelClientConfig',
  'MaxPayloadInMB', 'BatchStrategy', 'Environment', 'TransformInput', 'TransformOutput', 'DataCaptureConfig', 'TransformResources', 'CreationTime',
  'TransformStartTime', 'TransformEndTime', 'LabelingJobArn', 'AutoMLJobArn', 'DataProcessing', 'ExperimentConfig',
];

const MODEL = [
  'ModelName', 'PrimaryContainer', 'Containers', 'InferenceExecutionConfig', 'ExecutionRoleArn', 'VpcConfig', 'CreationTime', 'ModelArn',
  'EnableNetworkIsolation', 'DeploymentRecommendation',
];

export const STEP_KINDS: { readonly [type: string]: StepKind | undefined } = {
  Processing: { properties: PROCESSING, makes: { api: 'ProcessingJob', arn: 'processing-job', verbs: JOB } },
  Training: {
    properties: TRAINING,
    makes: { api: 'TrainingJob', arn: 'training-job', verbs: JOB },
    places: { 'ModelArtifacts.S3ModelArtifacts': 'OutputDataConfig.S3OutputPath' },
  },
  Tuning: {
    properties: TUNING,
    makes: { api: 'HyperParameterTuningJob', arn: 'hyper-parameter-tuning-job', verbs: JOB },
  },
  Transform: { properties: TRANSFORM, makes: { api: 'TransformJob', arn: 'transform-job', verbs: JOB } },
  Model: { properties: MODEL, makes: { api: 'Model', arn: 'model', verbs: ['Create', 'Describe'] } },
  RegisterModel: { properties: MODEL_PACKAGE },
  Lambda: { properties: ['OutputParameters'] },
  Callback: { properties: ['OutputParameters'] },
  Condition: { properties: ['Outcome'] },
  Fail: { properties: [] },
};
