import { ArnFormat, Stack, Token } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import { findTextsOf, stepsOf } from './definition-graph';
import { STEP_KINDS } from './step-kinds';
import type { JsonObject } from './tokens';
import { builtInRepositoryArn, SCIKIT_LEARN, XGBOOST } from '../shared/container-images';

/** Names of the jobs that SageMaker starts for a pipeline: `pipelines-<execution id>-<step>-<suffix>`. */
const PIPELINE_JOBS = 'pipelines-*';

/**
 * What the role of the pipeline may do follows its definition: start, watch and stop jobs of the kinds that stand in it, and pass the
 * roles that they name. It reads and writes no data.
 */
export function grantOrchestration(role: iam.IGrantable, scope: Construct, definition: JsonObject, jobRole: iam.IRole): void {
  const kinds = new Set(stepsOf(definition).map(({ type }) => type));
  for (const kind of [...kinds].sort()) {
    const job = STEP_KINDS[kind]?.job;
    if (job) {
      iam.Grant.addToPrincipal({
        grantee: role,
        actions: [`sagemaker:Create${job.api}`, `sagemaker:Describe${job.api}`, `sagemaker:Stop${job.api}`, 'sagemaker:AddTags'],
        resourceArns: [sageMakerArn(scope, job.arn, PIPELINE_JOBS)],
      });
    }
  }
  const named = findTextsOf(definition, (key) => key === 'RoleArn' || key === 'ExecutionRoleArn');
  iam.Grant.addToPrincipal({
    grantee: role,
    actions: ['iam:PassRole'],
    resourceArns: [...new Set([jobRole.roleArn, ...named])],
    conditions: { StringEquals: { 'iam:PassedToService': 'sagemaker.amazonaws.com' } },
  });
}

/** What every job needs beside its data: SageMaker's images, its own log and its own instance metrics. */
export function grantJobBasics(role: iam.IGrantable, scope: Construct, definition: JsonObject): void {
  iam.Grant.addToPrincipal({
    grantee: role,
    actions: ['ecr:BatchCheckLayerAvailability', 'ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer'],
    resourceArns: [...new Set([
      builtInRepositoryArn(scope, SCIKIT_LEARN),
      builtInRepositoryArn(scope, XGBOOST),
      ...repositoriesOf(scope, definition),
    ])],
  });
  iam.Grant.addToPrincipal({
    grantee: role,
    // IAM knows no resource for these two: the token opens nothing by itself, and metrics are bound to SageMaker's namespaces.
    actions: ['ecr:GetAuthorizationToken'],
    resourceArns: ['*'],
  });
  iam.Grant.addToPrincipal({
    grantee: role,
    actions: ['cloudwatch:PutMetricData'],
    resourceArns: ['*'],
    conditions: { StringLike: { 'cloudwatch:namespace': ['/aws/sagemaker/*', 'aws/sagemaker/*'] } },
  });
  iam.Grant.addToPrincipal({
    grantee: role,
    actions: ['logs:CreateLogGroup', 'logs:CreateLogStream', 'logs:DescribeLogStreams', 'logs:PutLogEvents'],
    resourceArns: [Stack.of(scope).formatArn({
      service: 'logs', resource: 'log-group', resourceName: '/aws/sagemaker/*', arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    })],
  });
}

/** SageMaker wrote names in lower case into ARNs for years: where a name has capitals, both forms are meant. */
export function pipelineArns(scope: Construct, name: string): string[] {
  const names = Token.isUnresolved(name) ? [name] : [...new Set([name, name.toLowerCase()])];
  return names.map((spelling) => sageMakerArn(scope, 'pipeline', spelling));
}

function sageMakerArn(scope: Construct, resource: string, resourceName: string): string {
  return Stack.of(scope).formatArn({ service: 'sagemaker', resource, resourceName });
}

/** Repositories of the images that the definition names literally; one that is a CDK token grants its own pull. */
function repositoriesOf(scope: Construct, definition: JsonObject): string[] {
  return findTextsOf(definition, (key) => ['ImageUri', 'TrainingImage', 'Image'].includes(key)).flatMap((image) => {
    const match = /^(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.[a-z.]+\/([^:@]+)/.exec(image);
    return match ? [Stack.of(scope).formatArn({
      service: 'ecr', account: match[1], region: match[2], resource: 'repository', resourceName: match[3],
    })] : [];
  });
}
