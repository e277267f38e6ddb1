import * as path from 'node:path';
import { ApiClient } from './api-client';
import { assignDataFiles, dataPipelinesOf, DataFile } from './data-files';
import { AppContext, DeployedApp, RunContext } from './run-context';
import { Step, StepRunner } from './step-runner';
import { AppParts, findAppParts } from '../app/app-parts';
import { AppSource } from '../app/app-source';
import { AssembledStack, readStacks } from '../app/assembly';
import { Cdk, findCdkCli } from '../app/cdk';
import { readDeployed } from '../app/deployed-stacks';
import { RehearsalError, UsageError } from '../command/errors';
import { RehearseOptions } from '../command/options';
import { count } from '../command/text';
import { AwsClients } from '../emulator/aws-clients';
import { Emulator } from '../emulator/emulator';
import { PythonEnvironment, preparePythonEnvironment } from '../python/python-environment';
import { Processes } from '../system/processes';

const ACCOUNT = '000000000000';
const REGION = 'us-east-1';

export interface SetUp {
  readonly options: RehearseOptions;
  readonly files: readonly DataFile[];
  readonly app: AppSource;
  readonly env: NodeJS.ProcessEnv;
  readonly work: string;
  readonly processes: Processes;
  /** Called as soon as there is an emulator, and again when another one replaces it. */
  readonly onEmulator: (emulator: Emulator) => void;
  readonly onVerbose?: (line: string) => void;
}

/** From nothing to a deployed app. */
export async function setUp(runner: StepRunner, given: SetUp): Promise<DeployedApp> {
  const cli = findCdkCli(given.app.folder, given.env); // before the first rehearsal downloads its environment
  const environment = await runner.run('prepare', async (step) => {
    const made = await preparePythonEnvironment({ dev: false, env: given.env, processes: given.processes, signal: step.signal, progress: step.now });
    step.summary(`Python ${made.version}${made.javaHome ? ', Java from PyPI' : ''}${made.fresh ? ', newly made' : ', from an earlier run'}`);
    return made;
  });
  const start = async (signal: AbortSignal, account?: string, region = REGION) => {
    const started = await startEmulator(given, environment, signal, account, region);
    given.onEmulator(started);
    return started;
  };
  const first = await runner.run('emulator', async (step) => {
    const started = await start(step.signal);
    step.summary(`${started.endpoint} (account ${started.account}, ${started.region})`);
    return started;
  });
  const cdkAt = (emulator: Emulator) => new Cdk({
    app: given.app,
    cli,
    context: given.options.context,
    env: emulator.awsEnv(given.env),
    work: given.work,
    processes: given.processes,
    onLine: given.onVerbose,
  });
  const { cdk, emulator, stacks, files } = await runner.run('synth', async (step) => {
    const trial = cdkAt(first);
    await trial.synth(step.signal);
    const read = readStacks(trial.assembly);
    if (read.length === 0) {
      throw new RehearsalError(`the app synthesized no stack (${trial.assembly})`);
    }
    const { account, region } = oneEnvironment(read);
    const assigned = assignDataFiles(given.files, dataPipelinesOf(read));
    const types = read.flatMap(({ metadata }) => metadata.map(({ type }) => type));
    const kinds = [...new Set(types.filter((type) => type.startsWith('cdk-mlops:')))];
    step.summary(`${count(read.length, 'stack')}: ${kinds.map((kind) => kind.replace('cdk-mlops:', '')).join(', ') || 'no construct of cdk-mlops'}`);
    if (account === first.account && region === first.region) {
      return { cdk: trial, emulator: first, stacks: read, files: assigned };
    }
    step.detail(`the stacks name ${account} in ${region}: the emulator is started again for them`);
    await first.stop();
    const again = await start(step.signal, account, region);
    return { cdk: cdkAt(again), emulator: again, stacks: read, files: assigned };
  });
  await runner.run('bootstrap', async (step) => {
    const qualifiers = new Set(stacks.map(({ qualifier }) => qualifier));
    for (const qualifier of qualifiers) {
      await cdk.bootstrap(step.signal, [`aws://${emulator.account}/${emulator.region}`], qualifier);
    }
    step.summary(`aws://${emulator.account}/${emulator.region}`);
  });
  const aws = new AwsClients(emulator);
  const app = { options: given.options, emulator, cdk, aws };
  const { deployed, models } = await runner.run('deploy', async (step) => {
    await cdk.deploy(step.signal);
    const read = await readDeployed(aws.cloudFormation, stacks);
    const parts = findAppParts(stacks, { account: emulator.account, region: emulator.region, stacks: read });
    parts.remarks.forEach((remark) => step.detail(remark));
    const resources = read.reduce((sum, stack) => sum + stack.resources.size, 0);
    step.summary(`${count(resources, 'resource')} in ${count(stacks.length, 'stack')}`);
    return { deployed: read, models: await modelContexts(step, app, parts, files) };
  });
  return { ...app, stacks: deployed, models };
}

/** One client for each API, logged in. */
async function modelContexts(step: Step, app: AppContext, { models }: AppParts, files: ReadonlyMap<string, string>): Promise<RunContext[]> {
  const clients = new Map<string, ApiClient>();
  for (const { path: api, facts } of new Set(models.flatMap((model) => model.api ?? []))) {
    const client = new ApiClient(facts, app.emulator);
    if (facts.access === 'cognito') {
      step.detail(`logged in as ${await client.logIn(app.aws, `rehearsal${clients.size > 0 ? `-${clients.size + 1}` : ''}@example.com`)}`);
    }
    clients.set(api, client);
  }
  return models.map((parts) => ({
    ...app, parts, api: parts.api && clients.get(parts.api.path), file: parts.data && files.get(parts.data.path),
  }));
}

async function startEmulator(
  given: SetUp, environment: PythonEnvironment, signal: AbortSignal, account: string | undefined, region: string,
): Promise<Emulator> {
  const { processes, env, work, options } = given;
  const forEmulator = { ...env, CDK_MLOPS_STAND_INS_FOLDER: given.app.folder };
  return Emulator.start({ environment, processes, env: forEmulator, work: path.resolve(work), region, account, port: options.port, signal });
}

/** The emulator is one account in one region; stacks that name none are deployed to any. */
export function oneEnvironment(stacks: readonly AssembledStack[]): { account: string; region: string } {
  const named = (values: string[], unknown: string, fallback: string, what: string): string => {
    const distinct = [...new Set(values.filter((value) => value !== unknown))];
    const real = distinct.filter((value) => value !== fallback);
    if (real.length > 1 || (real.length === 1 && distinct.length > 1)) {
      throw new UsageError(`the stacks are for several ${what} (${distinct.join(', ')}): a rehearsal has one at a time`);
    }
    return distinct[0] ?? fallback;
  };
  return {
    account: named(stacks.map(({ account }) => account), 'unknown-account', ACCOUNT, 'accounts'),
    region: named(stacks.map(({ region }) => region), 'unknown-region', REGION, 'regions'),
  };
}
