import { Stack } from 'aws-cdk-lib';
import { IConstruct } from 'constructs';
import { CallerParameter, MAX_PARTS, PartSettings } from './environment';
import type { PartName } from './routes';
import { ServedModel } from './served-model';
import { SELECTORS } from './shapes';
import { DatasetSchema } from '../data';
import { Prefix, TrainingParameter } from '../data/environment';
import { Problems } from '../shared/validation';
import { TrainingPipeline } from '../training';

const KINDS: { readonly [K in PartName]: string } = {
  data: 'data pipelines are of the data set',
  training: 'training pipelines are named',
  registry: 'registries are of the model package group',
  endpoint: 'endpoints are named',
};

/** All that an API serves: each part once, under the name by which callers select it. */
export class ServedModels {
  private readonly settingsOf: { readonly [K in PartName]: Map<string, PartSettings[K]> };
  private readonly schemas = new Map<string, DatasetSchema>();
  private readonly callerParameters = new Map<string, readonly CallerParameter[]>();

  constructor(public readonly models: readonly ServedModel[], problems: Problems) {
    this.settingsOf = { data: new Map(), training: new Map(), registry: new Map(), endpoint: new Map() };
    const parts = new Map<string, unknown>();
    for (const model of models) {
      for (const kind of Object.keys(KINDS) as PartName[]) {
        const name = nameOf(kind, model);
        const other = name === undefined ? undefined : parts.get(`${kind} ${name}`);
        problems.check(other === undefined || other === model[kind], () =>
          `two ${KINDS[kind]} "${name}": callers could not tell them apart, so give them different names`);
        parts.set(`${kind} ${name}`, model[kind]);
      }
      this.add(model, problems);
    }
    for (const [kind, settings] of Object.entries(this.settingsOf)) {
      problems.check(settings.size <= MAX_PARTS, () =>
        `there are ${settings.size} parts of the kind ${kind}; one API serves at most ${MAX_PARTS}, so make another one for the others`);
    }
  }

  /** Settings of all parts of a kind. */
  public settings<K extends PartName>(kind: K): PartSettings[K][] {
    return [...this.settingsOf[kind].values()];
  }

  /** Names by which callers select parts of a kind. */
  public names(kind: PartName): string[] {
    return [...this.settingsOf[kind].keys()];
  }

  /** What handlers read from files of parts of these kinds, by file: data contracts, parameters that callers may set. */
  public documents(kinds: readonly PartName[]): { [file: string]: unknown } {
    return Object.fromEntries([
      ...(kinds.includes('endpoint') ? this.settings('endpoint') : []).map(({ name, schemaFile }) => [schemaFile, this.schemas.get(name)?._document()]),
      ...(kinds.includes('training') ? this.settings('training') : []).map(({ name, parametersFile }) => [parametersFile, this.callerParameters.get(name)]),
    ]);
  }

  /** Names of the parameters that callers may set, of each pipeline. */
  public parameterNames(): { readonly pipeline: string; readonly names: string[] }[] {
    return [...this.callerParameters].map(([pipeline, parameters]) => ({ pipeline, names: parameters.map(({ name }) => name) }));
  }

  /** The settings as text, tokens included. */
  public text(kind: PartName, scope: IConstruct): string {
    return Stack.of(scope).toJsonString(this.settings(kind));
  }

  private add(model: ServedModel, problems: Problems): void {
    const { data, training, registry, endpoint } = model;
    const dataset = data?.schema.datasetName;
    if (data) {
      const processedData = data.bucket.s3UrlForObject(Prefix.PROCESSED.replace(/\/$/, ''));
      this.settingsOf.data.set(data.schema.datasetName, { name: data.schema.datasetName, table: data.datasetTable.tableName, processedData });
    }
    if (training) {
      this.addTraining(training.pipelineName, callerParameters(model), dataset, problems);
    }
    if (registry) {
      const name = registry.modelPackageGroupName;
      this.settingsOf.registry.set(name, { name, table: registry.catalogTable.tableName });
    }
    if (endpoint) {
      this.addEndpoint(endpoint.endpointName, schemaOf(model), problems);
    }
  }

  private addTraining(name: string, parameters: readonly CallerParameter[], dataset: string | undefined, problems: Problems): void {
    const known = this.settingsOf.training.get(name);
    problems.check(!known || known.dataset === dataset, () =>
      `the training pipeline "${name}" is given with ${[known?.dataset, dataset].map((given) => (given ? `the data set "${given}"` : 'no data')).join(' and with ')}; give it once`);
    const before = this.callerParameters.get(name);
    problems.check(!before || JSON.stringify(before) === JSON.stringify(parameters), () =>
      `the training pipeline "${name}" is given with two lists of trainingParameters; give it once`);
    this.settingsOf.training.set(name, { name, dataset, parametersFile: known?.parametersFile ?? `parameters-${this.callerParameters.size}.json` });
    this.callerParameters.set(name, parameters);
  }

  private addEndpoint(name: string, schema: DatasetSchema | undefined, problems: Problems): void {
    const known = this.schemas.get(name);
    problems.check(schema !== undefined, () => 'endpoint is given without a contract to check requests against: give schema as well');
    problems.check(!known || known === schema, () => `the ${SELECTORS.endpoint} "${name}" is given with two schemas; give it once`);
    if (schema && !known) {
      this.settingsOf.endpoint.set(name, { name, schemaFile: `schema-${this.schemas.size}.json` });
      this.schemas.set(name, schema);
    }
  }
}

/** The name by which callers select a part of a model. */
function nameOf(kind: PartName, { data, training, registry, endpoint }: ServedModel): string | undefined {
  return {
    data: data?.schema.datasetName,
    training: training?.pipelineName,
    registry: registry?.modelPackageGroupName,
    endpoint: endpoint?.endpointName,
  }[kind];
}

/** The parameters that callers may set: hyper-parameters, those that the app names, and the place of the data where no data set gives it. */
function callerParameters({ training, data, trainingParameters = [] }: ServedModel): CallerParameter[] {
  const tunable = training instanceof TrainingPipeline ? training.hyperParameters : [];
  const ranges = tunable.flatMap(({ parameter, min, max, exclusiveMin }) => (parameter ? [{ name: parameter.name, min, max, exclusiveMin }] : []));
  const others = [...trainingParameters, ...(data ? [] : Object.values(TrainingParameter))];
  return [...ranges, ...[...new Set(others)].filter((name) => ranges.every((range) => range.name !== name)).map((name) => ({ name }))];
}

/** The contract of a model, which its endpoint or its data may bring. */
function schemaOf({ schema, endpoint, data }: ServedModel): DatasetSchema | undefined {
  const ofEndpoint = (endpoint as { schema?: unknown } | undefined)?.schema;
  return schema ?? (ofEndpoint instanceof DatasetSchema ? ofEndpoint : data?.schema);
}
