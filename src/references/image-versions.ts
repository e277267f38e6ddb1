import { BuiltInImage, endOfPatch, scikitLearnImage, xgboostImage } from '../shared/container-images';

/** A version of an image that SageMaker provides. Compare with `isSameAs`: two of one version need not be one object. */
export abstract class ImageVersion {
  /** Name of the version, as SageMaker's SDK takes it, e.g. `1.9-0`. */
  public readonly version: string;

  /** Tag of the image in its repository, e.g. `1.9-0-cpu-py3`. */
  public readonly tag: string;

  /** Last day on which AWS patches the image, e.g. `2027-07-16`; undefined where AWS does not say it. */
  public readonly endOfPatch?: string;

  private readonly repository: string;

  protected constructor(version: string, tag: string, repository: string) {
    this.version = version;
    this.tag = tag;
    this.repository = repository;
    this.endOfPatch = endOfPatch({ repository, tag })?.date;
  }

  /** Whether the other is the same version of the same image. */
  public isSameAs(other: ImageVersion): boolean {
    return this.repository === other.repository && this.tag === other.tag;
  }

  /** @internal */
  public _image(): BuiltInImage {
    return { repository: this.repository, tag: this.tag };
  }
}

/**
 * A version of SageMaker's image of scikit-learn.
 *
 * @see https://docs.aws.amazon.com/sagemaker/latest/dg/sklearn.html
 */
export class ScikitLearnVersion extends ImageVersion {
  /** scikit-learn 1.9.0 on Python 3.12. */
  public static readonly V1_9_0 = ScikitLearnVersion.of('1.9-0');

  /** scikit-learn 1.4.2 on Python 3.12. */
  public static readonly V1_4_2 = ScikitLearnVersion.of('1.4-2-py312');

  /**
   * Any other version, e.g. `1.2-1`.
   *
   * @throws Error when it does not look like a version
   */
  public static of(version: string): ScikitLearnVersion {
    checkVersion('ScikitLearnVersion', version, '1.9-0');
    return new ScikitLearnVersion(version, scikitLearnImage(version));
  }

  private constructor(version: string, image: BuiltInImage) {
    super(version, image.tag, image.repository);
  }
}

/**
 * A version of SageMaker's image of XGBoost.
 *
 * @see https://docs.aws.amazon.com/sagemaker/latest/dg/xgboost.html
 */
export class XgboostVersion extends ImageVersion {
  /** XGBoost 3.2.0 on Python 3.12. */
  public static readonly V3_2_0 = XgboostVersion.of('3.2-0');

  /** XGBoost 3.0.5 on Python 3.10. */
  public static readonly V3_0_5 = XgboostVersion.of('3.0-5');

  /**
   * Any other version, e.g. `1.7-1`.
   *
   * @throws Error when it does not look like a version
   */
  public static of(version: string): XgboostVersion {
    checkVersion('XgboostVersion', version, '3.2-0');
    return new XgboostVersion(version, xgboostImage(version));
  }

  private constructor(version: string, image: BuiltInImage) {
    super(version, image.tag, image.repository);
  }
}

function checkVersion(subject: string, version: string, example: string): void {
  if (!/^\d+\.\d+-\d+(-py\d+)?$/.test(version)) {
    throw new Error(`${subject}: version "${version}" is not the name of a version, which looks like "${example}"`);
  }
}
