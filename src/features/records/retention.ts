import type { Clock } from '../../base/clock.ts';
import { errorText, type Log } from '../../base/log.ts';
import type { Database } from '../../platform/postgres/index.ts';
import { emptyModel } from './delete.ts';
import { lockModelById, pruneRows } from './store-delete.ts';
import { selectIdle, selectOrphans, selectUnpruned, touchModel } from './store-sweep.ts';

export interface RetentionDeps {
  db: Database;
  clock: Clock;
  log: Log;
  /**
   * True when the sync has run within `ageMs`. Without it no rows are deleted for age: a sync that finds no news writes
   * nothing, and is not idle.
   */
  hasRunWithin?: ((environmentId: number, syncId: number, ageMs: number) => Promise<boolean>) | undefined;
}

const DAY_MS = 24 * 3_600_000;
/** Wire contract G.5. */
const PRUNE_AFTER_MS = 30 * DAY_MS;
const DELETE_AFTER_MS = 60 * DAY_MS;
/** A pass looks at every model's oldest payload: 0.5 s of the database at 10^5 models. */
const PASS_INTERVAL_MS = 10 * 60_000;
const MODELS_PER_STEP = 100;
const ROWS_PER_TRANSACTION = 1_000;

/** One pass: what is left of deleted connections, old payloads, syncs that do not run any more. */
export async function sweepRecords(deps: RetentionDeps, signal?: AbortSignal): Promise<void> {
  const { db } = deps;
  await untilDone(signal, async () => {
    const orphans = await selectOrphans(db, MODELS_PER_STEP);
    for (const { environment_id, id } of orphans) {
      if (signal?.aborted === true) return 0;
      await emptyModel(db, environment_id, id, true);
    }
    return orphans.length;
  });
  await untilDone(signal, async () => {
    const models = await selectUnpruned(db, PRUNE_AFTER_MS, MODELS_PER_STEP);
    for (const { environment_id: environmentId, id: modelId, until } of models) {
      await untilDone(signal, () =>
        db.transaction(async (tx) => {
          if (!(await lockModelById(tx, environmentId, modelId))) return 0;
          const { count } = await pruneRows(tx, { environmentId, modelId, until, limit: ROWS_PER_TRANSACTION });
          return count === ROWS_PER_TRANSACTION ? count : 0;
        }),
      );
    }
    return models.length;
  });
  const { hasRunWithin } = deps;
  if (hasRunWithin === undefined) return;
  await untilDone(signal, async () => {
    const idle = await selectIdle(db, DELETE_AFTER_MS, MODELS_PER_STEP);
    for (const { environment_id, id, sync_id } of idle) {
      if (signal?.aborted === true) return 0;
      if (!(await hasRunWithin(environment_id, sync_id, DELETE_AFTER_MS))) {
        await emptyModel(db, environment_id, id, false);
      }
      await touchModel(db, environment_id, id);
    }
    return idle.length;
  });
}

/** Repeats a step until it has found nothing. */
async function untilDone(signal: AbortSignal | undefined, step: () => Promise<number>): Promise<void> {
  while (signal?.aborted !== true && (await step()) > 0);
}

/** Passes in the background, one at a time, until the returned function is called. Two nodes do no harm. */
export function startRetention(deps: RetentionDeps): () => Promise<void> {
  const stopping = new AbortController();
  let running: Promise<void> | undefined;
  const pass = (): void => {
    running ??= sweepRecords(deps, stopping.signal)
      .catch((error: unknown) => deps.log.warn('the retention of records failed', { error: errorText(error) }))
      .finally(() => {
        running = undefined;
      });
  };
  const stop = deps.clock.every(PASS_INTERVAL_MS, pass);
  return async () => {
    stop();
    stopping.abort();
    await running;
  };
}
