import { AssembledStack } from './assembly';
import { Environment, environmentsOf, isSameEnvironment, pseudoParameters } from './environment';

/** Something that the app refers to by a literal name and does not make: see `assets/rehearsal/emulator/ministack/outside.py`. */
export interface Outside {
  readonly environment: Environment;
  readonly kind: 'bucket' | 'role' | 'policy' | 'key' | 'topic' | 'queue' | 'repository' | 'parameter' | 'vpc' | 'hosted zone';
  readonly id: string;
  readonly [property: string]: unknown;
}

/** Stands for what is only known after the deployment. */
const UNKNOWN = '\0';

/** What the templates name by literal ARNs, and no template makes. */
export function thingsInTemplates(stacks: readonly AssembledStack[]): Outside[] {
  const accounts = new Set(stacks.map(({ environment }) => environment.account));
  const made = new Set(stacks.flatMap(({ template, environment }) => Object.values(template.Resources ?? {}).flatMap(({ Type, Properties }) => {
    const [kind, property] = NAMES[Type] ?? [];
    const id = property && Properties?.[property];
    return kind && typeof id === 'string' ? [nameOf({ environment, kind, id })] : [];
  })));
  const found = stacks.flatMap(({ template, environment }) => [
    ...literals(template.Resources ?? {}, environment).flatMap((text) => ARNS.flatMap(([expression, thing]) => {
      const groups = expression.exec(text)?.groups;
      return groups ? [thing(groups, environment)] : [];
    })),
    ...attachedRoles(template, environment),
  ]);
  return unique(found.filter((thing) => accounts.has(thing.environment.account) && !made.has(nameOf(thing))));
}

/** What can exist only once: names of buckets are those of the world, names of roles those of an account, others those of a region too. */
function nameOf({ environment: { account, region }, kind, id }: Outside): string {
  return kind === 'bucket' ? `${kind} ${id}` : kind === 'role' ? `${kind} ${account} ${id}` : `${kind} ${account} ${region} ${id}`;
}

/** Kinds of resources, and the properties that give them their names. */
const NAMES: Readonly<Record<string, readonly [kind: Outside['kind'], property: string]>> = {
  'AWS::S3::Bucket': ['bucket', 'BucketName'],
  'AWS::IAM::Role': ['role', 'RoleName'],
  'AWS::SNS::Topic': ['topic', 'TopicName'],
  'AWS::SQS::Queue': ['queue', 'QueueName'],
  'AWS::ECR::Repository': ['repository', 'RepositoryName'],
};

type Groups = Readonly<Record<string, string>>;

const ARNS: readonly [arn: RegExp, thing: (groups: Groups, environment: Environment) => Outside][] = [
  [/^arn:[\w-]+:s3:::(?<id>[a-z0-9][a-z0-9.-]+[a-z0-9])(?:\/|$)/, ({ id }, environment) => ({ environment, kind: 'bucket', id })],
  [/^arn:[\w-]+:iam::(?<account>\d{12}):role(?<path>\/(?:[\w+=,.@-]+\/)*)(?<id>[\w+=,.@-]+)$/, ({ account, path, id }, { region }) => (
    { environment: { account, region }, kind: 'role', id, path })],
  placed('key', 'kms', 'key/'),
  placed('topic', 'sns'),
  placed('queue', 'sqs'),
  placed('repository', 'ecr', 'repository/'),
];

/** A resource whose ARN has account and region. */
function placed(kind: Outside['kind'], service: string, before = ''): (typeof ARNS)[number] {
  const arn = new RegExp(`^arn:[\\w-]+:${service}:(?<region>[\\w-]+):(?<account>\\d{12}):${before}(?<id>[\\w./-]+)$`);
  return [arn, ({ account, region, id }) => ({ environment: { account, region }, kind, id })];
}

/** Roles that a policy of the app is attached to by their name. */
function attachedRoles({ Resources = {} }: AssembledStack['template'], environment: Environment): Outside[] {
  const named = Object.values(Resources).filter(({ Type }) => /^AWS::IAM::(Managed)?Policy$/.test(Type)).flatMap(({ Properties }) => Properties?.Roles ?? []);
  return named.filter((name) => typeof name === 'string').map((id) => ({ environment, kind: 'role', id }));
}

/** Every text in a value, with what is known before the deployment filled in. */
function literals(value: unknown, environment: Environment): string[] {
  const whole = textOf(value, environment);
  if (whole !== undefined) {
    return [whole];
  }
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap((inner) => literals(inner, environment)) : [];
}

/** The text that a string or an intrinsic function gives; undefined for what is no text. */
function textOf(value: unknown, environment: Environment): string | undefined {
  if (typeof value === 'string') {
    return value;
  }
  if (typeof value !== 'object' || value === null || Object.keys(value).length !== 1) {
    return undefined;
  }
  const [[name, argument]] = Object.entries(value);
  switch (name) {
    case 'Ref':
      return pseudoParameters(environment)[String(argument)] ?? UNKNOWN;
    case 'Fn::Join': {
      const [separator, items] = argument as [string, unknown];
      return Array.isArray(items) ? items.map((item) => textOf(item, environment) ?? UNKNOWN).join(separator) : UNKNOWN;
    }
    case 'Fn::Sub':
      return typeof argument === 'string' ? substituted(argument, environment) : UNKNOWN;
    case 'Fn::GetAtt':
    case 'Fn::ImportValue':
    case 'Fn::Select':
      return UNKNOWN;
    default:
      return undefined;
  }
}

function substituted(text: string, environment: Environment): string {
  return text.replace(/\$\{([^}]*)\}/g, (_, name: string) => pseudoParameters(environment)[name] ?? UNKNOWN);
}

/**
 * What stacks need of their bootstrap: roles, which trust whoever deploys, the parameter with its version, and the places of their assets.
 * `cdk bootstrap` makes those that have the CDK's names.
 */
export function thingsOfBootstrap(stacks: readonly AssembledStack[], deploys: string): Outside[] {
  return unique(stacks.flatMap(({ environment, bootstrap }) => [
    ...bootstrap.roles.map((role): Outside => {
      const [, account, path, id] = /^arn:[^:]+:iam::([^:]+):role(\/.*?)([^/]+)$/.exec(substituted(role, environment)) ?? [];
      return { environment: { ...environment, account }, kind: 'role', id, path, trusted: [deploys], administrator: true };
    }),
    ...bootstrap.buckets.map((id): Outside => ({ environment, kind: 'bucket', id: substituted(id, environment) })),
    ...bootstrap.repositories.map((id): Outside => ({ environment, kind: 'repository', id: substituted(id, environment) })),
    ...bootstrap.parameters.map((id): Outside => ({ environment, kind: 'parameter', id, value: BOOTSTRAP_VERSION })),
  ]));
}

/** What options of the command name, in every environment. */
export function givenThings(
  environments: readonly Environment[], ssm: Readonly<Record<string, string>>, managedPolicies: Readonly<Record<string, unknown>>,
): Outside[] {
  return environments.flatMap((environment) => [
    ...Object.entries(ssm).map(([id, value]): Outside => ({ environment, kind: 'parameter', id, value })),
    ...Object.entries(managedPolicies).map(([id, document]): Outside => ({ environment, kind: 'policy', id, document })),
  ]);
}

/** Later than what any version of the CDK asks for. */
const BOOTSTRAP_VERSION = '999';

/** In each environment, what it has outside of the app. */
export function byEnvironment(things: readonly Outside[]): [Environment, Outside[]][] {
  return environmentsOf(things).map((environment) => [environment, things.filter((thing) => isSameEnvironment(thing.environment, environment))]);
}

function unique(things: readonly Outside[]): Outside[] {
  return [...new Map(things.map((thing) => [nameOf(thing), thing])).values()];
}
