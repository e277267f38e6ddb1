import { ExitCode, Interrupted, RehearsalError, messageOf } from './command/errors';
import { HELP, Options, parseOptions } from './command/options';
import { Terminal } from './command/terminal';
import { preparePythonEnvironment } from './python/python-environment';
import { isLaunchedByPython, relaunch } from './python/python-launcher';
import { rehearse } from './rehearse';
import { packageVersion, removeFolder } from './system/files';
import { Processes } from './system/processes';

async function main(args: readonly string[]): Promise<ExitCode> {
  const processes = new Processes();
  const interrupt = new AbortController();
  const terminal = new Terminal(args.includes('--json') || args[0] === 'prepare' ? process.stderr : process.stdout);
  let workFolder: string | undefined;
  let stopping = false;
  const stop = () => {
    if (stopping) { // the second Ctrl-C ends at once
      processes.kill();
      if (workFolder) {
        removeFolder(workFolder);
      }
      process.exit(ExitCode.INTERRUPTED);
    }
    stopping = true;
    interrupt.abort(new Interrupted());
  };
  // Whoever started this process with a channel to it has ended.
  process.on('disconnect', () => stopping || stop());
  process.channel?.unref();
  process.on('SIGINT', stop).on('SIGTERM', stop).on('SIGHUP', stop);
  process.on('exit', () => processes.kill());
  try {
    const options = parseOptions(args);
    return await run(options);
  } catch (thrown) {
    if (!(thrown instanceof RehearsalError)) {
      terminal.line(`error: ${thrown instanceof Error ? thrown.stack : messageOf(thrown)}`);
      return ExitCode.STEP_FAILED;
    }
    terminal.failure(thrown);
    return thrown.exitCode;
  }

  async function run(options: Options): Promise<ExitCode> {
    switch (options.command) {
      case 'help':
        process.stdout.write(HELP);
        return ExitCode.OK;
      case 'version':
        process.stdout.write(`${packageVersion()}\n`);
        return ExitCode.OK;
      case 'prepare': {
        const progress = options.verbose ? (text: string) => terminal.line(text) : () => undefined;
        const environment = await preparePythonEnvironment({ dev: options.dev, env: process.env, processes, signal: interrupt.signal, progress });
        process.stdout.write(`${environment.interpreter}\n`);
        return ExitCode.OK;
      }
      case 'rehearse':
        return rehearse(options, {
          env: process.env,
          terminal,
          print: (text) => process.stdout.write(text),
          interrupt,
          processes,
          onWorkFolder: (folder) => workFolder = folder,
        });
    }
  }
}

// Warnings of Node and of libraries are for programmers, not for whoever runs the command.
process.removeAllListeners('warning');

const args = process.argv.slice(2);
void (isLaunchedByPython(process.env) ? relaunch(args, process.env) : main(args)).then((code) => {
  process.exitCode = code;
});
