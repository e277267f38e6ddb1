import * as path from 'path';
import { DeleteRolePolicyCommand, GetRolePolicyCommand, IAMClient, ListRolePoliciesCommand, PutRolePolicyCommand } from '@aws-sdk/client-iam';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import {
  DescribePipelineCommand, DescribePipelineExecutionCommand, ListPipelineExecutionStepsCommand, PipelineExecutionStep,
  SendPipelineExecutionStepSuccessCommand, StartPipelineExecutionCommand,
} from '@aws-sdk/client-sagemaker';
import { DeleteMessageCommand, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { deploy, Deployed, outputsOf, ROOT } from '../rehearsal/command';

interface Ended {
  readonly status: string;
  /** Why it failed, of the execution and of its steps. */
  readonly reason: string;
}

interface Policy {
  readonly Version: string;
  readonly Statement: readonly { readonly Action: string | string[] }[];
}

/** Grants of which each must be there: whose (`pipeline`, `jobs`, `own`: the role of the steps of JSON) and the action. */
const CASES: { readonly [pipeline: string]: readonly (readonly [role: string, action: string])[] } = {
  PlainBucket: [
    ['jobs', 's3:GetObject'], ['jobs', 's3:ListBucket'], ['jobs', 's3:PutObject'], ['jobs', 'ecr:BatchGetImage'], ['pipeline', 's3:GetObject'],
    ['pipeline', 'iam:PassRole'], ['pipeline', 'sagemaker:CreateProcessingJob'],
  ],
  EncryptedBucket: [['jobs', 's3:GetObject'], ['jobs', 'kms:Decrypt'], ['jobs', 'kms:GenerateDataKey*'], ['pipeline', 's3:GetObject'], ['pipeline', 'kms:Decrypt']],
  OwnImage: [['jobs', 'ecr:BatchGetImage'], ['jobs', 'ecr:GetDownloadUrlForLayer'], ['jobs', 'ecr:GetAuthorizationToken']],
  OtherRegistry: [['pipeline', 'sagemaker:CreateModelPackage']],
  Function: [['pipeline', 'lambda:InvokeFunction']],
  Callback: [['pipeline', 'sqs:SendMessage'], ['pipeline', 'kms:GenerateDataKey*']],
  ModelAndTransform: [
    ['pipeline', 'sagemaker:CreateModel'], ['pipeline', 'sagemaker:CreateTransformJob'], ['pipeline', 'iam:PassRole'], ['own', 's3:GetObject'],
    ['own', 's3:PutObject'], ['own', 'ecr:BatchGetImage'],
  ],
  Tuning: [['pipeline', 'sagemaker:CreateHyperParameterTuningJob'], ['pipeline', 'iam:PassRole'], ['own', 's3:GetObject'], ['own', 's3:PutObject']],
  RoleOfParameter: [['pipeline', 'iam:PassRole'], ['own', 's3:GetObject'], ['own', 's3:PutObject']],
};

describe('permission follows the reference', () => {
  let deployed: Deployed;
  let outputs: Record<string, string>;
  let iam: IAMClient;
  let sqs: SQSClient;

  beforeAll(async () => {
    process.env.CDK_MLOPS_STAND_INS = JSON.stringify({ 'team/prepare': 'sagemaker-scikit-learn' });
    deployed = await deploy('permissions', path.join(ROOT, 'test', 'apps', 'permissions'));
    const { aws } = deployed.context;
    iam = new IAMClient(aws.options);
    sqs = new SQSClient(aws.options);
    outputs = await outputsOf(aws, 'Permissions');
    const rows = Array.from({ length: 20 }, (_, index) => `${2 * index},${index}`).join('\n');
    for (const [Bucket, Key, Body] of [
      [outputs.PlainName, 'in/report.json', '{"value": 1}'], [outputs.EncryptedName, 'in/report.json', '{"value": 1}'],
      [outputs.PlainName, 'train/train.csv', rows], [outputs.PlainName, 'features/rows.csv', '1\n2\n3'],
    ]) {
      await aws.s3.send(new PutObjectCommand({ Bucket, Key, Body }));
    }
  });

  afterAll(async () => {
    delete process.env.CDK_MLOPS_STAND_INS;
    [iam, sqs].forEach((client) => client?.destroy());
    await deployed?.end();
  });

  test.each(Object.keys(CASES))('%s: deployed as it is, its pipeline succeeds', async (pipeline) => {
    expect(await run(pipeline)).toEqual({ status: 'Succeeded', reason: '' });
  });

  test.each(Object.entries(CASES).flatMap(([pipeline, grants]) => grants.map(([role, action]) => [pipeline, role, action] as const)))(
    '%s: without the permission of the role "%s" for %s it fails, and says so', async (pipeline, role, action) => {
      const roleName = await nameOf(pipeline, role);
      const restore = await take(roleName, action);
      try {
        const { status, reason } = await run(pipeline);
        expect(status).toBe('Failed');
        expect(reason).toContain(action.replace('*', ''));
        expect(reason).toContain(roleName);
      } finally {
        await restore();
      }
    },
  );

  /** Runs a pipeline to its end; answers the message of a callback step as its receiver would. */
  async function run(pipeline: string): Promise<Ended> {
    const { aws: { sageMaker } } = deployed.context;
    const { PipelineExecutionArn } = await sageMaker.send(new StartPipelineExecutionCommand({
      PipelineName: outputs[`${pipeline}Name`],
      PipelineParameters: pipeline === 'RoleOfParameter' ? [{ Name: 'Role', Value: outputs.OwnRoleArn }] : [],
    }));
    for (;;) {
      const { PipelineExecutionStatus: status = '', FailureReason = '' } = await sageMaker.send(new DescribePipelineExecutionCommand({ PipelineExecutionArn }));
      if (!['Executing', 'Stopping'].includes(status)) {
        const { PipelineExecutionSteps = [] } = await sageMaker.send(new ListPipelineExecutionStepsCommand({ PipelineExecutionArn }));
        const reasons = PipelineExecutionSteps.map((step: PipelineExecutionStep) => step.FailureReason ?? '').filter(Boolean);
        return { status, reason: status === 'Succeeded' ? '' : [FailureReason, ...reasons].join('\n') };
      }
      if (pipeline === 'Callback') {
        await answer();
      }
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
  }

  async function answer(): Promise<void> {
    const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl: outputs.QueueUrl }));
    for (const { Body, ReceiptHandle } of Messages) {
      const { token } = JSON.parse(Body!) as { token: string };
      await deployed.context.aws.sageMaker.send(new SendPipelineExecutionStepSuccessCommand({ CallbackToken: token }));
      await sqs.send(new DeleteMessageCommand({ QueueUrl: outputs.QueueUrl, ReceiptHandle }));
    }
  }

  async function nameOf(pipeline: string, role: string): Promise<string> {
    if (role === 'own') {
      return outputs.OwnRoleArn.split('/').pop()!;
    }
    const { RoleArn, PipelineDefinition } = await deployed.context.aws.sageMaker.send(new DescribePipelineCommand({ PipelineName: outputs[`${pipeline}Name`] }));
    const arns = role === 'pipeline' ? [RoleArn!] : [...PipelineDefinition!.matchAll(/"RoleArn":\s*"([^"]+)"/g)].map(([, arn]) => arn);
    return arns[0].split('/').pop()!;
  }

  /** Takes an action out of the inline policies of a role. Gives what puts it back. */
  async function take(RoleName: string, action: string): Promise<() => Promise<void>> {
    const { PolicyNames = [] } = await iam.send(new ListRolePoliciesCommand({ RoleName }));
    const before: [string, string][] = [];
    let taken = 0;
    for (const PolicyName of PolicyNames) {
      const { PolicyDocument } = await iam.send(new GetRolePolicyCommand({ RoleName, PolicyName }));
      const text = decodeURIComponent(PolicyDocument!);
      const policy = JSON.parse(text) as Policy;
      const statements = policy.Statement.map((statement) => {
        const actions = [statement.Action].flat();
        const kept = actions.filter((each) => each !== action);
        taken += actions.length - kept.length;
        return { ...statement, Action: kept };
      }).filter((statement) => statement.Action.length > 0);
      before.push([PolicyName, text]);
      if (statements.length > 0) {
        await iam.send(new PutRolePolicyCommand({ RoleName, PolicyName, PolicyDocument: JSON.stringify({ ...policy, Statement: statements }) }));
      } else {
        await iam.send(new DeleteRolePolicyCommand({ RoleName, PolicyName }));
      }
    }
    expect(taken).toBeGreaterThan(0);
    return async () => {
      for (const [PolicyName, PolicyDocument] of before) {
        await iam.send(new PutRolePolicyCommand({ RoleName, PolicyName, PolicyDocument }));
      }
    };
  }
});
