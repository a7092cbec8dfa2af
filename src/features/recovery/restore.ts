import { errorText, type Log } from '../../base/log.ts';
import type { KillPoints } from '../../platform/kill-points.ts';
import { ensureHistory, type CopyClient, type Migration } from '../../platform/postgres/index.ts';
import { checkBackupFile, readFrames, type Frame } from './container.ts';
import { recoveryErrors } from './errors.ts';
import type { BackupHeader, OnProgress } from './model.ts';
import { quarantineRestored } from './store.ts';
import {
  analyze,
  beginRestore,
  commitRestore,
  copyInStatement,
  emptyTables,
  insertHistory,
  rollback,
  selectForeignTables,
  selectTables,
  setSequence,
  tableNames,
  type SequenceState,
} from './store-dump.ts';

export interface RestoreResult {
  header: BackupHeader;
  rows: number;
  /** Migrations that the backup did not have. */
  applied: string[];
}

/**
 * Fills an empty database from a backup, brings it up to date and puts it into quarantine: one transaction, so a kill
 * leaves it empty. The file is checked as a whole before anything is written.
 *
 * Errors: `backup_unreadable`, `backup_newer`, `database_not_empty`, those of disk and database.
 */
export async function restoreBackup(options: {
  client: CopyClient;
  migrations: readonly Migration[];
  path: string;
  killPoints: KillPoints;
  log: Log;
  onProgress?: OnProgress;
}): Promise<RestoreResult> {
  const { client, migrations, path, killPoints } = options;
  const tell = (phase: 'check' | 'restore') => (done: number, total: number) =>
    options.onProgress?.({ phase, done, total });
  const header = await checkBackupFile(path, tell('check'));
  const missing = missingMigrations(header, migrations);
  await beginRestore(client);
  try {
    const inTheWay = await selectForeignTables(client);
    if (inTheWay.length > 0) {
      throw recoveryErrors.fail('database_not_empty', {
        message: `The database is not empty (it has ${inTheWay.slice(0, 3).join(', ')}${inTheWay.length > 3 ? ', …' : ''}). Make a new one and restore into that. Nothing was written.`,
      });
    }
    await ensureHistory(client);
    const had = migrations.filter(({ name }) => !missing.includes(name));
    await apply(client, had);
    const tables = await selectTables(client, tableNames(had));
    const names = tables.map(({ name }) => name);
    const known = new Map(tables.map((table) => [table.name, table]));
    await emptyTables(client, names);
    const rows = await load(client, path, known, killPoints, tell('restore'));
    await apply(
      client,
      migrations.filter(({ name }) => missing.includes(name)),
    );
    await quarantineRestored(client);
    killPoints.reach('B3');
    await commitRestore(client);
    await analyze(client);
    return { header, rows, applied: missing };
  } catch (error) {
    await rollback(client).catch((failure: unknown) =>
      // The server rolls back by itself when the connection goes.
      options.log.debug('rollback of a restore failed', { error: errorText(failure) }),
    );
    throw error;
  }
}

/** Names of ours that the backup does not have. Errors: `backup_newer`. */
function missingMigrations(header: BackupHeader, migrations: readonly Migration[]): string[] {
  const ours = new Map(migrations.map(({ name, checksum }) => [name, checksum]));
  if (header.migrations.some(({ name, checksum }) => ours.get(name) !== checksum)) {
    throw recoveryErrors.fail('backup_newer', {
      message: `The backup was made by version ${header.version} with the schema "${header.schema}", which this version does not know. Restore it with that version. Nothing was written.`,
    });
  }
  const had = new Set(header.migrations.map(({ name }) => name));
  return migrations.map(({ name }) => name).filter((name) => !had.has(name));
}

async function apply(client: CopyClient, migrations: readonly Migration[]): Promise<void> {
  for (const migration of migrations) {
    await client.script(migration.sql);
    await insertHistory(client, migration);
  }
}

async function load(
  client: CopyClient,
  path: string,
  known: ReadonlyMap<string, { name: string; columns: string[] }>,
  killPoints: KillPoints,
  onBytes: (done: number, total: number) => void,
): Promise<number> {
  const frames = readFrames(path, onBytes);
  const damaged = (why: string) =>
    recoveryErrors.fail('backup_unreadable', {
      message: `The file is no whole backup of Hawser: ${why}. Nothing was written.`,
    });
  let total = 0;
  try {
    for (;;) {
      const frame = await nextOf(frames);
      if (frame === undefined) throw damaged('its end is missing');
      if (frame.kind === 'Z') {
        const { sequences } = JSON.parse(frame.payload.toString('utf8')) as { sequences: SequenceState[] };
        for (const sequence of sequences) if (known.has(sequence.table)) await setSequence(client, sequence);
        return total;
      }
      if (frame.kind !== 'T') throw damaged('its parts are out of order');
      const { name, columns } = JSON.parse(frame.payload.toString('utf8')) as { name: string; columns: string[] };
      const table = known.get(name);
      if (table === undefined || columns.some((column) => !table.columns.includes(column))) {
        throw damaged(`its table "${name}" is not known`);
      }
      let expected = -1;
      async function* data(): AsyncGenerator<Buffer> {
        for (;;) {
          const part = await nextOf(frames);
          if (part?.kind === 'E') {
            expected = (JSON.parse(part.payload.toString('utf8')) as { rows: number }).rows;
            return;
          }
          if (part?.kind !== 'D') throw damaged(`its table "${name}" has no end`);
          yield part.payload;
        }
      }
      const rows = await client.copyIn(copyInStatement({ name, columns }), data());
      if (rows !== expected) throw damaged(`its table "${name}" is not complete`);
      total += rows;
      killPoints.reach('B2');
    }
  } finally {
    await frames.return(undefined);
  }
}

/** Without ending the generator, as `for await` would. */
async function nextOf(frames: AsyncGenerator<Frame>): Promise<Frame | undefined> {
  const { value, done } = await frames.next();
  return done === true ? undefined : value;
}
