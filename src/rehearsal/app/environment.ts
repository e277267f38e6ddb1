/** Account and region. */
export interface Environment {
  /** 12 digits. */
  readonly account: string;
  readonly region: string;
}

/** Of an app that names none. */
export const DEFAULT_ENVIRONMENT: Environment = { account: '000000000000', region: 'us-east-1' };

/** `aws://<account>/<region>`, as the CDK writes it. */
export function urlOf({ account, region }: Environment): string {
  return `aws://${account}/${region}`;
}

export function isSameEnvironment(one: Environment, other: Environment): boolean {
  return one.account === other.account && one.region === other.region;
}

/** Values of pseudo parameters of CloudFormation that follow from it. */
export function pseudoParameters({ account, region }: Environment): Readonly<Record<string, string>> {
  return { 'AWS::AccountId': account, 'AWS::Region': region, 'AWS::Partition': 'aws', 'AWS::URLSuffix': 'amazonaws.com' };
}

/** Each environment once, in the order of the stacks. */
export function environmentsOf(stacks: readonly { readonly environment: Environment }[]): Environment[] {
  return [...new Map(stacks.map(({ environment }) => [urlOf(environment), environment])).values()];
}

/** The stacks; those that name no account or region are for the first that any of them names. */
export function settleEnvironments<S extends { readonly environment: Environment }>(stacks: readonly S[]): S[] {
  const named = (key: keyof Environment) => {
    const values = stacks.map(({ environment }) => environment[key]).filter((value) => !value.startsWith('unknown-'));
    return values.find((value) => value !== DEFAULT_ENVIRONMENT[key]) ?? DEFAULT_ENVIRONMENT[key];
  };
  const home = { account: named('account'), region: named('region') };
  const settled = (key: keyof Environment, given: Environment) => given[key].startsWith('unknown-') ? home[key] : given[key];
  return stacks.map((stack) => ({
    ...stack,
    environment: { account: settled('account', stack.environment), region: settled('region', stack.environment) },
  }));
}
