/** What a provider tells about an account, and what becomes of its connections. */
import type { ProviderSpec } from '../../../catalogue/_spec/index.ts';
import type { Sql } from '../../platform/postgres/index.ts';
import { atPath } from '../../protocols/oauth2/index.ts';
import { grantRowOf, type Connection, type ConnectionState } from '../connections/index.ts';
import type { Integration } from '../integrations/index.ts';
import type { AccountsDeps, ProviderEvent } from './model.ts';

/** What a disconnect at the provider ends. One that is over, or that we are ending, stays as it is. */
const ENDED: ConnectionState[] = ['pending', 'active', 'expiring', 'needs_reauth', 'not_ready', 'spent'];

type Deps = Pick<AccountsDeps, 'connections' | 'credentials' | 'disconnect' | 'activity' | 'events'>;
type Answer = { forward?: unknown; settled?: boolean } | undefined;

/** The account may be used for everything now. An event that comes before its connection waits at the gateway. */
export async function becameReady(
  deps: Deps,
  tx: Sql,
  event: ProviderEvent,
  integration: Integration,
  matched: Connection[],
): Promise<Answer> {
  const { environmentId } = event;
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

/**
 * The customer has disconnected at the provider, or this is the echo of our own disconnect, of which the app knows. What
 * is passed on to the app lacks the token: the provider file says where it stands.
 */
export async function wasDeauthorized(
  deps: Deps,
  tx: Sql,
  event: ProviderEvent,
  integration: Integration,
  matched: Connection[],
): Promise<Answer> {
  const { environmentId } = event;
  const tokens = tokensOf(integration.provider, event.body);
  if (matched.length === 0) {
    for (const token of tokens) {
      if (await deps.disconnect.echoed(tx, environmentId, token)) return { forward: false, settled: true };
    }
    return { forward: false };
  }
  const grantRows = new Set(matched.map(grantRowOf));
  for (const grantRow of [...grantRows].toSorted((a, b) => a - b)) {
    await deps.connections.lockGrant(tx, environmentId, grantRow);
    const [first, ...others] = await deps.connections.ofGrant(tx, environmentId, grantRow);
    if (first === undefined) continue;
    // The customer may have connected again since the event was matched: that grant is another one.
    const stored = await deps.credentials.open(first, tx);
    if (stored?.credential.type !== 'OAUTH2' || !tokens.includes(stored.credential.access_token)) continue;
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
  return undefined;
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
