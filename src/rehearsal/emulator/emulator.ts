import { ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as path from 'node:path';
import { ClientOptions } from './aws-clients';
import { Environment } from '../app/environment';
import type { Outside } from '../app/outside';
import { RehearsalError, UsageError } from '../command/errors';
import { withoutPythonSettings } from '../python/python';
import { PythonEnvironment } from '../python/python-environment';
import { rehearsalAssets } from '../system/files';
import { Processes, lastLines } from '../system/processes';

const HOST = '127.0.0.1';

/** An event that the emulator notes: a job that began, a denied call. */
export interface Note {
  readonly seq: number;
  readonly time: number | string;
  readonly kind: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

export interface Denial {
  readonly principal: string;
  readonly action: string;
  readonly resource: string;
  readonly time?: number | string;
  readonly message?: string;
}

/** One action that a policy of the app grants, and how often it was used. */
export interface GrantedAction {
  readonly role: string;
  readonly stack: string;
  readonly logicalId: string;
  readonly action: string;
  readonly resources: readonly string[];
  readonly count: number;
}

/** A container image that was asked for, and how close its stand-in is. */
export interface ImageFidelity {
  readonly image: string;
  /** Repository of the image that stands in for it. */
  readonly standIn: string;
  /** `exact`: all versions are equal; `near`: that of the library which gives the image its name is; `other`: that one is not, or is not known. */
  readonly level: 'exact' | 'near' | 'other';
  /** One sentence on what differs; empty where nothing does. */
  readonly summary: string;
  /** Versions; null in the image where they are not known, null here where the library is not installed. */
  readonly libraries: readonly { readonly name: string; readonly image: string | null; readonly here: string | null }[];
}

export interface EmulatorReport {
  readonly notRehearsed: readonly { type: string; logicalId: string; stack: string; why: string }[];
  readonly grants: { readonly exercised: readonly GrantedAction[]; readonly unexercised: readonly GrantedAction[] };
  readonly denials: readonly Denial[];
  readonly images: readonly ImageFidelity[];
}

export interface Leftover {
  readonly service: string;
  readonly kind: string;
  readonly id: string;
  /** Why it stays on purpose, as it would on AWS. Absent: it should be gone. */
  readonly why?: string;
}

export interface EmulatorOptions {
  readonly environment: PythonEnvironment;
  readonly processes: Processes;
  readonly env: NodeJS.ProcessEnv;
  readonly work: string;
  readonly region: string;
  /** The accounts that the app is for; the first is that of who deploys. */
  readonly accounts: readonly string[];
  readonly port?: number;
  readonly signal: AbortSignal;
}

/** The emulator's process and its control routes. */
export class Emulator {
  /** Starts it and waits until it answers. */
  public static async start(options: EmulatorOptions): Promise<Emulator> {
    if (options.port !== undefined) {
      await mustBeFree(options.port);
    }
    const log = path.join(options.work, 'emulator-process.log');
    const folder = path.join(options.work, 'emulator');
    fs.mkdirSync(folder, { recursive: true });
    const args = [
      '-m', 'emulator', '--port', String(options.port ?? 0), '--work', folder, '--parent-pid', String(process.pid), '--region', options.region,
      ...options.accounts.flatMap((account) => ['--account', account]),
    ];
    const child = options.processes.start(options.environment.interpreter, args, { cwd: options.work, env: pythonEnv(options), log });
    const answer = await ready(child, options.signal, log);
    return new Emulator({ ...answer, log: answer.log ?? log }, child, options.processes);
  }

  public readonly endpoint: string;
  /** The account and region of who deploys. */
  public readonly home: Environment;
  /** The root users, by account. */
  private readonly credentials: Ready['credentials'];
  /** Opens the control routes. */
  public readonly token: string;
  /** File with what the emulator did. */
  public readonly log: string;
  private stopping = false;

  private constructor(answer: Ready & { log: string }, private readonly child: ChildProcess, private readonly processes: Processes) {
    this.endpoint = answer.endpoint;
    this.home = { account: answer.account, region: answer.region };
    this.credentials = answer.credentials;
    this.token = answer.token;
    this.log = answer.log;
  }

  /** Whether its process has ended, which it should not before `stop`. */
  public get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** The accounts that it has. */
  public get accounts(): string[] {
    return Object.keys(this.credentials);
  }

  /** How to call it as the administrator of an account. */
  public optionsOf({ account, region }: Environment): ClientOptions {
    return { endpoint: this.endpoint, region, credentials: this.credentials[account] };
  }

  /** Variables for a process of that administrator, whose AWS calls must all go to the emulator, whatever the user's own configuration. */
  public awsEnv(env: NodeJS.ProcessEnv, environment = this.home): NodeJS.ProcessEnv {
    const { credentials, region } = this.optionsOf(environment);
    const rest = Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('AWS_') && !name.startsWith('CDK_DEFAULT_')));
    const local = '127.0.0.1,localhost';
    return {
      ...rest,
      AWS_ENDPOINT_URL: this.endpoint,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
      AWS_REGION: region,
      AWS_DEFAULT_REGION: region,
      AWS_CONFIG_FILE: '/dev/null',
      AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
      AWS_EC2_METADATA_DISABLED: 'true',
      CDK_DEFAULT_ACCOUNT: environment.account,
      CDK_DEFAULT_REGION: region,
      NO_PROXY: [env.NO_PROXY ?? env.no_proxy, local].filter(Boolean).join(','),
      no_proxy: [env.no_proxy ?? env.NO_PROXY, local].filter(Boolean).join(','),
    };
  }

  /** Calls `notify` when the process ends without having been asked to. */
  public onUnexpectedEnd(notify: (error: RehearsalError) => void): void {
    this.child.once('close', () => {
      if (!this.stopping) {
        notify(new RehearsalError('the emulator ended unexpectedly', { log: lastLines(this.log), file: this.log }));
      }
    });
  }

  public async notes(since: number): Promise<readonly Note[]> {
    return (await this.get<{ notes: Note[] }>(`notes?since=${since}`)).notes;
  }

  public async report(): Promise<EmulatorReport> {
    return this.get<EmulatorReport>('report');
  }

  public async leftovers(): Promise<readonly Leftover[]> {
    return (await this.get<{ leftovers: Leftover[] }>('leftovers')).leftovers;
  }

  /** Makes what exists outside the app; gives what was not there yet. */
  public async make({ account, region }: Environment, things: readonly Outside[]): Promise<readonly Outside[]> {
    return (await this.call<{ made: Outside[] }>('outside', { method: 'POST', body: JSON.stringify({ account, region, things }) })).made;
  }

  public async stop(): Promise<void> {
    this.stopping = true;
    await this.processes.stop(this.child, 8000);
  }

  private async get<T>(route: string): Promise<T> {
    return this.call<T>(route, {});
  }

  private async call<T>(route: string, request: RequestInit): Promise<T> {
    const response = await fetch(`${this.endpoint}/_rehearsal/${route}`, {
      ...request, headers: { Authorization: `Bearer ${this.token}` }, signal: AbortSignal.timeout(20_000),
    });
    if (!response.ok) {
      throw new RehearsalError(`the emulator answered ${response.status} to /_rehearsal/${route}: ${await response.text()}`, { file: this.log, log: lastLines(this.log) });
    }
    return await response.json() as T;
  }
}

/** Throws a `UsageError` when the port that was asked for is in use. */
export async function mustBeFree(wanted: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once('error', (error: NodeJS.ErrnoException) => reject(new UsageError(error.code === 'EADDRINUSE'
      ? `port ${wanted} is taken: name another with --port, or leave it out to get a free one`
      : `port ${wanted} cannot be used (${error.code})`)));
    server.listen({ host: HOST, port: wanted, exclusive: true }, () => server.close(() => resolve()));
  });
}

function pythonEnv(options: EmulatorOptions): NodeJS.ProcessEnv {
  const rest = Object.fromEntries(Object.entries(withoutPythonSettings(options.env)).filter(([name]) => !name.startsWith('AWS_')));
  return {
    ...rest,
    PYTHONPATH: rehearsalAssets(),
    PYTHONPYCACHEPREFIX: options.environment.bytecode,
    PYTHONUNBUFFERED: '1',
    NODE_NO_WARNINGS: '1', // Lambda functions run on the Node of this machine, about which the SDK has opinions
    ...(options.environment.javaHome ? { JAVA_HOME: options.environment.javaHome } : {}),
  };
}

/** The line of JSON that the emulator writes when it answers. */
interface Ready {
  readonly endpoint: string;
  readonly region: string;
  readonly account: string;
  readonly credentials: Readonly<Record<string, ClientOptions['credentials']>>;
  readonly token: string;
  readonly log?: string;
}

async function ready(child: ChildProcess, signal: AbortSignal, log: string): Promise<Ready> {
  return new Promise((resolve, reject) => {
    let text = '';
    const settle = () => {
      signal.removeEventListener('abort', aborted);
      child.removeListener('close', closed);
      child.stdout?.removeListener('data', read);
    };
    const read = (data: Buffer | string) => {
      text += data.toString();
      const found = text.split('\n').slice(0, -1).map(readyIn).find((message) => message !== undefined);
      if (found) {
        settle();
        resolve(found);
      }
    };
    const closed = () => {
      settle();
      reject(new RehearsalError('the emulator ended before it was ready', { log: lastLines(log), file: log }));
    };
    const aborted = () => {
      settle();
      reject(signal.reason as Error);
    };
    child.stdout?.on('data', read);
    child.once('close', closed);
    child.once('error', closed);
    signal.addEventListener('abort', aborted, { once: true });
  });
}

function readyIn(line: string): Ready | undefined {
  try {
    const message = JSON.parse(line) as Partial<Ready>;
    return message.endpoint && message.credentials && message.token ? message as Ready : undefined;
  } catch {
    return undefined;
  }
}
