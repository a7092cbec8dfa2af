import { InvalidArgumentError, type Command } from 'commander';
import { EMULATOR_NAMES, startEmulators, type EmulatorName } from '../../../../emulators/index.ts';
import type { Output } from '../index.ts';

/** `emulate`: one fake provider alone, or all of them, until Ctrl-C. */
export function addEmulateCommand(program: Command, output: Output): void {
  program
    .command('emulate')
    .description('run one emulator alone, or all of them')
    .argument('[name]', EMULATOR_NAMES.join(', '))
    .option('-p, --port <number>', 'port; 0 takes a free one', readPort, 3004)
    .option('--state <file>', 'keep apps, accounts and tokens in this file')
    .option('--json', 'print JSON')
    .action(async (name: string | undefined, options: { port: number; state?: string; json?: boolean }) => {
      const emulators = await startEmulators({
        port: options.port,
        ...(name !== undefined && { only: name as EmulatorName }),
        ...(options.state !== undefined && { stateFile: options.state }),
      });
      const names = name === undefined ? EMULATOR_NAMES : [name as EmulatorName];
      const list = names.map((one) => ({ name: one, url: emulators.get(one).url }));
      if (options.json === true) {
        output.out(`${JSON.stringify({ url: emulators.url, emulators: list })}\n`);
      } else {
        for (const one of list)
          output.out(`${one.name}  ${one.url}  apps, accounts and faults: ${one.url}/developer\n`);
        output.out('Ctrl-C stops it.\n');
      }
      await new Promise<void>((resolve) => {
        for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve());
      });
      await emulators.close();
    });
}

function readPort(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new InvalidArgumentError('A port is 0 to 65535.');
  return port;
}
