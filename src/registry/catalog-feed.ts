import { Duration } from 'aws-cdk-lib';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import * as events from 'aws-cdk-lib/aws-events';
import * as targets from 'aws-cdk-lib/aws-events-targets';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as s3 from 'aws-cdk-lib/aws-s3';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { grantCatalog } from './catalog-grants';
import { CATALOG_ENVIRONMENT } from './catalog.lambda-shared';
import { copiesIn } from './version-copies';
import type { CommonSettings } from '../shared/common-settings';
import { DeadLetterQueue } from '../shared/dead-letter-queue';
import { HandlerFunction } from '../shared/handler-function';

export interface CatalogFeedProps {
  readonly settings: CommonSettings;
  readonly modelPackageGroupName: string;
  /** ARNs that match each version of the group. */
  readonly packageArns: string[];
  readonly bucket: s3.IBucket;
  readonly catalogTable: dynamodb.ITableV2;
}

/** As long as a function may run: S3 copies large artifacts for minutes. */
const LONGEST_COPY = Duration.minutes(15);

/** Copies artifacts and keeps the catalog in step with SageMaker: a function, and a queue for events that could not be handled. */
export class CatalogFeed extends Construct implements iam.IGrantable {
  /** Who copies artifacts. */
  public readonly grantPrincipal: iam.IPrincipal;
  /** Target of the rule that matches each change of a version. */
  public readonly target: events.IRuleTarget;
  /** Events that could not be handled. */
  public readonly deadLetterQueue: sqs.IQueue;

  constructor(scope: Construct, id: string, props: CatalogFeedProps) {
    super(scope, id);
    const handler = new HandlerFunction(this, 'Handler', {
      ...props.settings,
      handler: 'registry/catalog',
      description: `Copies model versions of ${props.modelPackageGroupName} and writes them into the catalog`,
      timeout: LONGEST_COPY,
      environment: {
        [CATALOG_ENVIRONMENT.table]: props.catalogTable.tableName,
        [CATALOG_ENVIRONMENT.bucket]: props.bucket.bucketName,
        [CATALOG_ENVIRONMENT.modelPackageGroupName]: props.modelPackageGroupName,
      },
    });
    handler.addToRolePolicy(new iam.PolicyStatement({ actions: ['sagemaker:DescribeModelPackage'], resources: props.packageArns }));
    grantCatalog(props, handler, ['MODEL'], ['dynamodb:UpdateItem']);
    // Reports, and the artifacts that it copies; the copies are its alone to write.
    props.bucket.grantRead(handler);
    copiesIn(props).grantWrite(handler);
    this.grantPrincipal = handler.grantPrincipal;

    this.deadLetterQueue = new DeadLetterQueue(this, 'DeadLetters', props.settings);
    this.target = new targets.LambdaFunction(handler, { deadLetterQueue: this.deadLetterQueue, retryAttempts: 8, maxEventAge: Duration.hours(2) });
  }
}
