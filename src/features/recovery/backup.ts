import { access, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { randomId } from '../../base/ids.ts';
import type { KillPoints } from '../../platform/kill-points.ts';
import { StartupError } from '../../base/errors.ts';
import type { CopyClient, Migration } from '../../platform/postgres/index.ts';
import { createBackupFile } from './container.ts';
import { recoveryErrors } from './errors.ts';
import type { BackupHeader, OnProgress } from './model.ts';
import { hasRecoveryTable, selectPlace } from './store.ts';
import {
  beginSnapshot,
  copyOutStatement,
  endSnapshot,
  selectFacts,
  selectSequences,
  selectTables,
  tableNames,
} from './store-dump.ts';

export interface BackupResult {
  header: BackupHeader;
  rows: number;
  bytes: number;
}

/** Rows are separated by line ends in COPY's text form; those inside of values are escaped. */
const LINE_END = 0x0a;

/**
 * Writes everything into one file, of one moment, while nodes run. The file appears under its name when it is whole; a
 * kill leaves at most `<file>.<random>.part`.
 *
 * Errors: `file_exists`, {@link StartupError} for a database that is none of Hawser, those of disk and database.
 */
export async function writeBackup(options: {
  client: CopyClient;
  migrations: readonly Migration[];
  path: string;
  version: string;
  killPoints: KillPoints;
  onProgress?: OnProgress;
}): Promise<BackupResult> {
  const { client, path, killPoints } = options;
  if (await exists(path)) throw recoveryErrors.fail('file_exists');
  await beginSnapshot(client);
  const facts = await selectFacts(client);
  if (facts === undefined) {
    throw new StartupError('The database is not one of Hawser: there is nothing to back up.', 'Correct DATABASE_URL.');
  }
  const known = new Set(options.migrations.map(({ name }) => name));
  const unknown = facts.migrations.find(({ name }) => !known.has(name));
  if (unknown !== undefined) {
    throw new StartupError(
      `The database is newer than this version of Hawser: it has the migration "${unknown.name}", which is not known here.`,
      'Make the backup with the newer version: this one does not know all tables.',
    );
  }
  const tables = await selectTables(client, tableNames(options.migrations));
  const place = (await hasRecoveryTable(client)) ? await selectPlace(client) : undefined;
  const header: BackupHeader = {
    format: 1,
    version: options.version,
    schema: facts.migrations.at(-1)?.name ?? '',
    migrations: facts.migrations,
    systemIdentifier: place?.server.split('/')[0] ?? '',
    encryptionKeys: facts.encryptionKeys,
    createdAt: facts.now.toISOString(),
    tables: tables.map(({ name, columns, rowsAbout }) => ({ name, columns, rowsAbout })),
  };
  const part = `${path}.${randomId().slice(0, 8)}.part`;
  const file = await createBackupFile(part, header);
  try {
    const about = tables.reduce((sum, { rowsAbout }) => sum + rowsAbout, 0);
    let rows = 0;
    for (const table of tables) {
      const { name, columns } = table;
      await file.frame('T', { name, columns });
      let seen = rows;
      const copied = await client.copyOut(copyOutStatement(table), async (chunk) => {
        for (const byte of chunk) if (byte === LINE_END) seen += 1;
        options.onProgress?.({ phase: 'backup', done: seen, total: Math.max(about, seen) });
        await file.frame('D', chunk);
      });
      rows += copied;
      await file.frame('E', { rows: copied });
      killPoints.reach('B1');
    }
    // After the rows: what was counted meanwhile may be higher, never lower.
    await file.frame('Z', { sequences: await selectSequences(client, tables) });
    await endSnapshot(client);
    const bytes = await file.end();
    await rename(part, path);
    await syncFolder(dirname(path));
    return { header, rows, bytes };
  } catch (error) {
    await file.abandon().catch(() => undefined); // closed already, by the failure that counts
    await rm(part, { force: true });
    throw error;
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false, // missing; other troubles come up when it is written
  );
}

/** So that the name is on the disk as well. */
async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
