import * as fs from 'node:fs';
import { parseArgs } from 'node:util';
import { UsageError, messageOf } from './errors';
import { STEPS, StepId } from './steps';
import { suggestion } from '../../shared/validation';

export const HELP = `cdk-mlops: rehearse a CDK app on this machine before AWS sees it

Usage
  cdk-mlops rehearse [options]   deploy the app to a local emulator, run it on real data, remove everything
  cdk-mlops prepare [--dev]      only make the Python environment that a rehearsal uses; prints its interpreter

Options of rehearse
  --app DIR|CDK.OUT|"COMMAND"    folder with a cdk.json, a synthesized cloud assembly, or a command (default: .)
  --data FILE                    CSV file to upload; without it the rehearsal ends after the deployment; may be repeated for an app
                                 with several data sets: --data <dataset>=FILE where the header of a file does not say which
  --stack ID                     only this stack and those that it depends on: its path in the app, its name, or a pattern with *; may be
                                 repeated (default: all stacks, those of all stages)
  --stage PATH                   only the stacks of this stage; may be repeated
  --parameter NAME=VALUE         another default for a parameter of the SageMaker pipeline; may be repeated
  --stack-parameter [STACK:]NAME=VALUE
                                 value of a parameter of the templates that has no default; may be repeated
  --ssm NAME=VALUE               value of an SSM parameter that exists outside the app; may be repeated
  --managed-policy NAME=FILE     JSON document of a managed policy that exists outside the app, such as a permissions boundary; may be repeated
  --context KEY=VALUE            context for the CDK app; may be repeated
  --until STEP                   stop after this step: ${STEPS.map(({ id }) => id).join(', ')}
  --allow-denials                a call that IAM denies is reported, but fails no step that goes on without it
  --keep                         leave everything running afterwards, until Ctrl-C
  --report FILE                  where to write the report (default: rehearsal-report.html)
  --open                         open the report in the browser
  --json                         one JSON document on standard output; progress goes to standard error
  --port N                       port of the emulator (default: any free one)
  --timeout S                    seconds that the whole rehearsal may take (default: 1800)
  --verbose                      show the output of the tools that are run
  --help, --version

Environment
  CDK_MLOPS_PYTHON               the Python to take
  CDK_MLOPS_STAND_INS            what plays container images of your own, as JSON: {"<repository>": {"train": "train.py", "serve": "serve.py"}},
                                 programs with paths relative to the folder of the app; or the name of an image of SageMaker in their place

Exit codes
  0 everything worked   1 a step failed   2 wrong usage, or this machine lacks something
  3 the gate rejected the model   4 validation put the data into quarantine   130 interrupted
`;

export interface RehearseOptions {
  readonly command: 'rehearse';
  readonly app: string;
  readonly data: readonly string[];
  readonly stacks: readonly string[];
  readonly stages: readonly string[];
  readonly parameters: Readonly<Record<string, string>>;
  readonly stackParameters: Readonly<Record<string, string>>;
  readonly ssm: Readonly<Record<string, string>>;
  /** Documents by the name of the policy. */
  readonly managedPolicies: Readonly<Record<string, unknown>>;
  readonly context: readonly string[];
  readonly until?: StepId;
  readonly allowDenials: boolean;
  readonly keep: boolean;
  readonly open: boolean;
  readonly json: boolean;
  readonly verbose: boolean;
  readonly report: string;
  readonly port?: number;
  /** Seconds. */
  readonly timeout: number;
}

export type Options =
  | RehearseOptions
  | { readonly command: 'prepare'; readonly dev: boolean; readonly verbose: boolean }
  | { readonly command: 'help' | 'version' };

const FLAGS = {
  'app': { type: 'string' },
  'data': { type: 'string', multiple: true },
  'stack': { type: 'string', multiple: true },
  'stage': { type: 'string', multiple: true },
  'parameter': { type: 'string', multiple: true },
  'stack-parameter': { type: 'string', multiple: true },
  'ssm': { type: 'string', multiple: true },
  'managed-policy': { type: 'string', multiple: true },
  'context': { type: 'string', multiple: true },
  'until': { type: 'string' },
  'allow-denials': { type: 'boolean' },
  'keep': { type: 'boolean' },
  'report': { type: 'string' },
  'open': { type: 'boolean' },
  'json': { type: 'boolean' },
  'port': { type: 'string' },
  'timeout': { type: 'string' },
  'verbose': { type: 'boolean', short: 'v' },
  'dev': { type: 'boolean' },
  'help': { type: 'boolean', short: 'h' },
  'version': { type: 'boolean' },
} as const;

const COMMANDS = ['rehearse', 'prepare'];
const OF_PREPARE = ['dev', 'verbose', 'help', 'version'];

/** Reads the command line; throws a `UsageError` of one sentence. */
export function parseOptions(args: readonly string[]): Options {
  const { values, positionals, tokens } = parse(args);
  if (values.help || args.length === 0) {
    return { command: 'help' };
  }
  if (values.version) {
    return { command: 'version' };
  }
  const [command, ...rest] = positionals;
  if (command === undefined) {
    throw new UsageError('name a command: cdk-mlops rehearse, or cdk-mlops prepare (--help shows all)');
  }
  if (!COMMANDS.includes(command)) {
    throw new UsageError(`unknown command "${command}": ${suggestion(command, COMMANDS)}`);
  }
  if (rest.length > 0) {
    throw new UsageError(`unexpected argument "${rest[0]}": everything after "${command}" is an option; give a folder with --app, a file with --data`);
  }
  for (const token of tokens) {
    const wrong = token.kind === 'option' && (command === 'prepare' ? !OF_PREPARE.includes(token.name) : token.name === 'dev');
    if (wrong) {
      throw new UsageError(`--${token.name} is not an option of "${command}"`);
    }
  }
  if (command === 'prepare') {
    return { command, dev: values.dev ?? false, verbose: values.verbose ?? false };
  }
  return {
    command: 'rehearse',
    app: values.app ?? '.',
    data: values.data ?? [],
    stacks: values.stack ?? [],
    stages: values.stage ?? [],
    parameters: pairs('--parameter', values.parameter ?? []),
    stackParameters: pairs('--stack-parameter', values['stack-parameter'] ?? []),
    ssm: pairs('--ssm', values.ssm ?? []),
    managedPolicies: documents('--managed-policy', values['managed-policy'] ?? []),
    context: Object.entries(pairs('--context', values.context ?? [])).map(([key, value]) => `${key}=${value}`),
    until: step(values.until),
    allowDenials: values['allow-denials'] ?? false,
    keep: values.keep ?? false,
    open: values.open ?? false,
    json: values.json ?? false,
    verbose: values.verbose ?? false,
    report: values.report ?? 'rehearsal-report.html',
    port: wholeNumber('--port', values.port, 1, 65535),
    timeout: wholeNumber('--timeout', values.timeout, 1, 86_400) ?? 1800,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: FLAGS, allowPositionals: true, strict: true, tokens: true });
  } catch (error) {
    throw new UsageError(explain(error, args));
  }
}

/** One sentence for an error of `parseArgs`, with the option that was probably meant. */
function explain(error: unknown, args: readonly string[]): string {
  const code = (error as { code?: string }).code;
  const message = error instanceof Error ? error.message : String(error);
  const option = /'(?:-\w, )?(-{1,2}[^' =]+)/.exec(message)?.[1] ?? args.find((arg) => arg.startsWith('-')) ?? '';
  if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') {
    const names = Object.keys(FLAGS).map((name) => `--${name}`);
    return `unknown option ${option}: ${suggestion(option, names)}`;
  }
  if (code === 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE') {
    const name = option.replace(/^-+/, '') as keyof typeof FLAGS;
    return FLAGS[name]?.type === 'boolean' ? `${option} takes no value` : `${option} needs a value`;
  }
  return message.split('\n')[0];
}

function pairs(flag: string, values: readonly string[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (const value of values) {
    const at = value.indexOf('=');
    if (at < 1) {
      throw new UsageError(`${flag} "${value}" is not of the form NAME=VALUE`);
    }
    found[value.slice(0, at)] = value.slice(at + 1);
  }
  return found;
}

/** Pairs of a name and a file, of which each has a JSON object. */
function documents(flag: string, values: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(pairs(flag, values)).map(([name, file]) => {
    try {
      return [name, JSON.parse(fs.readFileSync(file, 'utf8'))];
    } catch (error) {
      throw new UsageError(`${flag} ${name}: ${file} is not a file with a JSON document: ${messageOf(error)}`);
    }
  }));
}

function wholeNumber(flag: string, text: string | undefined, min: number, max: number): number | undefined {
  if (text === undefined) {
    return undefined;
  }
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < min || value > max) {
    throw new UsageError(`${flag} "${text}" is not a whole number from ${min} to ${max}`);
  }
  return value;
}

function step(name: string | undefined): StepId | undefined {
  const known = STEPS.find((candidate) => candidate.id === name);
  if (name !== undefined && known === undefined) {
    throw new UsageError(`unknown step --until "${name}": ${suggestion(name, STEPS.map((candidate) => candidate.id))}`);
  }
  return known?.id;
}
