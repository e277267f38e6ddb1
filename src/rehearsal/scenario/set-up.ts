import * as path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { ApiClient } from './api-client';
import { assignDataFiles, dataPipelinesOf, DataFile } from './data-files';
import { AppContext, DeployedApp, RunContext } from './run-context';
import { Step, StepRunner } from './step-runner';
import { AppParts, findAppParts } from '../app/app-parts';
import { AppSource } from '../app/app-source';
import { readStacks } from '../app/assembly';
import { Cdk, findCdkCli } from '../app/cdk';
import { readDeployed } from '../app/deployed-stacks';
import { DEFAULT_ENVIRONMENT, environmentsOf, isSameEnvironment, settleEnvironments, urlOf } from '../app/environment';
import { thingsInContext } from '../app/lookups';
import { byEnvironment, givenThings, Outside, thingsInTemplates, thingsOfBootstrap } from '../app/outside';
import { selectStacks } from '../app/selection';
import { stackParameters } from '../app/stack-parameters';
import { RehearsalError } from '../command/errors';
import { RehearseOptions } from '../command/options';
import { count } from '../command/text';
import { AwsEnvironments } from '../emulator/aws-clients';
import { Emulator } from '../emulator/emulator';
import { PythonEnvironment, preparePythonEnvironment } from '../python/python-environment';
import { Processes } from '../system/processes';

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
  const start = async (signal: AbortSignal, accounts = [DEFAULT_ENVIRONMENT.account], { region } = DEFAULT_ENVIRONMENT) => {
    const started = await startEmulator(given, environment, signal, accounts, region);
    given.onEmulator(started);
    return started;
  };
  const first = await runner.run('emulator', async (step) => {
    const started = await start(step.signal);
    step.summary(`${started.endpoint} (account ${started.home.account}, ${started.home.region})`);
    return started;
  });
  const cdkAt = (emulator: Emulator) => new Cdk({
    app: given.app,
    cli,
    context: given.options.context,
    ssm: given.options.ssm,
    envIn: (where) => emulator.awsEnv(given.env, where),
    work: given.work,
    processes: given.processes,
    onLine: given.onVerbose,
  });
  const { cdk, emulator, stacks, files, context, parameters } = await runner.run('synth', async (step) => {
    const trial = cdkAt(first);
    const looked = await trial.synth(step.signal);
    const read = selectStacks(settleEnvironments(readStacks(trial.assembly)), given.options);
    if (read.length === 0) {
      throw new RehearsalError('the app synthesized no stack with resources');
    }
    const synthesized = {
      stacks: read, files: assignDataFiles(given.files, dataPipelinesOf(read)), context: looked, parameters: stackParameters(read, given.options),
    };
    const types = read.flatMap(({ metadata }) => metadata.map(({ type }) => type));
    const kinds = [...new Set(types.filter((type) => type.startsWith('cdk-mlops:')))];
    step.summary(`${count(read.length, 'stack')}: ${kinds.map((kind) => kind.replace('cdk-mlops:', '')).join(', ') || 'no construct of cdk-mlops'}`);
    const places = environmentsOf(read);
    const accounts = [...new Set(places.map(({ account }) => account))];
    if (isDeepStrictEqual(accounts, first.accounts) && places[0].region === first.home.region) {
      return { ...synthesized, cdk: trial, emulator: first };
    }
    step.detail(`the stacks are for ${places.map(urlOf).join(', ')}: the emulator is started again for them`);
    await first.stop();
    const again = await start(step.signal, accounts, places[0]);
    return { ...synthesized, cdk: cdkAt(again), emulator: again };
  });
  await runner.run('bootstrap', async (step) => {
    const places = environmentsOf(stacks);
    for (const place of places) {
      const qualifiers = new Set(stacks.filter((stack) => isSameEnvironment(stack.environment, place)).map(({ qualifier }) => qualifier));
      for (const qualifier of qualifiers) {
        await cdk.bootstrap(step.signal, place, emulator.home.account, qualifier);
      }
    }
    step.summary(places.map(urlOf).join(', '));
    await makeOutside(step, emulator, [
      ...thingsOfBootstrap(stacks, emulator.home.account),
      ...thingsInContext(context),
      ...thingsInTemplates(stacks),
      ...givenThings(places, given.options.ssm, given.options.managedPolicies),
    ]);
  });
  const environments = new AwsEnvironments((place) => emulator.optionsOf(place));
  const app = { options: given.options, emulator, cdk, environments };
  const { deployed, models } = await runner.run('deploy', async (step) => {
    await cdk.deploy(step.signal, stacks.map(({ id }) => id), parameters);
    const read = await readDeployed((place) => environments.of(place).cloudFormation, stacks);
    const parts = findAppParts(stacks, read);
    parts.remarks.forEach((remark) => step.detail(remark));
    const resources = read.reduce((sum, stack) => sum + stack.resources.size, 0);
    step.summary(`${count(resources, 'resource')} in ${count(stacks.length, 'stack')}`);
    return { deployed: read, models: await modelContexts(step, app, parts, files) };
  });
  return { ...app, stacks: deployed, models };
}

/** Makes what is not there yet, in the accounts of the app. */
async function makeOutside(step: Step, emulator: Emulator, things: readonly Outside[]): Promise<void> {
  for (const [place, there] of byEnvironment(things).filter(([{ account }]) => emulator.accounts.includes(account))) {
    const made = await emulator.make(place, there);
    made.forEach(({ kind, id }) => step.detail(`exists outside the app, made here: ${kind} ${id} in ${urlOf(place)}`));
  }
}

/** One client for each API, logged in. */
async function modelContexts(step: Step, app: AppContext, { models }: AppParts, files: ReadonlyMap<string, string>): Promise<RunContext[]> {
  const clients = new Map<string, ApiClient>();
  for (const { path: api, facts, environment } of new Set(models.flatMap((model) => model.api ?? []))) {
    const client = new ApiClient(facts, app.emulator.optionsOf(environment));
    if (facts.access === 'cognito') {
      const name = `rehearsal${clients.size > 0 ? `-${clients.size + 1}` : ''}@example.com`;
      step.detail(`logged in as ${await client.logIn(app.environments.of(environment), name)}`);
    }
    clients.set(api, client);
  }
  return models.map((parts) => ({
    ...app,
    parts,
    aws: app.environments.of(parts.environment),
    api: parts.api && clients.get(parts.api.path),
    file: parts.data && files.get(parts.data.path),
  }));
}

async function startEmulator(
  given: SetUp, environment: PythonEnvironment, signal: AbortSignal, accounts: readonly string[], region: string,
): Promise<Emulator> {
  const { processes, env, work, options } = given;
  const forEmulator = { ...env, CDK_MLOPS_STAND_INS_FOLDER: given.app.folder };
  return Emulator.start({ environment, processes, env: forEmulator, work: path.resolve(work), region, accounts, port: options.port, signal });
}
