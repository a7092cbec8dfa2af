/** From events to deliveries: who is told, and the exact bytes. One transaction per batch, one node per environment. */
import { randomId } from '../../base/ids.ts';
import { errorText } from '../../base/log.ts';
import type { Sql } from '../../platform/postgres/index.ts';
import { eventPlace } from '../connections/index.ts';
import type { Integration } from '../integrations/index.ts';
import { audienceOf, DEFAULT_SETTINGS, isWanted } from './audience.ts';
import { bodyOf, type EventFacts } from './body.ts';
import { writeDerived } from './derived.ts';
import type { Endpoint, OutboundDeps } from './model.ts';
import { newSecret, sealSecret } from './secrets.ts';
import {
  insertDeliveries,
  lockEnvironment,
  markHandled,
  selectNewEnvironments,
  selectNewEvents,
  selectNewIntegrations,
  takeSequences,
  type HandledEvent,
  type NewEventRow,
} from './store-events.ts';
import { insertEndpoint, selectEndpoints, selectOverrides, selectSettings, toEndpoint } from './store.ts';
import { isOurTrouble } from './trouble.ts';

const BATCH_MAX = 200;
/** Sealed payloads taken into memory at a time; one webhook may have 1 MiB. */
const BATCH_BYTES_MAX = 8 * 1024 * 1024;

/**
 * Makes the deliveries of one batch of new events of each environment. Resolves to how many events were dealt with.
 * Errors: the first one of an environment, once the others are done.
 */
export async function fanOut(deps: OutboundDeps): Promise<number> {
  let handled = 0;
  let failure: unknown;
  for (const environmentId of await selectNewEnvironments(deps.db)) {
    try {
      const known = await knownOf(deps, environmentId);
      handled += await deps.db.transaction((tx) => fanOutBatch(deps, tx, environmentId, known));
    } catch (error) {
      failure ??= error; // the others go on; this one is tried again at the next look
    }
  }
  if (failure !== undefined) throw failure;
  return handled;
}

/** What bodies say of the environment, read ahead: a transaction that waits for a second connection may wait for itself. */
interface Known {
  environment: string;
  /** Undefined: it is gone. */
  integrations: Map<number, Integration | undefined>;
}

async function knownOf(deps: OutboundDeps, environmentId: number): Promise<Known> {
  const known: Known = {
    environment: (await deps.environments.byId(environmentId))?.name ?? '',
    integrations: new Map(),
  };
  for (const id of await selectNewIntegrations(deps.db, environmentId, BATCH_MAX)) {
    known.integrations.set(id, await deps.integrations.byId(environmentId, id));
  }
  return known;
}

/** An event with those who are told of it. */
interface Told {
  row: NewEventRow;
  payload: unknown;
  endpoints: Endpoint[];
}

async function fanOutBatch(deps: OutboundDeps, tx: Sql, environmentId: number, known: Known): Promise<number> {
  if (!(await lockEnvironment(tx, environmentId))) return 0;
  const found = await selectNewEvents(tx, environmentId, { limit: BATCH_MAX, bytes: BATCH_BYTES_MAX });
  // Written since, of an integration that was not read: the next look takes them.
  const rows = found.filter((row) => row.integration_id === null || known.integrations.has(row.integration_id));
  if (rows.length === 0) return 0;
  const parked = new Map<number, string>();
  const told = await whoIsTold(deps, tx, environmentId, rows, parked);
  const bodies = await bodiesOf(deps, tx, environmentId, told, parked, known);
  const sealed = await sealBodies(deps, environmentId, told, bodies);
  const handled = new Map<number, HandledEvent>();
  for (const { id } of rows) {
    const body = sealed.get(id);
    handled.set(id, {
      id,
      sealed: body,
      sequence: bodies.get(id)?.sequence,
      parkedReason: parked.get(id),
    });
  }
  await markHandled(tx, environmentId, [...handled.values()]);
  deps.killPoints.reach('W5b');
  const deliveries = told.flatMap(({ row, endpoints }) =>
    endpoints.map((endpoint) => ({ eventId: row.id, endpointId: endpoint.id, parked: parked.has(row.id) })),
  );
  if (deliveries.length > 0) await insertDeliveries(tx, environmentId, deliveries, deps.shiftMs?.() ?? 0);
  return rows.length;
}

async function whoIsTold(
  deps: OutboundDeps,
  tx: Sql,
  environmentId: number,
  rows: readonly NewEventRow[],
  parked: Map<number, string>,
): Promise<Told[]> {
  const overrides = await overridesOf(deps, tx, environmentId, rows);
  const endpoints = (await selectEndpoints(tx, environmentId)).map(toEndpoint);
  if (endpoints.length === 0 && overrides.size === 0) return [];
  await writeDerived(deps, tx, rows, endpoints);
  const all = [...endpoints, ...overrides.values()];
  const settings = (await selectSettings(tx, environmentId)) ?? DEFAULT_SETTINGS;
  const told: Told[] = [];
  for (const row of rows) {
    let payload: unknown = row.payload;
    if (row.sealed !== null) {
      try {
        payload = JSON.parse(await deps.environments.vault.open(eventPlace(environmentId, row.uuid), row.sealed));
      } catch (error) {
        if (isOurTrouble(error)) throw error;
        park(deps, parked, row, error);
      }
    }
    if (!isWanted(settings, row.type, payload)) continue;
    const override = overrides.get(row.webhook_url_override ?? '');
    const audience = audienceOf(all, { kind: row.type, payload, override });
    if (audience.length > 0) told.push({ row, payload, endpoints: audience });
  }
  return told;
}

/** Endpoints for the URLs that connections have of their own; made when first needed. By URL. */
async function overridesOf(
  deps: OutboundDeps,
  tx: Sql,
  environmentId: number,
  rows: readonly NewEventRow[],
): Promise<Map<string, Endpoint>> {
  const urls = [...new Set(rows.map((row) => row.webhook_url_override ?? '').filter((url) => url !== ''))];
  if (urls.length === 0) return new Map();
  const found = new Map(
    (await selectOverrides(tx, environmentId, urls)).map((row) => [row.url, toEndpoint(row)] as const),
  );
  for (const url of urls) {
    if (found.has(url)) continue;
    const id = randomId();
    const secretSealed = await sealSecret(deps.environments.vault, { environmentId, id }, newSecret());
    const made = await insertEndpoint(tx, {
      environmentId,
      id,
      role: 'override',
      url,
      description: undefined,
      kinds: undefined,
      secretSealed,
    });
    if (made !== undefined) found.set(url, toEndpoint(made));
  }
  return found;
}

/** Numbers the events of each connection in their order and writes their bodies. */
async function bodiesOf(
  deps: OutboundDeps,
  tx: Sql,
  environmentId: number,
  told: readonly Told[],
  parked: Map<number, string>,
  known: Known,
): Promise<Map<number, { text: string; sequence: number }>> {
  const counts = new Map<number, number>();
  for (const { row } of told) counts.set(row.connection_id ?? 0, (counts.get(row.connection_id ?? 0) ?? 0) + 1);
  if (counts.size === 0) return new Map();
  const last = await takeSequences(tx, environmentId, counts);
  const { environment, integrations } = known;
  const bodies = new Map<number, { text: string; sequence: number }>();
  for (const { row, payload } of told) {
    const connection = row.connection_id ?? 0;
    const sequence = (last.get(connection) ?? 0) + 1;
    last.set(connection, sequence);
    if (parked.has(row.id)) continue;
    try {
      const facts = factsOf(row, integrations);
      const text = bodyOf({ ...facts, payload, environment, sequence });
      bodies.set(row.id, { text, sequence });
    } catch (error) {
      park(deps, parked, row, error);
    }
  }
  return bodies;
}

function factsOf(
  row: NewEventRow,
  integrations: Known['integrations'],
): Pick<EventFacts, 'kind' | 'occurredAt' | 'connection'> {
  const base = { kind: row.type, occurredAt: row.created_at };
  if (row.connection_name === null || row.integration_id === null) return { ...base, connection: undefined };
  const integration = integrations.get(row.integration_id);
  return {
    ...base,
    connection: {
      connectionId: row.connection_name,
      providerConfigKey: integration?.uniqueKey,
      provider: integration?.provider.name,
      authMode: integration?.provider.authMode,
      tags: row.tags ?? {},
      endUser:
        row.end_user_id === null
          ? undefined
          : {
              id: row.end_user_id,
              email: row.end_user_email ?? undefined,
              organizationId: row.organization_id ?? undefined,
              tags: row.end_user_tags ?? {},
            },
    },
  };
}

async function sealBodies(
  deps: OutboundDeps,
  environmentId: number,
  told: readonly Told[],
  bodies: ReadonlyMap<number, { text: string }>,
): Promise<Map<number, Buffer>> {
  const values = told.flatMap(({ row }) => {
    const body = bodies.get(row.id);
    return body === undefined ? [] : [{ id: row.id, row: row.uuid, plaintext: body.text }];
  });
  if (values.length === 0) return new Map();
  const sealed = await deps.environments.vault.sealMany({ environmentId, table: 'event', column: 'sealed' }, values);
  return new Map(values.map(({ id }, at) => [id, sealed[at] as Buffer]));
}

/** An event that cannot be written must not stop those behind it. Source: fault 23. */
function park(deps: OutboundDeps, parked: Map<number, string>, row: NewEventRow, error: unknown): void {
  parked.set(row.id, 'The body of this event could not be written.');
  deps.log.error('an event could not be made into a delivery and was put aside', {
    event: row.uuid,
    kind: row.type,
    error: errorText(error),
  });
}
