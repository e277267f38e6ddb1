import { Aws, CfnMapping, Stack, Token } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import { suggestion } from './validation';

/**
 * Account that owns SageMaker's images of scikit-learn and XGBoost, by region; one for both. Numbers of the PyPI package
 * `sagemaker` 2.257.1, and of 3.27.0 too (`image_uri_config/sklearn.json` and `xgboost.json`).
 */
export const IMAGE_ACCOUNTS: { readonly [region: string]: string } = {
  'af-south-1': '510948584623',
  'ap-east-1': '651117190479',
  'ap-northeast-1': '354813040037',
  'ap-northeast-2': '366743142698',
  'ap-northeast-3': '867004704886',
  'ap-south-1': '720646828776',
  'ap-south-2': '628508329040',
  'ap-southeast-1': '121021644041',
  'ap-southeast-2': '783357654285',
  'ap-southeast-3': '951798379941',
  'ap-southeast-4': '106583098589',
  'ca-central-1': '341280168497',
  'ca-west-1': '190319476487',
  'cn-north-1': '450853457545',
  'cn-northwest-1': '451049120500',
  'eu-central-1': '492215442770',
  'eu-central-2': '680994064768',
  'eu-north-1': '662702820516',
  'eu-south-1': '978288397137',
  'eu-south-2': '104374241257',
  'eu-west-1': '141502667606',
  'eu-west-2': '764974769150',
  'eu-west-3': '659782779980',
  'il-central-1': '898809789911',
  'me-central-1': '272398656194',
  'me-south-1': '801668240914',
  'sa-east-1': '737474898029',
  'us-east-1': '683313688378',
  'us-east-2': '257758044811',
  'us-gov-east-1': '237065988967',
  'us-gov-west-1': '414596584902',
  'us-iso-east-1': '833128469047',
  'us-isob-east-1': '281123927165',
  'us-isof-east-1': '108575199400',
  'us-isof-south-1': '124985052026',
  'us-west-1': '746614075791',
  'us-west-2': '246618743249',
};

export interface BuiltInImage {
  readonly repository: string;
  readonly tag: string;
}

/**
 * Versions that AWS says an end of patch of, the newest first, with that day. From `docs/src/data` of the public repository
 * aws/deep-learning-containers at e0ecede (2026-08-21). Of older versions nothing is said.
 */
const END_OF_PATCH: { readonly [repository: string]: { readonly [version: string]: string } } = {
  'sagemaker-scikit-learn': { '1.9-0': '2027-07-16', '1.4-2-py312': '2026-10-30' },
  'sagemaker-xgboost': { '3.2-0': '2027-05-13', '3.0-5': '2026-11-17' },
};

/** The image of a version of scikit-learn, e.g. `1.9-0`. */
export function scikitLearnImage(version: string): BuiltInImage {
  return { repository: 'sagemaker-scikit-learn', tag: `${version}-cpu-py3` };
}

/** The image of a version of XGBoost, e.g. `3.2-0`. Until 1.0 their tags were longer. */
export function xgboostImage(version: string): BuiltInImage {
  return { repository: 'sagemaker-xgboost', tag: /^(0\.|1\.0-)/.test(version) ? `${version}-cpu-py3` : version };
}


/** The image that a URI names, where SageMaker provides it. */
export function builtInImageOf(uri: string): BuiltInImage | undefined {
  const [, repository, tag] = /\/([a-z-]+):([\w.-]+)$/.exec(uri) ?? [];
  return repository in END_OF_PATCH ? { repository, tag } : undefined;
}

/** The last day (`2027-07-16`) on which AWS patches an image, and the newest version beside it; nothing where AWS does not say it. */
export function endOfPatch({ repository, tag }: BuiltInImage): { readonly date: string; readonly newest: string } | undefined {
  const dates = END_OF_PATCH[repository];
  const date = dates[tag.replace(/-cpu-py3$/, '')];
  return date ? { date, newest: Object.keys(dates)[0] } : undefined;
}

/** URI of an image that SageMaker provides, in the region of the stack. */
export function builtInImageUri(scope: Construct, image: BuiltInImage): string {
  const { region, urlSuffix } = Stack.of(scope);
  return `${imageAccount(scope)}.dkr.ecr.${region}.${urlSuffix}/${image.repository}:${image.tag}`;
}

/** ARN of the repository of an image that SageMaker provides. */
export function builtInRepositoryArn(scope: Construct, image: BuiltInImage): string {
  return Stack.of(scope).formatArn({ service: 'ecr', account: imageAccount(scope), resource: 'repository', resourceName: image.repository });
}

/** A stack whose region is known only when it is deployed looks the account up in a mapping of its own. */
function imageAccount(scope: Construct): string {
  const stack = Stack.of(scope);
  if (Token.isUnresolved(stack.region)) {
    const id = 'SageMakerImageAccounts';
    const mapping = stack.node.tryFindChild(id) as CfnMapping | undefined
      ?? new CfnMapping(stack, id, {
        mapping: Object.fromEntries(Object.entries(IMAGE_ACCOUNTS).map(([region, account]) => [region, { account }])),
      });
    return mapping.findInMap(Aws.REGION, 'account');
  }
  const account = IMAGE_ACCOUNTS[stack.region];
  if (!account) {
    throw new Error(`region "${stack.region}" of stack "${stack.node.path}" has no SageMaker images of scikit-learn and XGBoost; `
      + suggestion(stack.region, Object.keys(IMAGE_ACCOUNTS)));
  }
  return account;
}
