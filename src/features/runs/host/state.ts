/** What scripts keep: locks among themselves, checkpoints of their own. Every write is fenced by the run's lease. */
import { connectionErrors } from '../../connections/index.ts';
import { checkpoints, readCheckpointData } from '../checkpoints.ts';
import { runErrors } from '../errors.ts';
import type { CheckpointPlace } from '../model.ts';
import { releaseLocks, takeLock } from '../store-state.ts';
import { asObject } from './args.ts';
import type { HostDeps, HostMethods, HostRun } from './model.ts';

/** Longest lock: no run lives longer. */
const LOCK_TTL_MS_MAX = 24 * 3_600_000;

export function stateMethods(deps: HostDeps, host: HostRun): HostMethods {
  const { db } = deps;
  const { environmentId, id: runId } = host.run;
  /** As read or written by this run; undefined: not looked at yet, 0: there is none. */
  let version: number | undefined;

  function place(): CheckpointPlace {
    if (host.candidate !== undefined) throw connectionErrors.fail('unknown_connection');
    const kind = host.run.kind === 'webhook' ? 'sync' : host.run.kind;
    return { environmentId, connectionId: host.connection.id, kind, name: host.fn.name, variant: host.variant };
  }

  return {
    async tryAcquireLock(options: unknown) {
      const { key, ttlMs } = asObject(options);
      const fits =
        isKey(key) && typeof ttlMs === 'number' && Number.isFinite(ttlMs) && ttlMs > 0 && ttlMs <= LOCK_TTL_MS_MAX;
      if (!fits) throw runErrors.fail('invalid_lock');
      // Before the answer: a lock that was taken although nobody heard of it has to go, too.
      host.hasLocks = true;
      return db.transaction(async (tx) => {
        await host.fence(tx);
        return takeLock(tx, { environmentId, key, runId, ttlMs });
      });
    },
    async releaseLock(options: unknown) {
      const { key } = asObject(options);
      if (!isKey(key)) throw runErrors.fail('invalid_lock');
      return (await releaseLocks(db, { environmentId, runId, key })) > 0;
    },
    async releaseAllLocks() {
      await releaseLocks(db, { environmentId, runId });
      return null;
    },
    async getCheckpoint() {
      const found = await checkpoints.get(db, place());
      version = found?.version ?? 0;
      return found?.data ?? null;
    },
    async saveCheckpoint(data: unknown) {
      const at = place();
      const checked = readCheckpointData(data);
      version = await db.transaction(async (tx) => {
        await host.fence(tx);
        const expected = version ?? (await checkpoints.get(tx, at))?.version ?? 0;
        return checkpoints.save(tx, at, checked, expected);
      });
      return null;
    },
    async clearCheckpoint() {
      const at = place();
      await db.transaction(async (tx) => {
        await host.fence(tx);
        await checkpoints.clear(tx, at);
      });
      version = 0;
      return null;
    },
  };
}

function isKey(key: unknown): key is string {
  return typeof key === 'string' && key.length >= 1 && key.length <= 255 && !key.includes('\0') && key.isWellFormed();
}
