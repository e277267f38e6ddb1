import { Duration } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import type { IModelRegistry } from '../registry';
import { grantCatalog } from '../registry/catalog-grants';
import { CATALOG_ENVIRONMENT } from '../registry/catalog.lambda-shared';
import { copiesIn } from '../registry/version-copies';
import { modelPackageArns, sageMakerArns } from '../shared/arns';
import type { CommonSettings } from '../shared/common-settings';
import { HandlerFunction } from '../shared/handler-function';

export interface VerificationProps {
  readonly settings: CommonSettings;
  readonly registry: IModelRegistry;
  readonly endpointName: string;
  /** The models of the endpoint are named by it. */
  readonly prefix: string;
}

/** Compares a version with what was registered. It reads, and changes nothing. */
export class Verification extends HandlerFunction {
  constructor(scope: Construct, id: string, { settings, registry, endpointName, prefix }: VerificationProps) {
    super(scope, id, {
      ...settings,
      handler: 'inference/artifacts',
      description: `Verifies that a version is what was registered before ${endpointName} serves it`,
      environment: {
        [CATALOG_ENVIRONMENT.table]: registry.catalogTable.tableName,
        [CATALOG_ENVIRONMENT.bucket]: registry.bucket.bucketName,
        [CATALOG_ENVIRONMENT.modelPackageGroupName]: registry.modelPackageGroupName,
      },
      timeout: Duration.minutes(3),
    });
    grantCatalog(registry, this, ['MODEL'], ['dynamodb:GetItem']);
    copiesIn(registry).grantRead(this);
    this.allow(['sagemaker:DescribeModelPackage'], modelPackageArns(this, registry.modelPackageGroupName));
    this.allow(['sagemaker:DescribeModel', 'sagemaker:ListTags'], sageMakerArns(this, 'model', `${prefix}-*`));
  }
}
