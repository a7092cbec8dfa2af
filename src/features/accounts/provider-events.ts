/** What a provider tells about an account, and what becomes of its connections. */
import type { ProviderSpec } from '../../../catalogue/_spec/index.ts';
import type { Sql } from '../../platform/postgres/index.ts';
import { atPath } from '../../protocols/oauth2/index.ts';
import { grantRowOf, type Connection, type ConnectionState } from '../connections/index.ts';
import type { Integration } from '../integrations/index.ts';
import type { AccountsDeps, ProviderEvent } from './model.ts';
import { isListed, isNamed, namesOf } from './named.ts';

/** What a disconnect at the provider ends. One that is over, or that we are ending, stays as it is. */
const ENDED: ConnectionState[] = ['pending', 'active', 'expiring', 'needs_reauth', 'not_ready', 'spent'];

type Deps = Pick<AccountsDeps, 'connections' | 'credentials' | 'disconnect' | 'activity' | 'events'>;
type Answer = { forward?: unknown; settled?: boolean } | undefined;
type Stored = NonNullable<Awaited<ReturnType<Deps['credentials']['open']>>>;

/** The account may be used for everything now. An event that comes before its connection waits at the gateway. */
export async function becameReady(
  deps: Deps,
  tx: Sql,
  integration: Integration,
  matched: Connection[],
): Promise<Answer> {
  const { environmentId } = integration;
  for (const { id, accountId } of matched) {
    const moved = await deps.connections.setState(tx, { environmentId, id, state: 'active', from: ['not_ready'] });
    if (moved === undefined) continue;
    await deps.connections.writeEvent(tx, {
      environmentId,
      type: 'account.ready',
      connectionId: id,
      payload: { accountId: accountId ?? null, integration: integration.uniqueKey },
    });
    note(deps, moved, integration, true, 'The account is ready: the provider has told');
  }
  return undefined;
}

/** The customer has disconnected at the provider, or this is the echo of our own disconnect, of which the app knows. */
export function wasDeauthorized(...told: Parameters<typeof endByName>): Promise<Answer> {
  const [, , { about }] = told;
  return about?.by === 'token' ? endByToken(...told) : endByName(...told);
}

/** Whoever holds the token may end its grant. What is passed on lacks it: the provider file says where it stands. */
async function endByToken(
  deps: Deps,
  tx: Sql,
  { environmentId, body }: ProviderEvent,
  integration: Integration,
  matched: Connection[],
): Promise<Answer> {
  const tokens = tokensOf(integration.provider, body);
  if (matched.length === 0) {
    for (const token of tokens) {
      if (await deps.disconnect.echoed(tx, environmentId, token)) return { forward: false, settled: true };
    }
    return { forward: false };
  }
  // The customer may have connected again since the event was matched: that grant is another one.
  await endGrants(deps, tx, integration, matched, ({ credential }) =>
    credential.type === 'OAUTH2' ? tokens.includes(credential.access_token) : false,
  );
  return undefined;
}

/**
 * An account, or what else the provider knows a connection by, is no secret: only a signature is believed. The grant that
 * was given after the event is another one, and an event that is older than all that live is about none of them.
 */
async function endByName(
  deps: Deps,
  tx: Sql,
  event: ProviderEvent,
  integration: Integration,
  matched: Connection[],
): Promise<Answer> {
  const names = namesOf(integration.provider, event);
  if (event.trust !== 'signature' || names === undefined) return undefined;
  const { environmentId } = event;
  const { config, values } = names;
  const query = { environmentId, integrationId: integration.id, config, values };
  const ours = (await deps.disconnect.letGoOf(tx, query)).filter((gone) => isListed(names, gone));
  const awaited = ours.filter(({ isEchoed }) => !isEchoed).map(({ id }) => id);
  // The others have an event of their own.
  const echoed = names.echoesEach ? awaited.slice(0, 1) : awaited;
  if (echoed.length > 0) await deps.disconnect.noteEchoes(tx, environmentId, echoed);
  const living = matched.filter((connection) => isNamed(names, connection));
  if (living.length === 0) return ours.length > 0 ? { forward: false, settled: true } : undefined;
  if (names.echoesEach && echoed.length > 0) return { forward: false };
  const { ended, spared } = await endGrants(
    deps,
    tx,
    integration,
    living,
    ({ authorizedAt }) => authorizedAt.getTime() <= event.happenedAt.getTime(),
  );
  return ended === 0 && spared > 0 ? { forward: false } : undefined;
}

/** Ends the grants of these connections that `isMeant` says yes to. Resolves to how many of each. */
async function endGrants(
  deps: Deps,
  tx: Sql,
  integration: Integration,
  connections: Connection[],
  isMeant: (stored: Stored) => boolean,
): Promise<{ ended: number; spared: number }> {
  const { environmentId } = integration;
  const count = { ended: 0, spared: 0 };
  const grantRows = new Set(connections.map(grantRowOf));
  for (const grantRow of [...grantRows].toSorted((a, b) => a - b)) {
    await deps.connections.lockGrant(tx, environmentId, grantRow);
    const [first, ...others] = await deps.connections.ofGrant(tx, environmentId, grantRow);
    if (first === undefined) continue;
    const stored = await deps.credentials.open(first, tx);
    if (stored === undefined) continue;
    if (!isMeant(stored)) {
      count.spared += 1;
      continue;
    }
    count.ended += 1;
    await deps.credentials.forget(tx, first);
    const moved = await deps.connections.setGrantState(tx, {
      environmentId,
      grantRow,
      state: 'revoked_by_provider',
      from: ENDED,
    });
    for (const user of [first, ...others]) await deps.events?.deleted(tx, user);
    for (const connection of moved) {
      await deps.connections.writeEvent(tx, {
        environmentId,
        type: 'connection.deauthorized',
        connectionId: connection.id,
        payload: { accountId: connection.accountId ?? null, integration: integration.uniqueKey },
      });
      note(deps, connection, integration, false, 'The customer has disconnected at the provider');
    }
  }
  return count;
}

/** Where the provider file says that an event names its connection by token. */
function tokensOf({ webhooks }: ProviderSpec, body: unknown): string[] {
  const routes = webhooks === undefined || webhooks.route === 'all' ? [] : webhooks.route;
  return routes
    .filter(({ by }) => by === 'token')
    .flatMap(({ from }) => from.paths ?? [])
    .map((path) => atPath(body, path))
    .filter((value): value is string => typeof value === 'string' && value !== '');
}

function note(deps: Deps, connection: Connection, integration: Integration, ok: boolean, summary: string): void {
  deps.activity.record({
    environmentId: connection.environmentId,
    kind: 'state',
    ok,
    connectionId: connection.id,
    integration: integration.uniqueKey,
    summary,
  });
}
