import type { Clock } from '../../base/clock.ts';
import { errorText, type Log } from '../../base/log.ts';
import type { Database } from '../../platform/postgres/index.ts';
import type { Activity } from './model.ts';
import { deleteOlder, insertEntries, selectEntries, type TimedEntry } from './store.ts';

/** Long enough to make batches under load, short enough that a person sees the line at once. */
const FLUSH_INTERVAL_MS = 250;
/** One statement's worth; larger arrays only delay the first row. */
const BATCH_MAX = 1_000;
/** About 20 MB; beyond it the database has been away too long and the newest lines are dropped. */
const QUEUE_MAX = 50_000;
/** Wire contract J.1: log retention. */
const RETENTION_MS = 15 * 24 * 3_600_000;
const RETENTION_INTERVAL_MS = 3_600_000;

/** Starts the writer. Entries of a killed process that were not yet flushed are lost: this is a log, not a ledger. */
export function createActivity(deps: { db: Database; clock: Clock; log: Log }): Activity {
  const { db, clock, log } = deps;
  let queue: TimedEntry[] = [];
  let dropped = 0;
  let writing: Promise<void> = Promise.resolve();

  async function write(): Promise<void> {
    while (queue.length > 0) {
      const batch = queue.slice(0, BATCH_MAX);
      await insertEntries(db, batch);
      queue = queue.slice(batch.length);
    }
    if (dropped > 0) log.warn('activity entries were dropped while the database was slow', { dropped });
    dropped = 0;
  }

  /** Writers run one after the other, so a batch is never written twice. */
  function flush(): Promise<void> {
    writing = writing.then(write).catch((error: unknown) => {
      log.warn('activity could not be written; it stays queued', { error: errorText(error), queued: queue.length });
    });
    return writing;
  }

  const stopFlushing = clock.every(FLUSH_INTERVAL_MS, () => {
    if (queue.length > 0) void flush();
  });
  const stopCleaning = clock.every(RETENTION_INTERVAL_MS, () => {
    deleteOlder(db, new Date(clock.now() - RETENTION_MS), 10_000).catch((error: unknown) =>
      log.warn('old activity could not be deleted', { error: errorText(error) }),
    );
  });

  return {
    record(entry) {
      if (queue.length >= QUEUE_MAX) {
        dropped += 1;
        return;
      }
      queue.push({ ...entry, at: new Date(clock.now()) });
    },
    list: (query) => selectEntries(db, query),
    flush,
    async close() {
      stopFlushing();
      stopCleaning();
      await flush();
    },
  };
}
