/** What a sync is doing, as the app asks for it (wire contract B.8). */
import type { Run } from '../runs/index.ts';
import { aimedAt, checkpointOf } from './control.ts';
import { modelsOf } from './models.ts';
import type { Sync, SyncName, SyncsDeps, SyncStatus, SyncTarget } from './model.ts';
import { selectSyncs } from './store.ts';

const OUTCOMES = { succeeded: 'SUCCESS', failed: 'ERROR', cancelled: 'STOPPED' } as const;

export async function readStatus(
  deps: SyncsDeps,
  target: SyncTarget,
  names: readonly SyncName[],
): Promise<SyncStatus[]> {
  const { environmentId, connection } = target;
  const aims = (await aimedAt(deps, target, names)).filter((aim) => aim !== undefined);
  const found: SyncStatus[] = [];
  for (const { fn, variant } of aims) {
    const filter = { environmentId, functionIds: [fn.id], connectionId: connection?.id, variant };
    for (const sync of await selectSyncs(deps.db, filter)) {
      const owner = connection ?? (await deps.connections.byId(environmentId, sync.connectionId));
      if (owner === undefined) continue; // deleted; its syncs go within seconds
      const [newest] = await deps.runs.list({ environmentId, syncId: sync.id, limit: 1 });
      const models = modelsOf(fn, sync.variant);
      found.push({
        sync,
        name: fn.name,
        models,
        connectionId: owner.connectionId,
        ...words(sync, newest),
        recordCount: await deps.records.counts(undefined, environmentId, sync.connectionId, models),
        checkpoint: (await deps.runs.checkpoints.get(deps.db, checkpointOf(fn, sync)))?.data,
      });
    }
  }
  return found;
}

function words(sync: Sync, newest: Run | undefined): Pick<SyncStatus, 'status' | 'latestExecutionStatus'> {
  const isRunning = newest?.state === 'running' || newest?.state === 'queued';
  const latest = isRunning ? 'RUNNING' : sync.lastOutcome && OUTCOMES[sync.lastOutcome];
  if (isRunning) return { status: 'RUNNING', latestExecutionStatus: latest };
  if (sync.state === 'paused') return { status: 'PAUSED', latestExecutionStatus: latest };
  // Started, and yet the last run was stopped from outside: something is wrong with it.
  if (latest === 'STOPPED') return { status: 'ERROR', latestExecutionStatus: latest };
  return { status: latest ?? 'SUCCESS', latestExecutionStatus: latest };
}
