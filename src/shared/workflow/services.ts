import { Duration } from 'aws-cdk-lib';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';

/** A service as Step Functions, IAM and its errors know it. */
export interface Service {
  /** Name of Step Functions' integration: `aws-sdk:<service>`, or the service alone where the integration is an optimized one. */
  readonly integration: string;
  /** Prefix of its IAM actions. */
  readonly iamPrefix: string;
  /** Errors of its integration that go away by themselves. */
  readonly transientErrors: string[];
}

/** Declares few errors, so that the SDK knows most of them, throttling included, by the service's name only. */
export const SAGEMAKER: Service = {
  integration: 'aws-sdk:sagemaker',
  iamPrefix: 'sagemaker',
  transientErrors: [
    'SageMaker.SageMakerException', 'SageMaker.ThrottlingException', 'SageMaker.InternalServerException', 'SageMaker.ServiceUnavailableException',
  ],
};

export const APPLICATION_AUTO_SCALING: Service = {
  integration: 'aws-sdk:applicationautoscaling',
  iamPrefix: 'application-autoscaling',
  transientErrors: ['ApplicationAutoScaling.ConcurrentUpdateException', 'ApplicationAutoScaling.InternalServiceException'],
};

export const DYNAMODB: Service = {
  integration: 'dynamodb',
  iamPrefix: 'dynamodb',
  transientErrors: [
    'DynamoDB.ProvisionedThroughputExceededException', 'DynamoDB.ThrottlingException', 'DynamoDB.RequestLimitExceeded', 'DynamoDB.InternalServerError',
  ],
};

export const EVENTBRIDGE: Service = { integration: 'aws-sdk:eventbridge', iamPrefix: 'events', transientErrors: [] };

export const STEP_FUNCTIONS: Service = { integration: 'aws-sdk:sfn', iamPrefix: 'states', transientErrors: [] };

const GLUE_TRANSIENT_ERRORS = [
  'Glue.ThrottlingException', 'Glue.InternalServiceException', 'Glue.OperationTimeoutException', 'Glue.AWSGlueException', 'Glue.SdkClientException',
];

/** Can start jobs only, and wait for them. */
export const GLUE_JOBS: Service = { integration: 'glue', iamPrefix: 'glue', transientErrors: GLUE_TRANSIENT_ERRORS };

export const GLUE: Service = { integration: 'aws-sdk:glue', iamPrefix: 'glue', transientErrors: GLUE_TRANSIENT_ERRORS };

/** Of functions that `LambdaInvoke` calls, whatever they do. */
export const LAMBDA_TRANSIENT_ERRORS = [
  'Lambda.ClientExecutionTimeoutException', 'Lambda.ServiceException', 'Lambda.AWSLambdaException', 'Lambda.SdkClientException',
  'Lambda.TooManyRequestsException',
];

/** Of topics that `SnsPublish` publishes to. */
export const SNS_TRANSIENT_ERRORS = [
  'SNS.ThrottledException', 'SNS.InternalErrorException', 'SNS.SdkClientException', 'SNS.AmazonSNSException',
];

/** Tries again after `interval`, then after twice as long each time; jitter keeps executions apart that failed together. */
export function retry(errors: string[], interval: Duration, maxAttempts: number, maxDelay = Duration.minutes(1)): sfn.RetryProps {
  return { errors, interval, maxAttempts, maxDelay, backoffRate: 2, jitterStrategy: sfn.JitterType.FULL };
}

/** For a call that is answered at once. */
export function callRetry(transientErrors: string[]): sfn.RetryProps {
  return retry([...transientErrors, sfn.Errors.TIMEOUT], Duration.seconds(2), 4, Duration.seconds(30));
}
