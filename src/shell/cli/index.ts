/**
 * The command line. Exit codes: 0 done · 1 failed · 2 wrong usage · 3 no server reached · 4 the server refused.
 */
import { Command, CommanderError } from 'commander';
import { HawserError, StartupError } from '../../base/errors.ts';
import { errorText } from '../../base/log.ts';
import { openBrowser } from '../../platform/open-browser.ts';
import { UpstreamFailure } from '../../platform/upstream/index.ts';
import { packageVersion } from '../start/run.ts';
import { RefusedError, UnreachableError } from './client.ts';
import { addBackupCommands } from './commands/backup.ts';
import { addCallCommand } from './commands/call.ts';
import { addConnectionsCommand } from './commands/connections.ts';
import { addDeliveryCommands, addEndpointCommands } from './commands/deliveries.ts';
import { addDryrunCommands } from './commands/dryrun.ts';
import { addEmulateCommand } from './commands/emulate.ts';
import { addInboundCommand } from './commands/inbound.ts';
import { addKeysCommand } from './commands/keys.ts';
import { addListenCommand } from './commands/listen.ts';
import { addMigrateCommand } from './commands/migrate.ts';
import { addProjectCommands } from './commands/project.ts';
import { addRecordCommands } from './commands/records.ts';
import { addRunCommands, addVariablesCommand } from './commands/runs.ts';
import { addServerCommands } from './commands/server.ts';

/** What a command writes to; tests bind their own. */
export interface Output {
  out(text: string): void;
  err(text: string): void;
  /** Standard error is a terminal: a line may be drawn over. */
  isTerminal?: boolean;
  /** Opens an address in the browser; false when it cannot. */
  open?(url: URL): Promise<boolean>;
}

const standard: Output = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  isTerminal: process.stderr.isTTY === true,
  open: openBrowser,
};

/** Runs one command and resolves to the exit code. */
export async function runCli(argv: readonly string[], output: Output = standard): Promise<number> {
  let code = 0;
  const program = new Command('hawser')
    .description('Connects your customers’ accounts at outside providers.')
    .version(packageVersion())
    .exitOverride()
    .showSuggestionAfterError()
    .configureOutput({ writeOut: output.out, writeErr: output.err })
    .addHelpText(
      'after',
      '\nExit codes: 0 done · 1 failed · 2 wrong usage · 3 no server reached · 4 the server refused\n' +
        'Settings: environment variables HAWSER_*, see docs/reference/settings.md',
    );
  const done = (exitCode: number): void => {
    code = exitCode;
  };
  addServerCommands(program, output, done);
  addMigrateCommand(program, output);
  addEmulateCommand(program, output);
  addConnectionsCommand(program, output);
  addCallCommand(program, output, done);
  addKeysCommand(program, output, done);
  addRunCommands(program, output, done);
  addRecordCommands(program, output);
  addInboundCommand(program, output);
  addListenCommand(program, output, done);
  addVariablesCommand(program, output);
  addEndpointCommands(program, output);
  addDeliveryCommands(program, output);
  addProjectCommands(program, output, done);
  addDryrunCommands(program, output, done);
  addBackupCommands(program, output);
  try {
    await program.parseAsync(argv as string[], { from: 'user' });
    return code;
  } catch (error) {
    return report(error, output);
  }
}

function report(error: unknown, output: Output): number {
  if (error instanceof CommanderError) {
    // Help and version end this way too, with code 0.
    return error.exitCode === 0 ? 0 : 2;
  }
  if (error instanceof StartupError) {
    output.err(`${error.message}\n${error.hint}\n`);
    return 1;
  }
  if (error instanceof UnreachableError) {
    output.err(`${error.message}\n`);
    return 3;
  }
  if (error instanceof RefusedError) {
    output.err(`${error.message}\n`);
    return 4;
  }
  if (error instanceof HawserError || error instanceof UpstreamFailure) {
    output.err(`${error.message}\n`);
    return 1;
  }
  output.err(`Something unexpected failed: ${errorText(error)}\n`);
  if (error instanceof Error && error.stack !== undefined) output.err(`${error.stack}\n`);
  return 1;
}
