import type { Command } from 'commander';
import { readConfig } from '../../../config.ts';
import { StartupError } from '../../../base/errors.ts';
import { systemClock } from '../../../platform/clock.ts';
import { createLog } from '../../../platform/log/index.ts';
import { migrate } from '../../../platform/postgres/index.ts';
import { migrationsDir } from '../../start/platform.ts';
import type { Output } from '../index.ts';

/** `migrate`: brings the schema of DATABASE_URL up to date without starting a server. */
export function addMigrateCommand(program: Command, output: Output): void {
  program
    .command('migrate')
    .summary('bring the database in DATABASE_URL up to date')
    .description('bring the database in DATABASE_URL up to date (a start does it too)')
    .option('--json', 'print JSON')
    .action(async (options: { json?: boolean }) => {
      const config = readConfig('start');
      if (config.databaseUrl === undefined) {
        throw new StartupError(
          'DATABASE_URL is not set.',
          'The embedded PostgreSQL is migrated at every start; set DATABASE_URL to migrate another one.',
        );
      }
      const { applied } = await migrate({
        url: config.databaseUrl,
        directory: migrationsDir(),
        log: createLog({ level: config.logLevel, format: 'json' }),
        clock: systemClock,
      });
      if (options.json === true) output.out(`${JSON.stringify({ applied })}\n`);
      else output.out(applied.length === 0 ? 'Up to date.\n' : `Applied: ${applied.join(', ')}\n`);
    });
}
