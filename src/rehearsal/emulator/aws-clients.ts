import { CloudFormationClient } from '@aws-sdk/client-cloudformation';
import { CognitoIdentityProviderClient } from '@aws-sdk/client-cognito-identity-provider';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { S3Client } from '@aws-sdk/client-s3';
import { SageMakerClient } from '@aws-sdk/client-sagemaker';
import { SFNClient } from '@aws-sdk/client-sfn';
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';

/** Where the emulator answers, and as whom it is called. */
export interface ClientOptions {
  readonly endpoint: string;
  readonly region: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
}

/** The services that the scenario talks to, all at the emulator. */
export class AwsClients {
  public readonly cloudFormation: CloudFormationClient;
  public readonly cognito: CognitoIdentityProviderClient;
  public readonly dynamo: DynamoDBDocumentClient;
  public readonly s3: S3Client;
  public readonly sageMaker: SageMakerClient;
  public readonly stepFunctions: SFNClient;

  constructor({ endpoint, region, credentials }: ClientOptions) {
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
