import { App, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Column, CommonProps, DataPipeline, DatasetSchema, InferenceEndpoint, ModelApproval, ModelRegistry, StageProfile } from '../src';

const schema = DatasetSchema.of('shells', [Column.numeric('length'), Column.target('rings')]);

/** The constructs of a platform, with what all of them take. */
function platform(stack: Stack, props: CommonProps = {}, single: { removalPolicy?: RemovalPolicy } = {}) {
  const registry = new ModelRegistry(stack, 'Models', { ...props, ...single });
  const data = new DataPipeline(stack, 'Data', { schema, ...props, ...single });
  const endpoint = new InferenceEndpoint(stack, 'Endpoint', { schema, registry, ...props });
  return { registry, data, endpoint };
}

function synth(props?: CommonProps, single?: { removalPolicy?: RemovalPolicy }): Template {
  const stack = new Stack(new App(), 'Stack');
  platform(stack, props, single);
  return Template.fromStack(stack);
}

describe('StageProfile', () => {
  /** How the logs of a template end, how what rests in it ends, and how many instances of which type serve. */
  const outcome = (template: Template) => ({
    logs: new Set(Object.values(template.findResources('AWS::Logs::LogGroup')).map(({ Properties }) => Properties.RetentionInDays)),
    rests: new Set(['AWS::S3::Bucket', 'AWS::DynamoDB::GlobalTable', 'AWS::SageMaker::ModelPackageGroup']
      .flatMap((type) => Object.values(template.findResources(type))).map(({ DeletionPolicy }) => DeletionPolicy)),
    capacity: /\\"capacity\\":\{\\"S\\":\\"([^\\]+)/.exec(JSON.stringify(template.findResources('AWS::StepFunctions::StateMachine')))?.[1],
  });

  test.each([
    ['dev', StageProfile.dev(), 30, 'Delete', '1 ml.c5.large'],
    ['staging', StageProfile.staging(), 90, 'Delete', '1 ml.m5.large'],
    ['prod', StageProfile.prod(), 365, 'Retain', '2-4 ml.m5.large @1000/60/300'],
    ['none', undefined, 90, 'Retain', '1 ml.c5.large'],
    ['a team\'s own', StageProfile.of({ removalPolicy: RemovalPolicy.DESTROY }), 90, 'Delete', '1 ml.c5.large'],
  ])('%s decides logs, removal and capacity of all constructs', (_, profile, days, deletion, capacity) => {
    expect(outcome(synth({ profile }))).toEqual({ logs: new Set([days]), rests: new Set([deletion]), capacity });
  });

  test('each single prop comes before it', () => {
    const template = synth({ profile: StageProfile.prod(), logRetention: logs.RetentionDays.TEN_YEARS }, { removalPolicy: RemovalPolicy.DESTROY });
    expect(outcome(template)).toMatchObject({ logs: new Set([3653]), rests: new Set(['Delete']) });
  });

  test('models are approved by people, unless a team wants otherwise', () => {
    expect([StageProfile.dev(), StageProfile.staging(), StageProfile.prod(), StageProfile.of()].map(({ modelApproval }) => modelApproval))
      .toEqual(Array(4).fill(ModelApproval.MANUAL));
    expect(StageProfile.of({ modelApproval: ModelApproval.AUTOMATIC }).modelApproval).toBe('Approved');
  });
});
