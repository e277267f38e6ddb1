import { Duration } from 'aws-cdk-lib';
import * as targets from 'aws-cdk-lib/aws-events-targets';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { CATALOG_ENVIRONMENT } from './catalog.lambda-shared';
import type { IModelRegistry } from './model-registry';
import { HandlerFunction } from '../shared/handler-function';

export interface CatalogFeedProps {
  readonly registry: IModelRegistry;
  /** ARNs that match each version of the group. */
  readonly packageArns: string[];
}

/** Keeps the catalog in step with SageMaker: rule, function, and a queue for events that could not be handled. */
export class CatalogFeed extends Construct {
  constructor(scope: Construct, id: string, props: CatalogFeedProps) {
    super(scope, id);
    const { registry } = props;
    const handler = new HandlerFunction(this, 'Handler', {
      handler: 'registry/catalog',
      description: `Writes model versions of ${registry.modelPackageGroupName} into the catalog`,
      environment: { [CATALOG_ENVIRONMENT.table]: registry.catalogTable.tableName },
    });
    handler.addToRolePolicy(new iam.PolicyStatement({ actions: ['sagemaker:DescribeModelPackage'], resources: props.packageArns }));
    registry.catalogTable.grant(handler, 'dynamodb:UpdateItem');
    registry.bucket.grantRead(handler);

    const deadLetterQueue = new sqs.Queue(this, 'DeadLetters', {
      encryption: sqs.QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    });
    registry.onChanged('Rule', {
      crossStackScope: this,
      description: `Model versions of ${registry.modelPackageGroupName} changed`,
      target: new targets.LambdaFunction(handler, { deadLetterQueue, retryAttempts: 8, maxEventAge: Duration.hours(2) }),
    });
  }
}
