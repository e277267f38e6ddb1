import { CloudFormationClient, paginateListStackResources } from '@aws-sdk/client-cloudformation';
import { AssembledStack, Template } from './assembly';
import { RehearsalError } from './failures';
import { SchemaDocument } from '../data/schema-document';
import { RehearsalFacts } from '../shared/rehearsal-facts';

export type Kind = keyof RehearsalFacts;

/** Facts about one construct, with all references resolved. */
export interface Part<K extends Kind> {
  /** Path of the construct in the app. */
  readonly path: string;
  readonly facts: RehearsalFacts[K];
}

/** What of the app is played: parts that belong together. Any may be missing. */
export interface Cast {
  readonly data?: Part<'cdk-mlops:data-pipeline'>;
  readonly training?: Part<'cdk-mlops:training-pipeline'>;
  readonly registry?: Part<'cdk-mlops:model-registry'>;
  readonly endpoint?: Part<'cdk-mlops:inference-endpoint'>;
  readonly api?: Part<'cdk-mlops:api'>;
  /** Sentences about what is there but is not played. */
  readonly remarks: readonly string[];
}

/** What a deployed stack holds: logical to physical ids. */
export interface DeployedStack {
  readonly name: string;
  readonly id: string;
  readonly template: Template;
  readonly resources: ReadonlyMap<string, { readonly type: string; readonly physicalId: string }>;
}

/** Asks CloudFormation for the resources of stacks and of the stacks nested in them. */
export async function readDeployed(client: CloudFormationClient, stacks: readonly AssembledStack[]): Promise<DeployedStack[]> {
  const found: DeployedStack[] = [];
  for (const stack of stacks) {
    found.push(...await readOne(client, stack.name, stack.template));
  }
  return found;
}

async function readOne(client: CloudFormationClient, name: string, template: Template): Promise<DeployedStack[]> {
  const resources = new Map<string, { type: string; physicalId: string }>();
  for await (const page of paginateListStackResources({ client }, { StackName: name })) {
    for (const { LogicalResourceId, ResourceType, PhysicalResourceId } of page.StackResourceSummaries ?? []) {
      if (LogicalResourceId && PhysicalResourceId) {
        resources.set(LogicalResourceId, { type: ResourceType ?? '', physicalId: PhysicalResourceId });
      }
    }
  }
  const nested = [...resources.values()].filter(({ type }) => type === 'AWS::CloudFormation::Stack');
  const inner = await Promise.all(nested.map(({ physicalId }) => readOne(client, physicalId, {})));
  return [{ name, id: name, template, resources }, ...inner.flat()];
}

export interface Scope {
  readonly account: string;
  readonly region: string;
  readonly stacks: readonly DeployedStack[];
}

/**
 * Resolves CloudFormation references in `value` as they stand in `stackName`. A reference that the stack does not know is looked
 * up in the others: metadata may point across stacks without an export.
 */
export function resolve(value: unknown, stackName: string, scope: Scope): unknown {
  const stack = scope.stacks.find(({ name }) => name === stackName);
  if (Array.isArray(value)) {
    return value.map((item) => resolve(item, stackName, scope));
  }
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  const entries = Object.entries(value);
  const [name, argument] = entries[0] ?? [];
  const again = (inner: unknown) => resolve(inner, stackName, scope);
  const text = (inner: unknown) => String(again(inner));
  if (entries.length === 1 && (name === 'Ref' || name.startsWith('Fn::'))) {
    switch (name) {
      case 'Ref':
        return pseudo(String(argument), stack, scope) ?? resource(String(argument), stack, scope).physicalId;
      case 'Fn::GetAtt': {
        const [id, attribute] = Array.isArray(argument) ? argument.map(String) : String(argument).split(/\.(.*)/);
        return attributeOf(resource(id, stack, scope), attribute, scope);
      }
      case 'Fn::Join': {
        const [separator, items] = argument as [string, unknown];
        return (again(items) as unknown[]).map(String).join(separator);
      }
      case 'Fn::Split': {
        const [separator, whole] = argument as [string, unknown];
        return text(whole).split(separator);
      }
      case 'Fn::Select': {
        const [index, items] = argument as [number, unknown];
        return (again(items) as unknown[])[Number(index)];
      }
      case 'Fn::Sub':
        return substitute(argument, again);
      case 'Fn::FindInMap': {
        const [map, first, second] = again(argument) as string[];
        return stack?.template.Mappings?.[map]?.[first]?.[second];
      }
      case 'Fn::ImportValue':
        return imported(text(argument), scope);
    }
  }
  return Object.fromEntries(entries.map(([key, item]) => [key, again(item)]));
}

function substitute(argument: unknown, again: (inner: unknown) => unknown): string {
  const [text, variables] = (Array.isArray(argument) ? argument : [argument, {}]) as [string, Record<string, unknown>];
  return text.replace(/\$\{([^!][^}]*)\}/g, (_, key: string) => {
    const value = key in variables ? variables[key] : key.includes('.') ? { 'Fn::GetAtt': key } : { Ref: key };
    return String(again(value));
  }).replace(/\$\{!/g, '${');
}

function imported(name: string, scope: Scope): unknown {
  for (const stack of scope.stacks) {
    for (const output of Object.values(stack.template.Outputs ?? {})) {
      if (output.Export && resolve(output.Export.Name, stack.name, scope) === name) {
        return resolve(output.Value, stack.name, scope);
      }
    }
  }
  throw new RehearsalError(`the cloud assembly imports "${name}", which none of its stacks exports`);
}

function pseudo(name: string, stack: DeployedStack | undefined, scope: Scope): string | undefined {
  const values: Record<string, string | undefined> = {
    'AWS::AccountId': scope.account,
    'AWS::Region': scope.region,
    'AWS::Partition': 'aws',
    'AWS::URLSuffix': 'amazonaws.com',
    'AWS::StackName': stack?.name,
    'AWS::StackId': stack?.id,
    'AWS::NoValue': '',
  };
  return values[name];
}

function resource(id: string, stack: DeployedStack | undefined, scope: Scope) {
  const own = stack?.resources.get(id);
  const elsewhere = scope.stacks.map(({ resources }) => resources.get(id)).filter((found) => found !== undefined);
  const found = own ?? (elsewhere.length === 1 ? elsewhere[0] : undefined);
  if (!found) {
    throw new RehearsalError(elsewhere.length > 1
      ? `"${id}" is in ${elsewhere.length} stacks, none of them ${stack?.name}`
      : `the deployed stacks have no resource "${id}", to which the metadata of ${stack?.name ?? 'a stack'} refers`);
  }
  return found;
}

/** Attributes that follow from the physical id. */
function attributeOf({ type, physicalId }: { type: string; physicalId: string }, attribute: string, scope: Scope): string {
  const arn = (service: string, rest: string) => `arn:aws:${service}:${scope.region}:${scope.account}:${rest}`;
  const arns: Record<string, () => string> = {
    'AWS::S3::Bucket': () => `arn:aws:s3:::${physicalId}`,
    'AWS::DynamoDB::Table': () => arn('dynamodb', `table/${physicalId}`),
    'AWS::DynamoDB::GlobalTable': () => arn('dynamodb', `table/${physicalId}`),
    'AWS::Cognito::UserPool': () => arn('cognito-idp', `userpool/${physicalId}`),
    'AWS::SageMaker::Pipeline': () => arn('sagemaker', `pipeline/${physicalId.toLowerCase()}`),
  };
  if (/^(Arn|.*Arn)$/.test(attribute)) {
    return physicalId.startsWith('arn:') ? physicalId : arns[type]?.() ?? unknownAttribute(type, attribute);
  }
  if (attribute === 'ApiEndpoint' || attribute === 'ApiId') {
    return attribute === 'ApiId' ? physicalId : `https://${physicalId}.execute-api.${scope.region}.amazonaws.com`;
  }
  if (/^(Name|Id|.*(Name|Id))$/.test(attribute)) {
    return physicalId.startsWith('arn:') ? physicalId.split(/[/:]/).at(-1)! : physicalId;
  }
  return unknownAttribute(type, attribute);
}

function unknownAttribute(type: string, attribute: string): never {
  throw new RehearsalError(`the rehearsal cannot tell the attribute "${attribute}" of ${type}`);
}

/** All parts of one kind, in the order of the stacks. */
export function parts<K extends Kind>(kind: K, stacks: readonly AssembledStack[], resolved: (data: unknown, stack: string) => unknown): Part<K>[] {
  return stacks.flatMap((stack) => stack.metadata
    .filter(({ type }) => type === kind)
    .map(({ path, data }) => ({ path, facts: resolved(data, stack.name) as RehearsalFacts[K] })));
}

/** Chooses the parts that belong together. */
export function chooseCast(stacks: readonly AssembledStack[], scope: Scope): Cast {
  const resolved = (data: unknown, stack: string) => resolve(data, stack, scope);
  const all = {
    data: parts('cdk-mlops:data-pipeline', stacks, resolved),
    training: parts('cdk-mlops:training-pipeline', stacks, resolved),
    registry: parts('cdk-mlops:model-registry', stacks, resolved),
    endpoint: parts('cdk-mlops:inference-endpoint', stacks, resolved),
    api: parts('cdk-mlops:api', stacks, resolved),
  };
  const started = (part: Part<'cdk-mlops:data-pipeline'>) => all.training.find(({ facts }) => facts.pipelineName === part.facts.pipelineName);
  const data = all.data.find(started) ?? all.data[0];
  const training = data?.facts.pipelineName ? started(data) : data ? undefined : all.training[0];
  const schema = nameOf(data?.facts.schema);
  const endpoint = all.endpoint.find(({ facts }) => nameOf(facts.schema) === schema) ?? (data ? undefined : all.endpoint[0]);
  const chosen = { data, training, registry: all.registry[0], endpoint, api: all.api[0] };
  return { ...chosen, remarks: remarks(all, chosen) };
}

function nameOf(schema: unknown): string | undefined {
  return (schema as SchemaDocument | undefined)?.name;
}

type Role = Exclude<keyof Cast, 'remarks'>;

function remarks(all: Record<Role, Part<Kind>[]>, chosen: Record<Role, Part<Kind> | undefined>): string[] {
  const words = { data: 'data pipelines', training: 'training pipelines', registry: 'model registries', endpoint: 'endpoints', api: 'APIs' };
  return (Object.keys(all) as Role[]).filter((role) => all[role].length > (chosen[role] ? 1 : 0)).map((role) => {
    const others = all[role].filter((part) => part !== chosen[role]).map(({ path }) => path).join(', ');
    return `of ${all[role].length} ${words[role]}, ${chosen[role] ? `${chosen[role].path} is played` : 'none belongs to the data'}; not played: ${others}`;
  });
}
