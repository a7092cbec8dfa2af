/** Connect, call, refresh and disconnect at protocol level against the emulator of each entry that has one. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { catalogue } from '../../catalogue/index.ts';
import type { ProviderSpec } from '../../catalogue/_spec/index.ts';
import {
  EMULATOR_NAMES,
  startEmulators,
  type App,
  type EmulatorHandle,
  type EmulatorName,
  type Emulators,
} from '../../emulators/index.ts';
import { apiRequest, type ApiCredential } from '../../src/protocols/api-auth.ts';
import {
  authorizeUrl,
  codeRequest,
  readCallback,
  readTokenAnswer,
  refreshRequest,
  type HttpAnswer,
  type OAuth2Input,
  type TokenAnswer,
} from '../../src/protocols/oauth2/index.ts';

const REDIRECT = 'https://app.example/oauth/callback';
const NOW = Date.parse('2026-11-21T12:00:00Z');

const emulated = [...catalogue.values()].filter((spec) => spec.emulator !== undefined && spec.oauth2 !== undefined);

let emulators: Emulators;
beforeAll(async () => {
  emulators = await startEmulators();
});
afterAll(() => emulators.close());

describe.each(emulated.map((spec) => [spec.name, spec] as const))('%s against its emulator', (_, spec) => {
  let handle: EmulatorHandle;
  let app: App;
  let input: OAuth2Input;

  beforeAll(() => {
    handle = emulators.get(spec.emulator as EmulatorName);
    app = handle.registerApp({ name: 'Conformance', redirectUri: REDIRECT });
    input = {
      provider: spec,
      oauth2: spec.oauth2 as NonNullable<ProviderSpec['oauth2']>,
      client: { clientId: app.clientId, clientSecret: app.liveSecret },
      connectionConfig: {},
      integrationConfig: {},
    };
  });

  it('has an emulator of that name', () => {
    expect(EMULATOR_NAMES).toContain(spec.emulator);
  });

  it('connects, calls, and lets go', async () => {
    const token = good(await exchange(authorizePage()));
    for (const key of Object.keys(spec.oauth2?.response?.metadata ?? {})) {
      expect(handle.accounts().map(({ id }) => id)).toContain(token.metadata[key]);
    }
    expect(await verify(token.accessToken)).toBe(200);
    expect(await verify('not-a-token')).toBe(401);

    const { disconnect } = spec;
    if (disconnect.kind !== 'call') return;
    const { status } = await send({
      method: disconnect.method,
      ...apiCall(token.accessToken, new URL(disconnect.url).pathname),
    });
    expect(status).toBe(200);
    expect(await verify(token.accessToken)).toBe(401);
  });

  it('tells a denial from a code', () => {
    const back = readBack(handle.consent(authorizePage().href, { decision: 'deny' }));
    expect(back).toMatchObject({ kind: 'refused', error: 'access_denied' });
  });

  it('uses a code once, and only with the right secret', async () => {
    const page = handle.consent(authorizePage().href);
    const wrong = await exchangeBack(page, { ...input.client, clientSecret: '0'.repeat(40) });
    expect(wrong).toMatchObject({ ok: false });
    const next = handle.consent(authorizePage().href);
    good(await exchangeBack(next));
    expect(await exchangeBack(next)).toMatchObject({ ok: false, kind: 'invalid_grant' });
  });

  it('refreshes when the file has a refresh', async () => {
    if (spec.oauth2?.refresh === undefined) return;
    const first = good(await exchange(authorizePage()));
    expect(first.expiresAtMs).toBeGreaterThan(NOW);
    const renew = (refreshToken: string) => send(refreshRequest({ ...input, refreshToken })).then(readAnswer);
    const second = good(await renew(first.refreshToken ?? ''));
    expect(await verify(second.accessToken)).toBe(200);
    expect(await renew('0'.repeat(30))).toMatchObject({ ok: false, kind: 'invalid_grant' });
  });

  it.each([
    'rate-limited',
    'server-error',
    'bad-gateway-html',
    'html',
    'ok-with-error',
    'empty',
    'login-redirect',
  ] as const)('classifies the fault %s at the token endpoint', async (name) => {
    const back = handle.consent(authorizePage().href);
    handle.setFault({ name, on: 'token' });
    const answer = await exchangeBack(back);
    handle.clearFaults();
    const kinds = {
      'rate-limited': ['rate_limited'],
      'server-error': ['provider_down'],
      'bad-gateway-html': ['provider_down'],
      html: ['malformed'],
      'ok-with-error': ['refused', 'invalid_grant', 'provider_down'],
      empty: ['malformed'],
      'login-redirect': ['malformed'],
    };
    expect(answer.ok).toBe(false);
    if (!answer.ok) expect(kinds[name]).toContain(answer.kind);
  });

  function authorizePage(): URL {
    const scopes = spec.oauth2?.scopes?.default ?? [];
    return authorizeUrl({ ...input, redirectUri: REDIRECT, scopes, state: 'state-1', codeChallenge: 'unused' });
  }

  function exchange(page: URL): Promise<TokenAnswer> {
    return exchangeBack(handle.consent(page.href));
  }

  async function exchangeBack(location: string, client = input.client): Promise<TokenAnswer> {
    const back = readBack(location);
    if (back.kind !== 'code') throw new Error(`no code: ${JSON.stringify(back)}`);
    const scope = spec.oauth2?.scopes?.default?.join(' ');
    return readAnswer(
      await send(
        codeRequest({
          ...input,
          client,
          code: back.code,
          redirectUri: REDIRECT,
          ...(scope === undefined ? {} : { scope }),
        }),
      ),
    );
  }

  function readBack(location: string) {
    const back = readCallback(input.oauth2, new URL(location).searchParams);
    expect(back.state).toBe('state-1');
    return back;
  }

  function readAnswer(answer: HttpAnswer): TokenAnswer {
    return readTokenAnswer(input.oauth2, answer, NOW, [input.client.clientSecret]);
  }

  function apiCall(accessToken: string, path: string) {
    const credential: ApiCredential = { type: 'OAUTH2', access_token: accessToken };
    return apiRequest({ ...input, credential, path });
  }

  async function verify(accessToken: string): Promise<number> {
    const { method, path } = spec.api.verification as NonNullable<ProviderSpec['api']['verification']>;
    return (await send({ method, ...apiCall(accessToken, path) })).status;
  }

  /** Sends to the emulator what was meant for the provider. */
  async function send(request: {
    method: string;
    url: URL;
    headers: Record<string, string>;
    body?: string;
  }): Promise<HttpAnswer> {
    const url = `${handle.url}${request.url.pathname}${request.url.search}`;
    const response = await fetch(url, {
      method: request.method,
      headers: { 'user-agent': 'conformance', ...request.headers },
      redirect: 'manual',
      ...(request.body === undefined ? {} : { body: request.body }),
    });
    return {
      status: response.status,
      headers: Object.fromEntries(response.headers),
      body: Buffer.from(await response.arrayBuffer()),
    };
  }
});

function good(answer: TokenAnswer): Extract<TokenAnswer, { ok: true }> {
  if (!answer.ok) throw new Error(`${answer.kind} ${answer.status} ${answer.error ?? ''} ${answer.description ?? ''}`);
  return answer;
}
