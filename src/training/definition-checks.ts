import { Token } from 'aws-cdk-lib';
import {
  dependenciesOf, findCycle, findReferences, FoundReference, FoundStep, isObject, listOf, referencesOf, stepOfPath, stepsOf, textOf,
} from './definition-graph';
import { STEP_KINDS } from './step-kinds';
import type { Json, JsonObject } from '../shared/pipeline-tokens';
import { Problems, suggestion } from '../shared/validation';

const NAME = /^[A-Za-z0-9\-_]{1,64}$/;
const DURATION = /^P(?=\d|T\d)(\d+Y)?(\d+M)?(\d+W)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+S)?)?$/;
const PARAMETER_TYPES = ['String', 'Integer', 'Float', 'Boolean'];
const MAX_PARAMETERS = 200;
const MAX_INPUTS = 10;
const EXECUTION_VARIABLES = [
  'StartDateTime', 'CurrentDateTime', 'PipelineName', 'PipelineArn', 'PipelineExecutionId', 'PipelineExecutionArn',
  'TrainingJobName', 'ProcessingJobName',
];

/**
 * Everything about a definition that SageMaker would refuse, or that would fail in the middle of a run and can be seen now.
 * Works on the definition's JSON, so that typed and foreign definitions are held to the same.
 */
export function checkDefinition(definition: JsonObject, problems: Problems): void {
  const steps = stepsOf(definition);
  checkParameters(listOf(definition.Parameters), problems);
  problems.check(steps.length > 0, () => 'it has no step: a pipeline needs at least one');
  checkUnique(steps.map(({ name }) => name), 'step', problems);
  const parameters = listOf(definition.Parameters).map(({ Name }) => textOf(Name));
  const scope = new Scope(steps, parameters, problems);
  const { Steps, Parameters, ...rest } = definition;
  findReferences(rest).forEach((found) => scope.checkReference(`the definition, ${found.field}`, found));
  for (const step of steps) {
    checkStep(step, problems);
    checkDependencies(step, steps, problems);
    referencesOf(step.body).forEach((found) => scope.checkReference(`step "${step.name}", ${found.field}`, found, step));
  }
  const cycle = findCycle(steps);
  problems.check(!cycle, () => `steps wait for each other in a circle: ${cycle!.map((name) => `"${name}"`).join(' -> ')}`);
}

function checkParameters(parameters: JsonObject[], problems: Problems): void {
  problems.check(parameters.length <= MAX_PARAMETERS, () =>
    `it has ${parameters.length} parameters; a pipeline has at most ${MAX_PARAMETERS}`);
  checkUnique(parameters.map(({ Name }) => textOf(Name)), 'parameter', problems);
  for (const { Name, Type, DefaultValue, EnumValues } of parameters) {
    const name = textOf(Name);
    checkName('parameter', name, problems);
    problems.check(PARAMETER_TYPES.includes(textOf(Type)), () =>
      `parameter "${name}": its type is ${quote(Type)}; ${suggestion(textOf(Type), PARAMETER_TYPES)}`);
    problems.check(fits(Type, DefaultValue), () => `parameter "${name}": its default ${quote(DefaultValue)} is not a valid ${textOf(Type).toLowerCase()}`);
    if (Array.isArray(EnumValues)) {
      const allowed = EnumValues.map((value) => textOf(value));
      problems.check(allowed.length > 0, () => `parameter "${name}": its list of allowed values is empty`);
      problems.check(typeof DefaultValue !== 'string' || Token.isUnresolved(DefaultValue) || allowed.includes(DefaultValue), () =>
        `parameter "${name}": its default ${quote(DefaultValue)} is not among the allowed values; ${suggestion(textOf(DefaultValue), allowed)}`);
    }
  }
}

function fits(type: Json, value: Json): boolean {
  if (value === undefined || value === null || Token.isUnresolved(value)) {
    return true;
  }
  switch (type) {
    case 'String': return typeof value === 'string';
    case 'Integer': return Number.isInteger(value);
    case 'Float': return typeof value === 'number' && Number.isFinite(value);
    case 'Boolean': return typeof value === 'boolean';
    default: return true;
  }
}

function checkStep(step: FoundStep, problems: Problems): void {
  const { name, body } = step;
  const args = isObject(body.Arguments) ? body.Arguments : {};
  checkName('step', name, problems);
  problems.check(step.type !== '', () => `step "${name}": it has no Type`);
  if (step.type === 'Condition') {
    problems.check(listOf(args.Conditions).length > 0, () => `step "${name}": it has no condition to ask`);
    problems.check(listOf(args.IfSteps).length + listOf(args.ElseSteps).length > 0, () => `step "${name}": both of its branches are empty`);
    findEmptyConditions(args.Conditions).forEach((type) =>
      problems.check(false, () => `step "${name}": a condition "${type}" has nothing to choose from`));
  }
  if (step.type === 'Processing') {
    checkProcessing(step, args, problems);
  }
  checkCache(name, body.CacheConfig, problems);
  listOf(body.RetryPolicies).forEach((policy, index) => checkRetry(`step "${name}", RetryPolicies[${index}]`, policy, problems));
}

function findEmptyConditions(conditions: Json): string[] {
  return listOf(conditions).flatMap((condition) => {
    const choice = condition.Type === 'Or' ? condition.Conditions : condition.Type === 'In' ? condition.Values : undefined;
    const inner = condition.Type === 'Not' ? [condition.Condition] : condition.Conditions;
    return [...(Array.isArray(choice) && choice.length === 0 ? [textOf(condition.Type)] : []), ...findEmptyConditions(inner)];
  });
}

function checkProcessing({ name, body }: FoundStep, args: JsonObject, problems: Problems): void {
  const inputs = listOf(args.ProcessingInputs).map(({ InputName }) => textOf(InputName));
  const outputs = outputNames(args);
  const files = listOf(body.PropertyFiles);
  checkUnique(inputs, `step "${name}": input`, problems);
  checkUnique(outputs, `step "${name}": output`, problems);
  checkUnique(files.map((file) => textOf(file.PropertyFileName)), `step "${name}": property file`, problems);
  problems.check(inputs.length <= MAX_INPUTS, () => `step "${name}": it has ${inputs.length} inputs; a processing job has at most ${MAX_INPUTS}`);
  problems.check(outputs.length <= MAX_INPUTS, () => `step "${name}": it has ${outputs.length} outputs; a processing job has at most ${MAX_INPUTS}`);
  for (const file of files) {
    problems.check(outputs.includes(textOf(file.OutputName)), () =>
      `step "${name}", property file "${textOf(file.PropertyFileName)}": the step has no output "${textOf(file.OutputName)}"; `
      + suggestion(textOf(file.OutputName), outputs));
  }
}

function checkCache(name: string, cache: Json, problems: Problems): void {
  if (isObject(cache) && cache.ExpireAfter !== undefined) {
    const duration = textOf(cache.ExpireAfter);
    problems.check(Token.isUnresolved(duration) || DURATION.test(duration), () =>
      `step "${name}", CacheConfig.ExpireAfter: ${quote(cache.ExpireAfter)} is not an ISO 8601 duration such as "P30D" or "PT12H"`);
  }
}

function checkRetry(where: string, policy: JsonObject, problems: Problems): void {
  const limits = [policy.MaxAttempts, policy.ExpireAfterMin].filter((limit) => limit !== undefined && limit !== null);
  problems.check(limits.length === 1, () => `${where}: exactly one of MaxAttempts and ExpireAfterMin ends the attempts; it has ${limits.length}`);
  problems.check(Array.isArray(policy.ExceptionType) && policy.ExceptionType.length > 0, () => `${where}: it names nothing to retry for`);
  const backoff = policy.BackoffRate;
  problems.check(backoff === undefined || (typeof backoff === 'number' && backoff >= 0), () => `${where}: BackoffRate is ${quote(backoff)}; it must not be negative`);
}

function checkDependencies(step: FoundStep, steps: readonly FoundStep[], problems: Problems): void {
  const names = steps.map(({ name }) => name);
  for (const entry of Array.isArray(step.body.DependsOn) ? step.body.DependsOn : []) {
    const name = isObject(entry) ? textOf(entry.Step) : textOf(entry);
    problems.check(names.includes(name), () => `step "${step.name}", DependsOn: there is no step "${name}"; ${suggestion(name, names)}`);
    checkBranches(`step "${step.name}", DependsOn`, step, steps.find((other) => other.name === name), problems);
  }
  problems.check(!dependenciesOf(step).includes(step.name), () => `step "${step.name}": it waits for itself`);
}

/** Of two branches of one condition only one runs, so a step that waits for the other one would never start. */
function checkBranches(where: string, step: FoundStep, target: FoundStep | undefined, problems: Problems): void {
  const conflict = step.branches.find(({ condition, branch }) =>
    target?.branches.some((other) => other.condition === condition && other.branch !== branch));
  problems.check(!conflict, () => `${where}: "${target!.name}" is in the other branch of "${conflict!.condition}", and only one of the two runs`);
}

function outputNames(args: JsonObject): string[] {
  const config = isObject(args.ProcessingOutputConfig) ? args.ProcessingOutputConfig : {};
  return listOf(config.Outputs).map(({ OutputName }) => textOf(OutputName));
}

/** What references may point to. */
class Scope {
  constructor(
    private readonly steps: readonly FoundStep[],
    private readonly parameters: readonly string[],
    private readonly problems: Problems,
  ) {}

  public checkReference(where: string, found: FoundReference, from?: FoundStep): void {
    const [root, ...rest] = found.path.split('.');
    if (found.fromJsonGet && !/^Steps\.[^.]+\.PropertyFiles\./.test(found.path)) {
      this.problems.check(false, () => `${where}: "${found.path}" names no property file; it must be "Steps.<step>.PropertyFiles.<file>"`);
    } else if (root === 'Parameters') {
      this.checkKnown(where, 'parameter', rest.join('.'), this.parameters);
    } else if (root === 'Execution') {
      this.checkKnown(where, 'execution variable', rest.join('.'), EXECUTION_VARIABLES);
    } else if (root === 'Steps') {
      this.checkStepReference(where, found, from);
    } else {
      const roots = ['Parameters', 'Execution', 'Steps', 'PipelineExperimentConfig', 'MlflowConfig', 'ForEach', 'IterationOutput'];
      this.checkKnown(where, 'source of values', root, roots);
    }
  }

  private checkStepReference(where: string, found: FoundReference, from?: FoundStep): void {
    const { step: name, rest } = stepOfPath(found.path) ?? { step: '', rest: '' };
    const target = this.steps.find((step) => step.name === name);
    if (!target) {
      this.checkKnown(where, 'step', name, this.steps.map((step) => step.name));
      return;
    }
    if (from) {
      checkBranches(where, from, target, this.problems);
    }
    const file = /^PropertyFiles\.(.*)$/s.exec(rest)?.[1];
    const output = /^ProcessingOutputConfig\.Outputs\['([^']*)'\]/.exec(rest)?.[1];
    const result = /^OutputParameters\['([^']*)'\]/.exec(rest)?.[1];
    if (file !== undefined) {
      this.checkPropertyFile(where, target, file);
    } else if (output !== undefined && target.type === 'Processing') {
      const names = outputNames(isObject(target.body.Arguments) ? target.body.Arguments : {});
      this.checkKnown(where, `output of step "${name}"`, output, names);
    } else if (result !== undefined && (STEP_KINDS[target.type]?.properties.includes('OutputParameters') ?? true)) {
      const names = listOf(target.body.OutputParameters).map(({ OutputName }) => textOf(OutputName));
      this.checkKnown(where, `output parameter of step "${name}"`, result, names);
    } else {
      this.checkProperty(where, target, rest);
    }
  }

  private checkPropertyFile(where: string, target: FoundStep, file: string): void {
    this.problems.check(target.type === 'Processing', () =>
      `${where}: "${target.name}" is a ${target.type} step, and only Processing steps have property files`);
    if (target.type === 'Processing') {
      const files = listOf(target.body.PropertyFiles).map(({ PropertyFileName }) => textOf(PropertyFileName));
      this.checkKnown(where, `property file of step "${target.name}"`, file, files);
    }
  }

  private checkProperty(where: string, target: FoundStep, path: string): void {
    const first = /^[A-Za-z]*/.exec(path)![0];
    const known = STEP_KINDS[target.type]?.properties;
    if (known) {
      this.checkKnown(where, `property of a ${target.type} step`, first, known);
    }
  }

  private checkKnown(where: string, what: string, name: string, known: readonly string[]): void {
    this.problems.check(known.includes(name), () => `${where}: there is no ${what} "${name}"; ${suggestion(name, known)}`);
  }
}

function checkName(what: string, name: string, problems: Problems): void {
  problems.check(NAME.test(name), () => `${what} "${name}": a name has 1 to 64 letters, digits, hyphens and underscores`);
}

function checkUnique(names: readonly string[], what: string, problems: Problems): void {
  const twice = names.filter((name, index) => name && names.indexOf(name) !== index);
  [...new Set(twice)].forEach((name) => problems.check(false, () => `${what} "${name}" is declared more than once`));
}

function quote(value: Json): string {
  return JSON.stringify(value) ?? 'missing';
}
