import { Annotations, Duration, RemovalPolicy, Stack, Token } from 'aws-cdk-lib';
import * as apigwv2 from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as cognito from 'aws-cdk-lib/aws-cognito';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import { ApiAccess } from './api-access';
import { checkSettings, corsPreflight, loggedStage } from './api-settings';
import { BoundAccess } from './bound-access';
import { ApiEnvironment, HANDLER_TIMEOUT_SECONDS } from './environment';
import { HandlerName, HANDLERS, keyOf, RouteDescription, ROUTES } from './routes';
import { ServedModel } from './served-model';
import { ServedModels } from './served-models';
import { CommonProps } from '../profile';
import { Settings, settingsOf } from '../profile/settings';
import { arnSpellings } from '../shared/arn-spellings';
import { grantTableKey } from '../shared/encryption';
import { HandlerFunction } from '../shared/handler-function';
import { connectionsOf } from '../shared/network';
import { describeForRehearsal } from '../shared/rehearsal-facts';
import { SecureTable } from '../shared/secure-table';
import { Problems } from '../shared/validation';

/**
 * Properties of an `MlopsApi`. The parts of one model stand here; those of several in `models`.
 */
export interface MlopsApiProps extends ServedModel, CommonProps {
  /**
   * The parts of each model, where the API serves several: at most 10 parts of a kind. Callers name the one that they mean by
   * a parameter of the query.
   *
   * @default - one model, whose parts are given by `data`, `training`, `registry` and `endpoint`
   */
  readonly models?: ServedModel[];

  /**
   * Who may call.
   *
   * @default ApiAccess.cognito()
   */
  readonly access?: ApiAccess;

  /**
   * Whether a user who started a training through this API may not decide about the version that came of it: the approval is answered 403.
   * Trainings that data started, or somebody past the API, are nobody's.
   *
   * @default false
   */
  readonly separateDuties?: boolean;

  /**
   * Origins from which browsers may call (CORS), `*` for any. An empty list: none. Any is safe here, because nothing that
   * a browser adds by itself (cookies, certificates) counts as signing in: a foreign page has no token to send.
   *
   * @default ['*']
   */
  readonly allowOrigins?: string[];

  /**
   * Most requests to each route, in requests per second.
   *
   * @default - 50 per second, bursts of 100
   */
  readonly throttle?: apigwv2.ThrottleSettings;

  /**
   * What happens to the user pool, if it is made here, when the API leaves the stack.
   *
   * @default - as the profile says
   */
  readonly removalPolicy?: RemovalPolicy;
}

/**
 * The HTTP API of the platform: start a training, list and approve models, list data sets, predict. The README has the table of its
 * routes.
 *
 * Where the API serves several data sets, pipelines, groups or endpoints, the query names one (`?group=abalone`); with one of a kind it
 * may be left out. Training takes the newest data set unless the request names one. Instances, at most 500, hold values in the unit in
 * which people enter them. Lists come newest first, 50 (at most 200) at once. Health is open to everybody and contains nothing else.
 *
 * Errors are `{"error": {"code", "message", "details"?}, "requestId"}`: 400 names each wrong field, its value and what
 * is allowed; 401 comes from API Gateway (`{"message"}`), 403 means that the caller is in no group that may do this; 404 and 409
 * say what is missing; 413 that the body is too large; 429 means later;
 * 502 to 504 are the endpoint's, 503 `ModelNotDeployed` until a first version is approved.
 *
 * A header `Idempotency-Key` makes `POST /training/start` repeatable for a day: equal requests with one key of one caller start one
 * execution and get its answer; another request under the key gets 422, a request that comes before the first one is answered 409.
 * Approving what is approved changes nothing and starts no deployment; to serve an older approved version again, reject it and approve it.
 *
 * Creates an HTTP API with one Lambda function a resource (each with permissions for its own part only), JSON access logs
 * and, by default, a Cognito user pool without self sign-up. Idle cost: none but log storage; Cognito is free up to a
 * number of monthly users.
 *
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api.html
 *
 * @example
 * declare const training: TrainingPipeline;
 * declare const registry: ModelRegistry;
 *
 * const api = new MlopsApi(this, 'Api', { training, registry });
 * new CfnOutput(this, 'Url', { value: api.url });
 *
 * @example
 * declare const animals: ServedModel;
 * declare const wines: ServedModel;
 * new MlopsApi(this, 'Api', { models: [animals, wines] });
 */
export class MlopsApi extends Construct implements ec2.IConnectable {
  /** Base URL, without a slash at its end. */
  public readonly url: string;

  /** The API itself, for custom domains and further routes. */
  public readonly httpApi: apigwv2.HttpApi;

  /** Its stage `$default`. */
  public readonly stage: apigwv2.HttpStage;

  /** Its functions, for monitoring. */
  public readonly functions: lambda.IFunction[] = [];

  /** Pool of the users, with Cognito access. */
  public readonly userPool?: cognito.IUserPool;

  /** App client whose tokens are accepted (the first, if several were given), with Cognito access. */
  public readonly userPoolClient?: cognito.IUserPoolClient;

  /** Cognito group whose members may read and predict, with Cognito access. */
  public readonly viewerGroup?: string;

  /** Cognito group whose members may start trainings too, with Cognito access. */
  public readonly operatorGroup?: string;

  /** Cognito group whose members may do all that the API offers, approve models too, with Cognito access. */
  public readonly approverGroup?: string;

  private readonly access: BoundAccess;
  private readonly served: ServedModels;
  private readonly routes: readonly RouteDescription[];
  private readonly settings: Settings;

  constructor(scope: Construct, id: string, props: MlopsApiProps = {}) {
    super(scope, id);
    const allowOrigins = props.allowOrigins ?? ['*'];
    const throttle = { rateLimit: 50, burstLimit: 100, ...props.throttle };
    const problems = new Problems(`MlopsApi "${id}"`);
    checkSettings(problems, allowOrigins, throttle);
    this.served = new ServedModels(modelsOf(props, problems), problems);
    problems.throwIfAny();
    this.routes = ROUTES.filter(({ part }: RouteDescription) => part === undefined || this.served.names(part).length > 0);

    this.settings = settingsOf(this, props);
    const removalPolicy = props.removalPolicy ?? this.settings.profile.removalPolicy;
    this.access = (props.access ?? ApiAccess.cognito())._bind(this, removalPolicy);
    this.userPool = this.access.userPool;
    this.userPoolClient = this.access.userPoolClient;
    this.viewerGroup = this.access.roleGroups?.viewer;
    this.operatorGroup = this.access.roleGroups?.operator;
    this.approverGroup = this.access.roleGroups?.approver;
    if (this.access.kind === 'open') {
      if (props.separateDuties) {
        throw new Error(`MlopsApi "${id}": separateDuties needs to know who calls; use ApiAccess.cognito() or ApiAccess.iam()`);
      }
      Annotations.of(this).addWarningV2('cdk-mlops:open-api',
        'anybody may call this API, approve models and start trainings that cost money: use ApiAccess.cognito() or ApiAccess.iam()');
    }
    this.httpApi = new apigwv2.HttpApi(this, 'HttpApi', {
      apiName: Token.isUnresolved(this.node.path) ? undefined : this.node.path.replace(/[^\w-]+/g, '-').slice(-128),
      description: 'Trainings, models, data sets and predictions',
      createDefaultStage: false,
      corsPreflight: corsPreflight(allowOrigins),
    });
    this.node.defaultChild = this.httpApi.node.defaultChild;
    this.url = this.httpApi.apiEndpoint;
    this.stage = loggedStage(this, this.httpApi, { throttle, settings: this.settings, caller: this.access.callerInLog });

    const handlers = new Set(this.routes.map(({ handler }) => handler));
    handlers.forEach((handler) => this.addRoutesOf(handler, props.separateDuties ?? false));
    describeForRehearsal(this, 'cdk-mlops:api', {
      url: this.url,
      access: this.access.kind,
      routes: this.routes.map(keyOf),
      serves: {
        data: this.served.names('data'),
        training: this.served.names('training'),
        registry: this.served.names('registry'),
        endpoint: this.served.names('endpoint'),
      },
      trainingParameters: this.served.parameterNames(),
      userPoolId: this.userPool?.userPoolId,
      userPoolClientId: this.userPoolClient?.userPoolClientId,
      approverGroup: this.approverGroup,
    });
  }

  /** The security groups of its functions. Fails where they run in no VPC. */
  public get connections(): ec2.Connections {
    return connectionsOf(this, this.settings.network);
  }

  /** Grants the given identity permission to ask for predictions. With `ApiAccess.iam()` only. */
  public grantPredict(grantee: iam.IGrantable): iam.Grant {
    return this.grantRoutes(grantee, 'endpoint', ({ part }) => part === 'endpoint');
  }

  /** Grants the given identity permission to start trainings. With `ApiAccess.iam()` only. */
  public grantStartTraining(grantee: iam.IGrantable): iam.Grant {
    return this.grantRoutes(grantee, 'training', ({ part, method }) => part === 'training' && method === 'POST');
  }

  /** Grants the given identity permission to approve and reject models. With `ApiAccess.iam()` only. */
  public grantApprove(grantee: iam.IGrantable): iam.Grant {
    return this.grantRoutes(grantee, 'registry', ({ caller }) => caller === 'approver');
  }

  /** Grants the given identity permission to read models and data sets, as far as the API has them. With `ApiAccess.iam()` only. */
  public grantRead(grantee: iam.IGrantable): iam.Grant {
    return this.grantRoutes(grantee, 'registry or data', ({ method, caller }) => method === 'GET' && caller !== 'anyone');
  }

  /** Number of requests. By default the sum of five minutes. */
  public metricCount(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.stage.metricCount({ statistic: cloudwatch.Stats.SUM, ...options });
  }

  /** Number of requests that were refused (4xx). By default the sum of five minutes. */
  public metricClientError(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.stage.metricClientError(options);
  }

  /** Number of requests that failed (5xx). By default the sum of five minutes. */
  public metricServerError(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.stage.metricServerError(options);
  }

  /** Time from request to response, in milliseconds. By default the average of five minutes. */
  public metricLatency(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.stage.metricLatency({ statistic: cloudwatch.Stats.AVERAGE, ...options });
  }

  /** The function of these routes, which may do what they need on the parts that the API serves, and nothing else. */
  private addRoutesOf(name: HandlerName, separateDuties: boolean): void {
    const id = `${name[0].toUpperCase()}${name.slice(1)}`;
    const routes = this.routes.filter(({ handler }) => handler === name);
    const handler = new HandlerFunction(this, id, {
      handler: `api/${name}`,
      description: HANDLERS[name],
      environment: this.environmentOf(routes),
      documents: this.documentsOf(routes),
      timeout: Duration.seconds(HANDLER_TIMEOUT_SECONDS),
      // Power follows memory, and somebody waits for the answer.
      memorySize: 512,
      ...this.settings,
    });
    this.functions.push(handler);
    if (routes.some(({ idempotent }) => idempotent)) {
      this.rememberAnswers(handler);
    }
    if (separateDuties && routes.some(({ caller }) => caller === 'approver')) {
      this.separateDuties(handler);
    }
    const integration = new HttpLambdaIntegration(`${id}Integration`, handler);
    for (const { method, path, caller, grant } of routes) {
      const authorizer = caller === 'anyone' ? new apigwv2.HttpNoneAuthorizer() : this.access.authorizer;
      this.httpApi.addRoutes({ path, methods: [apigwv2.HttpMethod[method]], integration, authorizer });
      this.served.models.forEach((model) => grant?.(handler, model));
    }
  }

  /** What the answers are kept in that equal requests get again. */
  private rememberAnswers(handler: HandlerFunction): void {
    const table = new SecureTable(this, 'Answers', {
      partitionKey: 'id',
      timeToLiveAttribute: 'expiresAt',
      // An answer is of no use after a day.
      removalPolicy: RemovalPolicy.DESTROY,
      encryptionKey: this.settings.encryptionKey,
    });
    const actions = ['dynamodb:GetItem', 'dynamodb:PutItem', 'dynamodb:DeleteItem'];
    table.grant(handler, ...actions);
    grantTableKey(table, handler, actions);
    handler.addEnvironment(ApiEnvironment.IDEMPOTENCY_TABLE, table.tableName);
  }

  /** Whoever decides about a version is compared with who started its training, which the execution says. */
  private separateDuties(handler: HandlerFunction): void {
    const executions = this.served.models.flatMap(({ training }) => (training ? arnSpellings(training.pipelineArn) : [])).map((arn) => `${arn}/execution/*`);
    handler.allow(['sagemaker:DescribePipelineExecution'], executions);
    handler.addEnvironment(ApiEnvironment.SEPARATED_PIPELINES, Stack.of(this).toJsonString(this.served.names('training')));
  }

  private documentsOf(routes: readonly RouteDescription[]): { [file: string]: unknown } | undefined {
    const documents = this.served.documents(routes.flatMap(({ part }) => part ?? []));
    return Object.keys(documents).length > 0 ? documents : undefined;
  }

  private environmentOf(routes: readonly RouteDescription[]): { [name: string]: string } {
    const parts = new Set(routes.flatMap(({ part, uses }) => [part, uses]).filter((part) => part !== undefined));
    const settings = [...parts].map((part) => [ApiEnvironment[part], this.served.text(part, this)]);
    const { kind, roleGroups } = this.access;
    const access = routes.some(({ caller }) => caller !== 'anyone')
      ? { [ApiEnvironment.ACCESS]: kind, ...(roleGroups ? { [ApiEnvironment.ROLE_GROUPS]: Stack.of(this).toJsonString(roleGroups) } : {}) }
      : {};
    return { ...Object.fromEntries(settings), ...access };
  }

  private grantRoutes(grantee: iam.IGrantable, parts: string, which: (route: RouteDescription) => boolean): iam.Grant {
    if (this.access.kind !== 'iam') {
      throw new Error(`MlopsApi "${this.node.id}": grants on routes need ApiAccess.iam(), its access is ${this.access.kind}`);
    }
    const routes = this.routes.filter(which);
    if (routes.length === 0) {
      throw new Error(`MlopsApi "${this.node.id}": it has no route to grant: give it the part that brings it (${parts})`);
    }
    const resourceArns = routes.map(({ method, path }) => this.httpApi.arnForExecuteApi(method, path.replace(/\{\w+\}/g, '*')));
    return iam.Grant.addToPrincipal({ grantee, actions: ['execute-api:Invoke'], resourceArns });
  }
}

/** The parts of one model or those of several. */
function modelsOf({ data, training, trainingParameters, registry, endpoint, schema, models }: MlopsApiProps, problems: Problems): ServedModel[] {
  const one = { data, training, trainingParameters, registry, endpoint, schema };
  const given = Object.entries(one).filter(([, part]) => part !== undefined).map(([name]) => name);
  problems.check(!models || given.length === 0, () =>
    `models is given, and ${given.join(', ')} beside it: put the parts of each model into models`);
  return models ?? [one];
}
