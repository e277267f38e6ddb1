/**
 * What the checks and the roles need to know of each kind of step: the one place, beside the step's own class, where a kind
 * is added. A kind that is not listed is passed through; its properties are not checked and its permissions are its author's.
 */
export interface StepKind {
  /** First parts of the paths that `Steps.<name>.<path>` may have: members of the Describe response. */
  readonly properties: readonly string[];
  /** SageMaker job that it starts: name in the API (`CreateProcessingJob`) and in the ARN (`processing-job/...`). */
  readonly job?: { readonly api: string; readonly arn: string };
}

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

export const STEP_KINDS: { readonly [type: string]: StepKind | undefined } = {
  Processing: { properties: PROCESSING, job: { api: 'ProcessingJob', arn: 'processing-job' } },
  Training: { properties: TRAINING, job: { api: 'TrainingJob', arn: 'training-job' } },
  RegisterModel: { properties: MODEL_PACKAGE },
  Condition: { properties: ['Outcome'] },
  Fail: { properties: [] },
};
