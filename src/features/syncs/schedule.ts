/** What is due becomes a run, in one transaction per batch; no slot is taken by two nodes. */
import { errorText } from '../../base/log.ts';
import { storedModel } from './models.ts';
import type { SyncsDeps } from './model.ts';
import { claimDue, deleteSync, selectLeft, selectOrphans } from './store.ts';

/** A transaction of this many holds its row locks for some tens of milliseconds. */
const BATCH_MAX = 200;
/** One look ends after this many batches, so that a stop never waits long. */
const BATCHES_MAX = 50;
const ORPHANS_MAX = 100;
const LOOK_INTERVAL_MS = 1_000;
const ORPHANS_INTERVAL_MS = 10_000;

type Deps = Pick<SyncsDeps, 'db' | 'clock' | 'log' | 'functions' | 'runs' | 'records'>;

/** Queues a run for every due slot. A slot whose sync still runs, or whose connection cannot make calls, passes. */
export async function queueDue(deps: Deps): Promise<number> {
  let queued = 0;
  for (let batch = 0; batch < BATCHES_MAX; batch += 1) {
    const taken = await deps.db.transaction(async (tx) => {
      const due = await claimDue(tx, BATCH_MAX);
      for (const { sync, slotAt, usable } of due) {
        const fn = usable ? await deps.functions.byId(sync.environmentId, sync.functionId) : undefined;
        if (fn === undefined || !fn.enabled) continue;
        const run = await deps.runs.enqueue(tx, {
          environmentId: sync.environmentId,
          kind: 'sync',
          trigger: 'schedule',
          fn,
          connection: { id: sync.connectionId },
          syncId: sync.id,
          lane: laneOf(sync.id),
          slotAt,
          unlessActive: true,
        });
        if (run !== undefined) queued += 1;
      }
      return due.length;
    });
    if (taken < BATCH_MAX) break;
  }
  return queued;
}

/** One sync runs once at a time, whoever asked. */
export function laneOf(syncId: number): string {
  return `sync:${syncId}`;
}

/** What deleted connections leave behind: their runs are cancelled, their records go. */
export async function removeOrphans(deps: Deps): Promise<number> {
  const orphans = await selectOrphans(deps.db, ORPHANS_MAX);
  for (const sync of orphans) {
    const { environmentId, connectionId } = sync;
    await deps.db.transaction((tx) => deps.runs.cancel(tx, { environmentId, syncId: sync.id }));
    // The row goes last: a node that dies here leaves it to the next look.
    await deps.records.emptyConnection(environmentId, connectionId);
    await deps.db.transaction((tx) => deleteSync(tx, sync));
  }
  return orphans.length;
}

/** What deleted functions leave behind: where they stopped, and records that no other function writes. */
export async function removeLeft(deps: Deps): Promise<number> {
  const left = await selectLeft(deps.db, ORPHANS_MAX);
  for (const { sync, name, isNameTaken, models } of left) {
    const { environmentId, connectionId, variant } = sync;
    // First: whoever deploys it again in the meantime begins anew, and finds no records missing.
    if (!isNameTaken) {
      const place = { environmentId, connectionId, kind: 'sync', name, variant } as const;
      await deps.db.transaction((tx) => deps.runs.checkpoints.clear(tx, place));
    }
    for (const model of models) {
      await deps.records.empty(environmentId, connectionId, [storedModel(model, variant)], async (tx) => {
        const [now] = await selectLeft(tx, 1, sync);
        // The next look sees it, too, and lets the records be.
        if (now?.models.includes(model) !== true) throw new Error(`${model} was deployed again meanwhile`);
      });
    }
    await deps.db.transaction((tx) => deleteSync(tx, sync));
  }
  return left.length;
}

/** Looks until the returned function has resolved; one look at a time. */
export function startLooking(deps: Deps, queue: () => Promise<number>): () => Promise<void> {
  let looking: Promise<unknown> = Promise.resolve();
  let isBusy = false;
  const look = (what: string, work: () => Promise<number>) => () => {
    if (isBusy) return;
    isBusy = true;
    looking = work()
      .catch((error: unknown) => deps.log.warn(`${what} failed`, { error: errorText(error) }))
      .finally(() => {
        isBusy = false;
      });
  };
  const stopDue = deps.clock.every(LOOK_INTERVAL_MS, look('looking for due syncs', queue));
  const stopOrphans = deps.clock.every(
    ORPHANS_INTERVAL_MS,
    look('removing syncs of deleted connections and functions', async () => {
      return (await removeOrphans(deps)) + (await removeLeft(deps));
    }),
  );
  return async () => {
    stopDue();
    stopOrphans();
    await looking;
  };
}
