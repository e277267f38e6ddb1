import { createHash } from 'node:crypto';
import { Outside } from './outside';
import { UsageError } from '../command/errors';

/** A value of the account that the CDK looks up during the synthesis, as the manifest of the cloud assembly asks for it. */
export interface Lookup {
  readonly key: string;
  readonly provider: string;
  readonly props: Readonly<Record<string, unknown>> & { readonly account?: string; readonly region?: string };
}

/** A VPC as `cdk.context.json` has it. */
interface VpcContext {
  readonly vpcId: string;
  readonly vpcCidrBlock?: string;
  readonly subnetGroups?: readonly { readonly subnets: readonly Subnet[] }[];
}

interface Subnet {
  readonly subnetId: string;
  readonly cidr?: string;
  readonly availabilityZone: string;
}

/**
 * The values of lookups, in place of those of the account. A network or a zone is made up, and is then made in the emulator as well; a
 * parameter has the value that was given. What cannot be made up is refused.
 */
export function answerLookups(lookups: readonly Lookup[], ssm: Readonly<Record<string, string>>): Record<string, unknown> {
  return Object.fromEntries(lookups.map((lookup) => [lookup.key, answer(lookup, ssm)]));
}

function answer({ key, provider, props }: Lookup, ssm: Readonly<Record<string, string>>): unknown {
  const region = String(props.region ?? '');
  switch (provider) {
    case 'availability-zones':
      return ZONES.map((zone) => `${region}${zone}`);
    case 'vpc-provider':
      return madeUpVpc(key, region, (props.filter ?? {}) as Record<string, string>);
    case 'hosted-zone':
      return { Id: `/hostedzone/Z${hashOf(key, 13).toUpperCase()}`, Name: `${String(props.domainName)}.` };
    case 'ssm': {
      const name = String(props.parameterName);
      if (ssm[name] === undefined) {
        throw new UsageError(`the app looks up the SSM parameter ${name}, which exists outside of it: give a value for the rehearsal with --ssm ${name}=VALUE`);
      }
      return ssm[name];
    }
    default:
      throw new UsageError(`the app looks up ${provider} (${key}), which cannot be made up: its value must be in the cdk.context.json of the app, `
        + 'where "cdk synth" writes it, which only reads from the account');
  }
}

const ZONES = ['a', 'b', 'c'];

/** Two zones with a public, a private and an isolated subnet each. */
function madeUpVpc(key: string, region: string, filter: Readonly<Record<string, string>>): VpcContext & Record<string, unknown> {
  const id = (prefix: string, ...of: (string | number)[]) => `${prefix}-${hashOf([key, ...of].join(), 17)}`;
  const group = (type: string, third: number) => ({
    name: type,
    type,
    subnets: ZONES.slice(0, 2).map((zone, i) => ({
      subnetId: id('subnet', type, i), cidr: `10.0.${third + i}.0/24`, availabilityZone: `${region}${zone}`, routeTableId: id('rtb', type, i),
    })),
  });
  return {
    vpcId: filter['vpc-id'] ?? id('vpc'),
    vpcCidrBlock: '10.0.0.0/16',
    availabilityZones: [],
    subnetGroups: [group('Public', 0), group('Private', 10), group('Isolated', 20)],
  };
}

/** What the values of a context name, so that it is there when the app is deployed. */
export function thingsInContext(context: Readonly<Record<string, unknown>>): Outside[] {
  return Object.entries(context).flatMap(([key, value]): Outside[] => {
    const [, account] = /:account=(\d{12})(?::|$)/.exec(key) ?? [];
    const [, region] = /:region=([\w-]+)(?::|$)/.exec(key) ?? [];
    if (!account || !region || typeof value !== 'object' || value === null) {
      return [];
    }
    const environment = { account, region };
    if (key.startsWith('vpc-provider:') && 'vpcId' in value) {
      const { vpcId, vpcCidrBlock = '10.0.0.0/16', subnetGroups = [] } = value as VpcContext;
      const subnets = subnetGroups.flatMap((group) => group.subnets).map(({ subnetId, cidr = vpcCidrBlock, availabilityZone }) =>
        ({ id: subnetId, cidr, zone: availabilityZone }));
      return [{ environment, kind: 'vpc', id: vpcId, cidr: vpcCidrBlock, subnets }];
    }
    if (key.startsWith('hosted-zone:') && 'Id' in value && 'Name' in value) {
      return [{ environment, kind: 'hosted zone', id: String(value.Id).replace('/hostedzone/', ''), name: String(value.Name).replace(/\.$/, '') }];
    }
    return [];
  });
}

function hashOf(text: string, length: number): string {
  return createHash('sha256').update(text).digest('hex').slice(0, length);
}
