import { access } from 'node:fs/promises';
import type { Command } from 'commander';
import { StartupError } from '../../../base/errors.ts';
import type { Log } from '../../../base/log.ts';
import { readConfig, type Config } from '../../../config.ts';
import { restoreBackup } from '../../../features/recovery/index.ts';
import { systemClock } from '../../../platform/clock.ts';
import { armKillPoint, noKillPoints } from '../../../platform/kill-points.ts';
import { createLog } from '../../../platform/log/index.ts';
import {
  findRunningPostgres,
  openCopyClient,
  readMigrations,
  startEmbeddedPostgres,
} from '../../../platform/postgres/index.ts';
import { prepareDataDir, readKeyring } from '../../start/data-dir.ts';
import { migrationsDir } from '../../start/platform.ts';
import type { Output } from '../index.ts';
import { createProgressBar } from '../progress.ts';

const LABELS = { check: 'Checking', backup: 'Reading', restore: 'Writing' } as const;

export function addRestoreCommand(program: Command, output: Output): void {
  program
    .command('restore <file>')
    .summary('fill an empty database from a backup')
    .description('fill an empty database from a backup; it starts in quarantine')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nInto DATABASE_URL, or else into the embedded database of HAWSER_DATA_DIR, which must be new.\n' +
        'All or nothing: after a failure or a kill the database is as empty as before.\n' +
        'See docs/guide/backup.md',
    )
    .action((file: string, options: { json?: boolean }) => restore(output, file, options.json === true));
}

async function restore(output: Output, path: string, json: boolean): Promise<void> {
  const config = readConfig('start');
  const log = createLog({ level: config.logLevel === 'info' ? 'warn' : config.logLevel, format: 'json' });
  await access(path).catch((cause: unknown) => {
    throw new StartupError(`There is no file ${path}, or it cannot be read.`, 'Name a file of `hawser backup`.', cause);
  });
  const target = await openTarget(config, log);
  const bar = createProgressBar(output, systemClock);
  try {
    const client = await openCopyClient({ url: target.url, log, clock: systemClock });
    try {
      const { header, rows, applied } = await restoreBackup({
        client,
        migrations: await readMigrations(migrationsDir()),
        path,
        killPoints: config.killAt === undefined ? noKillPoints : armKillPoint(config.killAt),
        log,
        onProgress: ({ phase, done, total }) => bar.update(LABELS[phase], done, total),
      }).finally(() => bar.end());
      const { createdAt, encryptionKeys } = header;
      const missing = await missingKeys(config, encryptionKeys);
      if (json) output.out(`${JSON.stringify({ rows, createdAt, applied, encryptionKeys, missingKeys: missing })}\n`);
      else
        output.out(
          text({
            rows,
            createdAt,
            missing,
            applied,
            where: config.databaseUrl === undefined ? config.dataDir : 'DATABASE_URL',
          }),
        );
    } finally {
      await client.close();
    }
  } finally {
    await target.close();
  }
}

function text(result: {
  rows: number;
  createdAt: string;
  missing: string[];
  applied: string[];
  where: string;
}): string {
  const lines = [`${result.rows} rows of ${result.createdAt} restored into ${result.where}.`];
  if (result.applied.length > 0) lines.push(`Brought up to date: ${result.applied.join(', ')}.`);
  if (result.missing.length > 0) {
    lines.push(`Before the start, give it encryption key ${result.missing.join(', ')}: it is not at hand here.`);
  }
  lines.push(
    'It starts in quarantine: nothing is sent to providers. When the old installation is stopped for good, run',
    '  hawser accept-restore',
  );
  return `${lines.join('\n')}\n`;
}

/** Keys the backup needs and this place does not have. */
async function missingKeys(config: Config, needed: readonly string[]): Promise<string[]> {
  const keyring = await readKeyring(config);
  return needed.filter((id) => keyring?.ids.includes(id) !== true);
}

/** Never migrates: the restore makes the tables itself. Errors: {@link StartupError}. */
async function openTarget(config: Config, log: Log): Promise<{ url: string; close(): Promise<void> }> {
  if (config.databaseUrl !== undefined) return { url: config.databaseUrl, close: async () => {} };
  const { dataDir } = config;
  if ((await findRunningPostgres({ dataDir, log, clock: systemClock })) !== undefined) {
    throw new StartupError(
      `A server runs on the data folder ${dataDir}.`,
      'Restore into a new folder: set HAWSER_DATA_DIR to one that does not exist yet.',
    );
  }
  await prepareDataDir(dataDir);
  const postgres = await startEmbeddedPostgres({ dataDir, log, clock: systemClock });
  return { url: postgres.url, close: () => postgres.close() };
}
