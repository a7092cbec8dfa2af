/** Events to those they are about, in one transaction: all of it or nothing. */
import type { WebhooksSpec } from '../../../catalogue/_spec/index.ts';
import { noKillPoints, type KillPoints } from '../../platform/kill-points.ts';
import type { Database, Sql } from '../../platform/postgres/index.ts';
import { readTime, redacted, textsAt } from '../../protocols/webhook-signature/index.ts';
import type { Connections, NewEvent } from '../connections/index.ts';
import type { Vault } from '../environments/index.ts';
import type { Integration, IntegrationService } from '../integrations/index.ts';
import {
  LOOK_WAIT_LAST_MS,
  LOOK_WAITS_MS,
  LOOKS_MAX,
  TELL_UNMATCHED_MS,
  TOLD_BYTES_MAX,
  TOLD_TOGETHER_MAX,
} from './limits.ts';
import type { HookAnswer, InboundEvent, InboundHook, MatchedConnection } from './model.ts';
import { parseWebhook, type JsonReader } from './parse.ts';
import { bodyPlace, webhooksOf } from './receive.ts';
import { createMatcher, identifiersOf, type Identifiers, type Matcher } from './match-event.ts';
import { holdEvents, markRouted, parkUnmatched, type DueEvent, type Unmatched } from './store-work.ts';

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
  /** False: `runFunctions` would find no sync that wants to be told. */
  hasSubscribers(sql: Sql, environmentId: number, integrationId: number): Promise<boolean>;
  /** Row ids of the connections of an integration that hold a living record of this id. */
  recordHolders(sql: Sql, environmentId: number, integrationId: number, externalId: string): Promise<number[]>;
}

/** What the events of one integration share while they are routed in one transaction. */
interface Scene {
  tx: Sql;
  integration: Integration;
  spec: WebhooksSpec;
  matcher: Matcher;
  /** Some sync of the integration wants to be told of webhooks. */
  hasSubscribers: boolean;
  /** What the app will be told, in this order, and is not written yet. */
  told: NewEvent[];
  toldBytes: number;
  /** Events that wait for a connection, and are not noted as such yet. */
  unmatched: Unmatched[];
}

/**
 * Routes events of one integration in one transaction: what they have in common is asked once, and they cost one commit.
 * Errors: whatever a handler throws; then nothing of all of it has happened.
 */
export async function routeEvents(deps: RouteDeps, events: readonly DueEvent[]): Promise<void> {
  const [{ environmentId, integrationId }] = events as [DueEvent];
  const integration = await deps.integrations.byId(environmentId, integrationId);
  const bodies = await readBodies(deps, environmentId, events);
  await deps.db.transaction(async (tx) => {
    const held = await holdEvents(tx, events);
    const routed: { event: DueEvent; matched: number }[] = [];
    const scene = integration === undefined ? undefined : await openScene(deps, tx, integration);
    for (const [index, event] of events.entries()) {
      if (!held.has(event.id)) continue;
      // The integration's provider is no longer in the catalogue: nobody can say what the event means.
      const matched = scene === undefined ? 0 : await routeOne(deps, scene, event, bodies[index]);
      if (matched !== 'parked') routed.push({ event, matched });
    }
    if (scene !== undefined) {
      await writeTold(deps, scene);
      await parkUnmatched(tx, scene.unmatched);
    }
    await markRouted(tx, routed);
  });
}

async function openScene(deps: RouteDeps, tx: Sql, integration: Integration): Promise<Scene> {
  const spec = webhooksOf(integration);
  return {
    tx,
    integration,
    spec,
    matcher: createMatcher(deps, tx, integration, spec),
    hasSubscribers: await deps.hasSubscribers(tx, integration.environmentId, integration.id),
    told: [],
    toldBytes: 0,
    unmatched: [],
  };
}

/** Resolves to the number of connections it was about, or to `parked`. */
async function routeOne(deps: RouteDeps, scene: Scene, due: DueEvent, body: unknown): Promise<number | 'parked'> {
  const { tx, integration, spec, matcher } = scene;
  const identifiers = identifiersOf(spec, due, body);
  const connections = await matcher(due, identifiers);
  const event = eventOf(due, integration, spec, body, identifiers);
  // What a handler makes of an event is told after what came before it.
  if (event.meaning !== undefined) await writeTold(deps, scene);
  const answer = await askHooks(deps, event, connections, tx);
  const shown = redacted(body, spec.redact ?? []);
  const forward = answer.forward === undefined ? shown : answer.forward;
  if (connections.length === 0 && answer.settled !== true) return waitOrTell(deps, scene, due, forward, identifiers);
  if (forward !== false && integration.forwardWebhooks) {
    for (const connection of connections) {
      await tell(deps, scene, due, forwardOf(due, integration, connection, forward));
    }
  }
  if (scene.hasSubscribers) {
    const names = [due.type, ...Object.values(due.headers)].filter((name) => name !== undefined);
    await deps.runFunctions(tx, { ...due, names, body: shown }, connections);
  }
  return connections.length;
}

/** The parsed bodies of stored events, in their order. */
export async function readBodies(
  { vault, readJson }: Pick<RouteDeps, 'vault' | 'readJson'>,
  environmentId: number,
  events: readonly Pick<DueEvent, 'uuid' | 'bodyKind' | 'bodySealed'>[],
): Promise<unknown[]> {
  const { row: _row, ...column } = bodyPlace(environmentId, '');
  const opened = await vault.openMany(
    column,
    events.map(({ uuid, bodySealed }) => ({ row: uuid, sealed: bodySealed })),
  );
  const contentType = { json: 'application/json', form: 'application/x-www-form-urlencoded' };
  return opened.map((raw, index) => {
    const { bodyKind } = events[index] as (typeof events)[number];
    return bodyKind === 'text' ? raw.toString('utf8') : parseWebhook(readJson, raw, contentType[bodyKind]).value;
  });
}

function eventOf(
  due: DueEvent,
  integration: Integration,
  spec: WebhooksSpec,
  body: unknown,
  identifiers: Identifiers | undefined,
): InboundEvent {
  const meaning = meaningOf(spec, due.type, body);
  const toldAtMs = spec.at && readTime(spec.at, due.headers, body);
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
    happenedAt: new Date(Math.min(toldAtMs ?? Infinity, due.receivedAt.getTime())),
    trust: due.trust,
    ...(identifiers !== undefined && { about: identifiers }),
  };
}

function meaningOf({ meanings = {} }: WebhooksSpec, type: string | undefined, body: unknown) {
  const given = type !== undefined && Object.hasOwn(meanings, type) ? meanings[type] : undefined;
  if (given === undefined || typeof given === 'string') return given;
  const { is, when } = given;
  return when === undefined || textsAt(body, when.path).includes(when.equals) ? is : undefined;
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
function forwardOf(
  due: DueEvent,
  integration: Integration,
  connection: MatchedConnection,
  payload: unknown,
): Omit<NewEvent, 'environmentId' | 'type'> {
  return {
    connectionId: connection.id,
    payload: {
      from: integration.provider.name,
      type: 'forward',
      connectionId: connection.connectionId,
      providerConfigKey: integration.uniqueKey,
      payload,
      ...(due.trust !== 'signature' && { trust: due.trust }),
    },
  };
}

/** The app will be told; written with its neighbours, unless they are many or large. */
async function tell(
  deps: RouteDeps,
  scene: Scene,
  due: DueEvent,
  what: Omit<NewEvent, 'environmentId' | 'type'>,
): Promise<void> {
  const { environmentId, headers: providerHeaders } = due;
  scene.told.push({ ...what, environmentId, type: 'forward', providerHeaders });
  scene.toldBytes += due.bodySealed.length;
  if (scene.told.length >= TOLD_TOGETHER_MAX || scene.toldBytes >= TOLD_BYTES_MAX) await writeTold(deps, scene);
}

/** Writes what is to be told by one statement. */
async function writeTold({ connections, killPoints }: RouteDeps, scene: Scene): Promise<void> {
  const events = scene.told.splice(0);
  scene.toldBytes = 0;
  if (events.length === 0) return;
  const write = (some: NewEvent[]) => Promise.all(some.map((event) => connections.writeEvent(scene.tx, event)));
  // Where a kill may come, it can come between two of them.
  if (killPoints !== noKillPoints) {
    await write(events.splice(0, 1));
    killPoints.reach('W5');
  }
  await write(events);
}

/**
 * Waits for a connection. The app is told once of an event that nobody matches, by the provider's own body (D.2): at once
 * where nothing in it names a connection, else when none has come for some seconds.
 */
async function waitOrTell(
  deps: RouteDeps,
  scene: Scene,
  due: DueEvent,
  forward: unknown,
  identifiers: Identifiers | undefined,
): Promise<0 | 'parked'> {
  const { integration, spec } = scene;
  const isNamed = identifiers !== undefined && identifiers.values.length > 0;
  const canMatch = due.connectionId !== undefined || spec.route === 'all' || isNamed;
  const isTime = !canMatch || due.ageMs >= TELL_UNMATCHED_MS;
  const tells = !due.isTold && isTime && integration.forwardWebhooks && typeof forward === 'object' && forward !== null;
  if (tells) await tell(deps, scene, due, { payload: forward });
  if (!canMatch) return 0;
  const lookMs = due.looks < LOOKS_MAX ? (LOOK_WAITS_MS[due.looks] ?? LOOK_WAIT_LAST_MS) : undefined;
  // Connections of others that come in quick succession use up looks, too.
  const waitMs = isTime ? lookMs : Math.min(lookMs ?? Infinity, TELL_UNMATCHED_MS - due.ageMs);
  scene.unmatched.push({ event: due, waitMs, isTold: due.isTold || tells });
  return 'parked';
}
