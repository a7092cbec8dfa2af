import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ProviderSpec } from '../catalogue/_spec/index.ts';
import { catalogue } from '../catalogue/index.ts';
import { EMULATOR_NAMES, type EmulatorName, type Emulators, startEmulators } from './index.ts';

const REDIRECT = 'https://app.example/callback';
const emulated = [...catalogue.values()].filter((provider) => provider.emulator !== undefined);
let emulators: Emulators;

beforeAll(async () => {
  emulators = await startEmulators();
});
afterAll(() => emulators.close());

const fill = (template: string, values: Record<string, string>) =>
  template.replace(/\$\{(\w+)\}/g, (_hole, name: string) => values[name] ?? '');

/** The provider's address with the emulator in place of the host. */
function moved(base: string, address: string): URL {
  const { pathname, search } = new URL(address);
  return new URL(base + pathname.replace(/^\/$/, '') + search);
}

/** The headers that the catalogue entry says an API call carries. */
function apiHeaders(provider: ProviderSpec, accessToken: string): Record<string, string> {
  const { auth } = provider.api;
  if (auth.in === 'header') return { [auth.name]: fill(auth.value, { accessToken }) };
  if (auth.in !== 'basic') return {};
  const pair = `${fill(auth.username, { accessToken })}:${fill(auth.password, { accessToken })}`;
  return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` };
}

describe('catalogue and emulators', () => {
  it('have the same providers', () => {
    expect(emulated.map((provider) => provider.emulator).toSorted()).toEqual(EMULATOR_NAMES.toSorted());
  });

  it.each(emulated.map((provider) => [provider.name, provider] as const))(
    '%s: the addresses, parameters and authorization of the entry lead through a whole connection',
    async (_name, provider) => {
      const { oauth2, api, disconnect, account } = provider;
      if (oauth2 === undefined) throw new Error('Only OAuth 2 providers are emulated.');
      const emulator = emulators.get(provider.emulator as EmulatorName);
      const app = emulator.registerApp({ name: 'Shiftly', redirectUri: REDIRECT });
      const scope = oauth2.scopes?.default?.[0] ?? '';
      const standard: Record<string, string> = {
        client_id: app.clientId,
        response_type: 'code',
        redirect_uri: REDIRECT,
        scope,
        state: 's1',
      };

      const authorize = moved(emulator.url, fill(oauth2.authorize.url, { clientId: app.clientId }));
      for (const [name, value] of Object.entries(standard)) {
        if (oauth2.authorize.params?.[name] !== null) authorize.searchParams.set(name, value);
      }
      expect((await fetch(authorize)).status).toBe(200);
      const back = new URL(emulator.consent(authorize.href));
      expect(back.searchParams.get('state')).toBe('s1');

      const fields: Record<string, string> = {
        client_id: app.clientId,
        client_secret: app.liveSecret,
        code: back.searchParams.get(oauth2.callback.code ?? 'code') ?? '',
        grant_type: 'authorization_code',
        redirect_uri: REDIRECT,
        ...(oauth2.token.sendScope === true ? { scope } : {}),
      };
      for (const name of oauth2.token.omit ?? []) delete fields[name];
      const asJson = oauth2.token.body === 'json';
      const reply = await fetch(moved(emulator.url, oauth2.token.url), {
        method: 'POST',
        headers: { 'content-type': asJson ? 'application/json' : 'application/x-www-form-urlencoded' },
        body: asJson ? JSON.stringify(fields) : new URLSearchParams(fields).toString(),
      });
      expect(reply.status).toBe(200);
      const token = (await reply.json()) as Record<string, string>;
      for (const path of Object.values(oauth2.response?.metadata ?? {})) expect(token[path]).toMatch(/^[0-9a-f]+$/);
      if (account !== undefined) expect(token[account.idFrom]).toBe(emulator.accounts()[0]?.id);
      expect(token.refresh_token !== undefined).toBe(oauth2.refresh !== undefined);

      const headers = apiHeaders(provider, token.access_token ?? '');
      const check = moved(emulator.url, api.baseUrl + (api.verification?.path ?? ''));
      const method = api.verification?.method ?? 'GET';
      expect((await fetch(check, { method, headers })).status).toBe(200);

      if (disconnect.kind === 'call') {
        const gone = await fetch(moved(emulator.url, disconnect.url), { method: disconnect.method, headers });
        expect([gone.status, await gone.json()]).toEqual([200, { access_token: token.access_token }]);
      } else {
        expect(disconnect.kind).toBe('unsupported');
        await emulator.revokeGrant(emulator.grants()[0]?.id ?? '');
      }
      expect((await fetch(check, { method, headers })).status).toBe(401);
    },
  );
});
