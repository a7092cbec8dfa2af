/** Entry point of the program: everything it can do is a command. */
import { runCli } from './shell/cli/index.ts';

// Everything was closed by then: what still lingers must not keep the terminal waiting.
process.exit(await runCli(process.argv.slice(2)));
