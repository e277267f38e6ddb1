import { Aws, Duration, Names, Token } from 'aws-cdk-lib';
import { AccessLogFormat } from 'aws-cdk-lib/aws-apigateway';
import * as apigwv2 from 'aws-cdk-lib/aws-apigatewayv2';
import { Construct } from 'constructs';
import type { CommonSettings } from '../shared/common-settings';
import { ServiceLogGroup } from '../shared/service-log-group';
import { Problems } from '../shared/validation';

export interface LoggedStageOptions {
  readonly throttle: apigwv2.ThrottleSettings;
  readonly settings: CommonSettings;
  /** Expression that names the caller. */
  readonly caller?: string;
}

/** The stage `$default`, which deploys by itself and logs each request. */
export function loggedStage(scope: Construct, httpApi: apigwv2.IHttpApi, options: LoggedStageOptions): apigwv2.HttpStage {
  const logGroup = new ServiceLogGroup(scope, 'AccessLogs', {
    ...options.settings,
    // Below this prefix API Gateway needs no entry in the account's log resource policy, whose size is limited. The
    // stack's name keeps apart what is deployed twice.
    logGroupName: `/aws/vendedlogs/apigateway/${Aws.STACK_NAME}/${Names.uniqueResourceName(scope, { maxLength: 100 })}`,
  });
  return new apigwv2.HttpStage(scope, 'Stage', {
    httpApi,
    stageName: '$default',
    autoDeploy: true,
    throttle: options.throttle,
    accessLogSettings: { destination: new apigwv2.LogGroupLogDestination(logGroup), format: accessLogFormat(options.caller) },
  });
}

/** One JSON object a request. No query string, no header, no body: nothing of what people send. */
function accessLogFormat(caller: string | undefined): AccessLogFormat {
  return AccessLogFormat.custom(JSON.stringify({
    requestId: '$context.requestId',
    time: '$context.requestTime',
    route: '$context.routeKey',
    path: '$context.path',
    status: '$context.status',
    milliseconds: '$context.responseLatency',
    integrationMilliseconds: '$context.integrationLatency',
    responseBytes: '$context.responseLength',
    sourceIp: '$context.identity.sourceIp',
    userAgent: '$context.identity.userAgent',
    ...(caller ? { caller } : {}),
    authorizerError: '$context.authorizer.error',
    integrationError: '$context.integrationErrorMessage',
    error: '$context.error.message',
  }));
}

/** Browsers may call from these origins; without credentials, because tokens travel in a header. */
export function corsPreflight(origins: readonly string[]): apigwv2.CorsPreflightOptions | undefined {
  return origins.length === 0 ? undefined : {
    allowOrigins: [...origins],
    allowMethods: [apigwv2.CorsHttpMethod.GET, apigwv2.CorsHttpMethod.POST],
    allowHeaders: ['authorization', 'content-type', 'idempotency-key', 'x-amz-date', 'x-amz-security-token', 'x-amz-content-sha256'],
    exposeHeaders: ['apigw-requestid', 'retry-after'],
    maxAge: Duration.hours(1),
  };
}

/** Checks what can be wrong with the settings of an API before anything is made. */
export function checkSettings(problems: Problems, origins: readonly string[], throttle: apigwv2.ThrottleSettings): void {
  for (const origin of origins) {
    problems.check(Token.isUnresolved(origin) || origin === '*' || /^[a-z][a-z0-9+.-]*:\/\/[^/\s]+$/i.test(origin), () =>
      `allowOrigins holds "${origin}"; an origin is a scheme and a host without a path, such as "https://console.example.com", or "*"`);
  }
  const limits = { rateLimit: throttle.rateLimit, burstLimit: throttle.burstLimit };
  for (const [name, limit] of Object.entries(limits)) {
    problems.check(limit === undefined || Token.isUnresolved(limit) || limit > 0, () =>
      `throttle.${name} is ${limit}; it must be greater than 0, else every request is refused`);
  }
}
