import { AssembledStack } from './assembly';
import { DeployedStack } from './deployed-stacks';
import { DEFAULT_ENVIRONMENT, Environment, isSameEnvironment } from './environment';
import { resolve } from './references';
import { SchemaDocument } from '../../data/schema-document';
import { RehearsalFacts } from '../../shared/rehearsal-facts';

export type Kind = keyof RehearsalFacts;

/** Facts about one construct, with all references resolved. */
export interface Part<K extends Kind> {
  /** Path of the construct in the app. */
  readonly path: string;
  readonly environment: Environment;
  readonly facts: RehearsalFacts[K];
}

/** Parts that belong to one model, as their facts say. Any may be missing. */
export interface ModelParts {
  /** Name of its data set, or the path of its first part. */
  readonly name: string;
  readonly environment: Environment;
  readonly data?: Part<'cdk-mlops:data-pipeline'>;
  /** The pipeline that the data start. */
  readonly training?: Part<'cdk-mlops:training-pipeline'>;
  /** The registry of the group that the training registers in. */
  readonly registry?: Part<'cdk-mlops:model-registry'>;
  /** Endpoints that serve what is approved in that group. */
  readonly endpoints: readonly Part<'cdk-mlops:inference-endpoint'>[];
  /** The API that serves most of these. */
  readonly api?: Part<'cdk-mlops:api'>;
}

/** The parts alone. */
type Linked = Omit<ModelParts, 'name' | 'environment'>;

/** What of the app is rehearsed. */
export interface AppParts {
  readonly models: readonly ModelParts[];
  /** Sentences about what is there but is not rehearsed. */
  readonly remarks: readonly string[];
}

/** All parts of one kind, in the order of the stacks. */
function partsOfKind<K extends Kind>(kind: K, stacks: readonly AssembledStack[], deployed: readonly DeployedStack[]): Part<K>[] {
  return stacks.flatMap(({ id, environment, metadata }) => metadata
    .filter(({ type }) => type === kind)
    .map(({ path, data }) => {
      const own = deployed.find((stack) => stack.id === id)!;
      return { path, environment, facts: resolve(data, own, deployed) as RehearsalFacts[K] };
    }));
}

/** The group in which the versions of a model are registered. */
export function groupOf({ training, registry, endpoints }: Linked): string | undefined {
  return [training, registry, endpoints[0]].find((part) => part !== undefined)?.facts.modelPackageGroupName;
}

/** Name of the data set of a model. */
export function datasetOf({ data }: Pick<ModelParts, 'data'>): string | undefined {
  return (data?.facts.schema as SchemaDocument | undefined)?.name;
}

/**
 * Finds the parts that belong to each model. They follow from names: a data pipeline names the training pipeline that it starts, that the
 * group in which it registers, and an endpoint the group that it serves; names are those of an account and region. A model begins
 * at its data; an app without data pipelines has models that begin at what it has.
 */
export function findAppParts(stacks: readonly AssembledStack[], deployed: readonly DeployedStack[]): AppParts {
  const all = <K extends Kind>(kind: K) => partsOfKind(kind, stacks, deployed);
  const [data, trainings, registries] = [all('cdk-mlops:data-pipeline'), all('cdk-mlops:training-pipeline'), all('cdk-mlops:model-registry')];
  const [endpoints, apis] = [all('cdk-mlops:inference-endpoint'), all('cdk-mlops:api')];
  const found: ModelParts[] = [];
  const isIn = (part: Part<Kind>) => found.some((model) => partsOf(model).includes(part));
  const add = (first: Part<Kind>, start: Partial<ModelParts>) => {
    const group = groupOf({ endpoints: [], ...start });
    const isHere = ({ environment }: Part<Kind>) => isSameEnvironment(environment, first.environment);
    const ofGroup = (part: Part<'cdk-mlops:model-registry' | 'cdk-mlops:inference-endpoint'>) => part.facts.modelPackageGroupName === group && isHere(part);
    const parts = { endpoints: endpoints.filter(ofGroup), ...start, registry: registries.find(ofGroup) };
    found.push({ ...parts, name: first.path, environment: first.environment, api: apiOf(apis.filter(isHere), parts) });
  };
  const startedBy = ({ facts, environment }: Part<'cdk-mlops:data-pipeline'>) => trainings.find((training) =>
    training.facts.pipelineName === facts.pipelineName && isSameEnvironment(training.environment, environment));
  data.forEach((part) => add(part, { data: part, training: startedBy(part) }));
  trainings.filter((part) => !isIn(part)).forEach((part) => add(part, { training: part }));
  registries.filter((part) => !isIn(part)).forEach((part) => add(part, { registry: part }));
  endpoints.filter((part) => !isIn(part)).forEach((part) => add(part, { endpoints: [part] }));

  const models = named(data.length > 0 ? found.filter((model) => model.data) : found);
  if (models.length === 0) {
    models.push({ name: '', environment: apis[0]?.environment ?? DEFAULT_ENVIRONMENT, endpoints: [] });
  }
  if (models.length === 1 && apis.length === 1) {
    // Whatever it serves, there is no other model that it could be for.
    models[0] = { ...models[0], api: apis[0] };
  }
  return { models, remarks: remarks([...data, ...trainings, ...registries, ...endpoints, ...apis], models) };
}

/** The API that serves most of a model's parts. */
function apiOf(apis: readonly Part<'cdk-mlops:api'>[], parts: Linked): Part<'cdk-mlops:api'> | undefined {
  const { training, endpoints } = parts;
  const served = ({ facts: { serves } }: Part<'cdk-mlops:api'>) => [
    serves.data.includes(datasetOf(parts) ?? ''),
    serves.training.includes(training?.facts.pipelineName ?? ''),
    serves.registry.includes(groupOf(parts) ?? ''),
    ...endpoints.map(({ facts }) => serves.endpoint.includes(facts.endpointName)),
  ].filter(Boolean).length;
  const [first] = apis.filter((api) => served(api) > 0).sort((a, b) => served(b) - served(a));
  return first;
}

/** Models under the names of their data sets, where these tell them apart. */
function named(models: readonly ModelParts[]): ModelParts[] {
  const isUnique = (name: string) => models.filter((model) => datasetOf(model) === name).length === 1;
  return models.map((model) => {
    const name = datasetOf(model);
    return name !== undefined && isUnique(name) ? { ...model, name } : model;
  });
}

function partsOf({ data, training, registry, endpoints, api }: ModelParts): Part<Kind>[] {
  return [data, training, registry, ...endpoints, api].filter((part) => part !== undefined);
}

/** What belongs to no model that is rehearsed. */
function remarks(all: readonly Part<Kind>[], models: readonly ModelParts[]): string[] {
  const left = all.filter((part) => !models.some((model) => partsOf(model).includes(part)));
  return left.length === 0 ? [] : [`not rehearsed, since they belong to no data pipeline: ${left.map(({ path }) => path).join(', ')}`];
}
