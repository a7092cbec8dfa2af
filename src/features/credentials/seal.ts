/** Credentials at rest: the refresh token apart from the rest, each sealed for its own column. */
import type { Vault } from '../environments/index.ts';
import type { Credential } from './model.ts';
import type { CredentialRow, SealedGrant } from './store.ts';

interface Place {
  environmentId: number;
  connectionId: number;
}

function placeOf(place: Place, column: 'sealed' | 'refresh_sealed') {
  return { environmentId: place.environmentId, table: 'credential', row: place.connectionId, column };
}

/** The part that names the grant: what a provider's event or a second connection would hold too. */
export function accessSecretOf(credential: Credential): string | undefined {
  switch (credential.type) {
    case 'OAUTH2':
      return credential.access_token;
    case 'API_KEY':
      return credential.apiKey;
    case 'BASIC':
      return `${credential.username}:${credential.password}`;
    case 'NONE':
      return undefined;
    case 'OAUTH1':
      return credential.oauth_token;
    case 'OAUTH2_CC':
    case 'JWT':
    case 'TWO_STEP':
    case 'AWS_SIGV4':
    case 'APP':
      // Empty: imported without a token, the first use brings one.
      return credential.token === '' ? undefined : credential.token;
  }
}

/** Seals a credential for its row. */
export async function sealGrant(
  vault: Vault,
  place: Place,
  credential: Credential,
  scope: string | undefined,
): Promise<SealedGrant> {
  const access = accessSecretOf(credential);
  const refresh = refreshTokenOf(credential);
  const resting =
    credential.type === 'OAUTH2'
      ? { ...credential, refresh_token: undefined, raw: withoutRefreshToken(credential.raw) }
      : credential;
  return {
    ...place,
    sealed: await vault.seal(placeOf(place, 'sealed'), JSON.stringify(resting)),
    refreshSealed: refresh === undefined ? null : await vault.seal(placeOf(place, 'refresh_sealed'), refresh),
    accessHash: access === undefined ? null : await vault.lookupHash(place.environmentId, access),
    refreshHash: refresh === undefined ? null : await vault.lookupHash(place.environmentId, refresh),
    scope: scope ?? null,
  };
}

/** Opens a stored credential. Errors: `sealed`. */
export async function openGrant(vault: Vault, row: CredentialRow): Promise<Credential> {
  const place = { environmentId: row.environment_id, connectionId: row.connection_id };
  const credential = JSON.parse(await vault.open(placeOf(place, 'sealed'), row.sealed)) as Credential;
  if (credential.type !== 'OAUTH2' || row.refresh_sealed === null) return credential;
  return { ...credential, refresh_token: await vault.open(placeOf(place, 'refresh_sealed'), row.refresh_sealed) };
}

export function refreshTokenOf(credential: Credential): string | undefined {
  const token = credential.type === 'OAUTH2' ? credential.refresh_token : undefined;
  return token === '' ? undefined : token;
}

/** Deeper than any token answer; what lies below is dropped rather than kept unread. */
const DEPTH_MAX = 32;

/** A copy without any property named like a refresh token, at any depth (wire contract B.5). */
function withoutRefreshToken(value: Record<string, unknown>): Record<string, unknown> {
  const clean = (inner: unknown, depth: number): unknown => {
    if (typeof inner !== 'object' || inner === null) return inner;
    if (depth > DEPTH_MAX) return null;
    if (Array.isArray(inner)) return inner.map((item) => clean(item, depth + 1));
    return Object.fromEntries(
      Object.entries(inner)
        .filter(([name]) => name.toLowerCase().replaceAll(/[^a-z0-9]/g, '') !== 'refreshtoken')
        .map(([name, item]) => [name, clean(item, depth + 1)]),
    );
  };
  return clean(value, 0) as Record<string, unknown>;
}
