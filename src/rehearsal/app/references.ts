import { DeployedStack } from './deployed-stacks';
import { Environment, isSameEnvironment, pseudoParameters } from './environment';
import { RehearsalError } from '../command/errors';

/**
 * Resolves CloudFormation references in `value`, which belongs to `stack`. A reference to a resource that the stack does not have is
 * looked up in the others of its stage: metadata may point across stacks without an export.
 */
export function resolve(value: unknown, stack: DeployedStack, stacks: readonly DeployedStack[]): unknown {
  if (Array.isArray(value)) {
    return value.map((item) => resolve(item, stack, stacks));
  }
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  const entries = Object.entries(value);
  const [name, argument] = entries[0] ?? [];
  const again = (inner: unknown) => resolve(inner, stack, stacks);
  const text = (inner: unknown) => String(again(inner));
  if (entries.length === 1 && (name === 'Ref' || name.startsWith('Fn::'))) {
    switch (name) {
      case 'Ref':
        return pseudo(String(argument), stack) ?? resource(String(argument), stack, stacks).physicalId;
      case 'Fn::GetAtt': {
        const [id, attribute] = Array.isArray(argument) ? argument.map(String) : String(argument).split(/\.(.*)/);
        return attributeOf(resource(id, stack, stacks), attribute, stack.environment);
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
        return stack.template.Mappings?.[map]?.[first]?.[second];
      }
      case 'Fn::ImportValue':
        return imported(text(argument), stack, stacks);
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

function imported(name: string, by: DeployedStack, stacks: readonly DeployedStack[]): unknown {
  for (const stack of stacks.filter(({ environment }) => isSameEnvironment(environment, by.environment))) {
    for (const output of Object.values(stack.template.Outputs ?? {})) {
      if (output.Export && resolve(output.Export.Name, stack, stacks) === name) {
        return resolve(output.Value, stack, stacks);
      }
    }
  }
  throw new RehearsalError(`the cloud assembly imports "${name}", which none of its stacks exports`);
}

function pseudo(name: string, stack: DeployedStack): string | undefined {
  const values: Record<string, string> = {
    ...pseudoParameters(stack.environment),
    'AWS::StackName': stack.name,
    'AWS::StackId': stack.id,
    'AWS::NoValue': '',
  };
  return values[name];
}

function resource(id: string, stack: DeployedStack, stacks: readonly DeployedStack[]) {
  const own = stack.resources.get(id);
  const near = stacks.filter(({ stage }) => stage === stack.stage);
  const elsewhere = near.map(({ resources }) => resources.get(id)).filter((found) => found !== undefined);
  const found = own ?? (elsewhere.length === 1 ? elsewhere[0] : undefined);
  if (!found) {
    throw new RehearsalError(elsewhere.length > 1
      ? `"${id}" is in ${elsewhere.length} stacks, none of them ${stack.name}`
      : `the deployed stacks have no resource "${id}", to which the metadata of ${stack.name} refers`);
  }
  return found;
}

/** Attributes that follow from the physical id. */
function attributeOf({ type, physicalId }: { type: string; physicalId: string }, attribute: string, { account, region }: Environment): string {
  const arn = (service: string, rest: string) => `arn:aws:${service}:${region}:${account}:${rest}`;
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
    return attribute === 'ApiId' ? physicalId : `https://${physicalId}.execute-api.${region}.amazonaws.com`;
  }
  if (/^(Name|Id|.*(Name|Id))$/.test(attribute)) {
    return physicalId.startsWith('arn:') ? physicalId.split(/[/:]/).at(-1)! : physicalId;
  }
  return unknownAttribute(type, attribute);
}

function unknownAttribute(type: string, attribute: string): never {
  throw new RehearsalError(`the rehearsal does not know the attribute "${attribute}" of ${type}`);
}
