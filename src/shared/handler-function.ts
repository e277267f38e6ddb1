import { Duration } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import { assetPath, folderWithFiles } from './assets';
import type { CommonSettings } from './common-settings';
import { ServiceLogGroup } from './service-log-group';

export interface HandlerFunctionProps extends CommonSettings {
  /** Room and name of the handler: `data/manifest` is bundled from `src/data/manifest.lambda.ts`. */
  readonly handler: string;
  readonly description: string;
  readonly environment?: { [name: string]: string };
  /** JSON documents that the handler reads from its own folder: file name to content. */
  readonly documents?: { [file: string]: unknown };
  /** @default - 30 seconds */
  readonly timeout?: Duration;
  /** In MiB. @default 256 */
  readonly memorySize?: number;
}

/**
 * A Lambda function whose code was bundled, AWS SDK included, when this package was built. Its role may write to its own
 * log group and nothing else, until it is granted more.
 */
export class HandlerFunction extends lambda.Function {
  constructor(scope: Construct, id: string, props: HandlerFunctionProps) {
    const folder = assetPath('handlers', `${props.handler}.lambda`);
    const documents = Object.fromEntries(
      Object.entries(props.documents ?? {}).map(([file, content]) => [file, JSON.stringify(content)]),
    );
    const logGroup = new ServiceLogGroup(scope, `${id}Logs`, props);
    const role = new iam.Role(scope, `${id}Role`, { assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com') });
    logGroup.grantWrite(role);
    props.network?.interfaceStatements('lambda').forEach((statement) => role.addToPrincipalPolicy(statement));
    super(scope, id, {
      role,
      logGroup,
      description: props.description,
      code: lambda.Code.fromAsset(props.documents ? folderWithFiles(scope, folder, documents) : folder),
      handler: 'index.handler',
      runtime: lambda.Runtime.NODEJS_24_X,
      architecture: lambda.Architecture.ARM_64,
      environment: props.environment,
      vpc: props.network?.vpc,
      vpcSubnets: props.network?.vpcSubnets,
      securityGroups: props.network?.securityGroups,
      timeout: props.timeout ?? Duration.seconds(30),
      memorySize: props.memorySize ?? 256,
      loggingFormat: lambda.LoggingFormat.JSON,
    });
  }

  /** Allows actions on the resources of these ARNs; nothing where there is none. */
  public allow(actions: string[], resources: string[]): void {
    if (resources.length > 0) {
      this.addToRolePolicy(new iam.PolicyStatement({ actions, resources }));
    }
  }
}
