import { Token } from 'aws-cdk-lib';
import type { Json, JsonObject } from '../shared/pipeline-tokens';

/** A step of a definition, found anywhere in it. */
export interface FoundStep {
  readonly name: string;
  readonly type: string;
  readonly body: JsonObject;
  /** Names of the condition steps around it and the branch that it stands in, from the outside in. */
  readonly branches: readonly { readonly condition: string; readonly branch: 'IfSteps' | 'ElseSteps' }[];
}

/** A `Get` of a definition and where it stands. */
export interface FoundReference {
  /** Path from the step or the definition, e.g. `Arguments.ProcessingInputs[0].S3Input.S3Uri`. */
  readonly field: string;
  readonly path: string;
  /** It names a property file of a `Std:JsonGet`. */
  readonly fromJsonGet: boolean;
}

export function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !Token.isUnresolved(value);
}

export function listOf(value: Json): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

export function textOf(value: Json): string {
  return typeof value === 'string' ? value : '';
}

/** Name of the parameter that a reference is to. */
export function parameterOf(value: Json): string | undefined {
  return isObject(value) ? /^Parameters\.(.*)$/.exec(textOf(value.Get))?.[1] : undefined;
}

/** All steps, those in branches too. */
export function stepsOf(definition: JsonObject): FoundStep[] {
  return collect(listOf(definition.Steps), []);
}

function collect(steps: JsonObject[], branches: FoundStep['branches']): FoundStep[] {
  return steps.flatMap((body) => {
    const step = { name: textOf(body.Name), type: textOf(body.Type), body, branches };
    const nested = step.type === 'Condition' && isObject(body.Arguments) ? body.Arguments : {};
    return [
      step,
      ...collect(listOf(nested.IfSteps), [...branches, { condition: step.name, branch: 'IfSteps' as const }]),
      ...collect(listOf(nested.ElseSteps), [...branches, { condition: step.name, branch: 'ElseSteps' as const }]),
    ];
  });
}

/** The references of a step itself, without those of the steps in its branches. */
export function referencesOf(step: JsonObject): FoundReference[] {
  const { Arguments, ...rest } = step;
  const own = step.Type === 'Condition' && isObject(Arguments) ? { Conditions: Arguments.Conditions } : Arguments;
  return findReferences({ ...rest, Arguments: own });
}

export function findReferences(value: Json, field = '', fromJsonGet = false): FoundReference[] {
  if (Array.isArray(value)) {
    return value.flatMap((item, index) => findReferences(item, `${field}[${index}]`));
  }
  if (!isObject(value)) {
    return [];
  }
  const keys = Object.keys(value);
  if (keys.length === 1 && keys[0] === 'Get' && typeof value.Get === 'string') {
    return [{ field, path: value.Get, fromJsonGet }];
  }
  return keys.flatMap((key) => {
    const path = field ? `${field}.${key}` : key;
    return findReferences(value[key], path, key === 'PropertyFile' && field.endsWith('Std:JsonGet'));
  });
}

/** All strings that stand under keys of this kind, wherever they are. */
export function findTextsOf(value: Json, isWanted: (key: string) => boolean): string[] {
  if (Array.isArray(value)) {
    return value.flatMap((item) => findTextsOf(item, isWanted));
  }
  return !isObject(value) ? [] : Object.entries(value).flatMap(([key, item]) =>
    typeof item === 'string' && isWanted(key) ? [item] : findTextsOf(item, isWanted));
}

/** A path `Steps.<step>.<rest>`, or undefined when it is not that of a step. */
export function stepOfPath(path: string): { readonly step: string; readonly rest: string } | undefined {
  const match = /^Steps\.([^.[]*)(?:\.(.*))?$/s.exec(path);
  return match ? { step: match[1], rest: match[2] ?? '' } : undefined;
}

/** Names of the steps that this one waits for. */
export function dependenciesOf(step: FoundStep): string[] {
  const declared = (Array.isArray(step.body.DependsOn) ? step.body.DependsOn : [])
    .map((entry) => (isObject(entry) ? textOf(entry.Step) : textOf(entry)));
  const used = referencesOf(step.body).flatMap(({ path }) => stepOfPath(path)?.step ?? []);
  const around = step.branches.slice(-1).map(({ condition }) => condition);
  return [...new Set([...declared, ...used, ...around])];
}

/** The first cycle found, as the names along it with the first repeated at the end. */
export function findCycle(steps: readonly FoundStep[]): string[] | undefined {
  const edges = new Map(steps.map((step) => [step.name, dependenciesOf(step)]));
  const done = new Set<string>();
  const visit = (name: string, trail: string[]): string[] | undefined => {
    if (trail.includes(name)) {
      return [...trail.slice(trail.indexOf(name)), name];
    }
    if (done.has(name)) {
      return undefined;
    }
    for (const next of edges.get(name) ?? []) {
      // A step that waits for itself has a message of its own.
      const cycle = next === name ? undefined : visit(next, [...trail, name]);
      if (cycle) {
        return cycle;
      }
    }
    done.add(name);
    return undefined;
  };
  for (const { name } of steps) {
    const cycle = visit(name, []);
    if (cycle) {
      return cycle;
    }
  }
  return undefined;
}
