import {
  DescribeEndpointCommand, DescribeModelPackageCommand, ListModelPackagesCommand, SageMakerClient, UpdateModelPackageCommand,
} from '@aws-sdk/client-sagemaker';
import { ApiClient, describeResponse } from './api-client';
import { executionsOf, failureOf, followExecution, newExecution } from './executions';
import { RunContext } from './run-context';
import { StepRunner, poll } from './step-runner';
import { TrainingResult } from './training';
import { Part, groupOf } from '../app/app-parts';
import { RehearsalError } from '../command/errors';

export interface RegisteredModel {
  readonly arn: string;
  readonly version: number;
  readonly group: string;
  readonly status: string;
  /** Images of its containers, in the order in which a request passes them. */
  readonly images: readonly string[];
}

/** Waits for the version in the registry and in its catalog. */
export async function findRegistered(runner: StepRunner, context: RunContext, trained: TrainingResult): Promise<RegisteredModel> {
  const { aws, parts, api } = context;
  return runner.run('registration', async (step) => {
    const group = groupOf(parts);
    const ModelPackageName = trained.modelPackageArn ?? (group && await newest(aws.sageMaker, group));
    if (!ModelPackageName) {
      throw new RehearsalError(`the pipeline succeeded, but registered no model${group ? ` in ${group}` : ''}`);
    }
    const model = await aws.sageMaker.send(new DescribeModelPackageCommand({ ModelPackageName }));
    const found = {
      arn: ModelPackageName,
      version: model.ModelPackageVersion ?? 0,
      group: model.ModelPackageGroupName ?? group ?? '',
      status: model.ModelApprovalStatus ?? '',
      images: (model.InferenceSpecification?.Containers ?? []).flatMap(({ Image }) => Image ?? []),
    };
    const path = api?.pathOf('GET /models', group);
    if (api && path) {
      await poll(step.signal, async () => (await listed(api, path)).some(({ version }) => version === found.version) || undefined, {
        within: 30_000, otherwise: () => `version ${found.version} is registered, but GET /models did not list it within 30 s: did the event reach the catalog?`,
      });
    }
    step.summary(`${found.group} version ${found.version}, ${found.status}`);
    return found;
  });
}

async function newest(client: SageMakerClient, ModelPackageGroupName: string): Promise<string | undefined> {
  const { ModelPackageSummaryList = [] } = await client.send(new ListModelPackagesCommand({
    ModelPackageGroupName, SortBy: 'CreationTime', SortOrder: 'Descending', MaxResults: 1,
  }));
  return ModelPackageSummaryList[0]?.ModelPackageArn;
}

interface ListedModel {
  readonly version: number;
  readonly status: string;
  readonly serving?: boolean;
}

/** The models that GET /models lists. */
export async function listed(api: ApiClient, path: string): Promise<readonly ListedModel[]> {
  const answer = await api.get(path);
  if (answer.status !== 200) {
    throw new RehearsalError(`GET /models answered ${describeResponse(answer)}`);
  }
  return (answer.body as { models?: ListedModel[] }).models ?? [];
}

/** Approves the version as users do: through the API, or in the registry where the app has no API. */
export async function approve(runner: StepRunner, context: RunContext, model: RegisteredModel): Promise<void> {
  const { aws, api } = context;
  const { group, version } = model;
  const path = api?.pathOf('POST /models/{group}/versions/{version}/approval', group, { group, version });
  await runner.run('approval', async (step) => {
    if (api && path) {
      const answer = await api.post(path, { status: 'Approved', comment: 'approved in a rehearsal' });
      if (answer.status !== 200) {
        throw new RehearsalError(`POST ${path} answered ${describeResponse(answer)}`);
      }
    } else {
      await aws.sageMaker.send(new UpdateModelPackageCommand({ ModelPackageArn: model.arn, ModelApprovalStatus: 'Approved' }));
    }
    const { ModelApprovalStatus } = await aws.sageMaker.send(new DescribeModelPackageCommand({ ModelPackageName: model.arn }));
    if (ModelApprovalStatus !== 'Approved') {
      throw new RehearsalError(`the approval was accepted, but version ${model.version} is ${ModelApprovalStatus} in the registry`);
    }
    step.summary(`version ${model.version} approved ${path ? 'through the API' : 'in the registry (the app has no API for it)'}`);
  });
}

/** Waits for the deploy workflow, which the approval starts, and for the endpoint. */
export async function awaitEndpoint(
  runner: StepRunner, context: RunContext, endpoint: Part<'cdk-mlops:inference-endpoint'>, model: RegisteredModel, before: readonly string[],
): Promise<string> {
  const { aws } = context;
  const { stateMachineArn, endpointName: EndpointName } = endpoint.facts;
  return runner.run('endpoint', async (step) => {
    const arn = await newExecution(aws.stepFunctions, step, stateMachineArn, before, 'does the approval event reach the deploy workflow?');
    const execution = await followExecution(aws.stepFunctions, step, arn);
    if (execution.status !== 'SUCCEEDED') {
      throw new RehearsalError(`${await failureOf(aws.stepFunctions, execution)}; the model's images are ${model.images.join(' and ')}`);
    }
    const serving = await aws.sageMaker.send(new DescribeEndpointCommand({ EndpointName }));
    if (serving.EndpointStatus !== 'InService') {
      throw new RehearsalError(`the deploy workflow succeeded, but endpoint ${EndpointName} is ${serving.EndpointStatus}: ${serving.FailureReason ?? 'no reason given'}`);
    }
    const instances = (serving.ProductionVariants ?? []).reduce((sum, variant) => sum + (variant.CurrentInstanceCount ?? 0), 0);
    step.summary(`${EndpointName} in service with version ${model.version}${instances ? `, instances: ${instances}` : ''}`);
    return EndpointName;
  });
}

/** Executions of the deploy workflow before the approval. */
export async function deploymentsSoFar({ aws }: RunContext, endpoint: Part<'cdk-mlops:inference-endpoint'>): Promise<string[]> {
  return executionsOf(aws.stepFunctions, endpoint.facts.stateMachineArn);
}
