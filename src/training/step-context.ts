import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { parameterOf, textOf } from './definition-graph';
import type { ContainerImage } from '../references/container-image';
import type { S3Location } from '../references/s3-location';
import type { IModelRegistry } from '../registry/model-registry';
import { hasLocalStorage } from '../shared/instance-types';
import type { Network } from '../shared/network';
import { Json, JsonObject, renderReferences } from '../shared/pipeline-tokens';

/** What the pipeline gives to all of its jobs. */
export interface JobSettings {
  readonly role?: iam.IRole;
  readonly network?: Network;
  /** Encrypts the volumes of the jobs. */
  readonly encryptionKey?: kms.IKey;
  readonly tags?: Json;
}

/**
 * What a step is rendered with. A step puts values into its JSON through it; what carries permission is remembered by the text that
 * stands in the JSON, so that the grants, which read the JSON, know the thing behind the text.
 */
export class StepContext {
  private readonly locations = new Map<string, S3Location>();
  private readonly images = new Map<string, ContainerImage>();
  private readonly roles = new Map<string, iam.IRole>();
  private readonly keys = new Map<string, kms.IKey>();
  private readonly functions = new Map<string, lambda.IFunction>();
  private readonly queues = new Map<string, sqs.IQueue>();
  private readonly registries = new Map<string, IModelRegistry>();
  private readonly rolesOfSteps = new Map<string, readonly iam.IRole[]>();
  private readonly defaults = new Map<string, string>();

  /** @param scope where the definition ends up; without it images have no URI yet, which is enough for checks */
  constructor(private readonly scope?: Construct, public readonly jobs: JobSettings = {}) {}

  /** Says what the parameters of the pipeline are, as they stand in its JSON, unless a start says otherwise. */
  public setParameters(parameters: readonly JsonObject[]): void {
    parameters.forEach(({ Name, DefaultValue }) => this.defaults.set(textOf(Name), textOf(DefaultValue)));
  }

  public location(location: S3Location): string {
    this.locations.set(keyOf(location.uri), location);
    return location.uri;
  }

  public image(image: ContainerImage): string {
    const uri = this.scope ? image.imageUri(this.scope) : 'image';
    this.images.set(uri, image);
    return uri;
  }

  /** ARN of a step's role: that of the jobs unless the step has one of its own. */
  public role(own?: iam.IRole): string {
    const role = own ?? this.jobs.role;
    if (role) {
      this.roles.set(role.roleArn, role);
    }
    return role?.roleArn ?? 'role of the jobs';
  }

  /** ARN of the key that encrypts the volumes of a job. None for a type that encrypts its own disks: SageMaker refuses one there. */
  public volumeKey(instanceType: string): string | undefined {
    const type = renderReferences(instanceType);
    const known = typeof type === 'string' ? type : this.defaults.get(parameterOf(type) ?? '');
    return known && hasLocalStorage(known) ? undefined : this.key(this.jobs.encryptionKey);
  }

  /**
   * ARN of the key that encrypts what a job writes to these places: that of their buckets, where it is one, so that who may read a
   * bucket can read what is in it. Without a key SageMaker takes AWS's key for S3 of the account (`OutputDataConfig.KmsKeyId`).
   */
  public outputKey(...places: S3Location[]): string | undefined {
    const [key, ...others] = new Set(places.map((place) => place._encryptionKey));
    return others.length === 0 ? this.key(key) : undefined;
  }

  /** Subnets and security groups of the jobs. */
  public vpcConfig(): JsonObject | undefined {
    return this.jobs.network?.vpcConfig;
  }

  public function(target: lambda.IFunction): string {
    this.functions.set(target.functionArn, target);
    return target.functionArn;
  }

  public queue(queue: sqs.IQueue): string {
    this.queues.set(queue.queueUrl, queue);
    return queue.queueUrl;
  }

  public registry(registry: IModelRegistry): string {
    this.registries.set(registry.modelPackageGroupName, registry);
    return registry.modelPackageGroupName;
  }

  /** Roles that a step of JSON may be run with, where its JSON does not say which. */
  public nameRoles(step: string, roles: readonly iam.IRole[]): void {
    roles.forEach((role) => this.role(role));
    this.rolesOfSteps.set(step, roles);
  }

  public locationOf(uri: Json): S3Location | undefined {
    return this.locations.get(keyOf(uri));
  }

  public imageOf(uri: string): ContainerImage | undefined {
    return this.images.get(uri);
  }

  public roleOf(arn: string): iam.IRole | undefined {
    return this.roles.get(arn);
  }

  public keyOf(arn: string): kms.IKey | undefined {
    return this.keys.get(arn);
  }

  public functionOf(arn: string): lambda.IFunction | undefined {
    return this.functions.get(arn);
  }

  public queueOf(url: string): sqs.IQueue | undefined {
    return this.queues.get(url);
  }

  public registryOf(groupName: string): IModelRegistry | undefined {
    return this.registries.get(groupName);
  }

  public namedRolesOf(step: string): readonly iam.IRole[] {
    return this.rolesOfSteps.get(step) ?? [];
  }

  private key(key?: kms.IKey): string | undefined {
    if (key) {
      this.keys.set(key.keyArn, key);
    }
    return key?.keyArn;
  }
}

function keyOf(uri: Json): string {
  return JSON.stringify(renderReferences(uri));
}
