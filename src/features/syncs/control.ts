/** What people and the app ask of syncs: run now, start, pause, another period, named copies. */
import { isHawserError } from '../../base/errors.ts';
import type { Sql } from '../../platform/postgres/index.ts';
import type { Connection } from '../connections/index.ts';
import type { DeployedFunction } from '../functions/index.ts';
import type { CheckpointPlace, RunTrigger } from '../runs/index.ts';
import { syncErrors } from './errors.ts';
import { periodOf } from './follow.ts';
import { modelsOf } from './models.ts';
import { BASE_VARIANT, type Sync, type SyncName, type SyncsDeps, type SyncTarget, type TriggerMode } from './model.ts';
import { laneOf } from './schedule.ts';
import { deleteSync, insertVariant, resetSync, selectSyncs, setSyncPeriod, setSyncState } from './store.ts';

/** Wire contract J.2. */
const VARIANTS_MAX = 100;

const TRIES_MAX = 3;

type ConnectionTarget = SyncTarget & { connection: Connection };

/** A named function with the syncs of it that a call is about. */
export interface Aimed {
  fn: DeployedFunction;
  /** Undefined: every variant. */
  variant: string | undefined;
}

/** The functions behind names; all, with every variant, when there are none. Unknown names are undefined. */
export async function aimedAt(
  deps: Pick<SyncsDeps, 'functions'>,
  target: SyncTarget,
  names: readonly SyncName[],
): Promise<(Aimed | undefined)[]> {
  const deployed = await deps.functions.list(target.environmentId, {
    integrationId: target.integration.id,
    kind: 'sync',
  });
  const enabled = deployed.filter((fn) => fn.enabled);
  if (names.length === 0) return enabled.map((fn) => ({ fn, variant: undefined }));
  return names.map(({ name, variant }) => {
    const fn = enabled.find((one) => one.name === name);
    return fn && { fn, variant };
  });
}

/**
 * A run that ends at this moment holds its own row and wants that of its sync; a call holds the sync's and wants the
 * run's. Where the database ends the call for that, it begins again.
 */
async function locking<R>(deps: Pick<SyncsDeps, 'db'>, work: (tx: Sql) => Promise<R>): Promise<R> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await deps.db.transaction(work);
    } catch (error) {
      if (tries === TRIES_MAX || !isHawserError(error, 'database_busy')) throw error;
    }
  }
}

/** The syncs of one aim, locked until the transaction ends. */
function locked(tx: Sql, { environmentId, connection }: SyncTarget, { fn, variant }: Aimed): Promise<Sync[]> {
  return selectSyncs(tx, { environmentId, functionIds: [fn.id], connectionId: connection?.id, variant }, true);
}

export async function triggerSyncs(
  deps: SyncsDeps,
  target: SyncTarget,
  names: readonly SyncName[],
  mode: TriggerMode,
  trigger: RunTrigger,
): Promise<void> {
  const aims = await aimedAt(deps, target, names);
  if (aims.length === 0) throw syncErrors.fail('no_syncs_found');
  for (const aim of aims) {
    if (aim === undefined) throw syncErrors.fail('no_syncs_found');
    await locking(deps, async (tx) => {
      for (const sync of await locked(tx, target, aim)) {
        if (mode.reset) await reset(deps, tx, aim.fn, sync, mode.emptyCache);
        await deps.runs.enqueue(tx, {
          environmentId: sync.environmentId,
          kind: 'sync',
          trigger,
          fn: aim.fn,
          connection: { id: sync.connectionId },
          syncId: sync.id,
          lane: laneOf(sync.id),
          unlessActive: !mode.reset,
        });
      }
    });
  }
}

async function reset(deps: SyncsDeps, tx: Sql, fn: DeployedFunction, sync: Sync, emptyCache: boolean): Promise<void> {
  await deps.runs.cancel(tx, { environmentId: sync.environmentId, syncId: sync.id });
  await deps.runs.checkpoints.clear(tx, checkpointOf(fn, sync));
  await resetSync(tx, sync, emptyCache);
}

export async function moveSyncs(
  deps: SyncsDeps,
  target: SyncTarget,
  names: readonly SyncName[],
  state: Sync['state'],
): Promise<void> {
  const aims = await aimedAt(deps, target, names);
  if (aims.length === 0 || aims.includes(undefined)) throw syncErrors.fail('no_syncs_found');
  await locking(deps, async (tx) => {
    for (const aim of aims as Aimed[]) {
      for (const sync of await locked(tx, target, aim)) {
        await setSyncState(tx, sync, state);
        if (state === 'paused') {
          await deps.runs.cancel(tx, { environmentId: sync.environmentId, syncId: sync.id });
        }
      }
    }
  });
}

export function setPeriod(
  deps: SyncsDeps,
  target: ConnectionTarget,
  name: SyncName,
  periodMs: number | undefined,
): Promise<number> {
  return locking(deps, async (tx) => {
    const { fn, sync } = await oneSync(deps, tx, target, name);
    const next = periodMs ?? periodOf(fn);
    await setSyncPeriod(tx, sync, next, periodMs !== undefined);
    return next;
  });
}

export async function createVariant(deps: SyncsDeps, target: ConnectionTarget, name: SyncName): Promise<Sync> {
  refuseBase(name);
  return locking(deps, async (tx) => {
    const { fn, sync: base } = await oneSync(deps, tx, target, { name: name.name, variant: BASE_VARIANT });
    const all = await locked(tx, target, { fn, variant: undefined });
    if (all.some((sync) => sync.variant === name.variant)) throw syncErrors.fail('sync_variant_already_exists');
    if (all.length > VARIANTS_MAX) throw syncErrors.fail('resource_capped');
    const created = await insertVariant(tx, base, name.variant, fn.definition.autoStart);
    if (created === undefined) throw syncErrors.fail('sync_variant_already_exists');
    return created;
  });
}

export async function deleteVariant(deps: SyncsDeps, target: ConnectionTarget, name: SyncName): Promise<void> {
  refuseBase(name);
  const { environmentId, connection } = target;
  const { fn, sync } = await locking(deps, async (tx) => {
    const found = await oneSync(deps, tx, target, name, 'not_found');
    await setSyncState(tx, found.sync, 'paused');
    await deps.runs.cancel(tx, { environmentId, syncId: found.sync.id });
    return found;
  });
  // The row goes last: where this breaks off, the caller can delete it again.
  await deps.records.empty(environmentId, connection.id, modelsOf(fn, name.variant));
  await locking(deps, async (tx) => {
    await deps.runs.cancel(tx, { environmentId, syncId: sync.id });
    await deleteSync(tx, sync);
    await deps.runs.checkpoints.clear(tx, checkpointOf(fn, sync));
  });
}

/** Where this sync keeps where it stopped. */
export function checkpointOf(fn: DeployedFunction, { environmentId, connectionId, variant }: Sync): CheckpointPlace {
  return { environmentId, connectionId, kind: 'sync', name: fn.name, variant };
}

function refuseBase({ variant }: SyncName): void {
  if (variant === BASE_VARIANT) throw syncErrors.fail('invalid_variant');
}

async function oneSync(
  deps: SyncsDeps,
  tx: Sql,
  target: ConnectionTarget,
  name: SyncName,
  code: 'unknown_sync' | 'not_found' = 'unknown_sync',
): Promise<{ fn: DeployedFunction; sync: Sync }> {
  const [aim] = await aimedAt(deps, target, [name]);
  const [sync] = aim === undefined ? [] : await locked(tx, target, aim);
  if (aim === undefined || sync === undefined) throw syncErrors.fail(code);
  return { fn: aim.fn, sync };
}
