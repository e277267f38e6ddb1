import * as fs from 'fs';
import * as path from 'path';
import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import * as fc from 'fast-check';
import { statements } from './statements';
import { folderWithFiles, jsonAsset } from '../src/shared/assets';
import { Problems, nearest, suggestion } from '../src/shared/validation';
import { permit, ServiceTask, ServiceTaskProps } from '../src/shared/workflow/service-task';
import { APPLICATION_AUTO_SCALING, GLUE_JOBS, SAGEMAKER } from '../src/shared/workflow/services';

describe('Problems', () => {
  test('says nothing while all is well', () => {
    const problems = new Problems('Column "height"');
    problems.check(true, () => 'never said');
    expect(() => problems.throwIfAny()).not.toThrow();
  });

  test('tells all problems in one error that begins with the subject', () => {
    const problems = new Problems('Column "height"');
    problems.check(false, () => 'min 3 is above max 2');
    problems.check(false, () => 'perUnit must be above 0, got -1');
    expect(() => problems.throwIfAny()).toThrow('Column "height": min 3 is above max 2; perUnit must be above 0, got -1');
  });
});

describe('nearest', () => {
  const names = ['length', 'height', 'whole_weight', 'rings'];

  test.each([['lenght', 'length'], ['Height', 'height'], ['whole weight', 'whole_weight'], ['ring', 'rings']])('%s is a slip of %s', (slip, right) => {
    expect(nearest(slip, names)).toBe(right);
  });

  test('a name that is far from all is not a slip, and the suggestion lists them', () => {
    expect(nearest('temperature', names)).toBeUndefined();
    expect(suggestion('temperature', names)).toBe('known are "length", "height", "whole_weight", "rings"');
    expect(suggestion('temperature', [])).toBe('known are none');
  });

  test('every name is nearest to itself', () => {
    fc.assert(fc.property(fc.uniqueArray(fc.string({ minLength: 1, maxLength: 12 }).map((s) => s.toLowerCase()), { minLength: 1 }), (candidates) => {
      for (const name of candidates) {
        expect(nearest(name, candidates)).toBe(name);
      }
    }));
  });
});

describe('generated assets', () => {
  test('equal content is one file, other content another', () => {
    const app = new App();
    const stack = new Stack(app, 'Stack');
    const one = jsonAsset(stack, 'One', { a: 1 });
    const same = jsonAsset(stack, 'Same', { a: 1 });
    const other = jsonAsset(stack, 'Other', { a: 2 });
    expect(same.assetHash).toBe(one.assetHash);
    expect(other.assetHash).not.toBe(one.assetHash);
  });

  test('a folder is copied with further files, and the original stays as it was', () => {
    const app = new App();
    const stack = new Stack(app, 'Stack');
    const folder = path.join(__dirname, '..', 'src', 'shared');
    const before = fs.readdirSync(folder);
    const copy = folderWithFiles(stack, folder, { 'schema.json': '{}' });
    expect(fs.readdirSync(copy).sort()).toEqual([...before, 'schema.json'].sort());
    expect(fs.readdirSync(folder)).toEqual(before);
  });
});

describe('ServiceTask', () => {
  const RESOURCE = 'arn:aws:x:eu-west-1:111122223333:y/z';

  function build(props: (stack: Stack) => ServiceTaskProps) {
    const stack = new Stack(new App(), 'Stack');
    const definitionBody = sfn.DefinitionBody.fromChainable(new ServiceTask(stack, 'Task', props(stack)));
    new sfn.StateMachine(stack, 'Machine', { queryLanguage: sfn.QueryLanguage.JSONATA, definitionBody });
    const template = Template.fromStack(stack);
    const [machine] = Object.values(template.findResources('AWS::StepFunctions::StateMachine'));
    const [, parts] = machine.Properties.DefinitionString['Fn::Join'] as [string, (string | object)[]];
    const definition = JSON.parse(parts.map((part) => typeof part === 'string' ? part : '<token>').join(''));
    return { task: definition.States.Task, statements: statements(template, /^MachineRole/) };
  }

  test('is permitted its one action, by the name that IAM knows, under its conditions', () => {
    const conditions = { StringEquals: { 'application-autoscaling:service-namespace': 'sagemaker' } };
    const made = build(() => ({
      service: APPLICATION_AUTO_SCALING, action: 'registerScalableTarget', parameters: { MinCapacity: 1 }, resources: [RESOURCE], conditions,
    }));
    expect(made.task).toMatchObject({
      Resource: 'arn:<token>:states:::aws-sdk:applicationautoscaling:registerScalableTarget', Arguments: { MinCapacity: 1 }, Output: '{% $states.input %}',
    });
    expect(made.task.Retry).toMatchObject([{ ErrorEquals: [...APPLICATION_AUTO_SCALING.transientErrors, 'States.Timeout'], JitterStrategy: 'FULL' }]);
    expect(made.statements).toEqual([{
      Effect: 'Allow', Action: 'application-autoscaling:RegisterScalableTarget', Resource: RESOURCE, Condition: conditions,
    }]);
  });

  test('is permitted what the service asks for besides: a role to pass, tags, further actions', () => {
    const made = build((stack) => ({
      service: SAGEMAKER,
      action: 'createModel',
      parameters: {},
      resources: [RESOURCE],
      passRole: { role: iam.Role.fromRoleArn(stack, 'Role', 'arn:aws:iam::111122223333:role/mine'), service: 'sagemaker.amazonaws.com' },
      tags: { resourceType: 'AWS::SageMaker::Model', resources: [RESOURCE] },
      alsoPermits: [permit(['ecr:BatchGetImage'], [RESOURCE])],
    }));
    expect(made.statements).toEqual([
      { Effect: 'Allow', Action: 'sagemaker:CreateModel', Resource: RESOURCE },
      {
        Effect: 'Allow',
        Action: 'iam:PassRole',
        Resource: 'arn:aws:iam::111122223333:role/mine',
        Condition: { StringEquals: { 'iam:PassedToService': 'sagemaker.amazonaws.com' } },
      },
      { Effect: 'Allow', Action: 'sagemaker:AddTags', Resource: RESOURCE },
      { Effect: 'Allow', Action: 'ecr:BatchGetImage', Resource: RESOURCE },
    ]);
  });

  test('waits for a job where asked to, and tries nothing again where asked not to', () => {
    const { task } = build(() => ({ service: GLUE_JOBS, action: 'startJobRun', waitsForJob: true, parameters: {}, resources: [RESOURCE], retry: false }));
    expect(task.Resource).toBe('arn:<token>:states:::glue:startJobRun.sync');
    expect(task.Retry).toBeUndefined();
  });
});
