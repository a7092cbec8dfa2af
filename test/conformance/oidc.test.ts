/** Our requests and readers against an independent server: PKCE, `iss`, discovery, rotation, revocation. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { catalogue } from '../../catalogue/index.ts';
import type { ProviderSpec } from '../../catalogue/_spec/index.ts';
import {
  authorizeUrl,
  chosenOAuth2,
  codeRequest,
  discoveryUrls,
  issuerProblem,
  issuerToRead,
  newPkce,
  readCallback,
  readDiscovery,
  readTokenAnswer,
  refreshRequest,
  revocationRequest,
  withDiscovery,
  type HttpAnswer,
  type HttpRequest,
  type OAuth2Input,
  type TokenAnswer,
} from '../../src/protocols/oauth2/index.ts';
import { startOidc, type Oidc, type OidcOptions } from '../support/oidc.ts';

const REDIRECT = 'http://127.0.0.1:9/oauth/callback';
const NOW = Date.parse('2026-11-21T12:00:00Z');
const GENERIC = catalogue.get('oauth2-generic') as ProviderSpec;

let oidc: Oidc;

async function start(options: Partial<OidcOptions> = {}, settings: Record<string, string> = {}): Promise<OAuth2Input> {
  oidc = await startOidc({ redirectUris: [REDIRECT], ...options });
  const base = {
    provider: GENERIC,
    connectionConfig: {},
    integrationConfig: { issuer: oidc.issuer, ...settings },
    client: { clientId: oidc.clientId, clientSecret: oidc.clientSecret },
  };
  const chosen = chosenOAuth2(base);
  if (chosen === undefined) throw new Error('no OAuth 2');
  expect(issuerToRead(chosen, base)).toBe(oidc.issuer);
  const [openid] = discoveryUrls(oidc.issuer);
  const answer = await send({ method: 'GET', url: openid as URL, headers: {} });
  return { ...base, oauth2: withDiscovery(chosen, readDiscovery(oidc.issuer, answer.body), base) };
}

async function send(request: HttpRequest): Promise<HttpAnswer> {
  const response = await fetch(request.url, {
    method: request.method,
    headers: request.headers,
    redirect: 'manual',
    ...(request.body === undefined ? {} : { body: request.body }),
  });
  return {
    status: response.status,
    headers: Object.fromEntries(response.headers),
    body: Buffer.from(await response.arrayBuffer()),
  };
}

async function ask(input: OAuth2Input, request: HttpRequest): Promise<TokenAnswer> {
  return readTokenAnswer(input.oauth2, await send(request), NOW);
}

const pkce = newPkce();

async function getCode(input: OAuth2Input, scopes = ['openid', 'read']): Promise<string> {
  const page = authorizeUrl({
    ...input,
    redirectUri: REDIRECT,
    scopes,
    state: 'state-1',
    codeChallenge: pkce.challenge,
  });
  const back = readCallback(input.oauth2, (await oidc.consent(page)).searchParams);
  if (back.kind !== 'code') throw new Error(JSON.stringify(back));
  expect(back.state).toBe('state-1');
  expect(issuerProblem(input.oauth2, back.iss)).toBeUndefined();
  return back.code;
}

async function connect(input: OAuth2Input): Promise<Extract<TokenAnswer, { ok: true }>> {
  const code = await getCode(input);
  const answer = await ask(input, codeRequest({ ...input, code, redirectUri: REDIRECT, codeVerifier: pkce.verifier }));
  if (!answer.ok) throw new Error(`${answer.kind}: ${answer.description ?? ''}`);
  return answer;
}

afterEach(() => oidc.close());

describe('the generic entry against an independent server', () => {
  let input: OAuth2Input;
  beforeEach(async () => {
    input = await start();
  });

  it('learns the URLs and demands iss', () => {
    expect(input.oauth2.authorize.url).toBe(`${oidc.issuer}/auth`);
    expect(input.oauth2.token.url).toBe(`${oidc.issuer}/token`);
    expect(input.oauth2.issRequired).toBe(true);
    expect(issuerProblem(input.oauth2, undefined)).toBeDefined();
    expect(issuerProblem(input.oauth2, 'https://evil.example')).toBeDefined();
  });

  it('connects', async () => {
    const token = await connect(input);
    expect(token).toMatchObject({ scope: 'openid read', expiresAtMs: NOW + 3_600_000 });
    expect(token.refreshToken).toEqual(expect.any(String));
    expect(await oidc.isActive(token.accessToken)).toBe(true);
    expect(oidc.tokenRequests()).toEqual([{ grantType: 'authorization_code', status: 200 }]);
  });

  it('abuse 4: is refused without a challenge, with a wrong verifier and with a foreign redirect', async () => {
    const bare = authorizeUrl({ ...input, redirectUri: REDIRECT, scopes: ['read'], state: 'state-1' });
    const back = readCallback(input.oauth2, (await oidc.consent(bare)).searchParams);
    expect(back).toMatchObject({ kind: 'refused', error: 'invalid_request', state: 'state-1' });

    const code = await getCode(input);
    const wrong = codeRequest({ ...input, code, redirectUri: REDIRECT, codeVerifier: newPkce().verifier });
    expect(await ask(input, wrong)).toMatchObject({ ok: false, kind: 'invalid_grant', status: 400 });

    const other = codeRequest({
      ...input,
      code: await getCode(input),
      redirectUri: `${REDIRECT}/x`,
      codeVerifier: pkce.verifier,
    });
    expect(await ask(input, other)).toMatchObject({ ok: false, kind: 'invalid_grant' });
  });

  it('reads a denial', async () => {
    const page = authorizeUrl({
      ...input,
      redirectUri: REDIRECT,
      scopes: ['read'],
      state: 's',
      codeChallenge: pkce.challenge,
    });
    const back = readCallback(input.oauth2, (await oidc.consent(page, { decision: 'deny' })).searchParams);
    expect(back).toEqual({
      kind: 'refused',
      error: 'access_denied',
      description: 'The customer said no',
      state: 's',
      iss: oidc.issuer,
      metadata: {},
    });
  });

  it('abuse 6: may use a code once; a replay ends the grant', async () => {
    const code = await getCode(input);
    const request = codeRequest({ ...input, code, redirectUri: REDIRECT, codeVerifier: pkce.verifier });
    const first = await ask(input, request);
    if (!first.ok) throw new Error(first.kind);
    expect(await ask(input, request)).toMatchObject({ ok: false, kind: 'invalid_grant' });
    expect(await oidc.isActive(first.accessToken)).toBe(false);
  });

  it('rotates; using an old refresh token ends the family', async () => {
    const first = await connect(input);
    const refresh = (refreshToken: string | undefined) =>
      ask(input, refreshRequest({ ...input, refreshToken: refreshToken ?? '' }));
    const second = await refresh(first.refreshToken);
    if (!second.ok) throw new Error(second.kind);
    expect(second.refreshToken).not.toBe(first.refreshToken);
    expect(await refresh(first.refreshToken)).toMatchObject({ ok: false, kind: 'invalid_grant' });
    expect(await refresh(second.refreshToken)).toMatchObject({ ok: false, kind: 'invalid_grant' });
    expect(oidc.tokenRequests().map(({ status }) => status)).toEqual([200, 200, 400, 400]);
  });

  it('revokes', async () => {
    const token = await connect(input);
    const { revocationUrl } = readDiscovery(
      oidc.issuer,
      (await send({ method: 'GET', url: discoveryUrls(oidc.issuer)[0] as URL, headers: {} })).body,
    );
    const request = revocationRequest({
      url: new URL(revocationUrl ?? ''),
      client: input.client,
      token: token.refreshToken ?? '',
      hint: 'refresh_token',
      clientAuth: 'body',
    });
    expect((await send(request)).status).toBe(200);
    expect(await oidc.isActive(token.refreshToken ?? '')).toBe(false);
    expect(await oidc.isActive(token.accessToken)).toBe(false);
    expect((await send(request)).status).toBe(200);
  });

  it('tells a wrong secret as a fault of the integration', async () => {
    const wrong = { ...input, client: { ...input.client, clientSecret: 'nope' } };
    const request = codeRequest({
      ...wrong,
      code: await getCode(input),
      redirectUri: REDIRECT,
      codeVerifier: pkce.verifier,
    });
    expect(await ask(input, request)).toMatchObject({ ok: false, kind: 'invalid_client', status: 401 });
  });
});

describe('choices of the generic entry', () => {
  it('authenticates by Basic, with characters that need encoding', async () => {
    const input = await start(
      { clientAuth: 'basic', clientId: 'id with:odd+chars', clientSecret: 's%e&c=r/e t+~'.repeat(3) },
      { token_auth: 'basic' },
    );
    const token = await connect(input);
    const answer = await ask(input, refreshRequest({ ...input, refreshToken: token.refreshToken ?? '' }));
    expect(answer.ok).toBe(true);
  });

  it('works as a public client', async () => {
    const input = await start({ clientAuth: 'none' }, { token_auth: 'none' });
    expect((await connect(input)).accessToken).toEqual(expect.any(String));
  });

  it('works without PKCE and without rotation', async () => {
    const input = await start({ pkceRequired: false, rotate: false }, { pkce: 'off', rotation: 'none' });
    const page = authorizeUrl({
      ...input,
      redirectUri: REDIRECT,
      scopes: ['read'],
      state: 's',
      codeChallenge: pkce.challenge,
    });
    expect(page.searchParams.has('code_challenge')).toBe(false);
    const token = await connect(input);
    for (let round = 0; round < 2; round++) {
      const answer = await ask(input, refreshRequest({ ...input, refreshToken: token.refreshToken ?? '' }));
      expect(answer).toMatchObject({ ok: true, refreshToken: token.refreshToken });
    }
  });

  it('reports an access token’s life as the server gives it', async () => {
    const input = await start({ ttl: { accessTokenSeconds: 7 } });
    expect((await connect(input)).expiresAtMs).toBe(NOW + 7000);
  });
});
