import { CloudFormationClient } from '@aws-sdk/client-cloudformation';
import { CognitoIdentityProviderClient } from '@aws-sdk/client-cognito-identity-provider';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { S3Client } from '@aws-sdk/client-s3';
import { SageMakerClient } from '@aws-sdk/client-sagemaker';
import { SFNClient } from '@aws-sdk/client-sfn';
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { Environment, urlOf } from '../app/environment';

/** Where the emulator answers, and as whom it is called. */
export interface ClientOptions {
  readonly endpoint: string;
  readonly region: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
}

/** The clients of each account and region, made when they are first needed. */
export class AwsEnvironments {
  private readonly made = new Map<string, AwsClients>();

  constructor(private readonly optionsOf: (environment: Environment) => ClientOptions) {}

  /** Those of an administrator there. */
  public of(environment: Environment): AwsClients {
    const url = urlOf(environment);
    const clients = this.made.get(url) ?? new AwsClients(this.optionsOf(environment));
    this.made.set(url, clients);
    return clients;
  }

  public destroy(): void {
    this.made.forEach((clients) => clients.destroy());
  }
}

/** The services that the scenario talks to, all at the emulator. */
export class AwsClients {
  public readonly cloudFormation: CloudFormationClient;
  public readonly cognito: CognitoIdentityProviderClient;
  public readonly dynamo: DynamoDBDocumentClient;
  public readonly s3: S3Client;
  public readonly sageMaker: SageMakerClient;
  public readonly stepFunctions: SFNClient;

  constructor(public readonly options: ClientOptions) {
    const { endpoint, region, credentials } = options;
    const config = { endpoint, region, credentials, maxAttempts: 3 };
    this.cloudFormation = new CloudFormationClient(config);
    this.cognito = new CognitoIdentityProviderClient(config);
    this.dynamo = DynamoDBDocumentClient.from(new DynamoDBClient(config));
    this.s3 = new S3Client({ ...config, forcePathStyle: true });
    this.sageMaker = new SageMakerClient(config);
    this.stepFunctions = new SFNClient(config);
  }

  public destroy(): void {
    [this.cloudFormation, this.cognito, this.dynamo, this.s3, this.sageMaker, this.stepFunctions].forEach((client) => client.destroy());
  }
}
