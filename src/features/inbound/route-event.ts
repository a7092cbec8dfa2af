/** One event to those it is about, in one transaction: all of it or nothing. */
import type { WebhookRoute, WebhooksSpec } from '../../../catalogue/_spec/index.ts';
import type { KillPoints } from '../../platform/kill-points.ts';
import type { Database, Sql } from '../../platform/postgres/index.ts';
import { readPlace, redacted, withoutSuffix } from '../../protocols/webhook-signature/index.ts';
import type { Connections } from '../connections/index.ts';
import type { Vault } from '../environments/index.ts';
import type { Integration, IntegrationService } from '../integrations/index.ts';
import { LOOK_WAIT_LAST_MS, LOOK_WAITS_MS, LOOKS_MAX, TELL_UNMATCHED_LOOK } from './limits.ts';
import type { HookAnswer, InboundEvent, InboundHook, MatchedConnection } from './model.ts';
import { parseWebhook, type JsonReader } from './parse.ts';
import { bodyPlace, webhooksOf } from './receive.ts';
import {
  matchAccount,
  matchAll,
  matchConfig,
  matchMetadata,
  matchPublicId,
  matchRows,
  matchToken,
} from './store-match.ts';
import { holdEvent, markRouted, parkUnmatched, type DueEvent } from './store-work.ts';

export interface RouteDeps {
  db: Database;
  vault: Vault;
  killPoints: KillPoints;
  integrations: Pick<IntegrationService, 'byId'>;
  connections: Pick<Connections, 'writeEvent'>;
  readJson: JsonReader;
  hooks: readonly InboundHook[];
  /** Queues what the app's syncs do about an event. */
  runFunctions(
    tx: Sql,
    event: { environmentId: number; integrationId: number; names: string[]; body: unknown },
    connections: readonly MatchedConnection[],
  ): Promise<void>;
  /** Row ids of the connections of an integration that hold a living record of this id. */
  recordHolders(sql: Sql, environmentId: number, integrationId: number, externalId: string): Promise<number[]>;
}

/** Errors: whatever a handler throws; then nothing of it has happened. */
export async function routeEvent(deps: RouteDeps, due: DueEvent): Promise<void> {
  const integration = await deps.integrations.byId(due.environmentId, due.integrationId);
  const body = await readBody(deps, due);
  await deps.db.transaction(async (tx) => {
    if (!(await holdEvent(tx, due))) return;
    // The integration's provider is no longer in the catalogue: nobody can say what the event means.
    if (integration === undefined) return markRouted(tx, due, 0);
    const spec = webhooksOf(integration);
    const identifiers = identifiersOf(spec, due, body);
    const connections = await matchesOf(deps, tx, due, spec, identifiers);
    const event = eventOf(due, integration, spec, body, identifiers);
    const answer = await askHooks(deps, event, connections, tx);
    const shown = redacted(body, spec.redact ?? []);
    const forward = answer.forward === undefined ? shown : answer.forward;
    if (connections.length === 0 && answer.settled !== true) {
      return parkEvent(deps, tx, due, { integration, spec, forward });
    }
    if (forward !== false && integration.forwardWebhooks) {
      for (const [index, connection] of connections.entries()) {
        await writeForward(deps, tx, due, integration, connection, forward);
        if (index === 0) deps.killPoints.reach('W5');
      }
    }
    const names = [due.type, ...Object.values(due.headers)].filter((name) => name !== undefined);
    await deps.runFunctions(tx, { ...due, names, body: shown }, connections);
    await markRouted(tx, due, connections.length);
  });
}

/** The parsed body of a stored event. */
export async function readBody(
  { vault, readJson }: Pick<RouteDeps, 'vault' | 'readJson'>,
  due: Pick<DueEvent, 'environmentId' | 'uuid' | 'bodyKind' | 'bodySealed'>,
): Promise<unknown> {
  const text = await vault.open(bodyPlace(due.environmentId, due.uuid), due.bodySealed);
  const contentType = { json: 'application/json', form: 'application/x-www-form-urlencoded', text: 'text/plain' };
  if (due.bodyKind === 'text') return text;
  return parseWebhook(readJson, Buffer.from(text, 'utf8'), contentType[due.bodyKind]).value;
}

/** A rule and the values that it found. */
interface Identifiers {
  by: WebhookRoute['by'];
  values: string[];
}

/** What the event says about whom it is for. Undefined: nothing, since no rule is for it. */
function identifiersOf({ route }: WebhooksSpec, due: DueEvent, body: unknown): Identifiers | undefined {
  if (route === 'all') return undefined;
  const named = route.find((one) => due.type !== undefined && one.events?.includes(due.type));
  const rule = named ?? route.find((one) => one.events === undefined);
  if (rule === undefined) return undefined;
  const values = readPlace(rule.from, due.headers, body).map((value) => withoutSuffix(value, rule.stripSuffix));
  return { by: rule.by, values: [...new Set(values)] };
}

/** The connections of the first value that has any. */
async function matchesOf(
  deps: RouteDeps,
  tx: Sql,
  due: DueEvent,
  spec: WebhooksSpec,
  identifiers: Identifiers | undefined,
): Promise<MatchedConnection[]> {
  if (due.connectionId !== undefined) return matchRows(tx, due, [due.connectionId]);
  if (spec.route === 'all') return matchAll(tx, due);
  for (const value of identifiers?.values ?? []) {
    const found = await lookUp(deps, tx, due, (identifiers as Identifiers).by, value);
    if (found.length > 0) return found;
  }
  return [];
}

async function lookUp(
  deps: RouteDeps,
  tx: Sql,
  due: DueEvent,
  by: WebhookRoute['by'],
  value: string,
): Promise<MatchedConnection[]> {
  const { environmentId, integrationId } = due;
  switch (by) {
    case 'account':
      return matchAccount(tx, due, value);
    case 'connectionId':
      return matchPublicId(tx, due, value);
    case 'token':
      return matchToken(tx, due, await deps.vault.lookupHash(environmentId, value));
    case 'record':
      return matchRows(tx, due, await deps.recordHolders(tx, environmentId, integrationId, value));
    default: {
      const [group, name = ''] = by.split('.');
      return (group === 'metadata' ? matchMetadata : matchConfig)(tx, due, name, value);
    }
  }
}

function eventOf(
  due: DueEvent,
  integration: Integration,
  spec: WebhooksSpec,
  body: unknown,
  identifiers: Identifiers | undefined,
): InboundEvent {
  const meaning = due.type === undefined ? undefined : spec.meanings?.[due.type];
  const accountId = identifiers?.by === 'account' ? identifiers.values[0] : undefined;
  return {
    id: due.uuid,
    environmentId: due.environmentId,
    integrationId: due.integrationId,
    integrationKey: integration.uniqueKey,
    provider: integration.provider.name,
    ...(due.type !== undefined && { type: due.type }),
    ...(meaning !== undefined && { meaning }),
    body,
    headers: due.headers,
    receivedAt: due.receivedAt,
    trust: due.trust,
    ...(accountId !== undefined && { accountId }),
  };
}

/** One after the other; the last word on forwarding counts. */
async function askHooks(
  deps: RouteDeps,
  event: InboundEvent,
  connections: MatchedConnection[],
  tx: Sql,
): Promise<HookAnswer> {
  const all: HookAnswer = {};
  for (const hook of deps.hooks) {
    const answer = await hook(event, connections, tx);
    if (answer?.forward !== undefined) all.forward = answer.forward;
    if (answer?.settled === true) all.settled = true;
  }
  return all;
}

/** Wire contract D.2. What no signature proves says so. */
async function writeForward(
  deps: RouteDeps,
  tx: Sql,
  due: DueEvent,
  integration: Integration,
  connection: MatchedConnection,
  payload: unknown,
): Promise<void> {
  await deps.connections.writeEvent(tx, {
    environmentId: due.environmentId,
    type: 'forward',
    connectionId: connection.id,
    payload: {
      from: integration.provider.name,
      type: 'forward',
      connectionId: connection.connectionId,
      providerConfigKey: integration.uniqueKey,
      payload,
      ...(due.trust !== 'signature' && { trust: due.trust }),
    },
    providerHeaders: due.headers,
  });
}

/**
 * Waits for a connection. The app is told once of an event that nobody matches, by the provider's own body (D.2): at once
 * where nothing in it could name a connection, else when none has come for some minutes.
 */
async function parkEvent(
  deps: RouteDeps,
  tx: Sql,
  due: DueEvent,
  { integration, spec, forward }: { integration: Integration; spec: WebhooksSpec; forward: unknown },
): Promise<void> {
  const canMatch = due.connectionId !== undefined || spec.route === 'all' || spec.route.length > 0;
  const isTime = !canMatch || due.looks >= TELL_UNMATCHED_LOOK;
  const tells = !due.isTold && isTime && forward !== false && integration.forwardWebhooks;
  if (tells && typeof forward === 'object' && forward !== null) {
    await deps.connections.writeEvent(tx, {
      environmentId: due.environmentId,
      type: 'forward',
      payload: forward,
      providerHeaders: due.headers,
    });
  }
  if (!canMatch) return markRouted(tx, due, 0);
  const waitMs = due.looks < LOOKS_MAX ? (LOOK_WAITS_MS[due.looks] ?? LOOK_WAIT_LAST_MS) : undefined;
  await parkUnmatched(tx, due, waitMs, due.isTold || tells);
}
