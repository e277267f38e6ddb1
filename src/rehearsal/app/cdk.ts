import * as fs from 'node:fs';
import { createRequire } from 'node:module';
import * as path from 'node:path';
import { AppSource } from './app-source';
import { missingIn } from './assembly';
import { Environment, urlOf } from './environment';
import { answerLookups } from './lookups';
import { RehearsalError, UsageError, messageOf } from '../command/errors';
import { isFile, isFolder } from '../system/files';
import { Processes } from '../system/processes';

export interface CdkOptions {
  readonly app: AppSource;
  /** Command and first arguments of the CDK command line. */
  readonly cli: readonly string[];
  readonly context: readonly string[];
  /** Values of SSM parameters that exist outside the app. */
  readonly ssm: Readonly<Record<string, string>>;
  /** Variables that lead every AWS call to the emulator, as its administrator there or of who deploys. */
  readonly envIn: (environment?: Environment) => NodeJS.ProcessEnv;
  readonly work: string;
  readonly processes: Processes;
  readonly onLine?: (line: string) => void;
}

/** The CDK command line of the app's own project, pointed at the emulator. */
export class Cdk {
  /** Its log, all commands in a row. */
  public readonly log: string;
  private readonly temporary: string;
  private deployed: readonly string[] = [];

  constructor(private readonly options: CdkOptions) {
    this.log = path.join(options.work, 'cdk.log');
    this.temporary = path.join(options.work, 'cdk-tmp');
    fs.mkdirSync(this.temporary, { recursive: true });
  }

  /** Folder of the cloud assembly. */
  public get assembly(): string {
    return this.options.app.kind === 'assembly' ? this.options.app.folder : path.join(this.options.work, 'cdk.out');
  }

  /** Synthesizes the app. What it looks up in the account is answered here; gives the context that it was synthesized with. */
  public async synth(signal: AbortSignal): Promise<Readonly<Record<string, unknown>>> {
    const { app, context, ssm } = this.options;
    if (app.kind === 'assembly') {
      return {};
    }
    const folder = settingsFolder(app, this.options.work);
    const args = ['synth', '--quiet', '--no-lookups', '--output', this.assembly, ...context.flatMap((pair) => ['--context', pair])];
    for (;;) {
      try {
        await this.run(signal, 'cdk synth', folder, args);
        return readContext(folder);
      } catch (error) {
        const known = readContext(folder);
        const missing = missingIn(this.assembly).filter(({ key }) => !(key in known));
        if (missing.length === 0) {
          throw error;
        }
        fs.writeFileSync(path.join(folder, CONTEXT), JSON.stringify({ ...known, ...answerLookups(missing, ssm) }));
        fs.rmSync(this.assembly, { recursive: true, force: true });
      }
    }
  }

  /** Prepares an account and region, as its administrator, for the deployments of the account `from`. */
  public async bootstrap(signal: AbortSignal, environment: Environment, from: string, qualifier?: string): Promise<void> {
    const trusting = environment.account === from ? [] : ['--trust', from, '--cloudformation-execution-policies', 'arn:aws:iam::aws:policy/AdministratorAccess'];
    await this.run(signal, 'cdk bootstrap', this.options.work, [
      'bootstrap', urlOf(environment), ...(qualifier ? ['--qualifier', qualifier] : []), ...trusting,
    ], environment);
  }

  /**
   * @param stacks ids of all that are deployed, with what they depend on
   * @param parameters values of parameters of their templates, each `<stack name>:<parameter>=<value>`
   */
  public async deploy(signal: AbortSignal, stacks: readonly string[], parameters: readonly string[]): Promise<void> {
    this.deployed = stacks;
    await this.run(signal, 'cdk deploy', this.options.work, [
      'deploy', ...stacks, '--app', this.assembly, '--exclusively', '--require-approval', 'never', '--concurrency', '4',
      '--method', 'direct', '--progress', 'events', '--asset-parallelism', 'true',
      ...parameters.flatMap((parameter) => ['--parameters', parameter]),
    ]);
  }

  /** Destroys what was deployed. */
  public async destroy(signal: AbortSignal): Promise<void> {
    await this.run(signal, 'cdk destroy', this.options.work, ['destroy', ...this.deployed, '--app', this.assembly, '--exclusively', '--force']);
  }

  private async run(signal: AbortSignal, what: string, cwd: string, args: readonly string[], environment?: Environment): Promise<void> {
    const [command, ...first] = this.options.cli;
    fs.appendFileSync(this.log, `\n> ${what}\n`);
    const lines: string[] = [];
    const { code } = await this.options.processes.run(signal, command, [...first, ...args, '--no-notices', '--no-color'], {
      cwd,
      env: this.envIn(environment),
      log: this.log,
      onLine: (line) => {
        lines.push(line);
        this.options.onLine?.(line);
      },
    });
    if (code !== 0) {
      throw new RehearsalError(`${what} failed: ${reason(lines)}`, { log: relevantLines(lines), file: this.log });
    }
  }

  private envIn(environment?: Environment): NodeJS.ProcessEnv {
    const env = this.options.envIn(environment);
    return {
      ...env,
      // What the tools of the app leave in their temporary folder goes with ours.
      TMPDIR: this.temporary,
      TEMP: this.temporary,
      TMP: this.temporary,
      PATH: [...binFolders(this.options.app.folder), env.PATH].join(path.delimiter),
      // The CDK keeps there which account a key belongs to, by the key alone.
      CDK_HOME: path.join(this.options.work, 'cdk-home'),
      CI: 'true',
      FORCE_COLOR: '0',
      CDK_DISABLE_CLI_TELEMETRY: 'true',
      CDK_DISABLE_VERSION_CHECK: 'true',
      NODE_NO_WARNINGS: '1',
    };
  }
}

/**
 * Makes a folder from which the CDK synthesizes the app: with the settings and the context of the app's folder, in which the app still runs. So
 * what the CDK looks up in the emulator is not written into the context of the team.
 */
export function settingsFolder(app: Exclude<AppSource, { kind: 'assembly' }>, work: string): string {
  const folder = path.join(work, 'cdk-settings');
  fs.mkdirSync(folder, { recursive: true });
  const settings = readSettings(path.join(app.folder, 'cdk.json'));
  const command = app.kind === 'command' ? app.command : settings.app;
  fs.writeFileSync(path.join(folder, 'cdk.json'), JSON.stringify({
    ...settings,
    app: command && fromFolder(app.folder, command),
    build: settings.build && fromFolder(app.folder, settings.build),
  }));
  const context = path.join(app.folder, CONTEXT);
  if (isFile(context)) {
    fs.copyFileSync(context, path.join(folder, CONTEXT));
  }
  return folder;
}

const CONTEXT = 'cdk.context.json';

function readContext(folder: string): Record<string, unknown> {
  return readSettings(path.join(folder, CONTEXT));
}

function readSettings(file: string): Record<string, unknown> & { readonly app?: string; readonly build?: string } {
  if (!isFile(file)) {
    return {};
  }
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8')) as Record<string, unknown>;
  } catch (error) {
    throw new UsageError(`${file} is not valid JSON: ${messageOf(error)}`);
  }
}

/** The command, run in the folder of the app; as for the CDK, it may begin with a JavaScript file or be the folder of a cloud assembly. */
function fromFolder(folder: string, command: string): string {
  if (isFolder(path.resolve(folder, command))) {
    return path.resolve(folder, command);
  }
  const [first] = command.split(/\s/);
  const runsByNode = first.endsWith('.js') && isFile(path.resolve(folder, first));
  return `cd ${shellWord(folder)} && ${runsByNode ? `${shellWord(process.execPath)} ` : ''}${command}`;
}

function shellWord(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** The line of the CDK's output that names the cause best. */
function reason(lines: readonly string[]): string {
  const plain = lines.map((line) => line.trim());
  const failed = plain.find((line) => /(CREATE|UPDATE|DELETE)_FAILED/.test(line) && !/cancelled/i.test(line));
  const error = plain.find((line) => /^(\w*Error|❌|Error):?\s/.test(line));
  return (failed ?? error ?? plain.at(-1) ?? 'it wrote no output').replace(/^❌\s*/, '').replace(/\s+/g, ' ');
}

/** The last lines, without stack frames of the CDK's own code. */
function relevantLines(lines: readonly string[]): string[] {
  return lines.filter((line) => !/^\s+at .*(node_modules|node:internal)/.test(line)).slice(-15);
}

/** Finds the CDK command line: installed for the app, where the person is, beside this package, or on the PATH. */
export function findCdkCli(folder: string, env: NodeJS.ProcessEnv): string[] {
  for (const from of [folder, process.cwd(), __dirname]) {
    try {
      const file = createRequire(path.join(from, 'anchor.js')).resolve('aws-cdk/package.json');
      const { bin } = JSON.parse(fs.readFileSync(file, 'utf8')) as { bin: { cdk: string } };
      return [process.execPath, path.join(path.dirname(file), bin.cdk)];
    } catch {
      // not installed there
    }
  }
  const onPath = (env.PATH ?? '').split(path.delimiter).map((entry) => path.join(entry, 'cdk')).find(isFile);
  if (onPath) {
    return [onPath];
  }
  throw new UsageError('the CDK command line was not found: run "npm install --save-dev aws-cdk" in the folder of the app, or "npm install --global aws-cdk"');
}

/** Folders of installed commands, as npx would put them in front of the PATH. */
function binFolders(folder: string): string[] {
  const parent = path.dirname(folder);
  return [path.join(folder, 'node_modules', '.bin'), ...(parent === folder ? [] : binFolders(parent))].filter(isFolder);
}
