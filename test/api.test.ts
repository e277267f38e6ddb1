import { App, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import * as cognito from 'aws-cdk-lib/aws-cognito';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as sagemaker from 'aws-cdk-lib/aws-sagemaker';
import { ApiAccess, MlopsApi, MlopsApiProps } from '../src/api';
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

/** Statements of the policy of the function that answers a route, the service's own name first. */
function statements(template: Template, id: string): { Action: string | string[]; Resource: unknown }[] {
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
      'POST /models/{version}/approval': 'JWT',
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

  test('the group of approvers is there, and the handler knows it', () => {
    template.hasResourceProperties('AWS::Cognito::UserPoolGroup', { GroupName: 'approvers' });
    template.hasResourceProperties('AWS::Lambda::Function', {
      Environment: { Variables: Match.objectLike({ ACCESS: 'cognito', APPROVER_GROUP: 'approvers' }) },
    });
  });

  test('each function may do its own, and nothing else', () => {
    expect(actions(template, 'ApiPredict')).toEqual(['sagemaker:InvokeEndpoint']);
    expect(actions(template, 'ApiDatasets')).toEqual(['dynamodb:Scan']);
    expect(actions(template, 'ApiTraining')).toEqual(['dynamodb:GetItem', 'dynamodb:Scan', 'sagemaker:DescribePipeline', 'sagemaker:StartPipelineExecution']);
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
      '/*/*/datasets', '/*/*/health', '/*/*/inference/predict', '/*/*/models', '/*/*/models/{version}/approval', '/*/*/training/start',
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
    template.hasResourceProperties('AWS::Lambda::Function', {
      Environment: {
        Variables: {
          PIPELINE_NAME: 'train',
          DATASETS_TABLE: { Ref: Match.stringLikeRegexp('^Data') },
          PROCESSED_DATA: { 'Fn::Join': ['', ['s3://', { Ref: Match.stringLikeRegexp('^Data') }, '/processed']] },
        },
      },
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
        'GET /health', 'GET /datasets', 'POST /training/start', 'GET /models', 'POST /models/{version}/approval', 'POST /inference/predict',
      ],
      pipelineName: 'train',
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
    expect(granted('Lead')).toEqual([expect.stringMatching(/\/\*\/POST\/models\/\*\/approval"/)]);
    expect(granted('Trainer')).toEqual([expect.stringMatching(/\/\*\/POST\/training\/start"/)]);
    expect(granted('Reader')).toEqual([
      expect.stringMatching(/GET\/models"/), expect.stringMatching(/GET\/datasets"/), expect.stringMatching(/POST\/inference\/predict"/),
    ]);
  });

  test('the approval handler leaves the decision to the route', () => {
    template.hasResourceProperties('AWS::Lambda::Function', { Environment: { Variables: Match.objectLike({ ACCESS: 'iam', APPROVER_GROUP: Match.absent() }) } });
  });
});

describe('with less', () => {
  test('routes of parts that are not given do not exist', () => {
    const { template, api } = synth(() => ({ training: importedPipeline(), access: ApiAccess.iam() }));
    expect(Object.keys(routes(template)).sort()).toEqual(['GET /health', 'POST /training/start']);
    expect(actions(template, 'ApiTraining')).toEqual(['sagemaker:DescribePipeline', 'sagemaker:StartPipelineExecution']);
    expect(() => api.grantPredict(new iam.AccountRootPrincipal())).toThrow(/no route POST \/inference\/predict/);
    expect(() => api.grantRead(new iam.AccountRootPrincipal())).toThrow(/no route to read from/);
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
    expect(Object.keys(routes(template))).toHaveLength(5);
    expect(actions(template, 'ApiPredict')).toEqual(['sagemaker:InvokeEndpoint']);
    expect(actions(template, 'ApiTraining')).toEqual(['sagemaker:DescribePipeline', 'sagemaker:StartPipelineExecution']);
  });

  test('a schema of its own serves an endpoint without one', () => {
    const { template } = synth(() => ({ endpoint: importedEndpoint(), schema }));
    expect(routes(template)).toHaveProperty(['POST /inference/predict'], 'JWT');
    template.hasResourceProperties('AWS::Lambda::Function', { Environment: { Variables: { ENDPOINT_NAME: 'serve' } } });
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
    expect(api.approverGroup).toBe('leads');
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
