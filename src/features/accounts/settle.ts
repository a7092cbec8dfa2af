import { grantRowOf, type Connection, type ConnectionState } from '../connections/index.ts';
import type { Credential } from '../credentials/index.ts';
import type { Accounts, AccountsDeps } from './model.ts';

/** States of fellow members that a new grant of the account ends. */
const HEALED: ConnectionState[] = ['needs_reauth', 'expiring', 'revoked_by_provider', 'not_ready'];

type Settling = Parameters<Accounts['settle']>[1];

export async function settle(
  deps: Pick<AccountsDeps, 'connections' | 'credentials' | 'disconnect'>,
  tx: Parameters<Accounts['settle']>[0],
  { connection, integration, admission, credential, write }: Settling,
): Promise<Connection> {
  const { connections, credentials, disconnect } = deps;
  const { environmentId, id, state, stateReason } = connection;
  const { existing, grantOf, ousted } = admission;
  const grantRow = grantOf ?? id;
  const earlier: Credential[] = [];
  if (existing !== undefined && grantRowOf(existing) !== grantRow) {
    const left = await credentials.take(tx, existing);
    if (left !== undefined && left !== 'shared') earlier.push(left);
  }
  const settled: Connection = { ...connection, grantOf: grantRow === id ? undefined : grantRow };
  if (settled.grantOf !== connection.grantOf) await connections.useGrant(tx, environmentId, id, settled.grantOf);
  const overwritten = await credentials.open(settled, tx);
  if (overwritten !== undefined) earlier.push(overwritten.credential);
  await write(settled);
  for (const grant of earlier) {
    if (!isSameGrant(grant, credential)) await disconnect.replaced(tx, settled, integration, grant);
  }
  // What a fellow member's new grant heals, the app is told for each of them.
  await connections.setGrantState(tx, {
    environmentId,
    grantRow,
    state,
    ...(stateReason !== undefined && { reason: stateReason }),
    from: HEALED,
  });
  for (const other of ousted) await disconnect.enqueue(tx, other);
  return settled;
}

/** Another access token of the same refresh token is the same grant: an app that imports again brings such a one. */
export function isSameGrant(a: Credential, b: Credential): boolean {
  if (a.type !== 'OAUTH2' || b.type !== 'OAUTH2') return false;
  return a.access_token === b.access_token || (a.refresh_token !== undefined && a.refresh_token === b.refresh_token);
}
