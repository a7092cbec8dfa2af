/** Schedules follow the deployed functions, in the transaction of the deploy. */
import type { Sql } from '../../platform/postgres/index.ts';
import { parseFrequency, type DeployedFunction, type FunctionChange } from '../functions/index.ts';
import type { SyncsDeps } from './model.ts';
import {
  countConnections,
  deletePlan,
  insertForConnections,
  pauseOfFunction,
  resumeOfFunction,
  suspendOfFunction,
  updatePeriods,
  upsertPlan,
  type Plan,
} from './store.ts';

/** Runs of a schedule that nothing says more about. */
const DEFAULT_PERIOD_MS = 3_600_000;
/** First runs of many connections are spread so that no provider meets all of them at once. */
const SPREAD_PER_CONNECTION_MS = 50;
const SPREAD_MAX_MS = 600_000;
/** So few start at once: their developer is watching. */
const SPREAD_FROM_CONNECTIONS = 20;

export async function followFunctions(
  deps: Pick<SyncsDeps, 'runs' | 'records' | 'log'>,
  tx: Sql,
  environmentId: number,
  change: FunctionChange,
): Promise<void> {
  for (const fn of change.created) if (fn.kind === 'sync') await plan(tx, fn);
  for (const { before, after } of change.updated) {
    if (after.kind !== 'sync') continue;
    await plan(tx, after);
    if (before.enabled && !after.enabled) {
      await suspendOfFunction(tx, environmentId, after.id);
      await deps.runs.cancel(tx, { environmentId, functionId: after.id });
    }
    if (!before.enabled && after.enabled) await resumeOfFunction(tx, environmentId, after.id);
  }
  for (const fn of change.deleted) {
    await deps.runs.cancel(tx, { environmentId, functionId: fn.id });
    if (fn.kind !== 'sync') continue;
    await deletePlan(tx, environmentId, fn.id);
    await pauseOfFunction(tx, environmentId, fn.id);
  }
}

/** Plan, periods, and a sync for each connection that has none yet. */
async function plan(tx: Sql, fn: DeployedFunction): Promise<void> {
  if (!fn.enabled) return deletePlan(tx, fn.environmentId, fn.id);
  const row: Plan = {
    environmentId: fn.environmentId,
    functionId: fn.id,
    integrationId: fn.integrationId,
    periodMs: periodOf(fn),
    autoStart: fn.definition.autoStart,
  };
  await upsertPlan(tx, row);
  await updatePeriods(tx, row);
  const connections = await countConnections(tx, row.environmentId, row.integrationId);
  const spreadMs =
    connections < SPREAD_FROM_CONNECTIONS
      ? 0
      : Math.min(connections * SPREAD_PER_CONNECTION_MS, SPREAD_MAX_MS, row.periodMs);
  await insertForConnections(tx, row, spreadMs);
}

/** The definition's period. */
export function periodOf(fn: DeployedFunction): number {
  return parseFrequency(fn.definition.runs ?? '') ?? DEFAULT_PERIOD_MS;
}
