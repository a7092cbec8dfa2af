/** A database with one environment and connections, for tests of records. */
import { createTestDatabase } from '../../../test/support/database.ts';
import { silentLog } from '../../base/log.ts';
import { systemClock } from '../../platform/clock.ts';
import { generateKey, keyringFrom, type Keyring } from '../../platform/keyring/index.ts';
import type { Database } from '../../platform/postgres/index.ts';
import { createEnvironments, type Vault } from '../environments/index.ts';
import type { RecordPlace, Records, RecordView } from './model.ts';
import { createRecords, type RecordsDeps } from './service.ts';

export interface RecordStage {
  db: Database;
  vault: Vault;
  records: Records;
  environmentId: number;
  /** A place of its own: another connection each time. */
  newPlace(model?: string): Promise<RecordPlace>;
  create(deps?: Partial<RecordsDeps>): Records;
  drop(): Promise<void>;
}

export async function createRecordStage(poolSize = 6): Promise<RecordStage> {
  const { db, drop } = await createTestDatabase({ poolSize });
  const keyring = keyringFrom(generateKey()) as Keyring;
  const environments = await createEnvironments({ db, keyring, clock: systemClock, log: silentLog });
  const { id: environmentId } = await environments.create({ name: 'records', isProduction: false });
  const [integration] = await db.query<{ id: number }>(
    `INSERT INTO integration (environment_id, unique_key, provider) VALUES ($1, 'things', 'xref') RETURNING id`,
    [environmentId],
  );
  let made = 0;
  const create: RecordStage['create'] = (deps) =>
    createRecords({ db, vault: environments.vault, clock: systemClock, log: silentLog, ...deps });
  return {
    db,
    vault: environments.vault,
    records: create(),
    environmentId,
    async newPlace(model = 'Thing') {
      made += 1;
      const [connection] = await db.query<{ id: number }>(
        `INSERT INTO connection (environment_id, integration_id, connection_id, state)
         VALUES ($1, $2, $3, 'active') RETURNING id`,
        [environmentId, integration?.id, `connection-${made}`],
      );
      return { environmentId, connectionId: connection?.id as number, model };
    },
    create,
    drop,
  };
}

/** Writes with the usual values. */
export function write(
  records: Records,
  place: RecordPlace,
  action: 'save' | 'update' | 'delete',
  list: readonly unknown[],
  generation = 1,
) {
  return records.write({ ...place, action, records: list, syncId: 1, generation });
}

/** Every record behind the cursor, page by page. */
export async function readAll(records: Records, place: RecordPlace, limit = 100, from?: string): Promise<RecordView[]> {
  const all: RecordView[] = [];
  let cursor: string | undefined = from;
  for (;;) {
    const page = await records.list({ ...place, limit, cursor });
    all.push(...page.records);
    if (page.nextCursor === null) return all;
    cursor = page.nextCursor;
  }
}
