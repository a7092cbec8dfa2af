/**
 * @module emulators/engine/grants
 *
 * What a consent becomes: a grant and its tokens, and what a refresh does to them.
 *
 * A grant is `active` → `spent` (its single use is over; reading goes on) → `revoked`, or `active` → `revoked`.
 * A refresh token is current → replaced → dead; knob `refreshRotation` says what a replaced one can still do.
 */
import { hexId } from './ids.ts';
import type { Mount } from './mount.ts';
import type { Code, RefreshToken } from './state.ts';
import type { Grant } from './types.ts';

export interface IssuedTokens {
  accessToken: string;
  refreshToken?: string;
  expiresInSeconds?: number;
}

/** Makes the grant of a used code. */
export function openGrant(mount: Mount, code: Code, mode: 'live' | 'test'): Grant {
  const grant: Grant = {
    id: hexId(24),
    clientId: code.clientId,
    accountId: code.accountId,
    userId: code.userId,
    scope: code.scope,
    mode,
    state: 'active',
    createdAt: mount.isoNow(),
  };
  mount.state.grants.set(grant.id, grant);
  mount.changed();
  return grant;
}

/** Makes an access token and, where the provider has them, a refresh token. */
export function issueTokens(mount: Mount, grant: Grant, keepRefreshToken?: string): IssuedTokens {
  const { ids, token } = mount.definition;
  const lifeSeconds = token.refresh ? mount.knobs.number('accessTokenTtlSec', 0) : undefined;
  const issued: IssuedTokens = { accessToken: ids.accessToken() };
  mount.state.addAccessToken({
    token: issued.accessToken,
    grantId: grant.id,
    expiresAtMs: lifeSeconds === undefined ? null : mount.clock.now() + lifeSeconds * 1_000,
    dead: false,
  });
  if (lifeSeconds !== undefined) {
    issued.expiresInSeconds = lifeSeconds;
    issued.refreshToken = keepRefreshToken ?? ids.refreshToken();
    if (keepRefreshToken === undefined) {
      mount.state.addRefreshToken({ token: issued.refreshToken, grantId: grant.id, replacedAtMs: null, dead: false });
    }
  }
  mount.changed();
  return issued;
}

export type RefreshOutcome =
  | { kind: 'issued'; grant: Grant; tokens: IssuedTokens }
  | { kind: 'invalid' }
  /** A replaced token came back and the whole grant was revoked for it. */
  | { kind: 'reused'; announce: () => Promise<void> };

/** Trades a refresh token for new tokens, by knob `refreshRotation`. */
export function refreshGrant(mount: Mount, presented: string, clientId: string): RefreshOutcome {
  const record = mount.state.refreshTokens.get(presented);
  const grant = record === undefined ? undefined : mount.state.grants.get(record.grantId);
  if (record === undefined || grant === undefined) return { kind: 'invalid' };
  if (grant.clientId !== clientId || grant.state !== 'active' || record.dead) return { kind: 'invalid' };

  const rotation = mount.knobs.text('refreshRotation');
  const nowMs = mount.clock.now();
  const graceMs = mount.knobs.number('graceSeconds', 0) * 1_000;
  if (record.replacedAtMs !== null) {
    if (rotation === 'family') {
      return { kind: 'reused', announce: mount.endGrant(grant, 'provider') ?? (async () => undefined) };
    }
    const inGrace = rotation === 'grace' && nowMs < record.replacedAtMs + graceMs;
    if (!inGrace) return { kind: 'invalid' };
  }
  if (rotation === 'same') return { kind: 'issued', grant, tokens: issueTokens(mount, grant, presented) };
  retireOthers(mount, grant, record, rotation === 'grace' ? nowMs + graceMs : nowMs);
  return { kind: 'issued', grant, tokens: issueTokens(mount, grant) };
}

/** The presented refresh token is replaced; access tokens live until `untilMs` at most (assumption: they die with it). */
function retireOthers(mount: Mount, grant: Grant, record: RefreshToken, untilMs: number): void {
  record.replacedAtMs ??= mount.clock.now();
  for (const token of mount.state.accessTokensOf(grant.id)) {
    if (token.dead) continue;
    if (untilMs <= mount.clock.now()) token.dead = true;
    else token.expiresAtMs = Math.min(token.expiresAtMs ?? untilMs, untilMs);
  }
}
