import type { Sql } from './model.ts';

/** What waits for the end of each open transaction. */
const waiting = new WeakMap<Sql, (() => void)[]>();

/** From now on `afterCommit` of this one waits. */
export function beginWaiting(tx: Sql): void {
  waiting.set(tx, []);
}

/** The transaction has committed. */
export function endWaiting(tx: Sql): void {
  for (const run of waiting.get(tx) ?? []) run();
}

/**
 * Calls `run` once what was written through `sql` is committed: at once when `sql` is no transaction, never when it is
 * rolled back or nobody knows. `run` must not throw.
 */
export function afterCommit(sql: Sql, run: () => void): void {
  const later = waiting.get(sql);
  if (later === undefined) run();
  else later.push(run);
}
