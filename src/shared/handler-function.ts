import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { assetPath, folderWithFiles } from './assets';

export interface HandlerFunctionProps {
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

/** A Lambda function whose code was bundled, AWS SDK included, when this package was built. */
export class HandlerFunction extends lambda.Function {
  constructor(scope: Construct, id: string, props: HandlerFunctionProps) {
    const folder = assetPath('handlers', `${props.handler}.lambda`);
    const documents = Object.fromEntries(
      Object.entries(props.documents ?? {}).map(([file, content]) => [file, JSON.stringify(content)]),
    );
    super(scope, id, {
      description: props.description,
      code: lambda.Code.fromAsset(props.documents ? folderWithFiles(scope, folder, documents) : folder),
      handler: 'index.handler',
      runtime: lambda.Runtime.NODEJS_22_X,
      architecture: lambda.Architecture.ARM_64,
      environment: props.environment,
      timeout: props.timeout ?? Duration.seconds(30),
      memorySize: props.memorySize ?? 256,
      logGroup: new logs.LogGroup(scope, `${id}Logs`, {
        retention: logs.RetentionDays.THREE_MONTHS,
        removalPolicy: RemovalPolicy.DESTROY,
      }),
      loggingFormat: lambda.LoggingFormat.JSON,
    });
  }
}
