import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Database } from '../../platform/postgres/index.ts';
import type { Vault } from '../environments/index.ts';
import { deleteNotSavedSince, emptyModels, prune, type DeletionGuard } from './delete.ts';
import { recordErrors } from './errors.ts';
import type { Records } from './model.ts';
import { findHolders } from './holders.ts';
import { readByIds, readList, readPage } from './read.ts';
import { startRetention, type RetentionDeps } from './retention.ts';
import { lockModel, updateStrategy } from './store.ts';
import { confirmHeld } from './store-delete.ts';
import { selectHeld, selectLiving } from './store-read.ts';
import { writeBatch } from './write.ts';

/** Below a hundred records a person sees what has happened by looking. */
const GUARD_DEFAULT: DeletionGuard = { share: 0.3, records: 100 };

export interface RecordsDeps {
  db: Database;
  vault: Vault;
  clock: Clock;
  log: Log;
  /** Default: more than 30 % and at least 100 records. */
  guard?: DeletionGuard | undefined;
  hasRunWithin?: RetentionDeps['hasRunWithin'];
}

export function createRecords(deps: RecordsDeps): Records {
  const { db, guard = GUARD_DEFAULT } = deps;
  return {
    write: (write) => writeBatch(deps, write),
    list: (query) => readList(deps, query),
    page: (query) => readPage(deps, query),
    byIds: (place, ids) => readByIds(deps, place, ids),
    prune: (query) => prune(db, query),
    async counts(sql, environmentId, connectionId, models) {
      const counts = Object.fromEntries(models.map((model) => [model, 0]));
      for (const { model, living } of await selectLiving(sql ?? db, environmentId, connectionId, models)) {
        counts[model] = living;
      }
      return counts;
    },
    holders: findHolders,
    setMergingStrategy: ({ generation, strategy, ...place }) =>
      db.transaction(async (tx) => {
        const model = await lockModel(tx, place, true);
        if (model === undefined) throw recordErrors.fail('connection_gone');
        if (model.strategy_run === generation) return false;
        await updateStrategy(tx, place.environmentId, model, strategy, generation);
        return true;
      }),
    deleteNotSavedSince: (input) => deleteNotSavedSince(db, guard, input),
    confirmDeletion: (place) => confirmHeld(db, place),
    async held(environmentId) {
      const rows = await selectHeld(db, environmentId);
      return rows.map((row) => ({
        environmentId,
        connectionId: row.connection_id,
        model: row.model,
        total: row.held_total,
        missing: row.held_missing,
        at: row.held_at,
        confirmed: row.confirmed_at !== null,
      }));
    },
    empty: (environmentId, connectionId, models, inTransaction) =>
      emptyModels(db, environmentId, connectionId, models, inTransaction),
    emptyConnection: (environmentId, connectionId) => emptyModels(db, environmentId, connectionId, undefined),
    start: () => startRetention(deps),
  };
}
