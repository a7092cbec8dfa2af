/** The providers of the chaos tests: four rotation habits of the scripted one, and an independent, certified server. */
import { createHash } from 'node:crypto';
import { randomSecret } from '../../src/base/ids.ts';
import { startOidc } from '../support/oidc.ts';
import { startTokenServer, TOKEN_SERVER_CLIENT, type RotationHabit, type Tokens } from '../support/token-server.ts';

export type Kind = 'same' | 'grace' | 'strict' | 'family' | 'oidc';
export const KINDS: readonly Kind[] = ['same', 'grace', 'strict', 'family', 'oidc'];
/** Kinds that can lose a connection, when an answer reaches no disk. */
export const STRICT_KINDS: readonly Kind[] = ['strict', 'family', 'oidc'];

/** How the integration's developer declares them. */
export const ROTATION: Record<Kind, string> = {
  same: 'none',
  grace: 'overlap',
  strict: 'strict',
  family: 'unknown',
  oidc: 'strict',
};

const HABIT: Record<Exclude<Kind, 'oidc'>, RotationHabit> = {
  same: 'same',
  grace: 'grace',
  strict: 'rotate',
  family: 'family',
};

export interface ChaosProvider {
  kind: Kind;
  tokenUrl: string;
  revokeUrl: string;
  client: { clientId: string; clientSecret: string };
  /** As if a customer had said yes. */
  grant(): Promise<Tokens>;
  /** The provider honours this access token. */
  isAlive(accessToken: string): Promise<boolean>;
  /** This is the refresh token to use: not an older one that is only forgiven. */
  isCurrent(refreshToken: string): Promise<boolean>;
  /** Makes older tokens unforgivable from now on. */
  endGrace(): void;
  close(): Promise<void>;
}

export async function startProvider(kind: Kind): Promise<ChaosProvider> {
  return kind === 'oidc' ? startIndependent() : startScripted(kind);
}

async function startScripted(kind: Exclude<Kind, 'oidc'>): Promise<ChaosProvider> {
  const server = await startTokenServer({ habit: HABIT[kind], graceMs: 600_000 });
  return {
    kind,
    tokenUrl: server.tokenUrl,
    revokeUrl: server.revokeUrl,
    client: TOKEN_SERVER_CLIENT,
    grant: async () => server.grant(),
    isAlive: async (token) => server.isAlive(token),
    isCurrent: async (token) => server.isCurrent(token),
    endGrace() {
      server.graceMs = -1;
    },
    close: () => server.close(),
  };
}

/** Nobody listens there: the code is read from the redirect. */
const REDIRECT_URI = 'http://localhost:9/callback';

async function startIndependent(): Promise<ChaosProvider> {
  const oidc = await startOidc({ redirectUris: [REDIRECT_URI], rotate: true });
  const { issuer, clientId, clientSecret } = oidc;
  const { token_endpoint: tokenUrl, revocation_endpoint: revokeUrl } = (await (
    await fetch(`${issuer}/.well-known/openid-configuration`)
  ).json()) as { token_endpoint: string; revocation_endpoint: string };
  return {
    kind: 'oidc',
    tokenUrl,
    revokeUrl,
    client: { clientId, clientSecret },
    async grant() {
      const verifier = randomSecret();
      const url = new URL(`${issuer}/auth`);
      url.search = new URLSearchParams({
        client_id: clientId,
        response_type: 'code',
        redirect_uri: REDIRECT_URI,
        scope: 'openid offline_access',
        prompt: 'consent',
        code_challenge: createHash('sha256').update(verifier).digest('base64url'),
        code_challenge_method: 'S256',
      }).toString();
      const back = await oidc.consent(url);
      const answer = await fetch(tokenUrl, {
        method: 'POST',
        body: new URLSearchParams({
          grant_type: 'authorization_code',
          code: back.searchParams.get('code') ?? '',
          redirect_uri: REDIRECT_URI,
          code_verifier: verifier,
          client_id: clientId,
          client_secret: clientSecret,
        }),
      });
      const tokens = (await answer.json()) as Tokens & { error?: string };
      if (tokens.error !== undefined) throw new Error(`the test server gives no tokens: ${tokens.error}`);
      return { access_token: tokens.access_token, refresh_token: tokens.refresh_token };
    },
    isAlive: (token) => oidc.isActive(token),
    isCurrent: (token) => oidc.isActive(token),
    endGrace() {
      // It never has one.
    },
    close: () => oidc.close(),
  };
}
