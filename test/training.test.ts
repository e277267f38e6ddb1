import * as fs from 'fs';
import * as path from 'path';
import { App, Duration, Lazy, Stack } from 'aws-cdk-lib';
import { Annotations, Capture, Match, Template } from 'aws-cdk-lib/assertions';
import { TableV2 } from 'aws-cdk-lib/aws-dynamodb';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { Column, DatasetSchema } from '../src/data';
import { ContainerImage, S3Location, ScikitLearnVersion, XgboostVersion } from '../src/references';
import { IModelRegistry, ModelRegistry } from '../src/registry';
import { IMAGE_ACCOUNTS } from '../src/shared/container-images';
import { CHEAPEST_EVERYWHERE, hasLocalStorage, isGraviton, missingInstanceType } from '../src/shared/instance-types';
import {
  Algorithm, AlgorithmConfig, CallbackStep, ConditionStep, ExecutionVariable, FailStep, HyperParameter, LambdaStep, ModelLoader, ModelMetric,
  PipelineCondition, PipelineDefinition, PipelineFn, PipelineParameter, PipelineStep, ProcessingStep, ProcessingStepProps, QualityGate,
  RegisterModelStep, RetryReason, TrainingPipeline,
  TrainingPipelineProps, TrainingStep,
} from '../src/training';
import { StepContext } from '../src/training/step-context';

const REGRESSION = DatasetSchema.of('animals', [
  Column.categorical('sex', { values: ['F', 'I', 'M'] }),
  Column.numeric('length', { min: 0 }),
  Column.target('rings', { min: 1, max: 40 }),
]);
const BINARY = DatasetSchema.of('churn', [Column.numeric('age'), Column.target('left', { values: ['no', 'yes'] })]);
const MULTICLASS = DatasetSchema.of('iris', [Column.numeric('width'), Column.target('species', { values: ['a', 'b', 'c'] })]);

const ROLE = 'arn:aws:iam::111122223333:role/jobs';
const SKLEARN = '683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3';
const XGBOOST = '683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1';

// eslint-disable-next-line @typescript-eslint/no-explicit-any
type Loose = any;

function rendered(definition: PipelineDefinition): Loose {
  const stack = new Stack();
  return stack.resolve(definition._render(new StepContext(stack, { role: iam.Role.fromRoleArn(stack, 'Jobs', ROLE) })));
}

function step(name: string, props: Partial<ProcessingStepProps> = {}): ProcessingStep {
  return new ProcessingStep({ name, image: uriImage(SKLEARN), instanceType: 'ml.t3.medium', retries: [], ...props });
}

function define(steps: PipelineStep[], parameters: PipelineParameter[] = []): PipelineDefinition {
  return new PipelineDefinition({ steps, parameters });
}

const fail = (name: string, message = 'no') => new FailStep({ name, message });
const at = (uri: string) => S3Location.fromUri(uri);
const uriImage = (uri: string) => ContainerImage.fromUri(uri);
const output = (name: string) => ({ name, destination: at(`s3://bucket/${name}`) });

describe('a definition compared with what the official SDK 2.257.1 writes', () => {
  const golden = (name: string) => JSON.parse(fs.readFileSync(path.join(__dirname, 'golden', `${name}.json`), 'utf8'));

  /** Where the SDK says what is the default anyway, or names steps in its own way; version 3 of it does so no more. */
  function simplified(value: Loose): Loose {
    if (Array.isArray(value)) {
      return value.map(simplified);
    }
    if (value === null || typeof value !== 'object') {
      return value;
    }
    return Object.fromEntries(Object.entries(value)
      // AppManaged false, SkipModelValidation "None" and empty metrics are defaults; profiling is off unless asked for.
      .filter(([key, item]) => !['AppManaged', 'SkipModelValidation', 'ProfilerConfig'].includes(key)
        && !(['Bias', 'Explainability'].includes(key) && Object.keys(item as object).length === 0))
      .map(([key, item]) => [key, item === 'Register-RegisterModel' ? 'Register' : simplified(item)]));
  }

  function trainingDefinition(): PipelineDefinition {
    const place = (where: string) => at(`s3://bucket/animals/${ExecutionVariable.PIPELINE_EXECUTION_ID}/${where}`);
    const data = PipelineParameter.ofString('InputData');
    const manifest = PipelineParameter.ofString('ManifestId');
    const instance = PipelineParameter.ofString('ProcessingInstanceType', { defaultValue: 'ml.t3.medium' });
    const approval = PipelineParameter.ofString('ModelApprovalStatus', {
      defaultValue: 'PendingManualApproval', allowedValues: ['PendingManualApproval', 'Approved'],
    });
    const depth = PipelineParameter.ofInteger('MaxDepth', { defaultValue: 5 });
    const eta = PipelineParameter.ofFloat('Eta', { defaultValue: 0.2 });
    const limit = PipelineParameter.ofFloat('MseThreshold', { defaultValue: 6 });
    const entrypoint = (command: string) => ['python3', '/opt/ml/processing/input/code/scripts.zip', command];
    const preprocess = step('Preprocess', {
      displayName: 'Prepare',
      instanceType: instance.valueAsString,
      entrypoint: entrypoint('preprocess'),
      containerArguments: ['--input', '/opt/ml/processing/input/data'],
      inputs: [{ name: 'data', source: at(data.valueAsString) }, { name: 'code', source: at('s3://assets/scripts.zip') }],
      outputs: ['train', 'validation', 'test', 'preprocessor'].map((name) => ({ name, destination: place(`Preprocess/${name}`) })),
      cacheFor: Duration.days(30),
      retries: [
        { reasons: [RetryReason.SERVICE_FAULT, RetryReason.THROTTLING], interval: Duration.seconds(5), maxAttempts: 5 },
        {
          reasons: [RetryReason.JOB_INTERNAL_ERROR, RetryReason.CAPACITY_ERROR],
          interval: Duration.minutes(1),
          expireAfter: Duration.minutes(30),
        },
      ],
    });
    const train = new TrainingStep({
      name: 'Train',
      image: uriImage(XGBOOST),
      instanceType: 'ml.m4.xlarge',
      outputPath: place('Train'),
      spotMaxWait: Duration.hours(2),
      channels: ['train', 'validation'].map((name) => ({ name, source: preprocess.output(name), contentType: 'text/csv' })),
      hyperParameters: { objective: 'reg:squarederror', max_depth: depth.valueAsString, eta: eta.valueAsString, num_round: '50' },
      retries: [],
    });
    const evaluate = step('Evaluate', {
      description: 'Measure',
      image: uriImage(XGBOOST),
      instanceType: instance.valueAsString,
      entrypoint: entrypoint('evaluate'),
      inputs: [{ name: 'model', source: train.modelArtifacts }, { name: 'test', source: preprocess.output('test') }],
      outputs: [{ name: 'evaluation', destination: place('Evaluate/evaluation') }],
      propertyFiles: [{ name: 'EvaluationReport', output: 'evaluation', path: 'evaluation.json' }],
    });
    const register = new RegisterModelStep({
      name: 'Register',
      registry: registryIn(new Stack()),
      approvalStatus: approval.valueAsString,
      containers: [
        {
          image: uriImage(SKLEARN),
          modelData: preprocess.output('preprocessor').at('model.tar.gz'),
          environment: { SAGEMAKER_PROGRAM: 'inference.py', SAGEMAKER_SUBMIT_DIRECTORY: '/opt/ml/model/code' },
        },
        { image: uriImage(XGBOOST), modelData: train.modelArtifacts },
      ],
      inferenceInstances: ['ml.m5.large'],
      transformInstances: ['ml.m5.large'],
      modelQuality: evaluate.output('evaluation').at('evaluation.json'),
      metadata: { ManifestId: manifest.valueAsString, PipelineExecutionArn: ExecutionVariable.PIPELINE_EXECUTION_ARN },
      retries: [],
    });
    const mse = 'regression_metrics.mse.value';
    const gate = new ConditionStep({
      name: 'Gate',
      conditions: [PipelineCondition.lessThanOrEqualTo(evaluate.jsonNumber('EvaluationReport', mse), limit.valueAsNumber)],
      ifSteps: [register],
      elseSteps: [fail('Reject', `mse ${evaluate.jsonString('EvaluationReport', mse)} > ${limit.valueAsString}`)],
    });
    return define([preprocess, train, evaluate, gate], [data, manifest, instance, approval, depth, eta, limit]);
  }

  test('the forms that the training pipeline uses are the same', () => {
    expect(rendered(trainingDefinition())).toEqual(simplified(golden('training')));
  });

  test('keys of steps come in the same order', () => {
    const keys = (definition: Loose) => definition.Steps.map((found: object) => Object.keys(found));
    expect(keys(rendered(trainingDefinition()))).toEqual(keys(golden('training')));
  });

  test('functions, conditions and parameter types are the same', () => {
    const text = PipelineParameter.ofString('Text');
    const empty = PipelineParameter.ofString('Empty', { defaultValue: '' });
    const whole = PipelineParameter.ofInteger('Whole', { defaultValue: 0 });
    const real = PipelineParameter.ofFloat('Real', { defaultValue: 0.5 });
    const flag = PipelineParameter.ofBoolean('Flag', { defaultValue: false });
    const nested = PipelineFn.join('-', ['a', text.valueAsString]);
    const first = fail('First', PipelineFn.join(', ', [text.valueAsString, whole.valueAsString, ExecutionVariable.START_DATE_TIME, nested]));
    const inner = new ConditionStep({
      name: 'Inner',
      conditions: [
        PipelineCondition.negate(PipelineCondition.stringEquals(text.valueAsString, 'a')),
        PipelineCondition.anyOf(
          PipelineCondition.greaterThan(whole.valueAsNumber, 3),
          PipelineCondition.lessThan(real.valueAsNumber, whole.valueAsNumber),
        ),
      ],
      ifSteps: [fail('Third', 'stop')],
    });
    const outer = new ConditionStep({
      name: 'Outer',
      dependsOn: [first],
      conditions: [
        PipelineCondition.isIn(text.valueAsString, ['a', 'b']),
        PipelineCondition.isTrue(flag),
        PipelineCondition.numberEquals(whole.valueAsNumber, 2),
        PipelineCondition.greaterThanOrEqualTo(real.valueAsNumber, 0.25),
      ],
      ifSteps: [inner],
      elseSteps: [fail('Second', text.valueAsString)],
    });
    expect(rendered(define([first, outer], [text, empty, whole, real, flag]))).toEqual(golden('values'));
  });

  test('what the SDK wrote is taken as it is', () => {
    const file = path.join(__dirname, 'golden', 'training.json');
    expect(rendered(PipelineDefinition.fromFile(file))).toEqual(golden('training'));
  });
});

describe('references', () => {
  test('join with literals and with CDK tokens in one string', () => {
    const stack = new Stack();
    const bucket = new Bucket(stack, 'Bucket');
    const prefix = PipelineParameter.ofString('Prefix');
    const definition = define([step('P', {
      outputs: [{ name: 'o', destination: S3Location.fromBucket(bucket, `x/${prefix.valueAsString}/${ExecutionVariable.PIPELINE_EXECUTION_ID}`) }],
    })], [prefix]);
    const body = stack.resolve(stack.toJsonString(definition._render(new StepContext(stack))));
    const whole = body['Fn::Join'][1].map((part: Loose) => (typeof part === 'string' ? part : 'BUCKET')).join('');
    expect(JSON.parse(whole).Steps[0].Arguments.ProcessingOutputConfig.Outputs[0].S3Output.S3Uri).toEqual({
      'Std:Join': { On: '', Values: ['s3://BUCKET/x/', { Get: 'Parameters.Prefix' }, '/', { Get: 'Execution.PipelineExecutionId' }] },
    });
  });

  test('stand for numbers where numbers are asked for', () => {
    const count = PipelineParameter.ofInteger('Count', { defaultValue: 2 });
    const body = rendered(define([step('P', { instanceCount: count.valueAsNumber })], [count]));
    expect(body.Steps[0].Arguments.ProcessingResources.ClusterConfig.InstanceCount).toEqual({ Get: 'Parameters.Count' });
  });

  test('are found where JavaScript printed a number of the run into a string', () => {
    const count = PipelineParameter.ofInteger('Count');
    expect(rendered(define([fail('F', `${count.valueAsNumber} rows`)], [count])).Steps[0].Arguments.ErrorMessage).toEqual({
      'Std:Join': { On: '', Values: [{ Get: 'Parameters.Count' }, ' rows'] },
    });
  });

  test('read JSON on S3', () => {
    const uri = PipelineParameter.ofString('Uri');
    const condition = PipelineCondition.lessThan(PipelineFn.jsonNumberAt(`${uri.valueAsString}/x.json`, 'a.b'), 1);
    const body = rendered(define([new ConditionStep({ name: 'C', conditions: [condition], ifSteps: [fail('F')] })], [uri]));
    expect(body.Steps[0].Arguments.Conditions[0].LeftValue).toEqual({
      'Std:JsonGet': { S3Uri: { 'Std:Join': { On: '', Values: [{ Get: 'Parameters.Uri' }, '/x.json'] } }, Path: 'a.b' },
    });
  });

  test('fails when one is used in another resource', () => {
    const stack = new Stack();
    new lambda.CfnFunction(stack, 'Fn', { code: {}, role: PipelineParameter.ofString('InputData').valueAsString });
    expect(() => Template.fromStack(stack)).toThrow(/"Get":"Parameters.InputData".* is known to SageMaker only while the pipeline runs/);
  });

  test('fails when the number of a parameter that is none is asked for', () => {
    expect(() => PipelineParameter.ofString('A').valueAsNumber).toThrow('PipelineParameter "A" is of type String');
  });

  test('a step of any kind comes in as JSON, with references of the others', () => {
    const first = step('First', { outputs: [output('files')] });
    const emr = PipelineStep.fromJson(JSON.stringify({
      Name: 'Spark', Type: 'EMR', Arguments: { ClusterId: 'j-1', StepConfig: { HadoopJarStep: { Jar: 'x.jar', Args: [first.output('files').uri] } } },
    }));
    expect(rendered(define([emr, first])).Steps[0].Arguments.StepConfig.HadoopJarStep.Args).toEqual([
      { Get: "Steps.First.ProcessingOutputConfig.Outputs['files'].S3Output.S3Uri" },
    ]);
    expect(emr.property('ClusterId')).toBeDefined();
  });
});

describe('times of a job', () => {
  const training = (times: { maxRuntime?: Duration; spotMaxWait?: Duration }) =>
    () => new TrainingStep({ name: 'Train', image: uriImage(XGBOOST), instanceType: 'ml.m5.large', outputPath: at('s3://b/m'), ...times });

  test.each<[string, () => unknown, string]>([
    ['the wait for spot instances is shorter than the training', training({ maxRuntime: Duration.hours(2), spotMaxWait: Duration.hours(1) }),
      'TrainingStep "Train": spotMaxWait of 3600 s is shorter than maxRuntime of 7200 s, which is part of it'],
    ['it is shorter than the default of the other', training({ spotMaxWait: Duration.minutes(30) }), 'spotMaxWait of 1800 s is shorter than maxRuntime of 3600 s'],
    ['a training may take longer than SageMaker lets it', training({ maxRuntime: Duration.days(29) }), 'maxRuntime of 2505600 s must be whole seconds, at least 1 and at most 2419200'],
    ['a training may take no time', training({ maxRuntime: Duration.seconds(0) }), 'maxRuntime of 0 s'],
    ['a processing may take longer than SageMaker lets it', () => step('P', { maxRuntime: Duration.days(10) }), 'ProcessingStep "P": maxRuntime of 864000 s must be whole seconds, at least 1 and at most 777600'],
  ])('fail when %s', (_, making, message) => {
    expect(making).toThrow(message);
  });

  test('may stand at their ends', () => {
    expect(training({ maxRuntime: Duration.days(28), spotMaxWait: Duration.days(28) })).not.toThrow();
    expect(() => step('P', { maxRuntime: Duration.days(9) })).not.toThrow();
  });
});

describe('a definition fails when', () => {
  const data = PipelineParameter.ofString('InputData');
  const prepare = step('Prepare', {
    outputs: [output('train'), output('report')],
    propertyFiles: [{ name: 'Report', output: 'report', path: 'report.json' }],
  });
  const train = new TrainingStep({ name: 'Train', image: uriImage(XGBOOST), instanceType: 'ml.m5.large', outputPath: at('s3://b/m') });
  const reading = (source: S3Location | string) => step('Reader', { inputs: [{ name: 'x', source: typeof source === 'string' ? at(source) : source }] });
  const where = 'step "Reader", Arguments.ProcessingInputs[0].S3Input.S3Uri: ';

  test.each<[string, () => unknown, string]>([
    ['a parameter is not declared', () => define([reading(PipelineParameter.ofString('InputDate').valueAsString)], [data]),
      `${where}there is no parameter "InputDate"; did you mean "InputData"?`],
    ['a step is not in it', () => define([reading(prepare.output('train'))]),
      `${where}there is no step "Prepare"; known are "Reader"`],
    ['an output is not declared', () => define([prepare, reading(prepare.output('trian'))]),
      `${where}there is no output of step "Prepare" "trian"; did you mean "train"?`],
    ['a property does not exist', () => define([train, reading(train.property('ModelArtefacts.S3ModelArtifacts'))]),
      `${where}there is no property of a Training step "ModelArtefacts"; did you mean "ModelArtifacts"?`],
    ['a property file is not declared', () => define([prepare, fail('F', prepare.jsonString('Repart', 'a'))]),
      'step "F", Arguments.ErrorMessage.Std:Join.Values[0].Std:JsonGet.PropertyFile: there is no property file of step "Prepare" "Repart"; did you mean "Report"?'],
    ['a property file is read from a training step', () => define([train, fail('F', new ProcessingStep({
      name: 'Train', image: uriImage('i'), instanceType: 'ml.m5.large',
    }).jsonString('Report', 'a'))]),
    '"Train" is a Training step, and only Processing steps have property files'],
    ['a property file is in no output', () => define([step('P', {
      outputs: [output('report')], propertyFiles: [{ name: 'R', output: 'reprot', path: 'r.json' }],
    })]), 'step "P", property file "R": the step has no output "reprot"; did you mean "report"?'],
    ['two steps have one name', () => define([fail('A'), new ConditionStep({
      name: 'C', conditions: [PipelineCondition.stringEquals('a', 'b')], ifSteps: [fail('A')],
    })]), 'step "A" is declared more than once'],
    ['two parameters have one name', () => define([fail('A')], [data, data]), 'parameter "InputData" is declared more than once'],
    ['two outputs have one name', () => define([step('P', { outputs: [output('a'), output('a')] })]),
      'step "P": output "a" is declared more than once'],
    ['a step has a bad name', () => define([fail('My Step')]), 'step "My Step": a name has 1 to 64 letters, digits, hyphens and underscores'],
    ['a name is too long', () => define([fail('a'.repeat(65))]), 'a name has 1 to 64 letters'],
    ['a parameter has a bad name', () => define([fail('A')], [PipelineParameter.ofString('a b')]), 'parameter "a b": a name has'],
    ['a default is not allowed', () => define([fail('A')], [PipelineParameter.ofString('S', {
      defaultValue: 'Aproved', allowedValues: ['Approved', 'Rejected'],
    })]), 'parameter "S": its default "Aproved" is not among the allowed values; did you mean "Approved"?'],
    ['a default is of another type', () => define([fail('A')], [PipelineParameter.ofInteger('N', { defaultValue: 1.5 })]),
      'parameter "N": its default 1.5 is not a valid integer'],
    ['nothing may be chosen', () => define([fail('A')], [PipelineParameter.ofString('S', { allowedValues: [] })]),
      'parameter "S": its list of allowed values is empty'],
    ['it has no step', () => define([]), 'it has no step'],
    ['a condition step asks nothing', () => define([new ConditionStep({ name: 'C', conditions: [], ifSteps: [fail('A')] })]),
      'step "C": it has no condition to ask'],
    ['both branches are empty', () => define([new ConditionStep({ name: 'C', conditions: [PipelineCondition.stringEquals('a', 'a')] })]),
      'step "C": both of its branches are empty'],
    ['there is nothing to choose from', () => define([new ConditionStep({
      name: 'C', conditions: [PipelineCondition.negate(PipelineCondition.isIn('a', []))], ifSteps: [fail('A')],
    })]), 'step "C": a condition "In" has nothing to choose from'],
    ['a step waits for one that is not there', () => define([new FailStep({ name: 'A', message: '', dependsOn: [fail('Tarin')] }), train]),
      'step "A", DependsOn: there is no step "Tarin"; did you mean "Train"?'],
    ['a step uses its own output', () => define([reading(new ProcessingStep({
      name: 'Reader', image: uriImage('i'), instanceType: 'ml.m5.large',
    }).property('ProcessingJobArn'))]), 'step "Reader": it waits for itself'],
    ['a step waits for the other branch', () => {
      const left = step('Left', { outputs: [output('o')] });
      return define([new ConditionStep({
        name: 'C', conditions: [PipelineCondition.stringEquals('a', 'a')], ifSteps: [left], elseSteps: [reading(left.output('o'))],
      })]);
    }, `${where}"Left" is in the other branch of "C", and only one of the two runs`],
    ['a retry has two ends', () => define([step('P', {
      retries: [{ reasons: [RetryReason.THROTTLING], maxAttempts: 1, expireAfter: Duration.minutes(1) }],
    })]), 'step "P", RetryPolicies[0]: exactly one of MaxAttempts and ExpireAfterMin ends the attempts; it has 2'],
    ['a job has too many inputs', () => define([step('P', {
      inputs: Array.from({ length: 11 }, (_, index) => ({ name: `i${index}`, source: at('s3://b') })),
    })]), 'step "P": it has 11 inputs; a processing job has at most 10'],
  ])('%s', (_, build, message) => {
    expect(build).toThrow(message);
  });

  test('steps wait for each other in a circle', () => {
    const later = step('B', { outputs: [output('o')] });
    const first = step('A', { inputs: [{ name: 'x', source: later.output('o') }], outputs: [output('o')] });
    const circular = step('B', { inputs: [{ name: 'x', source: first.output('o') }], outputs: [output('o')] });
    expect(() => define([first, circular])).toThrow('steps wait for each other in a circle: "A" -> "B" -> "A"');
  });

  test('several things are wrong: all are told at once', () => {
    expect(() => define([fail('a b'), reading(data.valueAsString)])).toThrow(/step "a b".*there is no parameter "InputData"/s);
  });
});

describe('a foreign definition', () => {
  const text = (steps: object[], more: object = {}) => JSON.stringify({ Version: '2020-12-01', Parameters: [], Steps: steps, ...more });
  const job = { Name: 'P', Type: 'Processing', Arguments: { RoleArn: 'ROLE', AppSpecification: { ImageUri: 'i' } } };

  test('gets what only the stack knows', () => {
    const definition = PipelineDefinition.fromJson(text([job]), { replacements: { ROLE: Lazy.string({ produce: () => 'the role' }) } });
    expect(rendered(definition).Steps[0].Arguments.RoleArn).toBe('the role');
  });

  test('keeps its experiment', () => {
    const experiment = { ExperimentName: { Get: 'Execution.PipelineName' }, TrialName: 't' };
    expect(rendered(PipelineDefinition.fromJson(text([job], { PipelineExperimentConfig: experiment }))).PipelineExperimentConfig).toEqual(experiment);
  });

  test.each<[string, () => unknown, string]>([
    ['it is not valid JSON', () => PipelineDefinition.fromJson('{'), 'PipelineDefinition.fromJson: it is not valid JSON'],
    ['it is another document', () => PipelineDefinition.fromJson('[]'), 'a definition is an object with'],
    ['its file is not there', () => PipelineDefinition.fromFile('/nowhere.json'), 'PipelineDefinition.fromFile "/nowhere.json": there is no such file'],
    ['it is of another version', () => PipelineDefinition.fromJson(text([job], { Version: '2019-01-01' })), 'its Version is "2019-01-01"'],
    ['a replacement has no place', () => PipelineDefinition.fromJson(text([job]), { replacements: { BUCKET: 'b' } }), '"BUCKET" stands nowhere'],
    ['a reference points nowhere', () => PipelineDefinition.fromJson(text([{ ...job, Arguments: { Environment: { A: { Get: 'Parameters.A' } } } }])),
      'step "P", Arguments.Environment.A: there is no parameter "A"'],
    ['its experiment points nowhere', () => PipelineDefinition.fromJson(text([job], { PipelineExperimentConfig: { TrialName: { Get: 'Execution.Id' } } })),
      'the definition, PipelineExperimentConfig.TrialName: there is no execution variable "Id"'],
    ['its cache duration is none', () => PipelineDefinition.fromJson(text([{ ...job, CacheConfig: { Enabled: true, ExpireAfter: '30 days' } }])),
      'step "P", CacheConfig.ExpireAfter: "30 days" is not an ISO 8601 duration'],
    ['a JsonGet reads no property file', () => PipelineDefinition.fromJson(text([job, {
      Name: 'F', Type: 'Fail', Arguments: { ErrorMessage: { 'Std:JsonGet': { PropertyFile: { Get: 'Steps.P.Files.R' }, Path: 'a' } } },
    }])), '"Steps.P.Files.R" names no property file'],
    ['an output parameter is not declared', () => PipelineDefinition.fromJson(text([
      { Name: 'L', Type: 'Lambda', FunctionArn: 'arn', Arguments: {}, OutputParameters: [{ OutputName: 'status', OutputType: 'String' }] },
      { Name: 'F', Type: 'Fail', Arguments: { ErrorMessage: { Get: "Steps.L.OutputParameters['state']" } } },
    ])), 'there is no output parameter of step "L" "state"; did you mean "status"?'],
    ['a step has no type', () => PipelineDefinition.fromJson(text([{ Name: 'A' }])), 'the step must be an object with the strings "Name" and "Type"'],
  ])('fails when %s', (_, build, message) => {
    expect(build).toThrow(message);
  });

  test.each(['P30D', 'PT12H', 'P1Y2M3DT4H5M6S', 'P2W'])('takes the cache duration %s', (duration) => {
    expect(() => PipelineDefinition.fromJson(text([{ ...job, CacheConfig: { Enabled: true, ExpireAfter: duration } }]))).not.toThrow();
  });

  test.each(['P', 'PT', '30D', 'P30', 'P1H'])('refuses the cache duration %s', (duration) => {
    expect(() => PipelineDefinition.fromJson(text([{ ...job, CacheConfig: { Enabled: true, ExpireAfter: duration } }]))).toThrow('ISO 8601');
  });
});

interface Made {
  readonly stack: Stack;
  readonly template: Template;
  readonly training: TrainingPipeline;
  readonly definition: Loose;
}

const ENV = { account: '111122223333', region: 'us-east-1' };

function registryIn(stack: Stack): IModelRegistry {
  return ModelRegistry.fromModelRegistryAttributes(stack, 'Models', {
    modelPackageGroupName: 'Animals',
    bucket: Bucket.fromBucketName(stack, 'Artifacts', 'artifacts'),
    catalogTable: TableV2.fromTableName(stack, 'Catalog', 'catalog'),
  });
}

/** One pipeline in a stack whose region is known, so that its definition is plain JSON. */
function make(props: Partial<TrainingPipelineProps> = {}, more?: (training: TrainingPipeline, stack: Stack) => void): Made {
  const stack = new Stack(new App(), 'Ml', { env: ENV });
  const training = new TrainingPipeline(stack, 'Training', { schema: REGRESSION, registry: registryIn(stack), ...props });
  more?.(training, stack);
  const template = Template.fromStack(stack);
  return { stack, template, training, definition: bodyOf(template) };
}

function bodyOf(template: Template): Loose {
  const body = Object.values(template.findResources('AWS::SageMaker::Pipeline'))[0].Properties.PipelineDefinition.PipelineDefinitionBody;
  return JSON.parse(typeof body === 'string' ? body : plain(body));
}

/** References to resources of the stack become their logical ids. */
function plain(value: Loose): string {
  return value['Fn::Join'][1].map((part: Loose) => (typeof part === 'string' ? part : part['Fn::GetAtt']?.[0] ?? part.Ref?.replace('AWS::URLSuffix', 'amazonaws.com') ?? part['Fn::Sub'])).join('');
}

const named = (definition: Loose, name: string): Loose => definition.Steps.find((found: Loose) => found.Name === name);

/** Statements of the policies of the role whose logical id starts so. */
/** What a role of the training may do, or may not. */
function statements(template: Template, role: string, effect: 'Allow' | 'Deny' = 'Allow'): Loose[] {
  return Object.values(template.findResources('AWS::IAM::Policy'))
    .filter((policy) => policy.Properties.Roles.some(({ Ref }: Loose) => new RegExp(`^Training${role}[0-9A-F]{8}$`).test(Ref)))
    .flatMap((policy) => policy.Properties.PolicyDocument.Statement)
    .filter(({ Effect }: Loose) => Effect === effect);
}

function actionsOf(found: Loose[]): string[] {
  return found.flatMap(({ Action }) => Action).sort();
}

describe('the training pipeline', () => {
  const { template, definition, training } = make({
    gate: QualityGate.of(ModelMetric.mse().atMost(6)),
  }, (made, stack) => {
    made.onSucceeded('OnSucceeded');
    made.onFailed('OnFailed');
    made.grantStartPipelineExecution(new iam.Role(stack, 'Starter', { assumedBy: new iam.AccountRootPrincipal() }));
  });

  test('goes from data to a registered model or a reason', () => {
    expect(definition.Steps.map(({ Name }: Loose) => Name)).toEqual(['Preprocess', 'Train', 'Evaluate', 'Gate']);
    const { IfSteps, ElseSteps } = named(definition, 'Gate').Arguments;
    expect([...IfSteps, ...ElseSteps].map(({ Name }: Loose) => Name)).toEqual(['Register', 'Reject']);
  });

  test('can be started with other values', () => {
    expect(Object.fromEntries(definition.Parameters.map(({ Name, DefaultValue }: Loose) => [Name, DefaultValue]))).toEqual({
      InputData: undefined,
      ManifestId: undefined,
      ProcessingInstanceType: 'ml.m5.large',
      TrainingInstanceType: 'ml.m5.large',
      ModelApprovalStatus: 'PendingManualApproval',
      MaxDepth: 6,
      Eta: 0.3,
      Gamma: 0,
      MinChildWeight: 1,
      Subsample: 1,
      ColsampleBytree: 1,
      Lambda: 1,
      Alpha: 0,
      NumRound: 100,
      MseThreshold: 6,
    });
  });

  test('runs the scripts from one zip with a schema beside it', () => {
    const { AppSpecification, ProcessingInputs } = named(definition, 'Preprocess').Arguments;
    const code = ProcessingInputs.find(({ InputName }: Loose) => InputName === 'code').S3Input;
    const file = code.S3Uri.split('/').pop();
    expect(file).toMatch(/^[0-9a-f]{64}\.zip$/);
    expect(AppSpecification.ContainerEntrypoint).toEqual(['python3', `/opt/ml/processing/input/code/${file}`, 'preprocess']);
    const schema = ProcessingInputs.find(({ InputName }: Loose) => InputName === 'schema').S3Input.S3Uri.split('/').pop();
    expect(AppSpecification.ContainerArguments).toContain(`/opt/ml/processing/input/schema/${schema}`);
    expect(named(definition, 'Evaluate').Arguments.AppSpecification.ContainerArguments).toEqual(expect.arrayContaining(['--require', 'mse']));
  });

  test('trains on what was prepared, with the objective of the target', () => {
    const { InputDataConfig, HyperParameters } = named(definition, 'Train').Arguments;
    expect(InputDataConfig.map((channel: Loose) => channel.DataSource.S3DataSource.S3Uri.Get)).toEqual(
      ['train', 'validation'].map((name) => `Steps.Preprocess.ProcessingOutputConfig.Outputs['${name}'].S3Output.S3Uri`));
    expect(HyperParameters).toMatchObject({
      objective: 'reg:squarederror',
      eval_metric: 'rmse',
      max_depth: { 'Std:Join': { On: '', Values: [{ Get: 'Parameters.MaxDepth' }] } },
    });
    expect(HyperParameters.num_class).toBeUndefined();
  });

  test('each execution writes to a place of its own', () => {
    const { Outputs } = named(definition, 'Preprocess').Arguments.ProcessingOutputConfig;
    expect(Outputs[0].S3Output.S3Uri['Std:Join'].Values).toEqual([
      `s3://artifacts/Animals/${training.pipelineName}/`, { Get: 'Execution.PipelineExecutionId' }, '/Preprocess/train',
    ]);
  });

  test('registers preprocessor and model together, with metrics and lineage', () => {
    const [register] = named(definition, 'Gate').Arguments.IfSteps;
    const { InferenceSpecification, ModelMetrics, CustomerMetadataProperties, ModelPackageGroupName } = register.Arguments;
    expect(ModelPackageGroupName).toBe('Animals');
    expect(InferenceSpecification.Containers.map(({ Image }: Loose) => Image)).toEqual([SKLEARN.replace('1.2-1', '1.9-0'), XGBOOST.replace('1.7-1', '3.2-0')]);
    expect(InferenceSpecification.Containers[0].Environment).toMatchObject({
      SAGEMAKER_PROGRAM: 'inference.py',
      SAGEMAKER_SUBMIT_DIRECTORY: '/opt/ml/model/code',
      SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT: 'text/csv',
    });
    expect(ModelMetrics.ModelQuality.Statistics.S3Uri['Std:Join'].Values[1]).toBe('/evaluation.json');
    expect(CustomerMetadataProperties).toEqual({
      'ManifestId': { Get: 'Parameters.ManifestId' },
      'PipelineName': training.pipelineName,
      'PipelineExecutionArn': { Get: 'Execution.PipelineExecutionArn' },
      'Gate.mse': { 'Std:Join': { On: '', Values: ['at most ', { Get: 'Parameters.MseThreshold' }] } },
    });
  });

  test('its roles are assumed for resources of the account alone', () => {
    const trusts = Object.values(template.findResources('AWS::IAM::Role')).map(({ Properties }) => Properties.AssumeRolePolicyDocument.Statement[0])
      .filter(({ Principal }) => Principal.Service === 'sagemaker.amazonaws.com');
    expect(trusts).toHaveLength(2);
    trusts.forEach(({ Condition }) => expect(Object.keys(Condition.StringEquals)).toEqual(['aws:SourceAccount']));
  });

  test('says what was missed, and by how much', () => {
    const [reject] = named(definition, 'Gate').Arguments.ElseSteps;
    expect(reject.Arguments.ErrorMessage['Std:Join'].Values).toEqual([
      'mse ', expect.objectContaining({ 'Std:JsonGet': expect.objectContaining({ Path: 'regression_metrics.mse.value' }) }),
      ' > ', { Get: 'Parameters.MseThreshold' },
    ]);
  });

  test('comes after the policies of its roles', () => {
    template.hasResource('AWS::SageMaker::Pipeline', {
      DependsOn: Match.arrayWith([Match.stringLikeRegexp('JobRoleDefaultPolicy'), Match.stringLikeRegexp('TrainingRoleDefaultPolicy')]),
    });
  });

  test('the role of the pipeline starts jobs and registers, and reads no data but its own', () => {
    const found = statements(template, 'Role');
    expect(actionsOf(found)).toEqual([
      'iam:PassRole', 's3:GetObject', 's3:ListBucket',
      'sagemaker:AddTags', 'sagemaker:AddTags', 'sagemaker:CreateModelPackage', 'sagemaker:CreateProcessingJob', 'sagemaker:CreateTrainingJob',
      'sagemaker:DescribeModelPackage', 'sagemaker:DescribeModelPackageGroup', 'sagemaker:DescribeProcessingJob', 'sagemaker:DescribeTrainingJob',
      'sagemaker:StopProcessingJob', 'sagemaker:StopTrainingJob',
    ]);
    const pass = found.find(({ Action }) => Action === 'iam:PassRole');
    expect(pass.Condition).toEqual({ StringEquals: { 'iam:PassedToService': 'sagemaker.amazonaws.com' } });
    expect(pass.Resource['Fn::GetAtt'][0]).toMatch(/^TrainingJobRole/);
    expect(found.find(({ Action }) => Action.includes('sagemaker:CreateTrainingJob')).Resource['Fn::Join'][1].at(-1))
      .toBe(':sagemaker:us-east-1:111122223333:training-job/pipelines-*');
  });

  test('the role of the jobs touches its prefix, its images and its logs', () => {
    const found = statements(template, 'JobRole');
    expect(actionsOf(found).filter((action) => action.startsWith('sagemaker:') || action.startsWith('iam:'))).toEqual([]);
    const put = found.find(({ Action }) => Action.includes('s3:PutObject'));
    expect(put.Resource['Fn::Join'][1].at(-1)).toBe(`:s3:::artifacts/Animals/${training.pipelineName}/*`);
    const pulls = found.filter(({ Action }) => Action.includes('ecr:BatchGetImage'));
    expect(pulls.map(({ Resource }) => Resource['Fn::Join'][1].at(-1))).toEqual([
      ':ecr:us-east-1:683313688378:repository/sagemaker-scikit-learn', ':ecr:us-east-1:683313688378:repository/sagemaker-xgboost',
    ]);
  });

  test.each(['Role', 'JobRole'])('the %s may change nothing that was registered, whatever else it is granted', (role) => {
    const [objects, versions, ...others] = statements(template, role, 'Deny');
    expect(objects.Action).toEqual(['s3:PutObject*', 's3:DeleteObject*']);
    expect(objects.Resource['Fn::Join'][1].at(-1)).toBe(':s3:::artifacts/_versions/*');
    expect(versions.Action).toBe('sagemaker:UpdateModelPackage');
    expect([versions.Resource].flat().map((each: Loose) => each['Fn::Join'][1].at(-1))).toEqual([
      ':sagemaker:us-east-1:111122223333:model-package/Animals/*', ':sagemaker:us-east-1:111122223333:model-package/animals/*',
    ]);
    expect(others).toEqual([]);
  });

  test('no role may do something to everything, but for what has no resource', () => {
    const wide = Object.values(template.findResources('AWS::IAM::Policy'))
      .flatMap((policy) => policy.Properties.PolicyDocument.Statement)
      .filter(({ Resource }: Loose) => Resource === '*');
    expect(actionsOf(wide)).toEqual(['cloudwatch:PutMetricData', 'ecr:GetAuthorizationToken']);
    expect(wide.find(({ Action }: Loose) => Action === 'cloudwatch:PutMetricData').Condition).toBeDefined();
  });

  test('whoever is let may start it', () => {
    template.hasResourceProperties('AWS::IAM::Policy', {
      PolicyDocument: { Statement: [{ Action: 'sagemaker:StartPipelineExecution', Effect: 'Allow', Resource: Match.anyValue() }] },
      Roles: [{ Ref: Match.stringLikeRegexp('Starter') }],
    });
  });

  test.each(['Succeeded', 'Failed'])('tells when an execution %s', (status) => {
    const arns = new Capture();
    template.hasResourceProperties('AWS::Events::Rule', {
      EventPattern: {
        'source': ['aws.sagemaker'],
        'detail-type': ['SageMaker Model Building Pipeline Execution Status Change'],
        'detail': { pipelineArn: arns, currentPipelineExecutionStatus: [status] },
      },
    });
    expect(JSON.stringify(arns.asArray())).toContain(`:pipeline/${training.pipelineName}`);
  });

  test('has metrics', () => {
    expect(training.metricFailed().toMetricConfig().metricStat).toMatchObject({
      namespace: 'AWS/Sagemaker/ModelBuildingPipeline',
      metricName: 'ExecutionFailed',
      dimensions: [{ name: 'PipelineName', value: training.pipelineName }],
    });
  });

  test('tells the rehearsal where its gate is', () => {
    const { data } = training.node.metadata.find(({ type }) => type === 'cdk-mlops:training-pipeline')!;
    expect(data).toEqual({
      pipelineName: training.pipelineName,
      modelPackageGroupName: 'Animals',
      gate: [{ metric: 'mse', path: 'regression_metrics.mse.value', parameter: 'MseThreshold', operator: '<=' }],
    });
  });
});

describe('a gate', () => {
  test('with several limits gives the first one that is missed a sentence of its own', () => {
    const { definition } = make({ gate: QualityGate.of(ModelMetric.mse().atMost(6), ModelMetric.r2().atLeast(0.5), ModelMetric.mae().atMost(2)) });
    const gate = named(definition, 'Gate').Arguments;
    expect(gate.Conditions.map(({ Type }: Loose) => Type)).toEqual(['LessThanOrEqualTo', 'GreaterThanOrEqualTo', 'LessThanOrEqualTo']);
    const [keptMse] = gate.ElseSteps;
    expect([keptMse.Name, keptMse.Arguments.ElseSteps[0].Name]).toEqual(['KeptMse', 'RejectMse']);
    const [keptR2] = keptMse.Arguments.IfSteps;
    expect([keptR2.Name, keptR2.Arguments.ElseSteps[0].Name, keptR2.Arguments.IfSteps[0].Name]).toEqual(['KeptR2', 'RejectR2', 'RejectMae']);
    expect(keptR2.Arguments.ElseSteps[0].Arguments.ErrorMessage['Std:Join'].Values[2]).toBe(' < ');
  });

  test('asks the evaluation for a metric that is measured on demand', () => {
    const { definition } = make({ schema: BINARY, gate: QualityGate.of(ModelMetric.balancedAccuracy().atLeast(0.8)) });
    const args = named(definition, 'Evaluate').Arguments.AppSpecification.ContainerArguments;
    expect(args[args.indexOf('--require') + 1]).toBe('balanced_accuracy_score');
    const [condition] = named(definition, 'Gate').Arguments.Conditions;
    expect(condition.LeftValue['Std:JsonGet'].Path).toBe('binary_classification_metrics.balanced_accuracy_score.value');
    expect(condition.RightValue).toEqual({ Get: 'Parameters.BalancedAccuracyScoreThreshold' });
  });

  test.each<[string, DatasetSchema, string, string]>([
    ['regression', REGRESSION, 'R2Threshold', 'regression_metrics.r2.value'],
    ['two classes', BINARY, 'AucThreshold', 'binary_classification_metrics.auc.value'],
    ['more classes', MULTICLASS, 'AucThreshold', 'multiclass_classification_metrics.auc.value'],
  ])('has a floor for %s', (_, schema, parameter, place) => {
    const { definition } = make({ schema });
    const [condition] = named(definition, 'Gate').Arguments.Conditions;
    expect(condition.LeftValue['Std:JsonGet'].Path).toBe(place);
    expect(condition.RightValue).toEqual({ Get: `Parameters.${parameter}` });
  });

  test.each<[string, QualityGate, DatasetSchema, string]>([
    ['its metric is not for the problem', QualityGate.of(ModelMetric.accuracy().atLeast(0.9)), REGRESSION,
      'metric "accuracy" says nothing about regression; metrics for it are mse, rmse, mae, r2'],
    ['its metric is for numbers', QualityGate.of(ModelMetric.mse().atMost(1)), BINARY,
      'metric "mse" says nothing about binary_classification; metrics for it are accuracy, precision, recall, f1, auc, balanced_accuracy_score'],
    ['its limit cannot be', QualityGate.of(ModelMetric.f1().atLeast(90)), BINARY, 'limit 90 of metric "f1" is outside the values it can take, 0 to 1'],
    ['it has no limit', QualityGate.of(), REGRESSION, 'gate: it has no limit'],
    ['a metric has two limits', QualityGate.of(ModelMetric.r2().atLeast(0), ModelMetric.r2().atMost(1)), REGRESSION,
      'gate: metric "r2" has more than one limit'],
  ])('fails when %s', (_, gate, schema, message) => {
    expect(() => make({ gate, schema })).toThrow(message);
  });
});

describe('XGBoost', () => {
  test.each<[DatasetSchema, object]>([
    [BINARY, { objective: 'binary:logistic', eval_metric: 'logloss' }],
    [MULTICLASS, { objective: 'multi:softprob', eval_metric: 'mlogloss', num_class: '3' }],
  ])('follows the target', (schema, expected) => {
    expect(named(make({ schema }).definition, 'Train').Arguments.HyperParameters).toMatchObject(expected);
  });

  test('takes other hyper-parameters', () => {
    const { definition } = make({ algorithm: Algorithm.xgboost({ maxDepth: 8, eta: 1, seed: 7 }) });
    expect(definition.Parameters).toEqual(expect.arrayContaining([
      { Name: 'MaxDepth', Type: 'Integer', DefaultValue: 8 }, { Name: 'Eta', Type: 'Float', DefaultValue: 1 },
    ]));
    expect(named(definition, 'Train').Arguments.HyperParameters.seed).toBe('7');
  });

  test('fails when hyper-parameters are out of range, all at once', () => {
    expect(() => Algorithm.xgboost({ maxDepth: 0.5, eta: -1, subsample: 0, gamma: -1, rounds: NaN, booster: 'gbtre', seed: 0.5 })).toThrow(new RegExp([
      'Algorithm.xgboost: seed is 0.5', 'maxDepth is 0.5; it must be a whole number', 'eta is -1; it must be at least 0 and at most 1',
      'gamma is -1; it must be at least 0', 'subsample is 0; it must be above 0 and at most 1', 'rounds is NaN',
      'booster is "gbtre"; it must be one of "gbtree", "gblinear", "dart"',
    ].join('.*'), 's'));
  });
});

describe('an algorithm of a team', () => {
  const image = ContainerImage.fromUri('111122223333.dkr.ecr.eu-west-1.amazonaws.com/team/mine:1');
  const modelLoader = ModelLoader.fromModel('loader.py');
  const twice = [HyperParameter.constant('seed', '1'), HyperParameter.constant('seed', '2')];
  const metricDefinitions = Array.from({ length: 41 }, (_, index) => ({ name: `m${index}`, regex: `m${index}=([0-9.]+)` }));

  /** What `bind` returns, and what else it does. */
  class Mine extends Algorithm {
    constructor(private readonly config: Partial<AlgorithmConfig>, private readonly inScope: (scope: Construct) => void = () => undefined) {
      super();
    }

    public bind(scope: Construct): AlgorithmConfig {
      this.inScope(scope);
      return { trainingImage: image, modelLoader, ...this.config };
    }
  }

  test('decides image, command, environment and hyper-parameters of the jobs and of the container that serves', () => {
    const { definition } = make({
      algorithm: new Mine({
        entrypoint: ['/bin/fit'],
        trainingEnvironment: { A: '1' },
        servingEnvironment: { B: '2' },
        hyperParameters: [HyperParameter.ofInteger('depth', { value: 3 })],
        evaluationImage: ContainerImage.fromUri('example.com/evaluation:1'),
      }),
    });
    const uri = '111122223333.dkr.ecr.eu-west-1.amazonaws.com/team/mine:1';
    expect(named(definition, 'Train').Arguments).toMatchObject({
      AlgorithmSpecification: { TrainingImage: uri, ContainerEntrypoint: ['/bin/fit'] },
      Environment: { A: '1' },
      HyperParameters: { depth: { 'Std:Join': { On: '', Values: [{ Get: 'Parameters.Depth' }] } } },
    });
    const { AppSpecification: evaluation } = named(definition, 'Evaluate').Arguments;
    expect(evaluation).toMatchObject({ ImageUri: 'example.com/evaluation:1', ContainerArguments: expect.arrayContaining(['--loader', 'loader.py']) as unknown });
    const [, served] = named(definition, 'Gate').Arguments.IfSteps[0].Arguments.InferenceSpecification.Containers;
    expect(served).toMatchObject({ Image: uri, Environment: { B: '2' } });
  });

  test('may call what it makes as it likes', () => {
    const names = ['Resource', 'Role', 'JobRole', 'Scripts', 'Schema', 'ModelLoader', 'Algorithm'];
    expect(() => make({ algorithm: new Mine({}, (scope) => names.forEach((name) => new Construct(scope, name))) })).not.toThrow();
  });

  test.each<[string, () => unknown, string]>([
    ['a class names a hyper-parameter twice', () => make({ algorithm: new Mine({ hyperParameters: twice }) }),
      'TrainingPipeline "Training": algorithm: hyperParameters: "seed" is there more than once'],
    ['a class has too many metrics', () => make({ algorithm: new Mine({ metricDefinitions }) }), 'metricDefinitions has 41 entries; SageMaker takes at most 40'],
    ['a container names a hyper-parameter twice', () => Algorithm.container({ image, modelLoader, hyperParameters: twice }),
      'Algorithm.container: hyperParameters: "seed" is there more than once'],
    ['a script has too many metrics', () => Algorithm.script({ image, source: __dirname + '/golden', entryPoint: 'make.py', metricDefinitions }),
      'Algorithm.script: metricDefinitions has 41 entries; SageMaker takes at most 40'],
    ['the script is not there', () => Algorithm.script({ image, source: __dirname + '/golden', entryPoint: 'none.py' }), 'there are make.py'],
    ['the loader is not there', () => ModelLoader.fromFile('/nowhere.py'), 'ModelLoader.fromFile: there is no file "/nowhere.py"'],
    ['the loader is not in the model', () => ModelLoader.fromModel('../loader.py'), '"../loader.py" must be a path in the model archive'],
  ])('fails when %s', (_, run, message) => {
    expect(run).toThrow(message);
  });
});

describe('what a team brings', () => {
  test('roles are used, not replaced', () => {
    const stack = new Stack(new App(), 'Ml', { env: ENV });
    const role = iam.Role.fromRoleArn(stack, 'Own', 'arn:aws:iam::111122223333:role/own');
    const jobRole = iam.Role.fromRoleArn(stack, 'OwnJobs', 'arn:aws:iam::111122223333:role/own-jobs');
    const training = new TrainingPipeline(stack, 'Training', { schema: REGRESSION, registry: registryIn(stack), role, jobRole });
    const template = Template.fromStack(stack);
    template.resourceCountIs('AWS::IAM::Role', 0);
    template.hasResourceProperties('AWS::SageMaker::Pipeline', { RoleArn: 'arn:aws:iam::111122223333:role/own' });
    expect(named(bodyOf(template), 'Train').Arguments.RoleArn).toBe('arn:aws:iam::111122223333:role/own-jobs');
    expect(training.grantPrincipal).toBe(jobRole.grantPrincipal);
  });

  test('a pipeline that exists is started and watched', () => {
    const stack = new Stack(new App(), 'Ml', { env: ENV });
    const jobRole = iam.Role.fromRoleArn(stack, 'Jobs', ROLE);
    const training = TrainingPipeline.fromTrainingPipelineAttributes(stack, 'Training', { pipelineName: 'Animals', jobRole });
    training.grantStartPipelineExecution(new iam.Role(stack, 'Starter', { assumedBy: new iam.AccountRootPrincipal() }));
    training.onSucceeded('Succeeded');
    expect(training.grantPrincipal).toBe(jobRole.grantPrincipal);
    expect(stack.resolve(training.pipelineArn)).toEqual({ 'Fn::Join': ['', ['arn:', { Ref: 'AWS::Partition' }, ':sagemaker:us-east-1:111122223333:pipeline/Animals']] });
    const template = Template.fromStack(stack);
    template.resourceCountIs('AWS::SageMaker::Pipeline', 0);
    template.resourceCountIs('AWS::Events::Rule', 1);
    expect(JSON.stringify(template.findResources('AWS::IAM::Policy'))).toContain(':pipeline/animals');
  });

  test('a name with capitals is found in both spellings of its ARN', () => {
    const { template } = make({ pipelineName: 'AnimalAges' }, (made) => {
      made.onFailed('OnFailed');
    });
    template.hasResourceProperties('AWS::Events::Rule', {
      EventPattern: {
        detail: {
          pipelineArn: [
            { 'Fn::Join': ['', Match.arrayWith([':sagemaker:us-east-1:111122223333:pipeline/AnimalAges'])] },
            { 'Fn::Join': ['', Match.arrayWith([':sagemaker:us-east-1:111122223333:pipeline/animalages'])] },
          ],
        },
      },
    });
  });

  const own = (): PipelineDefinition => {
    const data = PipelineParameter.ofString('InputData');
    return define([
      step('Only', { image: uriImage('444455556666.dkr.ecr.eu-west-1.amazonaws.com/team/prepare:3'), inputs: [{ name: 'data', source: at(data.valueAsString) }] }),
    ], [data, PipelineParameter.ofString('ManifestId')]);
  };

  test('a whole definition: its jobs get the job role, and only what it does is permitted', () => {
    const { template, definition } = make({ definition: own() });
    expect(definition.Steps.map(({ Name }: Loose) => Name)).toEqual(['Only']);
    expect(definition.Steps[0].Arguments.RoleArn).toMatch(/^TrainingJobRole/);
    expect(actionsOf(statements(template, 'Role'))).not.toContain('sagemaker:CreateTrainingJob');
    const pull = statements(template, 'JobRole').find(({ Action }) => Action.includes('ecr:BatchGetImage'));
    expect(JSON.stringify(pull.Resource)).toContain(':ecr:eu-west-1:444455556666:repository/team/prepare');
  });

  test('a foreign definition: the roles that it names may be passed', () => {
    const definition = PipelineDefinition.fromFile(path.join(__dirname, 'golden', 'training.json'));
    const { stack, template } = make({ definition });
    expect(statements(template, 'Role').find(({ Action }) => Action === 'iam:PassRole').Resource).toBe(ROLE);
    // Nobody handed over the role itself, so what it needs cannot be granted: it is told.
    Annotations.fromStack(stack).hasWarning('/Ml/Training', Match.stringLikeRegexp(
      `step "Train": the role "${ROLE}" needs to pull the image .*sagemaker-xgboost:1.7-1.*cdk-mlops:pipeline-permission`));
  });

  test.each<[string, Partial<TrainingPipelineProps>, string]>([
    ['its definition cannot be started by the data pipeline', { definition: define([fail('A')], [PipelineParameter.ofString('InputDta')]) },
      'it does not declare the parameter "InputData", which every start gives; did you mean "InputDta"?'],
    ['definition and gate are given', { definition: own(), gate: QualityGate.of(ModelMetric.mse().atMost(1)) },
      'gate: the definition that you gave decides it'],
    ['an instance type is none', { trainingInstanceType: 'm5.large' }, 'trainingInstanceType is "m5.large"; instance types of SageMaker look like "ml.m5.large"'],
    ['its name is none', { pipelineName: '-a' }, 'pipelineName is "-a"'],
  ])('fails when %s', (_, props, message) => {
    expect(() => make(props)).toThrow(message);
  });
});

describe('permission follows the reference', () => {
  const parameters = () => ['InputData', 'ManifestId'].map((name) => PipelineParameter.ofString(name));

  /** What the role of the pipeline and that of the jobs may do for one definition, as `action resource`. */
  function granted(build: (stack: Stack) => PipelineStep[] | PipelineDefinition, more: Partial<TrainingPipelineProps> = {}) {
    const stack = new Stack(new App(), 'Ml', { env: ENV });
    const built = build(stack);
    const definition = Array.isArray(built) ? define(built, parameters()) : built;
    new TrainingPipeline(stack, 'Training', { schema: REGRESSION, registry: registryIn(stack), definition, ...more });
    const template = Template.fromStack(stack);
    const told = (role: string) => statements(template, role).flatMap(({ Action, Resource, Condition }) => [Action].flat()
      .flatMap((action: string) => [Resource].flat().map((arn: Loose) => `${action} ${shown(arn)}${Condition ? ` if ${JSON.stringify(Condition)}` : ''}`)));
    const warnings = Annotations.fromStack(stack).findWarning('*', Match.stringLikeRegexp('cdk-mlops:pipeline-permission')).map(({ entry }) => String(entry.data));
    return { role: told('Role'), jobRole: told('JobRole'), warnings, template };
  }

  function shown(arn: Loose): string {
    const text = typeof arn === 'string' ? arn : arn['Fn::GetAtt']?.[0] ?? arn.Ref ?? arn['Fn::Join']?.[1].map((part: Loose) => (typeof part === 'string' ? part : shown(part))).join('') ?? JSON.stringify(arn);
    return text.replace(/arn:AWS::Partition/g, 'arn').replace(/([A-Za-z]+)[0-9A-F]{8}(Arn)?/g, '$1');
  }

  test('a place in another bucket with a customer key: read, written, and its property file read by the pipeline', () => {
    const { role, jobRole, warnings } = granted((stack) => {
      const bucket = new Bucket(stack, 'Other', { encryptionKey: new kms.Key(stack, 'Key') });
      const first = step('First', {
        outputs: [{ name: 'o', destination: S3Location.fromBucket(bucket, `out/${ExecutionVariable.PIPELINE_EXECUTION_ID}/x`) }],
        inputs: [{ name: 'i', source: S3Location.fromBucket(bucket, 'in/') }],
        propertyFiles: [{ name: 'R', output: 'o', path: 'r.json' }],
      });
      const reader = step('Second', { inputs: [{ name: 'i', source: first.output('o') }] });
      return [first, reader, fail('End', first.jsonString('R', 'a'))];
    });
    expect(warnings).toEqual([]);
    expect(jobRole).toEqual(expect.arrayContaining([
      's3:GetObject Other/in/*', 's3:ListBucket Other if {"StringLike":{"s3:prefix":["in/*"]}}', 's3:PutObject Other/out/*',
      'kms:Decrypt Key', 'kms:GenerateDataKey* Key', 's3:GetObject Other/out/*',
    ]));
    expect(role).toEqual(expect.arrayContaining(['s3:GetObject Other/out/*', 'kms:Decrypt Key']));
    expect(role.filter((line) => /PutObject|GenerateDataKey|in\//.test(line))).toEqual([]);
  });

  test('a place that a URI or a parameter names is granted as far as it is known', () => {
    const { jobRole, warnings } = granted((stack) => {
      const bucket = new Bucket(stack, 'Other');
      const known = PipelineParameter.ofString('Known', { defaultValue: 's3://literal/known/' });
      const unknown = PipelineParameter.ofString('Unknown');
      return define([step('First', {
        inputs: [
          { name: 'a', source: at('s3://literal/data.csv') },
          { name: 'b', source: at(`s3://${bucket.bucketName}/raw/${ExecutionVariable.START_DATE_TIME}`) },
          { name: 'c', source: at(known.valueAsString) },
          { name: 'd', source: at(unknown.valueAsString) },
          { name: 'e', source: at(parameters()[0].valueAsString) },
        ],
      })], [...parameters(), known, unknown]);
    });
    expect(jobRole).toEqual(expect.arrayContaining([
      's3:GetObject arn:s3:::literal/data.csv*', 's3:GetObject arn:s3:::Other/raw/*', 's3:GetObject arn:s3:::literal/known/*',
    ]));
    expect(warnings).toEqual([expect.stringMatching(/^step "First": the role .* needs s3:GetObject and s3:ListBucket on \{"Get":"Parameters.Unknown"\}/)]);
  });

  test('images: of a repository of the team, by their URI, of SageMaker', () => {
    const { jobRole } = granted((stack) => [
      step('A', { image: ContainerImage.fromEcrRepository(new ecr.Repository(stack, 'Repository'), '3') }),
      step('B', { image: uriImage('444455556666.dkr.ecr.eu-west-1.amazonaws.com/team/prepare@sha256:0a') }),
      step('C', { image: ContainerImage.xgboost(XgboostVersion.of('1.7-1')) }),
      step('D', { image: uriImage(new ecr.Repository(stack, 'Named').repositoryUriForTag('1')) }),
      step('E', { image: uriImage('public.example/team/image') }),
    ]);
    expect(jobRole.filter((line) => line.startsWith('ecr:BatchGetImage'))).toEqual([
      'ecr:BatchGetImage Repository', 'ecr:BatchGetImage arn:ecr:eu-west-1:444455556666:repository/team/prepare',
      'ecr:BatchGetImage arn:ecr:us-east-1:683313688378:repository/sagemaker-xgboost', expect.stringMatching(/^ecr:BatchGetImage arn:ecr:.*:repository\/Named$/),
    ]);
  });

  test('functions and queues, the key of a queue too', () => {
    const { role, warnings } = granted((stack) => [
      new LambdaStep({ name: 'L', lambdaFunction: fn(stack, 'Fn'), outputs: [{ name: 'o' }] }),
      new CallbackStep({ name: 'C', queue: new sqs.Queue(stack, 'Queue', { encryptionMasterKey: new kms.Key(stack, 'Key') }) }),
    ]);
    expect(warnings).toEqual([]);
    expect(role).toEqual(expect.arrayContaining(['lambda:InvokeFunction Fn', 'sqs:SendMessage Queue', 'kms:GenerateDataKey* Key', 'kms:Decrypt Key']));
  });

  test('a registry is the one whose group gets the version', () => {
    const { role } = granted((stack) => [new RegisterModelStep({
      name: 'R',
      registry: new ModelRegistry(stack, 'Second', { modelPackageGroupName: 'Other' }),
      containers: [{ image: ContainerImage.xgboost(), modelData: at('s3://b/m') }],
    })]);
    const create = role.filter((line) => line.startsWith('sagemaker:CreateModelPackage '));
    expect(create).toEqual(['Other', 'other'].flatMap((name) => [expect.stringContaining(`model-package/${name}/*`)])
      .concat(['Other', 'other'].map((name) => expect.stringContaining(`model-package-group/${name}`))));
  });

  test('steps of JSON are granted what can be read from them', () => {
    const { role, jobRole, template, warnings } = granted((stack) => {
      const own = new iam.Role(stack, 'Own', { assumedBy: new iam.ServicePrincipal('sagemaker.amazonaws.com') });
      const s3 = (uri: Loose) => ({ DataSource: { S3DataSource: { S3DataType: 'S3Prefix', S3Uri: uri } } });
      const json = (content: object) => PipelineStep.fromJson(JSON.stringify(content), { roles: [own] });
      return [
        json({ Name: 'M', Type: 'Model', Arguments: { ExecutionRoleArn: own.roleArn, PrimaryContainer: { Image: XGBOOST, ModelDataUrl: 's3://models/m.tar.gz' }, VpcConfig: { Subnets: ['subnet-9'], SecurityGroupIds: ['sg-9'] } } }),
        json({
          Name: 'T',
          Type: 'Transform',
          Arguments: {
            ModelName: { Get: 'Steps.M.ModelName' },
            TransformInput: s3('s3://in/'),
            TransformOutput: { S3OutputPath: 's3://out/t' },
            TransformResources: { InstanceType: 'ml.m5.xlarge', InstanceCount: 1 },
          },
        }),
        json({
          Name: 'H',
          Type: 'Tuning',
          Arguments: {
            TrainingJobDefinition: {
              RoleArn: own.roleArn,
              AlgorithmSpecification: { TrainingImage: XGBOOST },
              InputDataConfig: [{ ChannelName: 'train', ...s3('s3://train/') }],
              OutputDataConfig: { S3OutputPath: { 'Std:Join': { On: '/', Values: ['s3:/', 'tuned', { Get: 'Execution.PipelineExecutionId' }] } }, KmsKeyId: 'arn:aws:kms:us-east-1:1:key/k' },
            },
          },
        }),
        json({ Name: 'L', Type: 'Lambda', FunctionArn: 'arn:aws:lambda:us-east-1:1:function:f', Arguments: {} }),
        json({ Name: 'C', Type: 'Callback', SqsQueueUrl: 'https://sqs.us-east-1.amazonaws.com/111122223333/q', Arguments: {} }),
        json({ Name: 'G', Type: 'RegisterModel', Arguments: { ModelPackageGroupName: 'Elsewhere' } }),
      ];
    });
    expect(warnings).toEqual([]);
    const of = Object.values(template.findResources('AWS::IAM::Policy')).find((policy) => policy.Properties.Roles.some(({ Ref }: Loose) => /^Own/.test(Ref)))!;
    const own = of.Properties.PolicyDocument.Statement.flatMap(({ Action, Resource }: Loose) => [Action].flat()
      .flatMap((action: string) => [Resource].flat().map((arn: Loose) => `${action} ${shown(arn)}`)));
    expect(own).toEqual(expect.arrayContaining([
      's3:GetObject arn:s3:::models/m.tar.gz*', 's3:GetObject arn:s3:::in/*', 's3:PutObject arn:s3:::out/t*', 's3:GetObject arn:s3:::train/*',
      's3:PutObject arn:s3:::tuned/*', 'kms:GenerateDataKey* arn:aws:kms:us-east-1:1:key/k',
      'ecr:BatchGetImage arn:ecr:us-east-1:683313688378:repository/sagemaker-xgboost',
      'ec2:CreateNetworkInterface arn:ec2:us-east-1:*:subnet/subnet-9', 'ec2:CreateNetworkInterface arn:ec2:us-east-1:111122223333:security-group/sg-9',
    ]));
    expect(jobRole.filter((line) => /^(s3|ecr|kms):/.test(line))).toEqual([]);
    for (const line of [
      'sagemaker:CreateModel .*:model/pipelines-\\*', 'sagemaker:CreateTransformJob .*:transform-job/', 'sagemaker:CreateHyperParameterTuningJob ',
      'lambda:InvokeFunction arn:aws:lambda:us-east-1:1:function:f', 'sqs:SendMessage arn:sqs:us-east-1:.*:', 'iam:PassRole Own if',
      'sagemaker:CreateModelPackage .*model-package/Elsewhere/\\*',
    ]) {
      expect(role).toContainEqual(expect.stringMatching(new RegExp(line)));
    }
  });

  test('what cannot be told from JSON is a warning with step and permission', () => {
    const role = PipelineParameter.ofString('Role');
    const VpcConfig = { Subnets: ['subnet-9'], SecurityGroupIds: [{ Get: 'Parameters.Role' }] };
    const job = { Name: 'P', Type: 'Processing', Arguments: { RoleArn: { Get: 'Parameters.Role' }, AppSpecification: { ImageUri: XGBOOST } } };
    const build = (roles?: (stack: Stack) => iam.IRole[]) => granted((stack) => define([
      PipelineStep.fromJson(JSON.stringify(job), { roles: roles?.(stack) }),
      PipelineStep.fromJson(JSON.stringify({ Name: 'E', Type: 'EMR', Arguments: {} })),
      PipelineStep.fromJson(JSON.stringify({ Name: 'T', Type: 'Transform', Arguments: { ModelName: 'm', TransformOutput: { S3OutputPath: 's3://out/' } } })),
      PipelineStep.fromJson(JSON.stringify({ Name: 'N', Type: 'Processing', Arguments: { RoleArn: 'arn:aws:iam::1:role/r', NetworkConfig: { VpcConfig } } })),
      PipelineStep.fromJson(JSON.stringify({ Name: 'L', Type: 'Lambda', FunctionArn: { Get: 'Parameters.Role' }, Arguments: {} })),
    ], [...parameters(), role]));
    const warned = (found: string[], text: RegExp) => expect(found).toContainEqual(expect.stringMatching(text));
    const { warnings } = build();
    warned(warnings, /^step "P": "Ml\/Training\/Role" needs iam:PassRole on the role \{"Get":"Parameters.Role"\}/);
    warned(warnings, /^step "P": the role .* needs to pull the image/);
    warned(warnings, /^step "E": steps of type EMR are passed through/);
    warned(warnings, /^step "T": the role of the model "m" needs s3:PutObject on "s3:\/\/out\/"/);
    warned(warnings, /^step "N": the role .* needs ec2:CreateNetworkInterface and what belongs to it in the subnets \["subnet-9"\]/);
    warned(warnings, /^step "L": "Ml\/Training\/Role" needs lambda:InvokeFunction/);
    const withRoles = build((stack) => ['One', 'Two'].map((id) => new iam.Role(stack, id, { assumedBy: new iam.AccountRootPrincipal() })));
    expect(withRoles.role.filter((line) => line.startsWith('iam:PassRole')).map((line) => line.split(' ')[1])).toEqual(['One', 'Two', 'arn:aws:iam::1:role/r']);
    expect(withRoles.warnings.filter((warning) => warning.startsWith('step "P"'))).toEqual([]);
  });

  test.each<[string, () => unknown, string]>([
    ['a prefix begins with a slash', () => S3Location.fromBucket(Bucket.fromBucketName(new Stack(), 'B', 'bucket'), '/x'), 'prefix "/x" must be a key'],
    ['a URI is none', () => S3Location.fromUri('bucket/x'), 'S3Location.fromUri: "bucket/x" must be an S3 URI such as'],
    ['a URI is empty', () => S3Location.fromUri(''), 'must be an S3 URI'],
  ])('fails when %s', (_, build, message) => {
    expect(build).toThrow(message);
  });

  function fn(stack: Stack, id: string): lambda.IFunction {
    return new lambda.Function(stack, id, { runtime: lambda.Runtime.NODEJS_24_X, handler: 'index.handler', code: lambda.Code.fromInline('x') });
  }
});

describe('regions', () => {
  test('a region that is known only later is looked up, once a stack', () => {
    const stack = new Stack(new App(), 'Ml');
    for (const id of ['One', 'Two']) {
      new TrainingPipeline(stack, id, { schema: REGRESSION, registry: registryIn(new Stack(stack, `${id}Registry`)) });
    }
    const template = Template.fromStack(stack);
    const mappings = Object.values(template.findMappings('*'));
    expect(mappings).toHaveLength(1);
    expect(Object.keys(mappings[0])).toHaveLength(37);
    template.resourceCountIs('AWS::SageMaker::Pipeline', 2);
    const names = Object.values(template.findResources('AWS::SageMaker::Pipeline')).map((pipeline) => pipeline.Properties.PipelineName);
    expect(new Set(names).size).toBe(2);
    names.forEach((name) => expect(name).toMatch(/^[a-z0-9](-*[a-z0-9])*$/));
  });

  test('the accounts are those of the SDK', () => {
    expect(IMAGE_ACCOUNTS).toMatchObject({ 'us-east-1': '683313688378', 'eu-central-1': '492215442770', 'cn-north-1': '450853457545' });
  });

  test('fails when a region has no images', () => {
    const stack = new Stack(new App(), 'Ml', { env: { account: '111122223333', region: 'us-eest-1' } });
    expect(() => new TrainingPipeline(stack, 'Training', { schema: REGRESSION, registry: registryIn(stack) }))
      .toThrow('region "us-eest-1" of stack "Ml" has no SageMaker images of scikit-learn and XGBoost; did you mean "us-east-1"?');
  });
});

describe('images and their versions', () => {
  const tags = (definition: Loose): string[] => [...new Set(JSON.stringify(definition).match(/sagemaker-[a-z-]+:[\w.-]+/g))].sort();
  const on = (date: string) => jest.spyOn(Date, 'now').mockReturnValue(Date.parse(date));
  const warnings = (stack: Stack) => Annotations.fromStack(stack).findWarning('*', Match.anyValue()).map(({ entry }) => String(entry.data));
  afterEach(() => jest.restoreAllMocks());

  test('the built-in pipeline names the newest', () => {
    expect(tags(make().definition)).toEqual(['sagemaker-scikit-learn:1.9-0-cpu-py3', 'sagemaker-xgboost:3.2-0']);
  });

  test('a version is compared by its value, and knows its tag and end of patch', () => {
    expect(ScikitLearnVersion.of('1.9-0').isSameAs(ScikitLearnVersion.V1_9_0)).toBe(true);
    expect(ScikitLearnVersion.of('1.2-1').isSameAs(ScikitLearnVersion.V1_9_0)).toBe(false);
    expect(XgboostVersion.of('1.2-1').isSameAs(ScikitLearnVersion.of('1.2-1'))).toBe(false);
    expect(ScikitLearnVersion.V1_9_0).toMatchObject({ version: '1.9-0', tag: '1.9-0-cpu-py3', endOfPatch: '2027-07-16' });
    expect(ScikitLearnVersion.V1_4_2).toMatchObject({ tag: '1.4-2-py312-cpu-py3', endOfPatch: '2026-10-30' });
    expect(XgboostVersion.V3_2_0).toMatchObject({ version: '3.2-0', tag: '3.2-0', endOfPatch: '2027-05-13' });
    expect(XgboostVersion.of('1.0-1')).toMatchObject({ tag: '1.0-1-cpu-py3', endOfPatch: undefined });
  });

  test.each(['3.2.0', '3.2-0-cpu-py3', 'latest', ''])('fails when a version is "%s"', (version) => {
    expect(() => XgboostVersion.of(version)).toThrow(`XgboostVersion: version "${version}" is not the name of a version, which looks like "3.2-0"`);
  });

  test.each([
    ['2026-12-01', []],
    // More than 90 days before, less, after it; scikit-learn's day is two months later.
    ['2027-02-12', []],
    ['2027-02-13', ['AWS patches the image sagemaker-xgboost:3.2-0 until 2027-05-13; 3.2-0 is the newest version that this release of cdk-mlops knows']],
    ['2027-05-14', ['AWS patched the image sagemaker-xgboost:3.2-0 for the last time on 2027-05-13', 'AWS patches the image sagemaker-scikit-learn:1.9-0-cpu-py3 until']],
  ])('on %s the warnings are %j', (date, expected) => {
    on(`${date}T12:00:00Z`);
    const found = warnings(make().stack);
    expect(found).toHaveLength(expected.length);
    expected.forEach((text) => expect(found.some((warning) => warning.startsWith(text) && warning.includes('cdk-mlops:image-end-of-patch'))).toBe(true));
  });

  test('an image in a definition of one\'s own is warned of too, once, with the newest version', () => {
    on('2026-11-25');
    const parameters = ['InputData', 'ManifestId'].map((name) => PipelineParameter.ofString(name));
    const image = uriImage(XGBOOST.replace('1.7-1', '3.0-5'));
    const definition = define([step('One', { image }), step('Two', { image }), step('Old'), step('Other', { image: uriImage('team/image:1') })], parameters);
    expect(warnings(make({ definition }).stack)).toEqual([
      'AWS patched the image sagemaker-xgboost:3.0-5 for the last time on 2026-11-17; the newest version is 3.2-0 [ack: cdk-mlops:image-end-of-patch]',
    ]);
  });
});

describe('instance types', () => {
  const inRegion = (region: string) => new Stack(new App(), 'Ml', { env: { account: '111122223333', region } });
  const pipeline = (region: string, props: Partial<TrainingPipelineProps> = {}) => {
    const stack = inRegion(region);
    return new TrainingPipeline(stack, 'Training', { schema: REGRESSION, registry: registryIn(stack), ...props });
  };
  const own = (steps: PipelineStep[]) => ({
    definition: define(steps, ['InputData', 'ManifestId'].map((name) => PipelineParameter.ofString(name))),
  });

  test.each(Object.keys(IMAGE_ACCOUNTS))('the defaults can be had in %s', (region) => {
    expect(() => pipeline(region)).not.toThrow();
    Object.entries(CHEAPEST_EVERYWHERE).forEach(([use, type]) =>
      expect(missingInstanceType(inRegion(region), use as keyof typeof CHEAPEST_EVERYWHERE, type)).toBeUndefined());
  });

  test.each<[string, string, () => unknown]>([
    ['a default of a parameter', 'TrainingPipeline "Training": step "Train", default of parameter "TrainingInstanceType": '
      + '"ml.m4.xlarge" is not offered for training in eu-west-3; "ml.m5.large" is, for example',
    () => pipeline('eu-west-3', { trainingInstanceType: 'ml.m4.xlarge' })],
    ['a step of a pipeline of one\'s own', 'step "One": "ml.t3.medium" is not offered for processing in me-south-1',
      () => pipeline('me-south-1', own([step('One')]))],
    ['a step in a branch', 'step "Deep": "ml.t3.medium" is not offered for processing in ap-northeast-3', () => pipeline('ap-northeast-3', own([
      new ConditionStep({ name: 'If', conditions: [PipelineCondition.greaterThan(1, 2)], ifSteps: [step('Deep')] }),
    ]))],
    ['a list of a registered model', 'step "Register": "ml.t2.medium" is not offered for hosting in af-south-1; "ml.c5.large" is, for example',
      () => pipeline('af-south-1', own([new RegisterModelStep({
        name: 'Register', registry: registryIn(new Stack()), containers: [{ image: uriImage(XGBOOST), modelData: S3Location.fromUri('s3://b/m') }], inferenceInstances: ['ml.m5.large', 'ml.t2.medium'],
      })]))],
    ['a processor that the image is not built for', 'step "Register": "ml.m6g.large" has an ARM processor, for which the image sagemaker-xgboost is not built',
      () => pipeline('us-east-1', own([new RegisterModelStep({
        name: 'Register', registry: registryIn(new Stack()), containers: [{ image: uriImage(XGBOOST), modelData: S3Location.fromUri('s3://b/m') }], inferenceInstances: ['ml.m6g.large'],
      })]))],
    ['disks that take no key', 'step "Own": "ml.g4dn.xlarge" encrypts its disks itself, and SageMaker refuses VolumeKmsKeyId for it',
      () => pipeline('us-east-1', own([PipelineStep.fromJson(JSON.stringify({
        Name: 'Own',
        Type: 'Processing',
        Arguments: { ProcessingResources: { ClusterConfig: { InstanceType: 'ml.g4dn.xlarge', VolumeKmsKeyId: 'arn:aws:kms:us-east-1:1:key/k' } } },
      }))]))],
  ])('fails when platform and type do not go together: %s', (_, message, make_) => {
    expect(make_).toThrow(message);
  });

  test.each([['eu-west-3', 'ml.t2.medium'], ['us-east-1', 'ml.m4.xlarge'], ['me-south-1', 'ml.m9x.large'], ['us-east-1', 'nonsense']])(
    'in %s nothing is said of %s for hosting', (region, type) => {
      expect(missingInstanceType(inRegion(region), 'hosting', type)).toBeUndefined();
    });

  test('a region, or a type, that is known only later passes', () => {
    expect(missingInstanceType(new Stack(new App(), 'Ml'), 'hosting', 'ml.t2.medium')).toBeUndefined();
    expect(missingInstanceType(inRegion('af-south-1'), 'hosting', Lazy.string({ produce: () => 'ml.t2.medium' }))).toBeUndefined();
  });

  test.each([['ml.m6g.large', true], ['ml.c6gd.xlarge', true], ['ml.g5.xlarge', false], ['ml.g4dn.xlarge', false], ['ml.m5.large', false]])(
    'whether %s has an ARM processor: %s', (type, expected) => {
      expect(isGraviton(type)).toBe(expected);
    });

  test.each([
    ...['c5d', 'c6gd', 'g4dn', 'g5', 'g6e', 'g7', 'm5d', 'p3dn', 'p4d', 'p4de', 'p5en', 'p6-b200', 'r7gd', 'trn1n', 'dl1'].map((family) => [family, true] as const),
    ...['c5', 'c6in', 'c7i-flex', 'inf2', 'm5', 'm7i', 'p2', 'p3', 'r8i-flex', 't3'].map((family) => [family, false] as const),
  ])('whether %s has disks of its own: %s', (family, expected) => {
    expect(hasLocalStorage(`ml.${family}.xlarge`)).toBe(expected);
  });
});
