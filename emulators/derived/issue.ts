/** Tokens that no code of a browser's flow stands behind. */
import { createHash } from 'node:crypto';
import { hexId } from '../engine/ids.ts';
import type { Mount } from '../engine/mount.ts';
import type { Account, Grant } from '../engine/types.ts';

/** Life of a token whose end is told. */
export const LIFE_SECONDS = 3_600;

/** A grant of the account with one access token. `lifeSeconds` undefined: without an end. */
export function issueDirectly(
  mount: Mount,
  account: Account,
  options: { clientId?: string; scope?: string; lifeSeconds?: number | undefined } = {},
): { grant: Grant; accessToken: string } {
  const { clientId = '', scope = '', lifeSeconds } = options;
  const [user] = mount.state.usersOf(account.id);
  const grant: Grant = {
    id: hexId(24),
    clientId,
    accountId: account.id,
    userId: user?.id ?? '',
    scope,
    mode: 'live',
    state: 'active',
    createdAt: mount.isoNow(),
  };
  mount.state.grants.set(grant.id, grant);
  const accessToken = mount.definition.ids.accessToken();
  const expiresAtMs = lifeSeconds === undefined ? null : mount.clock.now() + lifeSeconds * 1_000;
  mount.state.addAccessToken({ token: accessToken, grantId: grant.id, expiresAtMs, dead: false });
  mount.changed();
  return { grant, accessToken };
}

/** The secret beside a token: worked out from it, so that nothing has to be remembered. */
export function secretBeside(token: string, use: string): string {
  return createHash('sha256').update(`${use} ${token}`).digest('hex');
}
