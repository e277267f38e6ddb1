import { Stack } from 'aws-cdk-lib';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import * as iam from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import { ImageVersion, ScikitLearnVersion, XgboostVersion } from './image-versions';
import { builtInImageUri, builtInRepositoryArn } from '../shared/container-images';

const PULL_ACTIONS = ['ecr:BatchCheckLayerAvailability', 'ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer'];

/** A string of literal characters and CDK tokens. */
const NAME = String.raw`(?:\$\{Token\[[^\]]*\]\}|[\w-])+`;
const ECR_URI = new RegExp(String.raw`^(${NAME})\.dkr\.ecr\.(${NAME})\.(?:${NAME}|\.)+/((?:${NAME}|[./])+?)(?::[^/]*|@sha256:.*)?$`);

/** The image of a container. Who runs it is granted permission to pull it. */
export abstract class ContainerImage {
  /**
   * An image of an ECR repository.
   *
   * @param repository the repository; one of another account must allow the pull itself
   * @param tagOrDigest tag, or digest that begins with `sha256:`
   */
  public static fromEcrRepository(repository: ecr.IRepository, tagOrDigest: string = 'latest'): ContainerImage {
    return new EcrImage(repository, tagOrDigest);
  }

  /** An image by its URI. Where it lies in ECR the pull is granted on its repository; of other registries there is nothing to grant. */
  public static fromUri(uri: string): ContainerImage {
    return new UriImage(uri);
  }

  /** SageMaker's image of XGBoost. @param version @default XgboostVersion.V3_2_0 */
  public static xgboost(version: XgboostVersion = XgboostVersion.V3_2_0): ContainerImage {
    return new SageMakerImage(version);
  }

  /** SageMaker's image of scikit-learn. @param version @default ScikitLearnVersion.V1_9_0 */
  public static scikitLearn(version: ScikitLearnVersion = ScikitLearnVersion.V1_9_0): ContainerImage {
    return new SageMakerImage(version);
  }

  /** URI of the image for the region of `scope`. */
  public abstract imageUri(scope: Construct): string;

  /** Grants the given identity permission to pull the image. `scope` says the region. */
  public abstract grantPull(scope: Construct, grantee: iam.IGrantable): iam.Grant;
}

class EcrImage extends ContainerImage {
  constructor(private readonly repository: ecr.IRepository, private readonly tagOrDigest: string) {
    super();
  }

  public imageUri(_scope: Construct): string {
    return this.repository.repositoryUriForTagOrDigest(this.tagOrDigest);
  }

  public grantPull(_scope: Construct, grantee: iam.IGrantable): iam.Grant {
    return this.repository.grantPull(grantee);
  }
}

class UriImage extends ContainerImage {
  constructor(private readonly uri: string) {
    super();
  }

  public imageUri(_scope: Construct): string {
    return this.uri;
  }

  public grantPull(scope: Construct, grantee: iam.IGrantable): iam.Grant {
    const match = ECR_URI.exec(this.uri);
    return match
      ? grantPull(grantee, Stack.of(scope).formatArn({ service: 'ecr', account: match[1], region: match[2], resource: 'repository', resourceName: match[3] }))
      : iam.Grant.drop(grantee, 'the image does not lie in ECR');
  }
}

class SageMakerImage extends ContainerImage {
  constructor(private readonly version: ImageVersion) {
    super();
  }

  public imageUri(scope: Construct): string {
    return builtInImageUri(scope, this.version._image());
  }

  public grantPull(scope: Construct, grantee: iam.IGrantable): iam.Grant {
    return grantPull(grantee, builtInRepositoryArn(scope, this.version._image()));
  }
}

function grantPull(grantee: iam.IGrantable, repositoryArn: string): iam.Grant {
  return iam.Grant.addToPrincipal({ grantee, actions: PULL_ACTIONS, resourceArns: [repositoryArn] })
    // A token is not of one repository.
    .combine(iam.Grant.addToPrincipal({ grantee, actions: ['ecr:GetAuthorizationToken'], resourceArns: ['*'] }));
}
