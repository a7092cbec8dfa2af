/** Entry point of the program: everything it can do is a command. */
import { runCli } from './shell/cli/index.ts';

process.exitCode = await runCli(process.argv.slice(2));
