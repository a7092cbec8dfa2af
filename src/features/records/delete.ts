import type { Database, Sql } from '../../platform/postgres/index.ts';
import { recordErrors } from './errors.ts';
import type { RecordCounts, RecordPlace } from './model.ts';
import { cursorsOf } from './place.ts';
import { lockModel, updateModel } from './store.ts';
import {
  countMissing,
  deleteForGood,
  deleteMissing,
  deleteModel,
  hasPayload,
  lockModelById,
  pruneRows,
  selectModels,
  updateHeld,
} from './store-delete.ts';

/** When a detection is held back: both must be passed. */
export interface DeletionGuard {
  /** Of the living records, 0 to 1. */
  share: number;
  records: number;
}

/** Small enough for the statement's deadline on a slow disk. */
const MISSING_PER_STATEMENT = 10_000;
const FOR_GOOD_PER_TRANSACTION = 5_000;

/** Detection of deletions, all in one transaction: {@link Records.deleteNotSavedSince}. */
export async function deleteNotSavedSince(
  db: Database,
  guard: DeletionGuard,
  input: RecordPlace & {
    syncId: number;
    since: number;
    inTransaction?(tx: Sql, counts: RecordCounts): Promise<void>;
  },
): Promise<{ deletedKeys: string[]; counts: RecordCounts }> {
  const { environmentId, since } = input;
  const result = await db.transaction(async (tx) => {
    const model = await lockModel(tx, input, true);
    if (model === undefined) throw recordErrors.fail('connection_gone');
    const missing = await countMissing(tx, environmentId, model.id, since);
    const isMass = missing >= guard.records && missing > guard.share * model.living;
    if (isMass && model.confirmed_at === null) {
      await updateHeld(tx, environmentId, model.id, { total: model.living, missing });
      return { missing, total: model.living };
    }
    if (model.held_at !== null) await updateHeld(tx, environmentId, model.id, undefined);
    const base = Math.max(model.now, model.position);
    const deletedKeys: string[] = [];
    for (let walked = 0; deletedKeys.length < missing;) {
      const step = await deleteMissing(tx, {
        environmentId,
        modelId: model.id,
        since,
        generation: since,
        walked,
        until: model.position,
        after: base + deletedKeys.length,
        limit: MISSING_PER_STATEMENT,
      });
      for (const id of step.externalIds) deletedKeys.push(id);
      if (step.externalIds.length === 0) break;
      walked = step.walked;
    }
    const deleted = deletedKeys.length;
    await updateModel(tx, environmentId, model.id, {
      position: deleted === 0 ? model.position : base + deleted,
      living: -deleted,
      bytes: 0,
      syncId: input.syncId,
    });
    const counts: RecordCounts = { added: 0, updated: 0, deleted, unchanged: 0 };
    await input.inTransaction?.(tx, counts);
    return { deletedKeys, counts };
  });
  // Thrown after the commit: that it is held must stay.
  if ('missing' in result) {
    throw recordErrors.fail('mass_deletion_held', {
      message: `${result.missing} of ${result.total} records of ${input.model} would be deleted, which is unusual, so nothing was. ${CONFIRM}`,
      payload: { model: input.model, total: result.total, missing: result.missing },
    });
  }
  return result;
}

const CONFIRM = 'If it is right, confirm with POST /records/confirm-deletion; the next run deletes them.';

/** Empties payloads up to and including a cursor: {@link Records.prune}. */
export async function prune(
  db: Database,
  query: RecordPlace & { untilCursor: string; limit: number },
): Promise<{ count: number; hasMore: boolean }> {
  const until = cursorsOf(query).read(query.untilCursor);
  return db.transaction(async (tx) => {
    const model = await lockModel(tx, query, false);
    if (model === undefined) return { count: 0, hasMore: false };
    const at = { environmentId: query.environmentId, modelId: model.id, until };
    const { count, last } = await pruneRows(tx, { ...at, limit: query.limit });
    return { count, hasMore: count === query.limit && (await hasPayload(tx, { ...at, after: last })) };
  });
}

/** Hard-deletes rows, in batches: {@link Records.empty}. `models` undefined: all, and the models with them. */
export async function emptyModels(
  db: Database,
  environmentId: number,
  connectionId: number,
  models: readonly string[] | undefined,
  inTransaction?: (tx: Sql) => Promise<void>,
): Promise<void> {
  for (const { id } of await selectModels(db, environmentId, connectionId, models)) {
    await emptyModel(db, environmentId, id, models === undefined, inTransaction);
  }
}

/** `forget`: the model's own row, too, and with it what positions it has given. */
export async function emptyModel(
  db: Database,
  environmentId: number,
  modelId: number,
  forget: boolean,
  inTransaction?: (tx: Sql) => Promise<void>,
): Promise<void> {
  for (;;) {
    const count = await db.transaction(async (tx) => {
      if (!(await lockModelById(tx, environmentId, modelId))) return 0;
      await inTransaction?.(tx);
      const deleted = await deleteForGood(tx, environmentId, modelId, FOR_GOOD_PER_TRANSACTION);
      if (deleted < FOR_GOOD_PER_TRANSACTION && forget) await deleteModel(tx, environmentId, modelId);
      return deleted;
    });
    if (count < FOR_GOOD_PER_TRANSACTION) return;
  }
}
