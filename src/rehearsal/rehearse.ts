import * as fs from 'node:fs';
import * as path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findApp } from './app/app-source';
import { ExitCode, Interrupted, RehearsalError, UsageError, messageOf } from './command/errors';
import { RehearseOptions } from './command/options';
import { Terminal } from './command/terminal';
import { seconds } from './command/text';
import { Denials } from './emulator/denials';
import { Emulator } from './emulator/emulator';
import { followNotes, render } from './emulator/notes';
import { RehearsalResult, rehearsalDocument } from './report/document';
import { imageWarnings } from './report/images';
import { LOG_HEADER, logBeside, prepareReport, writeReport } from './report/write';
import { parseDataFile } from './scenario/data-files';
import { ModelResults, runScenario, tearDown } from './scenario/scenario';
import { setUp } from './scenario/set-up';
import { ReachedUntil, StepRunner } from './scenario/step-runner';
import { isFile, makeWorkFolder, packageVersion, removeFolder } from './system/files';
import { Processes } from './system/processes';

export interface CliContext {
  readonly env: NodeJS.ProcessEnv;
  readonly terminal: Terminal;
  /** Writes the JSON document. */
  readonly print: (text: string) => void;
  /** Aborted by Ctrl-C. */
  readonly interrupt: AbortController;
  readonly processes: Processes;
  /** Called with the work folder, so that a second Ctrl-C can remove it at once. */
  readonly onWorkFolder: (folder: string) => void;
}

/** Deploys an app to an emulator of its own, runs the scenario and destroys it; returns the exit code. */
export async function rehearse(options: RehearseOptions, cli: CliContext): Promise<ExitCode> {
  const app = findApp(options.app);
  const files = options.data.map(parseDataFile);
  const report = path.resolve(options.report);
  prepareReport(report);
  const { terminal, interrupt, processes, env } = cli;
  terminal.line(terminal.paint('bold', `cdk-mlops ${packageVersion()} rehearses ${app.kind === 'command' ? app.command : path.relative('', app.folder) || '.'}`) +
    (files.length === 0 ? '' : ` with ${files.map(({ file }) => path.relative('', file)).join(', ')}`));
  const work = makeWorkFolder();
  cli.onWorkFolder(work);
  const timer = setTimeout(() => interrupt.abort(new RehearsalError(
    `the rehearsal took longer than ${options.timeout} s and was stopped; --timeout gives it more`)), options.timeout * 1000);
  const runner = new StepRunner(terminal, interrupt.signal, options.until);
  const results: ModelResults[] = [];
  const emulators: Emulator[] = [];
  let outcome: RehearsalError | undefined;
  try {
    const denials = new Denials(() => emulators.at(-1));
    runner.explain = async (error, start) => denials.explain(error, start);
    if (!options.allowDenials) {
      runner.audit = async (before) => denials.audit(before);
    }
    const onEmulator = (emulator: Emulator) => {
      emulators.push(emulator);
      emulator.onUnexpectedEnd((error) => interrupt.abort(error));
      if (options.verbose) {
        void followNotes(emulator, interrupt.signal, (note) => terminal.line(terminal.paint('dim', `     ${render(note)}`)));
      }
    };
    outcome = await runSteps(runner, () => setUp(runner, {
      options, files, app, env, work, processes, onEmulator, onVerbose: options.verbose ? (line) => terminal.line(`     ${line}`) : undefined,
    }), results, options);
    clearTimeout(timer);
    const emulated = await emulators.at(-1)?.report().catch(() => undefined);
    const kept = outcome && await keepLogs(outcome, work, report, emulators.at(-1));
    finish({ options, runner, results, outcome: kept, emulated }, report, cli);
    if (options.keep && emulators.at(-1)?.hasEnded === false && !interrupt.signal.aborted) {
      await keepRunning(emulators.at(-1)!, cli);
    }
    return outcome?.exitCode ?? ExitCode.OK;
  } finally {
    clearTimeout(timer);
    await Promise.all(emulators.map(async (emulator) => emulator.stop()));
    processes.kill();
    removeFolder(work);
  }
}

async function runSteps(
  runner: StepRunner, begin: () => ReturnType<typeof setUp>, results: ModelResults[], options: RehearseOptions,
): Promise<RehearsalError | undefined> {
  try {
    const context = await begin();
    try {
      await runScenario(runner, context, results);
      if (!options.keep) {
        await tearDown(runner, context);
      }
    } finally {
      context.environments.destroy();
    }
  } catch (thrown) {
    if (thrown instanceof ReachedUntil) {
      return undefined;
    }
    return thrown instanceof RehearsalError ? thrown : new RehearsalError(messageOf(thrown));
  }
  return undefined;
}

/** Copies the logs of the work folder, which is removed, and the notes of the emulator to a file beside the report. */
async function keepLogs(error: RehearsalError, work: string, report: string, emulator?: Emulator): Promise<RehearsalError> {
  if (error instanceof Interrupted || error instanceof UsageError || (error.file !== undefined && !error.file.startsWith(work))) {
    return error;
  }
  const notes = emulator === undefined || emulator.hasEnded ? [] : await emulator.notes(0).catch(() => []);
  const files = [path.join(work, 'cdk.log'), path.join(work, 'emulator-process.log'), emulator?.log].filter((file) => file !== undefined && isFile(file));
  const parts = files.map((file) => `===== ${path.basename(file!)} =====\n${fs.readFileSync(file!, 'utf8')}`);
  const kept = logBeside(report);
  fs.writeFileSync(kept, [`${LOG_HEADER}\n${notes.map(render).join('\n')}\n`, ...parts].join('\n'));
  return error.withFile(kept);
}

/** Writes report and JSON document, and shows on the terminal how it ended. */
function finish(result: RehearsalResult, report: string, cli: CliContext): void {
  const { terminal } = cli;
  const { options, runner, outcome, emulated } = result;
  const failed = runner.results.find(({ status }) => status === 'failed');
  const document = rehearsalDocument(result);
  const isReported = !(outcome instanceof Interrupted || outcome instanceof UsageError);
  if (isReported) {
    writeReport(report, document);
  }
  if (outcome && !(outcome instanceof Interrupted)) {
    terminal.failure(outcome, failed?.title);
  }
  imageWarnings(emulated).forEach((warning) => terminal.line(terminal.paint('yellow', `warning: ${warning}`)));
  terminal.line();
  const total = seconds(Date.now() - runner.began);
  terminal.line(outcome instanceof Interrupted
    ? `interrupted after ${total}; everything is removed`
    : `${outcome ? terminal.paint('red', 'the rehearsal failed') : terminal.paint('green', 'everything worked')} after ${total}${timeToPredictions(runner)}${isReported ? `; report: ${path.relative('', report)}` : ''}`);
  if (options.json) {
    cli.print(`${JSON.stringify(document, undefined, 2)}\n`);
  }
  if (options.open && isReported) {
    cli.processes.open(report);
  }
}

/** The time from the beginning of the deployment to the first predictions. */
function timeToPredictions({ results }: StepRunner): string {
  const from = results.find(({ id }) => id === 'deploy');
  const to = results.filter(({ id, status }) => id === 'predictions' && status === 'passed').at(-1);
  return from && to ? `, from deploy to predictions in ${seconds(to.end - from.start)}` : '';
}

async function keepRunning(emulator: Emulator, { terminal, interrupt }: CliContext): Promise<void> {
  const { endpoint, region, credentials: { accessKeyId, secretAccessKey } } = emulator.optionsOf(emulator.home);
  terminal.line();
  terminal.line('still running until Ctrl-C; to look around:');
  terminal.line(`  export AWS_ENDPOINT_URL=${endpoint} AWS_REGION=${region} AWS_ACCESS_KEY_ID=${accessKeyId} AWS_SECRET_ACCESS_KEY=${secretAccessKey}`);
  while (!interrupt.signal.aborted) {
    await sleep(3_600_000, undefined, { signal: interrupt.signal }).catch(() => undefined);
  }
}
