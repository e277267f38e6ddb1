import { Duration, IResource, Names, RemovalPolicy, Resource, Stack, Token } from 'aws-cdk-lib';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as events from 'aws-cdk-lib/aws-events';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as s3 from 'aws-cdk-lib/aws-s3';
import * as sagemaker from 'aws-cdk-lib/aws-sagemaker';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { CatalogFeed } from './catalog-feed';
import { grantCatalog } from './catalog-grants';
import { CATALOG, CATALOG_KINDS } from './catalog.lambda-shared';
import { copiesIn } from './version-copies';
import { CommonProps } from '../profile';
import { Settings, settingsOf } from '../profile/settings';
import { ContainerImage } from '../references/container-image';
import { modelPackageArns, sageMakerArns } from '../shared/arns';
import { Cleanup } from '../shared/cleanup';
import { eventRule } from '../shared/event-rule';
import { connectionsOf, Network } from '../shared/network';
import { describeForRehearsal } from '../shared/rehearsal-facts';
import { SecureBucket } from '../shared/secure-bucket';
import { SecureTable } from '../shared/secure-table';
import { Problems } from '../shared/validation';

/**
 * A registry of model versions, its own or one that exists.
 */
export interface IModelRegistry extends IResource {
  /**
   * Name of the SageMaker model package group.
   *
   * @attribute
   */
  readonly modelPackageGroupName: string;

  /**
   * ARN of the SageMaker model package group.
   *
   * @attribute
   */
  readonly modelPackageGroupArn: string;

  /** Where training writes model artifacts and reports, and where endpoints read them. */
  readonly bucket: s3.IBucket;

  /** The catalog: model versions with metrics and lineage, and what serves where. */
  readonly catalogTable: dynamodb.ITableV2;

  /**
   * Grants the given identity permission to read model packages, their group and its part of the catalog. Not the artifacts: grant these
   * on `bucket`.
   */
  grantRead(grantee: iam.IGrantable): iam.Grant;

  /** Grants the given identity permission to read this group's part of the catalog: its versions, what serves and how deployments ended. */
  grantReadCatalog(grantee: iam.IGrantable): iam.Grant;

  /** Grants the given identity permission to register model versions. */
  grantRegister(grantee: iam.IGrantable): iam.Grant;

  /** Grants the given identity permission to approve and reject model versions. */
  grantApprove(grantee: iam.IGrantable): iam.Grant;

  /** Grants the given identity permission to create SageMaker models from model versions. The models themselves are the grantee's own. */
  grantDeploy(grantee: iam.IGrantable): iam.Grant;

  /**
   * Says that versions of this registry are served by containers of this image: who may serve them may pull it. Steps that register
   * models say so by themselves; SageMaker's own images may always be pulled.
   */
  addServingImage(image: ContainerImage): void;

  /** Grants the given identity permission to serve model versions: to read the copies of their artifacts and to pull their images. */
  grantServe(grantee: iam.IGrantable): void;

  /**
   * A rule for each approval of a version. SageMaker may send an event more than once and out of order: targets must
   * look at the model package itself.
   */
  onApproved(id: string, options?: events.OnEventOptions): events.Rule;

  /** A rule for each version that was registered and waits for approval. */
  onRegistered(id: string, options?: events.OnEventOptions): events.Rule;

  /** A rule for each change of a version: registered, approved, rejected. */
  onChanged(id: string, options?: events.OnEventOptions): events.Rule;
}

/**
 * What is known of a registry that exists.
 */
export interface ModelRegistryAttributes {
  /** Name of the model package group. */
  readonly modelPackageGroupName: string;

  /** Bucket of the artifacts and their copies. */
  readonly bucket: s3.IBucket;

  /** Table of the catalog, as a `ModelRegistry` made it. */
  readonly catalogTable: dynamodb.ITableV2;
}

/**
 * Properties of a `ModelRegistry`.
 */
export interface ModelRegistryProps extends CommonProps {
  /**
   * Name of the model package group: letters, digits and hyphens, at most 63.
   *
   * Where the removal policy retains the group, its name stays taken after the stack is deleted, the default one too: the next
   * deployment of the registry fails until it gets another name, the group is imported into the stack or deleted, or the registry
   * is taken with `ModelRegistry.fromModelRegistryAttributes`.
   *
   * @default - derived from the construct's path
   */
  readonly modelPackageGroupName?: string;

  /**
   * Bucket for model artifacts and reports.
   *
   * @default - a new bucket: encrypted, versioned, TLS only
   */
  readonly bucket?: s3.IBucket;

  /**
   * Table of the catalog, as a `ModelRegistry` makes it (string keys `pk` and `sk`). It may hold several registries: what this
   * one writes carries its group.
   *
   * @default - a new table: encrypted, with point-in-time recovery
   */
  readonly catalogTable?: dynamodb.ITableV2;

  /**
   * What happens to models, artifacts and catalog when the registry leaves the stack. With `DESTROY` all of them are deleted; of a table that
   * was given, the items of this group.
   *
   * @default - as the profile says
   */
  readonly removalPolicy?: RemovalPolicy;
}

const DETAIL_TYPE = 'SageMaker Model Package State Change';

abstract class ModelRegistryBase extends Resource implements IModelRegistry {
  public abstract readonly modelPackageGroupName: string;
  public abstract readonly modelPackageGroupArn: string;
  public abstract readonly bucket: s3.IBucket;
  public abstract readonly catalogTable: dynamodb.ITableV2;
  /** SageMaker's own images serve whatever is registered by other means than the steps of a pipeline. */
  private readonly servingImages: ContainerImage[] = [ContainerImage.scikitLearn(), ContainerImage.xgboost()];
  private readonly servers: iam.IGrantable[] = [];

  public grantRead(grantee: iam.IGrantable): iam.Grant {
    return iam.Grant.addToPrincipal({
      grantee,
      actions: ['sagemaker:DescribeModelPackage', 'sagemaker:DescribeModelPackageGroup'],
      resourceArns: [...this.packageArns(), ...this.groupArns()],
    }).combine(this.grantReadCatalog(grantee));
  }

  public grantReadCatalog(grantee: iam.IGrantable): iam.Grant {
    return grantCatalog(this, grantee, ['MODEL', 'SERVING', 'DEPLOYMENT'], ['dynamodb:GetItem', 'dynamodb:Query']);
  }

  public grantRegister(grantee: iam.IGrantable): iam.Grant {
    return iam.Grant.addToPrincipal({
      grantee,
      actions: ['sagemaker:CreateModelPackage', 'sagemaker:DescribeModelPackage', 'sagemaker:DescribeModelPackageGroup'],
      resourceArns: [...this.packageArns(), ...this.groupArns()],
    });
  }

  public grantApprove(grantee: iam.IGrantable): iam.Grant {
    return this.grantOnPackages(grantee, 'sagemaker:DescribeModelPackage', 'sagemaker:UpdateModelPackage');
  }

  public grantDeploy(grantee: iam.IGrantable): iam.Grant {
    return this.grantOnPackages(grantee, 'sagemaker:CreateModel', 'sagemaker:DescribeModelPackage');
  }

  public addServingImage(image: ContainerImage): void {
    this.servingImages.push(image);
    this.servers.forEach((grantee) => image.grantPull(this, grantee));
  }

  public grantServe(grantee: iam.IGrantable): void {
    copiesIn(this).grantRead(grantee);
    this.servers.push(grantee);
    this.servingImages.forEach((image) => image.grantPull(this, grantee));
  }

  public onApproved(id: string, options: events.OnEventOptions = {}): events.Rule {
    return this.rule(id, options, { ModelApprovalStatus: ['Approved'] });
  }

  public onRegistered(id: string, options: events.OnEventOptions = {}): events.Rule {
    return this.rule(id, options, { ModelApprovalStatus: ['PendingManualApproval'] });
  }

  public onChanged(id: string, options: events.OnEventOptions = {}): events.Rule {
    return this.rule(id, options, {});
  }

  /** ARNs that match each version of the group. */
  protected packageArns(): string[] {
    return modelPackageArns(this, this.modelPackageGroupName);
  }

  /** ARNs that match the group itself. */
  protected groupArns(): string[] {
    return sageMakerArns(this, 'model-package-group', this.modelPackageGroupName);
  }

  private grantOnPackages(grantee: iam.IGrantable, ...actions: string[]): iam.Grant {
    return iam.Grant.addToPrincipal({ grantee, actions, resourceArns: this.packageArns() });
  }

  private rule(id: string, options: events.OnEventOptions, detail: { [field: string]: string[] }): events.Rule {
    return eventRule(this, id, options, {
      source: ['aws.sagemaker'],
      detailType: [DETAIL_TYPE],
      detail: { ModelPackageGroupName: [this.modelPackageGroupName], ...detail },
    });
  }
}

/**
 * Model versions with approval, lineage and metrics.
 *
 * Creates a SageMaker model package group, which is the source of truth; a bucket for the artifacts; and a DynamoDB table,
 * the catalog, that is kept in step by events and answers in milliseconds which versions there are, how good they are and
 * what serves where. Idle cost: storage only.
 *
 * When a version is registered, the artifacts of its containers are copied below `_versions/` in the bucket, where no job may write, and
 * a digest of bytes, images and environments is kept in the catalog. Endpoints serve the copies, and only while the digest holds.
 *
 * With `RemovalPolicy.DESTROY` a custom resource deletes the model versions first: SageMaker refuses to delete a group that has any.
 *
 * @see https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry.html
 *
 * @example
 * const registry = new ModelRegistry(this, 'Models', { modelPackageGroupName: 'AbaloneModelPackageGroup' });
 */
export class ModelRegistry extends ModelRegistryBase implements iam.IGrantable, ec2.IConnectable {
  /** A registry that exists, made by another stack. Of models that are served by other images than SageMaker's own, say so by `addServingImage`. */
  public static fromModelRegistryAttributes(scope: Construct, id: string, attributes: ModelRegistryAttributes): IModelRegistry {
    checkGroupName(`ModelRegistry.fromModelRegistryAttributes "${id}"`, attributes.modelPackageGroupName);
    class Import extends ModelRegistryBase {
      public readonly modelPackageGroupName = attributes.modelPackageGroupName;
      public readonly bucket = attributes.bucket;
      public readonly catalogTable = attributes.catalogTable;
      public readonly modelPackageGroupArn = Stack.of(scope).formatArn({
        service: 'sagemaker', resource: 'model-package-group', resourceName: attributes.modelPackageGroupName,
      });
    }
    return new Import(scope, id);
  }

  public readonly modelPackageGroupName: string;
  public readonly modelPackageGroupArn: string;
  public readonly bucket: s3.IBucket;
  public readonly catalogTable: dynamodb.ITableV2;
  /** Who copies the artifacts of a version when it is registered: grant it to read those that lie in other buckets. */
  public readonly grantPrincipal: iam.IPrincipal;
  /** Events that could not be written into the catalog. */
  public readonly deadLetterQueue: sqs.IQueue;
  private readonly network?: Network;

  constructor(scope: Construct, id: string, props: ModelRegistryProps = {}) {
    super(scope, id);
    const settings = settingsOf(this, props);
    const { encryptionKey } = settings;
    this.network = settings.network;
    const removalPolicy = props.removalPolicy ?? settings.profile.removalPolicy;
    if (props.modelPackageGroupName !== undefined) {
      checkGroupName(`ModelRegistry "${id}"`, props.modelPackageGroupName);
    }
    this.modelPackageGroupName = props.modelPackageGroupName ?? derivedName(this);
    this.bucket = props.bucket ?? new SecureBucket(this, 'Artifacts', { removalPolicy, encryptionKey });
    this.catalogTable = props.catalogTable ?? new SecureTable(this, 'Catalog', { ...CATALOG, removalPolicy, encryptionKey });
    const group = this.createGroup(removalPolicy);
    this.modelPackageGroupArn = group.attrModelPackageGroupArn;
    const { modelPackageGroupName, bucket, catalogTable } = this;
    const feed = new CatalogFeed(this, 'Feed', { settings, modelPackageGroupName, bucket, catalogTable, packageArns: this.packageArns() });
    this.deadLetterQueue = feed.deadLetterQueue;
    this.grantPrincipal = feed.grantPrincipal;
    this.onChanged('Rule', { crossStackScope: feed, description: `Model versions of ${modelPackageGroupName} changed`, target: feed.target });
    if (removalPolicy === RemovalPolicy.DESTROY) {
      this.deleteVersionsBefore(group, feed, settings, props.catalogTable);
    }
    describeForRehearsal(this, 'cdk-mlops:model-registry', {
      modelPackageGroupName: this.modelPackageGroupName,
      tableName: this.catalogTable.tableName,
      bucket: this.bucket.bucketName,
    });
  }

  /** The security groups of its functions. Fails where it runs in no VPC. */
  public get connections(): ec2.Connections {
    return connectionsOf(this, this.network);
  }

  private createGroup(removalPolicy: RemovalPolicy): sagemaker.CfnModelPackageGroup {
    const group = new sagemaker.CfnModelPackageGroup(this, 'Resource', {
      modelPackageGroupName: this.modelPackageGroupName,
      modelPackageGroupDescription: `Model versions of ${this.node.path}`.slice(0, 1024),
    });
    group.applyRemovalPolicy(removalPolicy);
    return group;
  }

  private deleteVersionsBefore(group: sagemaker.CfnModelPackageGroup, feed: CatalogFeed, settings: Settings, givenTable?: dynamodb.ITableV2): void {
    const cleanup = new Cleanup(this, 'Cleanup', {
      ...settings,
      handler: 'registry/cleanup',
      description: `Deletes the model versions of ${this.modelPackageGroupName} when the stack is deleted`,
      resourceType: 'Custom::ModelVersions',
      properties: { GroupName: this.modelPackageGroupName, ...(givenTable ? { TableName: givenTable.tableName } : {}) },
      timeout: Duration.minutes(10),
      statements: [
        // Listing has no resource-level permissions.
        new iam.PolicyStatement({ actions: ['sagemaker:ListModelPackages'], resources: ['*'] }),
        new iam.PolicyStatement({ actions: ['sagemaker:DeleteModelPackage'], resources: this.packageArns() }),
      ],
    });
    // Made after the group, thus deleted before it.
    cleanup.resource.node.addDependency(group);
    if (givenTable) {
      grantCatalog(this, cleanup, CATALOG_KINDS, ['dynamodb:DeleteItem', 'dynamodb:Query']);
      // Else it would write the deleted versions into the table again.
      feed.node.addDependency(cleanup.resource);
    }
  }
}

function derivedName(registry: Construct): string {
  return Names.uniqueResourceName(registry, { maxLength: 63, separator: '-' }).toLowerCase();
}

function checkGroupName(subject: string, name: string): void {
  const problems = new Problems(subject);
  problems.check(Token.isUnresolved(name) || /^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$/.test(name), () =>
    `modelPackageGroupName "${name}" must be 1 to 63 letters, digits and hyphens, with a letter or digit first and last`);
  problems.throwIfAny();
}
