import { AssembledStack } from './assembly';
import { Scope, resolve } from './references';
import { SchemaDocument } from '../../data/schema-document';
import { RehearsalFacts } from '../../shared/rehearsal-facts';

export type Kind = keyof RehearsalFacts;

/** Facts about one construct, with all references resolved. */
export interface Part<K extends Kind> {
  /** Path of the construct in the app. */
  readonly path: string;
  readonly facts: RehearsalFacts[K];
}

/** The parts of the app that are rehearsed, which belong together. Any may be missing. */
export interface AppParts {
  readonly data?: Part<'cdk-mlops:data-pipeline'>;
  readonly training?: Part<'cdk-mlops:training-pipeline'>;
  readonly registry?: Part<'cdk-mlops:model-registry'>;
  readonly endpoint?: Part<'cdk-mlops:inference-endpoint'>;
  readonly api?: Part<'cdk-mlops:api'>;
  /** Sentences about parts that are there but not rehearsed. */
  readonly remarks: readonly string[];
}

/** All parts of one kind, in the order of the stacks. */
export function partsOfKind<K extends Kind>(
  kind: K, stacks: readonly AssembledStack[], resolved: (data: unknown, stack: string) => unknown,
): Part<K>[] {
  return stacks.flatMap((stack) => stack.metadata
    .filter(({ type }) => type === kind)
    .map(({ path, data }) => ({ path, facts: resolved(data, stack.name) as RehearsalFacts[K] })));
}

/** Chooses the parts that belong together. */
export function chooseAppParts(stacks: readonly AssembledStack[], scope: Scope): AppParts {
  const resolved = (data: unknown, stack: string) => resolve(data, stack, scope);
  const all = {
    data: partsOfKind('cdk-mlops:data-pipeline', stacks, resolved),
    training: partsOfKind('cdk-mlops:training-pipeline', stacks, resolved),
    registry: partsOfKind('cdk-mlops:model-registry', stacks, resolved),
    endpoint: partsOfKind('cdk-mlops:inference-endpoint', stacks, resolved),
    api: partsOfKind('cdk-mlops:api', stacks, resolved),
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

type Role = Exclude<keyof AppParts, 'remarks'>;

function remarks(all: Record<Role, Part<Kind>[]>, chosen: Record<Role, Part<Kind> | undefined>): string[] {
  const words = { data: 'data pipelines', training: 'training pipelines', registry: 'model registries', endpoint: 'endpoints', api: 'APIs' };
  return (Object.keys(all) as Role[]).filter((role) => all[role].length > (chosen[role] ? 1 : 0)).map((role) => {
    const others = all[role].filter((part) => part !== chosen[role]).map(({ path }) => path).join(', ');
    return `of ${all[role].length} ${words[role]}, ${chosen[role] ? `${chosen[role].path} is rehearsed` : 'none belongs to the data'}; not rehearsed: ${others}`;
  });
}
