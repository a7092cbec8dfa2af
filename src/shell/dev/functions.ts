/** What the first page of `hawser dev` tells about functions, and its button. */
import { z } from 'zod';
import { defineErrors } from '../../base/errors.ts';
import { defineRoute, type Environment, type Route, type RouteReply, type RouteRequest } from '../../base/route.ts';
import type { Connection } from '../../features/connections/index.ts';
import type { Integration } from '../../features/integrations/index.ts';
import { BASE_VARIANT, type SyncStatus } from '../../features/syncs/index.ts';
import type { Services } from '../node.ts';
import type { FunctionsPanel, ShownRun, ShownSync } from './functions-page.ts';

/** Each asks the database some questions for every sync it has. */
const CONNECTIONS_SHOWN = 3;
const RECORDS_SHOWN = 4;
const RUNS_SHOWN = 8;
/** Records come in the order of their modification: the newest are at the end of what is read. */
const RECORDS_READ_MAX = 2_000;

const errors = defineErrors({
  not_found: { status: 404, message: 'No such sync of a connection in the dev environment.' },
});

type PanelServices = Pick<Services, 'connections' | 'integrations' | 'functions' | 'syncs' | 'runs' | 'records'>;

/** The model whose records are wanted, and the connections that may have some, newest first. */
export interface PanelQuery {
  environmentId: number;
  model: string | undefined;
  connectionId: string | undefined;
  listed: { integrationKey: string; connectionId: string }[];
  isSeeding: boolean;
}

export async function readFunctions(services: PanelServices, query: PanelQuery): Promise<FunctionsPanel> {
  const { environmentId } = query;
  const syncs: ShownSync[] = [];
  let wanted: { model: string; connection: Connection; integration: Integration } | undefined;
  const first = query.listed.toSorted(
    (a, b) => Number(b.connectionId === query.connectionId) - Number(a.connectionId === query.connectionId),
  );
  for (const { integrationKey, connectionId } of first.slice(0, CONNECTIONS_SHOWN)) {
    const integration = await services.integrations.byKey(environmentId, integrationKey);
    const connection =
      integration && (await services.connections.byPublicId(environmentId, integration.id, connectionId));
    if (integration === undefined || connection === undefined) continue; // deleted meanwhile
    for (const status of await services.syncs.status({ environmentId, integration, connection }, [])) {
      syncs.push(shownSync(status, integrationKey));
      for (const [model, count] of Object.entries(status.recordCount)) {
        const isMeant = query.model === model && (query.connectionId ?? connectionId) === connectionId;
        // Nobody has chosen: the fullest one of the first connection shows most.
        const isFuller = query.model === undefined && count > (wanted === undefined ? 0 : countOf(syncs, wanted.model));
        const isFirst = wanted === undefined || wanted.connection.id === connection.id;
        if (isMeant || (isFuller && isFirst)) wanted = { model, connection, integration };
      }
    }
  }
  return {
    syncs,
    runs: await readRuns(services, environmentId),
    records: wanted && (await readRecords(services, environmentId, wanted)),
    isBusy: syncs.some(({ isBusy }) => isBusy) || (query.isSeeding && query.listed.length > 0),
  };
}

function countOf(syncs: ShownSync[], model: string): number {
  return Math.max(0, ...syncs.map(({ counts }) => counts[model] ?? 0));
}

function shownSync({ sync, name, connectionId, status, recordCount }: SyncStatus, integrationKey: string): ShownSync {
  const isNew = sync.state === 'started' && sync.lastFinishedAt === undefined;
  return {
    name,
    variant: sync.variant,
    integrationKey,
    connectionId,
    state: status,
    isBusy: status === 'RUNNING' || isNew,
    counts: recordCount,
    lastFinishedAt: sync.lastFinishedAt,
    dueAt: sync.dueAt,
  };
}

async function readRecords(
  services: PanelServices,
  environmentId: number,
  { model, connection, integration }: { model: string; connection: Connection; integration: Integration },
): Promise<FunctionsPanel['records']> {
  const place = { environmentId, connectionId: connection.id, model };
  const [{ records, nextCursor }, counts] = await Promise.all([
    services.records.list({ ...place, limit: RECORDS_READ_MAX, actions: ['ADDED', 'UPDATED'] }),
    services.records.counts(undefined, environmentId, connection.id, [model]),
  ]);
  if (records.length === 0) return undefined;
  const isNewest = nextCursor === null;
  return {
    model,
    integrationKey: integration.uniqueKey,
    connectionId: connection.connectionId,
    total: counts[model] ?? records.length,
    isNewest,
    rows: isNewest ? records.slice(-RECORDS_SHOWN).toReversed() : records.slice(0, RECORDS_SHOWN),
  };
}

async function readRuns(services: PanelServices, environmentId: number): Promise<ShownRun[]> {
  const shown: ShownRun[] = [];
  for (const run of await services.runs.list({ environmentId, limit: RUNS_SHOWN })) {
    const integration = await services.integrations.byId(environmentId, run.integrationId);
    shown.push({
      id: run.uuid,
      what: `${run.kind} ${run.functionName}`,
      where: integration?.uniqueKey ?? '(gone)',
      trigger: run.trigger,
      state: run.state,
      durationMs: run.durationMs,
      counts: run.counts,
      error: run.error && `${run.error.code}: ${run.error.message}`,
    });
  }
  return shown;
}

type AnyRequest = Pick<RouteRequest<unknown, unknown, unknown, unknown>, 'ip' | 'origin' | 'headers'>;

/** The button "Run now". `enter` admits the visitor and finds the integration, as for every button. */
export function runSyncRoute(
  services: PanelServices,
  enter: (
    request: AnyRequest,
    key: string,
  ) => Promise<{ refused: RouteReply } | { environment: Environment; integration: Integration }>,
): Route {
  return defineRoute({
    method: 'POST',
    path: '/dev/run',
    summary: 'Run a sync now',
    auth: { by: 'public', why: 'checked by address, origin and dashboard password' },
    form: true,
    body: z.object({ integration: z.string().max(255), connection: z.string().max(255), sync: z.string().max(511) }),
    errors: ['forbidden', 'unauthorized', 'not_found'],
    html: true,
    documented: false,
    async handle(request) {
      const entered = await enter(request, request.body.integration);
      if ('refused' in entered) return entered.refused;
      const { environment, integration } = entered;
      const connection = await services.connections.byPublicId(environment.id, integration.id, request.body.connection);
      if (connection === undefined) throw errors.fail('not_found');
      const [name = '', variant = BASE_VARIANT] = request.body.sync.split('::');
      const mode = { reset: false, emptyCache: false };
      await services.syncs.trigger(
        { environmentId: environment.id, integration, connection },
        [{ name, variant }],
        mode,
      );
      const query = new URLSearchParams({
        provider_config_key: integration.uniqueKey,
        connection_id: connection.connectionId,
      });
      return { redirect: `/?${query}`, status: 303 };
    },
  });
}
