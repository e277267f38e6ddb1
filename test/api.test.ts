import { execFileSync } from 'child_process';
import * as fs from 'fs';
import * as os from 'os';
import * as path from 'path';
import { App, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import * as cognito from 'aws-cdk-lib/aws-cognito';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as sagemaker from 'aws-cdk-lib/aws-sagemaker';
import { README_TABLE } from './route-table';
import { ApiAccess, MlopsApi, MlopsApiProps } from '../src/api';
import { HANDLERS } from '../src/api/routes';
import { Column, DataPipeline, DatasetSchema } from '../src/data';
import { InferenceEndpoint } from '../src/inference';
import { ModelRegistry } from '../src/registry';
import { Algorithm, ModelMetric, QualityGate, TrainingPipeline } from '../src/training';

const schema = DatasetSchema.of('animals', [
  Column.categorical('sex', { values: ['F', 'I', 'M'] }),
  Column.numeric('length', { min: 0, unit: 'mm', perUnit: 1 / 200 }),
  Column.target('rings', { min: 1, max: 40 }),
]);

const PIPELINE = 'arn:aws:sagemaker:eu-west-1:111122223333:pipeline/train';
const ENDPOINT = 'arn:aws:sagemaker:eu-west-1:111122223333:endpoint/serve';

/** The parts of a platform, the training pipeline and the endpoint made elsewhere. */
function parts(stack: Stack): Required<Pick<MlopsApiProps, 'data' | 'training' | 'registry' | 'endpoint'>> {
  return {
    data: new DataPipeline(stack, 'Data', { schema }),
    registry: new ModelRegistry(stack, 'Models'),
    training: importedPipeline(),
    endpoint: importedEndpoint(),
  };
}

function importedPipeline(): sagemaker.IPipeline {
  return {
    pipelineName: 'train',
    pipelineArn: PIPELINE,
    grantStartPipelineExecution: (grantee: iam.IGrantable) =>
      iam.Grant.addToPrincipal({ grantee, actions: ['sagemaker:StartPipelineExecution'], resourceArns: [PIPELINE] }),
  } as unknown as sagemaker.IPipeline;
}

function importedEndpoint(): sagemaker.IEndpoint {
  return {
    endpointName: 'serve',
    endpointArn: ENDPOINT,
    grantInvoke: (grantee: iam.IGrantable) => iam.Grant.addToPrincipal({ grantee, actions: ['sagemaker:InvokeEndpoint'], resourceArns: [ENDPOINT] }),
  } as unknown as sagemaker.IEndpoint;
}

interface Synthesized {
  readonly stack: Stack;
  readonly api: MlopsApi;
  readonly template: Template;
}

function synth(props: (stack: Stack) => MlopsApiProps): Synthesized {
  const stack = new Stack(new App(), 'Stack', { env: { region: 'eu-west-1' } });
  const api = new MlopsApi(stack, 'Api', props(stack));
  return { stack, api, template: Template.fromStack(stack) };
}

/** Route key to authorization type. */
function routes(template: Template): Record<string, string> {
  return Object.fromEntries(Object.values(template.findResources('AWS::ApiGatewayV2::Route'))
    .map(({ Properties }) => [Properties.RouteKey, Properties.AuthorizationType]));
}

/** The settings of a function, references as `<logical id>`. */
function settings(template: Template, id: string): Record<string, unknown> {
  const [[, { Properties }]] = Object.entries(template.findResources('AWS::Lambda::Function')).filter(([logicalId]) => logicalId.startsWith(id));
  const text = (value: string | { 'Fn::Join': [string, (string | { Ref: string })[]] }) =>
    typeof value === 'string' ? value : value['Fn::Join'][1].map((part) => (typeof part === 'string' ? part : `<${part.Ref}>`)).join('');
  const lists = Object.entries(Properties.Environment.Variables as Record<string, string>).filter(([name]) => /S$/.test(name) && name !== 'ACCESS' && name !== 'ROLE_GROUPS');
  return Object.fromEntries(lists.map(([name, value]) => [name, JSON.parse(text(value))]));
}

interface Statement {
  readonly Action: string | string[];
  readonly Resource: unknown;
  readonly Condition?: Record<string, Record<string, string[]>>;
}

/** Statements of the policy of the function that answers a route, the service's own name first. */
function statements(template: Template, id: string): Statement[] {
  return Object.entries(template.findResources('AWS::IAM::Policy'))
    .filter(([logicalId]) => logicalId.startsWith(id))
    .flatMap(([, { Properties }]) => Properties.PolicyDocument.Statement);
}

/** Beside writing its own log. */
const actions = (template: Template, id: string) => statements(template, id)
  .flatMap((statement) => statement.Action).filter((action) => !action.startsWith('logs:')).sort();

describe('with all parts and Cognito', () => {
  let template: Template;
  let api: MlopsApi;
  let stack: Stack;

  beforeAll(() => {
    ({ template, api, stack } = synth((scope) => ({ ...parts(scope) })));
  });

  test('each route asks for a token, but health', () => {
    expect(routes(template)).toEqual({
      'POST /training/start': 'JWT',
      'POST /inference/predict': 'JWT',
      'GET /models': 'JWT',
      'GET /models/{group}/versions/{version}': 'JWT',
      'POST /models/{group}/versions/{version}/approval': 'JWT',
      'GET /datasets': 'JWT',
      'GET /health': 'NONE',
    });
  });

  test('tokens are those of the pool and its client', () => {
    template.hasResourceProperties('AWS::ApiGatewayV2::Authorizer', {
      AuthorizerType: 'JWT',
      IdentitySource: ['$request.header.Authorization'],
      JwtConfiguration: {
        Audience: [{ Ref: Match.stringLikeRegexp('^ApiUserPoolClient') }],
        Issuer: { 'Fn::Join': ['', ['https://cognito-idp.eu-west-1.amazonaws.com/', { Ref: Match.stringLikeRegexp('^ApiUserPool') }]] },
      },
    });
    template.resourceCountIs('AWS::ApiGatewayV2::Authorizer', 1);
  });

  test('nobody makes an account for himself, passwords are strong, and the pool stays', () => {
    template.hasResource('AWS::Cognito::UserPool', {
      DeletionPolicy: 'Retain',
      Properties: {
        AdminCreateUserConfig: { AllowAdminCreateUserOnly: true },
        DeletionProtection: 'ACTIVE',
        MfaConfiguration: 'OPTIONAL',
        EnabledMfas: ['SOFTWARE_TOKEN_MFA'],
        UsernameAttributes: ['email'],
        UserAttributeUpdateSettings: { AttributesRequireVerificationBeforeUpdate: ['email'] },
        Policies: {
          PasswordPolicy: { MinimumLength: 12, RequireLowercase: true, RequireUppercase: true, RequireNumbers: true, RequireSymbols: true },
        },
      },
    });
  });

  test('the client has no secret, takes no password as text from a browser, and tells nobody who has an account', () => {
    template.hasResourceProperties('AWS::Cognito::UserPoolClient', {
      GenerateSecret: false,
      ExplicitAuthFlows: ['ALLOW_ADMIN_USER_PASSWORD_AUTH', 'ALLOW_USER_SRP_AUTH', 'ALLOW_REFRESH_TOKEN_AUTH'],
      PreventUserExistenceErrors: 'ENABLED',
      EnableTokenRevocation: true,
    });
  });

  test('there is a group of each role, and the handlers know them', () => {
    for (const GroupName of ['viewers', 'operators', 'approvers']) {
      template.hasResourceProperties('AWS::Cognito::UserPoolGroup', { GroupName });
    }
    template.hasResourceProperties('AWS::Lambda::Function', {
      Environment: { Variables: Match.objectLike({ ACCESS: 'cognito', ROLE_GROUPS: '{"viewer":"viewers","operator":"operators","approver":"approvers"}' }) },
    });
  });

  test('each function may do its own, and nothing else', () => {
    expect(actions(template, 'ApiPredict')).toEqual(['sagemaker:InvokeEndpoint']);
    expect(actions(template, 'ApiDatasets')).toEqual(['dynamodb:Scan']);
    expect(actions(template, 'ApiTraining')).toEqual([
      'dynamodb:DeleteItem', 'dynamodb:GetItem', 'dynamodb:GetItem', 'dynamodb:PutItem', 'dynamodb:Scan',
      'sagemaker:DescribePipeline', 'sagemaker:StartPipelineExecution',
    ]);
    expect(actions(template, 'ApiModels')).toEqual(['dynamodb:GetItem', 'dynamodb:Query', 'sagemaker:DescribeModelPackage', 'sagemaker:UpdateModelPackage']);
    expect(actions(template, 'ApiHealth')).toEqual([]);
  });

  test('no permission is for everything', () => {
    for (const id of ['ApiPredict', 'ApiDatasets', 'ApiTraining', 'ApiModels']) {
      for (const { Resource } of statements(template, id)) {
        expect([Resource].flat()).not.toContain('*');
      }
    }
  });

  test('API Gateway may call each function for its routes only', () => {
    const permissions = Object.values(template.findResources('AWS::Lambda::Permission'))
      .filter(({ Properties }) => Properties.Principal === 'apigateway.amazonaws.com')
      .map(({ Properties }) => JSON.stringify(Properties.SourceArn));
    expect(permissions.map((arn) => /"([^"]*)"\]\]\}$/.exec(arn)![1]).sort()).toEqual([
      '/*/*/datasets', '/*/*/health', '/*/*/inference/predict', '/*/*/models', '/*/*/models/{group}/versions/{version}',
      '/*/*/models/{group}/versions/{version}/approval', '/*/*/training/start',
    ]);
  });

  test('browsers may call from anywhere, but without credentials', () => {
    template.hasResourceProperties('AWS::ApiGatewayV2::Api', {
      ProtocolType: 'HTTP',
      CorsConfiguration: {
        AllowOrigins: ['*'],
        AllowMethods: ['GET', 'POST'],
        AllowHeaders: Match.arrayWith(['authorization', 'content-type', 'idempotency-key']),
        AllowCredentials: Match.absent(),
      },
    });
  });

  test('requests are logged as JSON for three months, without what people send', () => {
    template.hasResource('AWS::Logs::LogGroup', {
      DeletionPolicy: 'Delete',
      Properties: {
        RetentionInDays: 90,
        LogGroupName: { 'Fn::Join': ['', ['/aws/vendedlogs/apigateway/', { Ref: 'AWS::StackName' }, Match.stringLikeRegexp('^/')]] },
      },
    });
    const [stage] = Object.values(template.findResources('AWS::ApiGatewayV2::Stage'));
    expect(stage.Properties).toMatchObject({ StageName: '$default', AutoDeploy: true, DefaultRouteSettings: { ThrottlingRateLimit: 50, ThrottlingBurstLimit: 100 } });
    const format = JSON.parse(stage.Properties.AccessLogSettings.Format);
    expect(format).toMatchObject({ requestId: '$context.requestId', status: '$context.status', caller: '$context.authorizer.claims.sub' });
    expect(Object.values(format)).toEqual(expect.not.arrayContaining([expect.stringContaining('email')]));
  });

  test('logs of the functions do not stay for ever', () => {
    for (const { Properties } of Object.values(template.findResources('AWS::Logs::LogGroup'))) {
      expect(Properties.RetentionInDays).toBeGreaterThan(0);
    }
  });

  test('the training function knows where the data are', () => {
    expect(settings(template, 'ApiTraining')).toEqual({
      PIPELINES: [{ name: 'train', dataset: 'animals', parametersFile: 'parameters-0.json' }],
      DATASETS: [{ name: 'animals', table: expect.stringMatching(/^<Data/), processedData: expect.stringMatching(/^s3:\/\/<Data\w+>\/processed$/) }],
    });
  });

  test('functions answer before API Gateway gives up', () => {
    for (const fn of api.functions) {
      const [{ Properties }] = Object.entries(template.findResources('AWS::Lambda::Function'))
        .filter(([logicalId]) => logicalId === stack.getLogicalId(fn.node.defaultChild as sagemaker.CfnEndpoint)).map(([, resource]) => resource);
      expect(Properties.Timeout).toBeLessThan(30);
    }
    expect(api.functions).toHaveLength(5);
  });

  test('the rehearsal learns where it is and how to sign in', () => {
    const facts = api.node.metadata.find((entry) => entry.type === 'cdk-mlops:api')!.data;
    expect(stack.resolve(facts)).toEqual({
      url: { 'Fn::GetAtt': [expect.stringMatching(/^ApiHttpApi/), 'ApiEndpoint'] },
      access: 'cognito',
      routes: [
        'POST /inference/predict', 'POST /training/start', 'GET /models', 'GET /models/{group}/versions/{version}',
        'POST /models/{group}/versions/{version}/approval', 'GET /datasets', 'GET /health',
      ],
      serves: { data: ['animals'], training: ['train'], registry: [expect.stringMatching(/^stack-models-/)], endpoint: ['serve'] },
      trainingParameters: [{ pipeline: 'train', names: [] }],
      userPoolId: { Ref: expect.stringMatching(/^ApiUserPool/) },
      userPoolClientId: { Ref: expect.stringMatching(/^ApiUserPoolClient/) },
      approverGroup: 'approvers',
    });
  });

  test('there is nothing to warn of', () => {
    expect(api.node.findAll().flatMap((child) => child.node.metadata).filter((entry) => entry.type === 'aws:cdk:warning')).toEqual([]);
  });

  test('its metrics are those of its stage', () => {
    expect(stack.resolve(api.metricServerError())).toMatchObject({
      namespace: 'AWS/ApiGateway', metricName: '5xx', statistic: 'Sum', dimensions: { ApiId: expect.anything(), Stage: '$default' },
    });
    expect([api.metricCount(), api.metricClientError(), api.metricLatency()].map((metric) => [metric.metricName, metric.statistic]))
      .toEqual([['Count', 'Sum'], ['4xx', 'Sum'], ['Latency', 'Average']]);
  });

  test('fails when a grant is asked for that Cognito access has no use for', () => {
    expect(() => api.grantPredict(new iam.AccountRootPrincipal())).toThrow('MlopsApi "Api": grants on routes need ApiAccess.iam(), its access is cognito');
  });
});

describe('with IAM', () => {
  let template: Template;
  let api: MlopsApi;
  let role: iam.Role;

  beforeAll(() => {
    const stack = new Stack(new App(), 'Stack');
    api = new MlopsApi(stack, 'Api', { ...parts(stack), access: ApiAccess.iam() });
    role = new iam.Role(stack, 'Lead', { assumedBy: new iam.AccountRootPrincipal() });
    api.grantApprove(role);
    const reader = new iam.Role(stack, 'Reader', { assumedBy: new iam.AccountRootPrincipal() });
    api.grantRead(reader);
    api.grantPredict(reader);
    const trainer = new iam.Role(stack, 'Trainer', { assumedBy: new iam.AccountRootPrincipal() });
    api.grantStartTraining(trainer);
    template = Template.fromStack(stack);
  });

  test('each route asks for a signature, but health', () => {
    const { 'GET /health': health, ...others } = routes(template);
    expect(health).toBe('NONE');
    expect(new Set(Object.values(others))).toEqual(new Set(['AWS_IAM']));
    template.resourceCountIs('AWS::Cognito::UserPool', 0);
  });

  test('grants are per route', () => {
    const granted = (id: string) => statements(template, id).flatMap(({ Resource }) => [Resource].flat()).map((arn) => JSON.stringify(arn));
    expect(granted('Lead')).toEqual([expect.stringMatching(/\/\*\/POST\/models\/\*\/versions\/\*\/approval"/)]);
    expect(granted('Trainer')).toEqual([expect.stringMatching(/\/\*\/POST\/training\/start"/)]);
    expect(granted('Reader')).toEqual([
      expect.stringMatching(/GET\/models"/), expect.stringMatching(/GET\/models\/\*\/versions\/\*"/), expect.stringMatching(/GET\/datasets"/),
      expect.stringMatching(/POST\/inference\/predict"/),
    ]);
  });

  test('the approval handler leaves the decision to the route', () => {
    template.hasResourceProperties('AWS::Lambda::Function', { Environment: { Variables: Match.objectLike({ ACCESS: 'iam', ROLE_GROUPS: Match.absent() }) } });
  });
});

describe('with less', () => {
  test('routes of parts that are not given do not exist', () => {
    const { template, api } = synth(() => ({ training: importedPipeline(), access: ApiAccess.iam() }));
    expect(Object.keys(routes(template)).sort()).toEqual(['GET /health', 'POST /training/start']);
    expect(actions(template, 'ApiTraining')).toEqual([
      'dynamodb:DeleteItem', 'dynamodb:GetItem', 'dynamodb:PutItem', 'sagemaker:DescribePipeline', 'sagemaker:StartPipelineExecution',
    ]);
    expect(() => api.grantPredict(new iam.AccountRootPrincipal())).toThrow(/no route to grant: give it the part that brings it \(endpoint\)/);
    expect(() => api.grantRead(new iam.AccountRootPrincipal())).toThrow(/no route to grant: .*\(registry or data\)/);
  });

  test('an open API warns', () => {
    const { stack, template } = synth(() => ({ access: ApiAccess.open() }));
    expect(routes(template)).toEqual({ 'GET /health': 'NONE' });
    Annotations.fromStack(stack).hasWarning('/Stack/Api', Match.stringLikeRegexp('anybody may call this API'));
  });

  test('CORS can be narrowed and left out', () => {
    synth(() => ({ allowOrigins: ['https://console.example.com'] })).template
      .hasResourceProperties('AWS::ApiGatewayV2::Api', { CorsConfiguration: Match.objectLike({ AllowOrigins: ['https://console.example.com'] }) });
    synth(() => ({ allowOrigins: [] })).template.hasResourceProperties('AWS::ApiGatewayV2::Api', { CorsConfiguration: Match.absent() });
  });

  test('throttle and log retention are as given', () => {
    const { template } = synth(() => ({ throttle: { rateLimit: 5 }, logRetention: logs.RetentionDays.ONE_WEEK }));
    template.hasResourceProperties('AWS::ApiGatewayV2::Stage', { DefaultRouteSettings: { ThrottlingRateLimit: 5, ThrottlingBurstLimit: 100 } });
    expect(Object.values(template.findResources('AWS::Logs::LogGroup')).map(({ Properties }) => Properties.RetentionInDays)).toEqual([7, 7]);
  });

  test('with DESTROY the pool goes', () => {
    synth(() => ({ removalPolicy: RemovalPolicy.DESTROY })).template.hasResource('AWS::Cognito::UserPool', {
      DeletionPolicy: 'Delete', Properties: { DeletionProtection: 'INACTIVE' },
    });
  });

  test('the contract comes with the endpoint, and the parts are those of this library', () => {
    const { template } = synth((stack) => {
      const registry = new ModelRegistry(stack, 'Models');
      return {
        registry,
        training: new TrainingPipeline(stack, 'Training', { schema, registry, algorithm: Algorithm.xgboost(), gate: QualityGate.of(ModelMetric.mse().atMost(6)) }),
        endpoint: new InferenceEndpoint(stack, 'Endpoint', { schema, registry }),
      };
    });
    expect(Object.keys(routes(template))).toHaveLength(6);
    expect(actions(template, 'ApiPredict')).toEqual(['sagemaker:InvokeEndpoint']);
    expect(actions(template, 'ApiTraining')).toEqual([
      'dynamodb:DeleteItem', 'dynamodb:GetItem', 'dynamodb:PutItem', 'sagemaker:DescribePipeline', 'sagemaker:StartPipelineExecution',
    ]);
  });

  test('a schema of its own serves an endpoint without one', () => {
    const { template } = synth(() => ({ endpoint: importedEndpoint(), schema }));
    expect(routes(template)).toHaveProperty(['POST /inference/predict'], 'JWT');
    expect(settings(template, 'ApiPredict')).toEqual({ ENDPOINTS: [{ name: 'serve', schemaFile: 'schema-0.json' }] });
  });
});

describe('with separate duties', () => {
  test('the handler that decides may ask who started a training of the pipelines that the API serves', () => {
    const { template } = synth((stack) => ({ ...parts(stack), separateDuties: true }));
    expect(statements(template, 'ApiModels').find(({ Action }) => Action === 'sagemaker:DescribePipelineExecution')?.Resource).toBe(`${PIPELINE}/execution/*`);
    expect(actions(template, 'ApiTraining')).not.toContain('sagemaker:DescribePipelineExecution');
  });

  test('fails where nobody has a name', () => {
    expect(() => synth(() => ({ access: ApiAccess.open(), separateDuties: true }))).toThrow(/separateDuties needs to know who calls/);
  });
});

describe('parameters that callers may set', () => {
  const names = (trainingParameters?: string[]) => {
    const { api } = synth((stack) => {
      const registry = new ModelRegistry(stack, 'Models');
      const training = new TrainingPipeline(stack, 'Training', {
        schema, registry, algorithm: Algorithm.xgboost({ maxDepth: 4 }), gate: QualityGate.of(ModelMetric.mse().atMost(6)),
      });
      const data = new DataPipeline(stack, 'Data', { schema });
      return { training, data, trainingParameters, access: ApiAccess.iam() };
    });
    return api.node.metadata.find((entry) => entry.type === 'cdk-mlops:api')!.data.trainingParameters[0].names as string[];
  };

  test('are the hyper-parameters, and neither limits of the gate nor instance types nor the approval', () => {
    expect(names()).toEqual(expect.arrayContaining(['MaxDepth', 'Eta']));
    for (const name of ['MseThreshold', 'TrainingInstanceType', 'ProcessingInstanceType', 'ModelApprovalStatus', 'InputData', 'ManifestId']) {
      expect(names()).not.toContain(name);
    }
  });

  test('are those that the app names too', () => {
    expect(names(['MseThreshold', 'MaxDepth'])).toEqual([...names(), 'MseThreshold']);
  });
});

describe('with a user pool that is given', () => {
  test('its issuer is of the pool\'s region, and clients and group are as given', () => {
    const { template, api } = synth((stack) => {
      const userPool = cognito.UserPool.fromUserPoolArn(stack, 'Pool', 'arn:aws:cognito-idp:us-east-2:111122223333:userpool/us-east-2_abc');
      return {
        training: importedPipeline(),
        access: ApiAccess.cognito({
          userPool, userPoolClients: [cognito.UserPoolClient.fromUserPoolClientId(stack, 'Client', 'client-1')], approverGroup: 'leads',
        }),
      };
    });
    template.hasResourceProperties('AWS::ApiGatewayV2::Authorizer', {
      JwtConfiguration: { Audience: ['client-1'], Issuer: 'https://cognito-idp.us-east-2.amazonaws.com/us-east-2_abc' },
    });
    template.resourceCountIs('AWS::Cognito::UserPoolClient', 0);
    template.resourceCountIs('AWS::Cognito::UserPoolGroup', 0);
    expect([api.viewerGroup, api.operatorGroup, api.approverGroup]).toEqual(['viewers', 'operators', 'leads']);
  });

  test('without clients it gets one', () => {
    const { template } = synth((stack) => ({ access: ApiAccess.cognito({ userPool: cognito.UserPool.fromUserPoolId(stack, 'Pool', 'eu-west-1_abc') }) }));
    template.hasResourceProperties('AWS::Cognito::UserPoolClient', { UserPoolId: 'eu-west-1_abc' });
  });
});

describe('what is wrong', () => {
  const pool = () => cognito.UserPool.fromUserPoolId(new Stack(), 'Pool', 'p');

  test('fails when the access contradicts itself', () => {
    expect(() => ApiAccess.cognito({ userPool: pool(), selfSignUp: true })).toThrow(/selfSignUp and mfa are for a new pool/);
    expect(() => ApiAccess.cognito({ userPoolClients: [] })).toThrow(/needs the userPool/);
    expect(() => ApiAccess.cognito({ userPool: pool(), userPoolClients: [] })).toThrow(/empty/);
    expect(() => ApiAccess.cognito({ approverGroup: 'the leads' })).toThrow(/"the leads".*no space/);
    expect(() => ApiAccess.cognito({ viewerGroup: 'approvers' })).toThrow(/the same/);
  });

  test('fails when a user pool is to be made where Cognito has none', () => {
    const inChina = (access?: ApiAccess) => new MlopsApi(new Stack(new App(), 'Stack', { env: { region: 'cn-north-1' } }), 'Api', { access });
    expect(() => inChina()).toThrow('ApiAccess.cognito: Amazon Cognito has no user pools in cn-north-1; give a userPool of another region, or use ApiAccess.iam()');
    expect(() => inChina(ApiAccess.iam())).not.toThrow();
  });

  test('fails when settings are wrong, with all of them in one sentence', () => {
    const bad = () => new MlopsApi(new Stack(), 'Api', {
      endpoint: importedEndpoint(), allowOrigins: ['https://a.example/path'], throttle: { rateLimit: 0, burstLimit: -1 },
    });
    expect(bad).toThrow(/^MlopsApi "Api": allowOrigins holds "https:\/\/a.example\/path".*rateLimit is 0.*burstLimit is -1.*without a contract/);
  });
});

describe('with several models', () => {
  const wines = DatasetSchema.of('wines', [Column.numeric('ash'), Column.target('quality', { min: 0, max: 10 })]);
  let template: Template;

  beforeAll(() => {
    ({ template } = synth((stack) => {
      const registry = new ModelRegistry(stack, 'Models', { modelPackageGroupName: 'Animals' });
      const { bucket, catalogTable } = registry;
      const others = new ModelRegistry(stack, 'Others', { modelPackageGroupName: 'Wines', bucket, catalogTable });
      new ModelRegistry(stack, 'Foreign', { modelPackageGroupName: 'Foreign', bucket, catalogTable });
      const model = (id: string, of: DatasetSchema, models: ModelRegistry) => {
        const training = new TrainingPipeline(stack, `${id}Training`, { schema: of, registry: models, pipelineName: `Train-${id}` });
        const data = new DataPipeline(stack, `${id}Data`, { schema: of, training });
        return { training, data, registry: models, endpoint: new InferenceEndpoint(stack, `${id}Endpoint`, { schema: of, registry: models, endpointName: `serve-${id}` }) };
      };
      return { models: [model('A', schema, registry), model('W', wines, others)] };
    }));
  });

  const resourcesOf = (id: string, action: string) => statements(template, id)
    .filter(({ Action }) => [Action].flat().includes(action)).flatMap(({ Resource }) => [Resource].flat()).map((arn) => JSON.stringify(arn));

  test('there is one route of each kind', () => {
    expect(Object.keys(routes(template))).toHaveLength(7);
    template.resourceCountIs('AWS::ApiGatewayV2::Route', 7);
  });

  test('each function knows the parts of both, and which data belong to which pipeline', () => {
    expect(settings(template, 'ApiPredict')).toEqual({ ENDPOINTS: [{ name: 'serve-A', schemaFile: 'schema-0.json' }, { name: 'serve-W', schemaFile: 'schema-1.json' }] });
    expect(settings(template, 'ApiModels')).toEqual({
      MODEL_PACKAGE_GROUPS: [
        { name: 'Animals', table: expect.stringMatching(/^<ModelsCatalog/) }, { name: 'Wines', table: expect.stringMatching(/^<ModelsCatalog/) },
      ],
    });
    expect(settings(template, 'ApiTraining')).toMatchObject({
      PIPELINES: [{ name: 'Train-A', dataset: 'animals', parametersFile: 'parameters-0.json' }, { name: 'Train-W', dataset: 'wines', parametersFile: 'parameters-1.json' }],
      DATASETS: [{ name: 'animals', table: expect.stringMatching(/^<AData/) }, { name: 'wines', table: expect.stringMatching(/^<WData/) }],
    });
  });

  test('each function may do its own on exactly these', () => {
    expect(resourcesOf('ApiPredict', 'sagemaker:InvokeEndpoint').map((arn) => /endpoint\/[\w-]+/.exec(arn)![0]).sort())
      .toEqual(['endpoint/serve-A', 'endpoint/serve-W', 'endpoint/serve-a', 'endpoint/serve-w']);
    for (const action of ['sagemaker:StartPipelineExecution', 'sagemaker:DescribePipeline']) {
      expect(resourcesOf('ApiTraining', action).map((arn) => /pipeline\/[\w-]+/.exec(arn)![0]).sort())
        .toEqual(['pipeline/Train-A', 'pipeline/Train-W', 'pipeline/train-a', 'pipeline/train-w']);
    }
    expect(resourcesOf('ApiDatasets', 'dynamodb:Scan').map((arn) => /"([AW]Data)/.exec(arn)![1]).sort()).toEqual(['AData', 'WData']);
    expect(resourcesOf('ApiModels', 'sagemaker:UpdateModelPackage').map((arn) => /model-package\/\w+/.exec(arn)![0]).sort())
      .toEqual(['model-package/Animals', 'model-package/Wines', 'model-package/animals', 'model-package/wines']);
    const partitions = statements(template, 'ApiModels').flatMap(({ Condition }) => Condition?.['ForAllValues:StringEquals']?.['dynamodb:LeadingKeys'] ?? []);
    expect(partitions.sort()).toEqual(['DEPLOYMENT#Animals', 'DEPLOYMENT#Wines', 'MODEL#Animals', 'MODEL#Wines', 'SERVING#Animals', 'SERVING#Wines']);
  });

  test('a part that two models share is served once', () => {
    const shared = synth((stack) => {
      const registry = new ModelRegistry(stack, 'Models');
      return { models: ['a', 'b'].map((name) => ({ schema, registry, endpoint: InferenceEndpoint.fromEndpointName(stack, name, name) })) };
    }).template;
    expect(settings(shared, 'ApiModels').MODEL_PACKAGE_GROUPS).toHaveLength(1);
    expect(settings(shared, 'ApiPredict').ENDPOINTS).toHaveLength(2);
  });

  test('fails when callers could not tell two parts apart, and when one is given in two ways', () => {
    const pipeline = importedPipeline();
    const endpoint = importedEndpoint();
    const bad = () => synth((stack) => ({
      models: [
        { training: pipeline, data: new DataPipeline(stack, 'One', { schema }), endpoint, schema },
        { training: pipeline, data: new DataPipeline(stack, 'Two', { schema: wines }), endpoint, schema: wines },
        { training: importedPipeline(), endpoint: importedEndpoint(), schema, data: new DataPipeline(stack, 'Three', { schema }) },
      ],
    }));
    for (const message of [
      'the training pipeline "train" is given with the data set "animals" and with the data set "wines"; give it once',
      'the endpoint "serve" is given with two schemas', 'two data pipelines are of the data set "animals"', 'two training pipelines are named "train"',
      'two endpoints are named "serve"',
    ]) {
      expect(bad).toThrow(message);
    }
  });

  test('fails when parts are given beside models, and when there are too many', () => {
    expect(() => synth(() => ({ training: importedPipeline(), schema, models: [] }))).toThrow('models is given, and training, schema beside it');
    expect(() => synth((stack) => ({
      models: Array.from({ length: 11 }, (_, i) => ({ schema, endpoint: InferenceEndpoint.fromEndpointName(stack, `E${i}`, `e${i}`) })),
    }))).toThrow('there are 11 parts of the kind endpoint; one API serves at most 10');
  });
});

describe('the table of routes', () => {
  test('is that of the README', () => {
    expect(fs.readFileSync(path.join(__dirname, '../README.md'), 'utf8')).toContain(`\n${README_TABLE}\n`);
  });

  test('brings nothing of the CDK into the functions', () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'api-'));
    const room = path.join(__dirname, '../src/api');
    const entries = Object.keys(HANDLERS).map((name) => path.join(room, `${name}.lambda.ts`));
    execFileSync(path.join(__dirname, '../node_modules/.bin/esbuild'), [
      ...entries, '--bundle', '--platform=node', '--log-level=error', `--outdir=${folder}`, `--metafile=${folder}/meta.json`,
    ]);
    const inputs = Object.keys((JSON.parse(fs.readFileSync(path.join(folder, 'meta.json'), 'utf8')) as { inputs: object }).inputs);
    fs.rmSync(folder, { recursive: true });
    expect(inputs).toContain('src/api/routes.ts');
    expect(inputs.filter((file) => /node_modules\/(aws-cdk-lib|constructs)\//.test(file))).toEqual([]);
  });
});

describe('two in one stack', () => {
  test('share an access and parts, and stay apart', () => {
    const stack = new Stack(new App(), 'Stack');
    const shared = parts(stack);
    const access = ApiAccess.cognito();
    new MlopsApi(stack, 'One', { ...shared, access });
    new MlopsApi(stack, 'Two', { ...shared, access });
    const template = Template.fromStack(stack);
    template.resourceCountIs('AWS::ApiGatewayV2::Api', 2);
    template.resourceCountIs('AWS::Cognito::UserPool', 2);
    const names = Object.values(template.findResources('AWS::Logs::LogGroup')).map(({ Properties }) => JSON.stringify(Properties.LogGroupName)).filter(Boolean);
    expect(new Set(names).size).toBe(names.length);
  });

  test('one each in two apps', () => {
    const one = synth(() => ({ access: ApiAccess.iam() })).template.toJSON();
    expect(synth(() => ({ access: ApiAccess.iam() })).template.toJSON()).toEqual(one);
  });
});
