import type { Command } from 'commander';
import { readConfig } from '../../../config.ts';
import { systemClock } from '../../../platform/clock.ts';
import { banner } from '../../start/banner.ts';
import { runUntilSignal } from '../../start/run.ts';
import type { Output } from '../index.ts';

/** `dev` and `start`: run until Ctrl-C. */
export function addServerCommands(program: Command, output: Output, done: (exitCode: number) => void): void {
  const run = (mode: 'dev' | 'start') => async (): Promise<void> => {
    const startedMs = systemClock.monotonicMs();
    const config = readConfig(mode);
    done(
      await runUntilSignal(config, (running) => {
        output.out(banner(running, systemClock.monotonicMs() - startedMs));
      }),
    );
  };
  program
    .command('dev')
    .summary('run everything on this machine')
    .description('run everything on this machine: server, PostgreSQL, emulators, example integrations')
    .action(run('dev'));
  program
    .command('start')
    .summary('run a node in production')
    .description('run a node in production: no emulators, no examples; needs HAWSER_ENCRYPTION_KEY')
    .action(run('start'));
}
