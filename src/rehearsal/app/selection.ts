import { AssembledStack } from './assembly';
import { UsageError } from '../command/errors';

/** What is named with --stack and --stage. */
export interface Selection {
  /** Names, ids or patterns of stacks. */
  readonly stacks: readonly string[];
  /** Paths of stages. */
  readonly stages: readonly string[];
}

/** The stacks that were chosen and those that they depend on, in the order of the app; without a choice all of them. */
export function selectStacks(all: readonly AssembledStack[], { stacks, stages }: Selection): AssembledStack[] {
  const filled = all.filter(({ template }) => Object.keys(template.Resources ?? {}).length > 0);
  if (stacks.length === 0 && stages.length === 0) {
    return filled;
  }
  const chosen = new Set([
    ...stacks.flatMap((pattern) => found(filled.filter((stack) => isMeant(pattern, stack)), '--stack', pattern, all.map(({ id }) => id))),
    ...stages.flatMap((stage) => found(filled.filter((stack) => isWithin(stage, stack)), '--stage', stage, all.map((stack) => stack.stage))),
  ]);
  for (const stack of chosen) {
    filled.filter(({ id }) => stack.dependencies.includes(id)).forEach((needed) => chosen.add(needed));
  }
  return filled.filter((stack) => chosen.has(stack));
}

function found(stacks: AssembledStack[], option: string, given: string, known: readonly string[]): AssembledStack[] {
  if (stacks.length === 0) {
    const names = [...new Set(known.filter((name) => name !== ''))].map((name) => `"${name}"`).join(', ');
    throw new UsageError(`${option} "${given}" is none of this app, which has ${names || `no ${option.slice(2)}`}`);
  }
  return stacks;
}

/** A pattern is an id or a name, in which `*` stands for any letters. */
function isMeant(pattern: string, { id, name }: AssembledStack): boolean {
  const expression = new RegExp(`^${pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&')).join('.*')}$`);
  return expression.test(id) || expression.test(name);
}

function isWithin(stage: string, stack: AssembledStack): boolean {
  return stack.stage === stage || stack.stage.startsWith(`${stage}/`);
}
