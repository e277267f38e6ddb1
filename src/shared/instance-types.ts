import { Stack, Token } from 'aws-cdk-lib';
import { Construct } from 'constructs';

/** What an instance is rented for: SageMaker offers other types for each. */
export type InstanceUse = 'processing' | 'training' | 'hosting' | 'transform';

/** Regions opened since 2018, in which AWS never installed the families m4 and c4. */
const NEWER = [
  'af-south-1', 'ap-east-1', 'ap-south-2', 'ap-southeast-3', 'ap-southeast-4', 'ca-west-1', 'eu-central-2', 'eu-north-1', 'eu-south-1', 'eu-south-2',
  'il-central-1', 'me-central-1', 'me-south-1', 'us-gov-east-1',
];
const WITHOUT_GPU = ['ap-south-2', 'ap-southeast-3', 'ap-southeast-4', 'ca-west-1', 'eu-central-2', 'eu-south-2', 'il-central-1', 'me-central-1'];
const WITHOUT_G5 = [
  'af-south-1', 'ap-northeast-3', 'ap-south-2', 'ap-southeast-4', 'ca-west-1', 'eu-central-2', 'eu-south-1', 'me-south-1', 'us-gov-east-1', 'us-gov-west-1',
  'us-west-1',
];
const FOURTH_GENERATION = {
  processing: [...NEWER, 'eu-west-3'],
  training: [...NEWER, 'eu-west-3'],
  transform: [...NEWER, 'eu-west-3'],
  hosting: [...NEWER, 'eu-west-3', 'ap-northeast-3'],
};

/**
 * Regions in which SageMaker does not offer a type or a whole family, by use. Only those that are common and that AWS no longer brings to
 * further regions: what is not here passes, newer families among it.
 *
 * From the tables of the PyPI package `cfn-lint` 1.58.0 (`schemas/extensions/aws_sagemaker_*`, made from AWS's price list), read
 * 2026-11-25. They have none for training: a family counts as missing there where none of the others has it.
 */
const MISSING: { readonly [typeOrFamily: string]: { readonly [use in InstanceUse]?: readonly string[] } } = {
  'ml.t2': { hosting: [...NEWER, 'ap-northeast-3'] },
  'ml.t3': { processing: ['me-south-1'], training: ['me-south-1'] },
  'ml.t3.medium': { processing: ['ap-northeast-3', 'me-south-1'] },
  'ml.m4': FOURTH_GENERATION,
  'ml.c4': FOURTH_GENERATION,
  'ml.g4dn': {
    processing: [...WITHOUT_GPU, 'ap-northeast-3', 'cn-northwest-1'],
    training: WITHOUT_GPU,
    transform: [...WITHOUT_GPU, 'ap-northeast-3', 'cn-north-1', 'cn-northwest-1'],
    hosting: WITHOUT_GPU,
  },
  'ml.g5': {
    processing: [...WITHOUT_G5, 'ap-southeast-1'],
    training: WITHOUT_G5,
    transform: [...WITHOUT_G5, 'ap-east-1', 'ap-southeast-1', 'cn-north-1', 'cn-northwest-1', 'eu-south-2', 'eu-west-3'],
    hosting: [...WITHOUT_G5, 'cn-northwest-1', 'eu-south-2', 'eu-west-3'],
  },
};

/**
 * The cheapest general type that the same tables have in every region of `IMAGE_ACCOUNTS` that they know: the defaults. Burstable
 * types are cheaper, but in some regions there are none.
 */
export const CHEAPEST_EVERYWHERE: { readonly [use in InstanceUse]: string } = {
  processing: 'ml.m5.large',
  training: 'ml.m5.large',
  transform: 'ml.m5.xlarge',
  hosting: 'ml.c5.large',
};

/** Says what is wrong where SageMaker does not offer this type in the stack's region; nothing where it does, or where that is not known. */
export function missingInstanceType(scope: Construct, use: InstanceUse, type: string): string | undefined {
  const { region } = Stack.of(scope);
  if (Token.isUnresolved(region) || Token.isUnresolved(type)) {
    return undefined;
  }
  const missing = MISSING[type] ?? MISSING[type.split('.').slice(0, 2).join('.')];
  return missing?.[use]?.includes(region)
    ? `"${type}" is not offered for ${use} in ${region}; "${CHEAPEST_EVERYWHERE[use]}" is, for example`
    : undefined;
}

/**
 * Whether an instance type has disks of its own. It encrypts them itself, and SageMaker refuses a job of such a type that asks for
 * another key (`ResourceConfig.VolumeKmsKeyId`): `ml.g4dn`, `ml.p4d`, and all newer ones with accelerators but `ml.inf2`.
 *
 * @see https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-store-volumes.html
 */
export function hasLocalStorage(type: string): boolean {
  return /^ml\.([a-z]+\d+[a-z]*d[a-z]*|(g[5-9]|p[5-9]|trn|dl)[\w-]*)\./.test(type);
}

/** Whether a type has an ARM processor (Graviton), for which an image must be built: `ml.m6g`, `ml.c7gn`, but not `ml.g5`. */
export function isGraviton(type: string): boolean {
  return /^ml\.[a-z]+\d+g[a-z]*\./.test(type);
}
