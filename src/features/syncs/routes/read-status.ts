import { z } from 'zod';
import { defineRoute, environmentOf, type Route } from '../../../base/route.ts';
import { CONNECTION_ID } from '../../connections/index.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { syncErrors } from '../errors.ts';
import type { SyncStatus } from '../model.ts';
import type { SyncRouteDeps } from './index.ts';
import { syncNameSchema, SYNCS_MAX, targetOf } from '../target.ts';

/** What syncs are doing: `syncs=*`, or names parted by commas. */
export function readStatusRoute(deps: SyncRouteDeps): Route {
  return defineRoute({
    method: 'GET',
    path: '/sync/status',
    summary: 'State of syncs',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.syncsRead },
    query: z.strictObject({
      syncs: z.string().min(1).max(65_536),
      provider_config_key: z.string().min(1).max(255),
      connection_id: CONNECTION_ID.optional(),
    }),
    errors: ['invalid_body', 'unknown_provider_config'],
    async handle(request) {
      const { query } = request;
      const names = readNames(query.syncs);
      const target = await targetOf(
        deps,
        environmentOf(request).id,
        query.provider_config_key,
        query.connection_id,
        () => syncErrors.fail('invalid_body', { message: 'No connection has this id at this integration.' }),
      );
      const found = await deps.syncs.status(target, names);
      return { body: { syncs: found.map(toWire) } };
    },
  });
}

function readNames(text: string) {
  if (text === '*') return [];
  const parsed = z
    .array(syncNameSchema)
    .min(1)
    .max(SYNCS_MAX)
    .safeParse(text.split(',').map((name) => name.trim()));
  if (!parsed.success)
    throw syncErrors.fail('invalid_body', { message: 'Give `syncs` as `*` or as names parted by commas.' });
  return parsed.data;
}

function toWire({ sync, name, connectionId, status, latestExecutionStatus, recordCount, checkpoint }: SyncStatus) {
  return {
    id: sync.uuid,
    connection_id: connectionId,
    name,
    variant: sync.variant,
    type: sync.lastSuccessAt === undefined ? 'INITIAL' : 'INCREMENTAL',
    status,
    frequency: frequencyText(sync.periodMs),
    finishedAt: sync.lastFinishedAt?.toISOString() ?? null,
    nextScheduledSyncAt: sync.dueAt?.toISOString() ?? null,
    latestResult: sync.lastCounts ?? null,
    latestExecutionStatus: latestExecutionStatus ?? null,
    recordCount,
    checkpoint: checkpoint ?? null,
  };
}

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
] as const;

/** The shortest way to say a period: `1h`, `90s`. */
export function frequencyText(periodMs: number): string {
  const [unit, sizeMs] = UNITS.find(([, size]) => periodMs % size === 0) ?? ['ms', 1];
  return `${periodMs / sizeMs}${unit}`;
}
