import { AssembledStack } from './assembly';
import { UsageError } from '../command/errors';

/** What is given for parameters of the templates and for SSM parameters. */
export interface GivenParameters {
  /** Values by `NAME` or `STACK:NAME`. */
  readonly stackParameters: Readonly<Record<string, string>>;
  readonly ssm: Readonly<Record<string, string>>;
}

/** The parameters that are given, as `<stack name>:<parameter>=<value>`; fails when one is missing that has no default. */
export function stackParameters(stacks: readonly AssembledStack[], { stackParameters: given, ssm }: GivenParameters): string[] {
  const used = new Set<string>();
  const found = stacks.flatMap(({ id, name: stack, template, bootstrap }) => Object.entries(template.Parameters ?? {}).flatMap(([name, { Type = '', Default }]) => {
    const key = [`${id}:${name}`, `${stack}:${name}`, name].find((candidate) => candidate in given);
    if (key !== undefined) {
      used.add(key);
      return [`${stack}:${name}=${given[key]}`];
    }
    if (Default === undefined) {
      throw new UsageError(`the stack ${id} has the parameter ${name} without a default: give a value for the rehearsal with --stack-parameter ${stack}:${name}=VALUE`);
    }
    const isRead = Type.startsWith('AWS::SSM::Parameter::Value<') && !bootstrap.parameters.includes(String(Default));
    if (isRead && !String(Default).startsWith('/aws/service/') && !(String(Default) in ssm) && !isMade(String(Default), stacks)) {
      throw new UsageError(`the stack ${id} reads the SSM parameter ${String(Default)}, which exists outside the app: give a value for the rehearsal with --ssm ${String(Default)}=VALUE`);
    }
    return [];
  }));
  const unknown = Object.keys(given).find((key) => !used.has(key));
  if (unknown !== undefined) {
    throw new UsageError(`--stack-parameter ${unknown}: no stack that is deployed has this parameter`);
  }
  return found;
}

function isMade(name: string, stacks: readonly AssembledStack[]): boolean {
  return stacks.some(({ template }) => Object.values(template.Resources ?? {}).some(({ Type, Properties }) => Type === 'AWS::SSM::Parameter' && Properties?.Name === name));
}
