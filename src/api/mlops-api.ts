import { Annotations, Duration, RemovalPolicy, Token } from 'aws-cdk-lib';
import * as apigwv2 from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as cognito from 'aws-cdk-lib/aws-cognito';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as sagemaker from 'aws-cdk-lib/aws-sagemaker';
import { Construct } from 'constructs';
import { ApiAccess } from './api-access';
import { checkSettings, corsPreflight, grantTable, loggedStage, schemaOf } from './api-settings';
import { BoundAccess } from './bound-access';
import { ApiEnvironment, HANDLER_TIMEOUT_SECONDS, SCHEMA_FILE } from './environment';
import { DataPipeline, DatasetSchema } from '../data';
import { Prefix } from '../data/environment';
import { IModelRegistry } from '../registry';
import { HandlerFunction } from '../shared/handler-function';
import { describeForRehearsal } from '../shared/rehearsal-facts';
import { Problems } from '../shared/validation';

/**
 * Properties of an `MlopsApi`. Each part that is given brings its routes; without it they do not exist.
 */
export interface MlopsApiProps {
  /**
   * Brings `GET /datasets`, and `POST /training/start` trains on its data sets.
   *
   * @default - no data sets: who starts a training gives the place of the data as pipeline parameters
   */
  readonly data?: DataPipeline;

  /**
   * Brings `POST /training/start`: a `TrainingPipeline`, or any SageMaker pipeline.
   *
   * @default - no such route
   */
  readonly training?: sagemaker.IPipeline;

  /**
   * Brings `GET /models` and `POST /models/{version}/approval`.
   *
   * @default - no such routes
   */
  readonly registry?: IModelRegistry;

  /**
   * Brings `POST /inference/predict`: an `InferenceEndpoint`, or any SageMaker endpoint that takes and gives CSV.
   *
   * @default - no such route
   */
  readonly endpoint?: sagemaker.IEndpoint;

  /**
   * The contract that prediction requests are checked against.
   *
   * @default - that of `endpoint`, else that of `data`
   */
  readonly schema?: DatasetSchema;

  /**
   * Who may call.
   *
   * @default ApiAccess.cognito()
   */
  readonly access?: ApiAccess;

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
   * How long access logs and the logs of the functions are kept.
   *
   * @default logs.RetentionDays.THREE_MONTHS
   */
  readonly logRetention?: logs.RetentionDays;

  /**
   * What happens to the user pool, if it is made here, when the API leaves the stack.
   *
   * @default RemovalPolicy.RETAIN
   */
  readonly removalPolicy?: RemovalPolicy;
}

interface HandlerOptions {
  readonly description: string;
  readonly environment?: { [name: string]: string };
  readonly documents?: { [file: string]: unknown };
}

/**
 * The HTTP API of the platform: start a training, list and approve models, list data sets, predict.
 *
 * | route | body | answer |
 * |---|---|---|
 * | `POST /training/start` | `{"dataset"?, "parameters"?}` | 202 `{"executionArn", "dataset"}` |
 * | `POST /inference/predict` | `{"instances": [{column: value}]}` or one instance | 200 `{"predictions", "model", "requestId"}` |
 * | `GET /models?limit&nextToken` | | 200 `{"models", "nextToken"?}` |
 * | `POST /models/{version}/approval` | `{"status": "Approved" or "Rejected", "comment"?}` | 200 `{"version", "status", "changed"}` |
 * | `GET /datasets?limit&nextToken` | | 200 `{"datasets", "nextToken"?}` |
 * | `GET /health` | | 200 `{"status": "ok"}` |
 *
 * Training takes the newest data set unless the request names one. Instances, at most 500, hold values in the unit in which people
 * enter them. Lists come newest first, 50 (at most 200) at once. Health is open to everybody and contains nothing else.
 *
 * Errors are `{"error": {"code", "message", "details"?}, "requestId"}`: 400 names each wrong field, its value and what
 * is allowed; 401 and 403 come from API Gateway (`{"message"}`), but for 403 on an approval without the group; 404 and 409
 * say what is missing; 429 means later; 502 to 504 are the endpoint's, 503 `ModelNotDeployed` until a first version is approved.
 *
 * A header `Idempotency-Key` makes `POST /training/start` repeatable: equal requests with one key of one caller start one
 * execution. Approving what is approved changes nothing and starts no deployment; to serve an older approved version
 * again, reject it and approve it.
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
 */
export class MlopsApi extends Construct {
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

  /** Cognito group whose members may approve models, with Cognito access. */
  public readonly approverGroup?: string;

  private readonly access: BoundAccess;
  private readonly routes = new Set<string>();
  private readonly logRetention: logs.RetentionDays;

  constructor(scope: Construct, id: string, props: MlopsApiProps = {}) {
    super(scope, id);
    const allowOrigins = props.allowOrigins ?? ['*'];
    const throttle = { rateLimit: 50, burstLimit: 100, ...props.throttle };
    const schema = schemaOf(props.schema, props.endpoint, props.data);
    const problems = new Problems(`MlopsApi "${id}"`);
    checkSettings(problems, allowOrigins, throttle);
    problems.check(!props.endpoint || schema !== undefined, () =>
      'endpoint is given without a contract to check requests against: give schema as well');
    problems.throwIfAny();

    this.access = (props.access ?? ApiAccess.cognito())._bind(this, props.removalPolicy ?? RemovalPolicy.RETAIN);
    this.userPool = this.access.userPool;
    this.userPoolClient = this.access.userPoolClient;
    this.approverGroup = this.access.approverGroup;
    if (this.access.kind === 'open') {
      Annotations.of(this).addWarningV2('cdk-mlops:open-api',
        'anybody may call this API, approve models and start trainings that cost money: use ApiAccess.cognito() or ApiAccess.iam()');
    }
    this.httpApi = new apigwv2.HttpApi(this, 'HttpApi', {
      apiName: Token.isUnresolved(this.node.path) ? undefined : this.node.path.replace(/[^\w-]+/g, '-').slice(-128),
      description: 'Trainings, models, data sets and predictions',
      createDefaultStage: false,
      corsPreflight: corsPreflight(allowOrigins),
    });
    this.url = this.httpApi.apiEndpoint;
    this.logRetention = props.logRetention ?? logs.RetentionDays.THREE_MONTHS;
    this.stage = loggedStage(this, this.httpApi, { throttle, retention: this.logRetention, caller: this.access.callerInLog });

    this.addHealth();
    if (props.data) {
      this.addDatasets(props.data);
    }
    if (props.training) {
      this.addTraining(props.training, props.data);
    }
    if (props.registry) {
      this.addModels(props.registry);
    }
    if (props.endpoint && schema) {
      this.addPredict(props.endpoint, schema);
    }
    describeForRehearsal(this, 'cdk-mlops:api', {
      url: this.url,
      access: this.access.kind,
      routes: [...this.routes],
      pipelineName: props.training?.pipelineName,
      userPoolId: this.userPool?.userPoolId,
      userPoolClientId: this.userPoolClient?.userPoolClientId,
      approverGroup: this.approverGroup,
    });
  }

  /** Grants the given identity permission to ask for predictions. With `ApiAccess.iam()` only. */
  public grantPredict(grantee: iam.IGrantable): iam.Grant {
    return this.grantRoutes(grantee, 'POST /inference/predict');
  }

  /** Grants the given identity permission to start trainings. With `ApiAccess.iam()` only. */
  public grantStartTraining(grantee: iam.IGrantable): iam.Grant {
    return this.grantRoutes(grantee, 'POST /training/start');
  }

  /** Grants the given identity permission to approve and reject models. With `ApiAccess.iam()` only. */
  public grantApprove(grantee: iam.IGrantable): iam.Grant {
    return this.grantRoutes(grantee, 'POST /models/{version}/approval');
  }

  /** Grants the given identity permission to list models and data sets, as far as the API has them. With `ApiAccess.iam()` only. */
  public grantRead(grantee: iam.IGrantable): iam.Grant {
    return this.grantRoutes(grantee, ...['GET /models', 'GET /datasets'].filter((key) => this.routes.has(key)));
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

  private addHealth(): void {
    const handler = this.addHandler('Health', 'health', { description: 'Says that the API is there' });
    this.addRoutes('HealthIntegration', handler, ['GET /health'], new apigwv2.HttpNoneAuthorizer());
  }

  private addDatasets(data: DataPipeline): void {
    const handler = this.addHandler('Datasets', 'datasets', {
      description: 'Lists data sets',
      environment: { [ApiEnvironment.DATASETS_TABLE]: data.datasetTable.tableName },
    });
    grantTable(data.datasetTable, handler, 'dynamodb:Scan');
    this.addRoutes('DatasetsIntegration', handler, ['GET /datasets']);
  }

  private addTraining(training: sagemaker.IPipeline, data?: DataPipeline): void {
    const handler = this.addHandler('Training', 'training', {
      description: 'Starts trainings',
      environment: {
        [ApiEnvironment.PIPELINE_NAME]: training.pipelineName,
        ...(data ? {
          [ApiEnvironment.DATASETS_TABLE]: data.datasetTable.tableName,
          [ApiEnvironment.PROCESSED_DATA]: data.bucket.s3UrlForObject(Prefix.PROCESSED.replace(/\/$/, '')),
        } : {}),
      },
    });
    training.grantStartPipelineExecution(handler);
    // Its definition says which parameters there are, and of which type.
    iam.Grant.addToPrincipal({ grantee: handler, actions: ['sagemaker:DescribePipeline'], resourceArns: [training.pipelineArn] });
    if (data) {
      grantTable(data.datasetTable, handler, 'dynamodb:Scan', 'dynamodb:GetItem');
    }
    this.addRoutes('TrainingIntegration', handler, ['POST /training/start']);
  }

  private addModels(registry: IModelRegistry): void {
    const handler = this.addHandler('Models', 'models', {
      description: 'Lists and approves models',
      environment: {
        [ApiEnvironment.CATALOG_TABLE]: registry.catalogTable.tableName,
        [ApiEnvironment.MODEL_PACKAGE_GROUP_NAME]: registry.modelPackageGroupName,
        [ApiEnvironment.ACCESS]: this.access.kind,
        ...(this.approverGroup ? { [ApiEnvironment.APPROVER_GROUP]: this.approverGroup } : {}),
      },
    });
    registry.grantReadCatalog(handler);
    registry.grantApprove(handler);
    this.addRoutes('ModelsIntegration', handler, ['GET /models', 'POST /models/{version}/approval']);
  }

  private addPredict(endpoint: sagemaker.IEndpoint, schema: DatasetSchema): void {
    const handler = this.addHandler('Predict', 'predict', {
      description: 'Checks instances and asks the endpoint for predictions',
      environment: { [ApiEnvironment.ENDPOINT_NAME]: endpoint.endpointName },
      documents: { [SCHEMA_FILE]: schema._document() },
    });
    endpoint.grantInvoke(handler);
    this.addRoutes('PredictIntegration', handler, ['POST /inference/predict']);
  }

  private addHandler(id: string, name: string, options: HandlerOptions): HandlerFunction {
    const handler = new HandlerFunction(this, id, {
      handler: `api/${name}`,
      timeout: Duration.seconds(HANDLER_TIMEOUT_SECONDS),
      // Power follows memory, and somebody waits for the answer.
      memorySize: 512,
      logRetention: this.logRetention,
      ...options,
    });
    this.functions.push(handler);
    return handler;
  }

  private addRoutes(integrationId: string, handler: lambda.IFunction, keys: string[], authorizer = this.access.authorizer): void {
    const integration = new HttpLambdaIntegration(integrationId, handler);
    for (const key of keys) {
      const [method, path] = key.split(' ');
      this.httpApi.addRoutes({ path, methods: [method as apigwv2.HttpMethod], integration, authorizer });
      this.routes.add(key);
    }
  }

  private grantRoutes(grantee: iam.IGrantable, ...keys: string[]): iam.Grant {
    if (this.access.kind !== 'iam') {
      throw new Error(`MlopsApi "${this.node.id}": grants on routes need ApiAccess.iam(), its access is ${this.access.kind}`);
    }
    const missing = keys.filter((key) => !this.routes.has(key));
    if (missing.length > 0 || keys.length === 0) {
      throw new Error(`MlopsApi "${this.node.id}": it has no route ${missing.join(', ') || 'to read from'}: give it the part that brings it`);
    }
    const resourceArns = keys.map((key) => key.split(' '))
      .map(([method, path]) => this.httpApi.arnForExecuteApi(method, path.replace(/\{\w+\}/g, '*')));
    return iam.Grant.addToPrincipal({ grantee, actions: ['execute-api:Invoke'], resourceArns });
  }
}
