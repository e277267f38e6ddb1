import { AssembledStack } from './assembly';
import { Environment, environmentsOf, isSameEnvironment, pseudoParameters, urlOf } from './environment';

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
  const made = new Set(stacks.flatMap(({ template }) => Object.values(template.Resources ?? {}).flatMap(({ Type, Properties }) => {
    const name = Properties?.[NAMES[Type] ?? ''];
    return typeof name === 'string' ? [`${Type} ${name}`] : [];
  })));
  const found = stacks.flatMap(({ template, environment }) => [
    ...literals(template.Resources ?? {}, environment).flatMap((text) => ARNS.flatMap(([type, expression, thing]) => {
      const groups = expression.exec(text)?.groups;
      return groups && !made.has(`${type} ${groups.id}`) ? [thing(groups, environment)] : [];
    })),
    ...attachedRoles(template, environment).filter(({ id }) => !made.has(`AWS::IAM::Role ${id}`)),
  ]);
  return unique(found.filter(({ environment }) => accounts.has(environment.account)));
}

/** Properties that give a resource its name. */
const NAMES: Readonly<Record<string, string>> = {
  'AWS::S3::Bucket': 'BucketName',
  'AWS::IAM::Role': 'RoleName',
  'AWS::SNS::Topic': 'TopicName',
  'AWS::SQS::Queue': 'QueueName',
  'AWS::ECR::Repository': 'RepositoryName',
};

type Groups = Readonly<Record<string, string>>;

const ARNS: readonly [type: string, arn: RegExp, thing: (groups: Groups, environment: Environment) => Outside][] = [
  ['AWS::S3::Bucket', /^arn:[\w-]+:s3:::(?<id>[a-z0-9][a-z0-9.-]+[a-z0-9])(?:\/|$)/, ({ id }, environment) => ({ environment, kind: 'bucket', id })],
  ['AWS::IAM::Role', /^arn:[\w-]+:iam::(?<account>\d{12}):role(?<path>\/(?:[\w+=,.@-]+\/)*)(?<id>[\w+=,.@-]+)$/, ({ account, path, id }, { region }) => (
    { environment: { account, region }, kind: 'role', id, path })],
  placed('AWS::KMS::Key', 'key', 'kms', 'key/'),
  placed('AWS::SNS::Topic', 'topic', 'sns'),
  placed('AWS::SQS::Queue', 'queue', 'sqs'),
  placed('AWS::ECR::Repository', 'repository', 'ecr', 'repository/'),
];

/** A resource whose ARN has account and region. */
function placed(type: string, kind: Outside['kind'], service: string, before = ''): (typeof ARNS)[number] {
  const arn = new RegExp(`^arn:[\\w-]+:${service}:(?<region>[\\w-]+):(?<account>\\d{12}):${before}(?<id>[\\w./-]+)$`);
  return [type, arn, ({ account, region, id }) => ({ environment: { account, region }, kind, id })];
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
  return [...new Map(things.map((thing) => [`${urlOf(thing.environment)} ${thing.kind} ${thing.id}`, thing])).values()];
}
