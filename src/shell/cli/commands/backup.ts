import type { Command } from 'commander';
import { addAcceptRestoreCommand } from './accept-restore.ts';
import { addRestoreCommand } from './restore.ts';
import { writeBackup } from '../../../features/recovery/index.ts';
import { systemClock } from '../../../platform/clock.ts';
import { armKillPoint, noKillPoints } from '../../../platform/kill-points.ts';
import { openCopyClient, readMigrations } from '../../../platform/postgres/index.ts';
import { migrationsDir } from '../../start/platform.ts';
import { packageVersion } from '../../start/run.ts';
import { openCliDatabase } from '../database.ts';
import type { Output } from '../index.ts';
import { createProgressBar } from '../progress.ts';

/** `backup`, `restore` and `accept-restore`. */
export function addBackupCommands(program: Command, output: Output): void {
  program
    .command('backup <file>')
    .summary('write everything into one file')
    .description('write everything of the database into one file, while nodes run')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nThe file holds no encryption key: keep that elsewhere, the backup is useless without it.\n' +
        'See docs/guide/backup.md',
    )
    .action((file: string, options: { json?: boolean }) => backup(output, file, options.json === true));
  addRestoreCommand(program, output);
  addAcceptRestoreCommand(program, output);
}

async function backup(output: Output, path: string, json: boolean): Promise<void> {
  const database = await openCliDatabase();
  const bar = createProgressBar(output, systemClock);
  const { url, log, config } = database;
  try {
    const client = await openCopyClient({ url, log, clock: systemClock });
    try {
      const { header, rows, bytes } = await writeBackup({
        client,
        migrations: await readMigrations(migrationsDir()),
        path,
        version: packageVersion(),
        killPoints: config.killAt === undefined ? noKillPoints : armKillPoint(config.killAt),
        onProgress: ({ done, total }) => bar.update('Rows', done, total),
      }).finally(() => bar.end());
      const { createdAt, schema, encryptionKeys } = header;
      if (json) {
        output.out(`${JSON.stringify({ file: path, rows, bytes, createdAt, schema, encryptionKeys })}\n`);
        return;
      }
      output.out(
        `${rows} rows of ${createdAt} in ${path} (${bytes} bytes).\n` +
          `Sealed with ${encryptionKeys.join(', ') || 'no key yet'}: the file is of no use without it. Keep that key elsewhere.\n`,
      );
    } finally {
      await client.close();
    }
  } finally {
    await database.close();
  }
}
