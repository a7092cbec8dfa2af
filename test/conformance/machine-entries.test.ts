/**
 * The entries of the modes without a page (`OAUTH2_CC`, `JWT`, `TWO_STEP`) through the whole server, against an emulator
 * derived from the entry. Nothing here names a provider.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { catalogue } from '../../catalogue/index.ts';
import type { ProviderSpec } from '../../catalogue/_spec/index.ts';
import { startDerived, type Derived, type DerivedHandle } from '../../emulators/derived/index.ts';
import { startTestApp, type TestApp } from '../support/app.ts';
import { sessionToken } from '../support/connect.ts';
import { endToken } from '../support/token-end.ts';
import { expectApiCall, expectAuth, pathOf, type HoleValues } from './expectations.ts';
import { apiPath, callEntry, connectionIdsOf, holeValues, params, readEntry, settingsOf } from './stage.ts';

const entries = [...catalogue.values()].filter((spec) => ['OAUTH2_CC', 'JWT', 'TWO_STEP'].includes(spec.authMode));

let derived: Derived;
let app: TestApp;

beforeAll(async () => {
  const settings = Object.fromEntries(entries.map((spec) => [spec.name, settingsOf(spec)]));
  derived = await startDerived(entries, { settings });
  app = await startTestApp({ seed: false, emulatorUrl: derived.url });
});
afterAll(async () => {
  await app?.close();
  await derived?.close();
});

const callApi = (spec: ProviderSpec, connectionId: string, values: HoleValues) =>
  callEntry(app, spec, connectionId, values);
const read = (spec: ProviderSpec, connectionId: string, query = '') => readEntry(app, spec, connectionId, query);
const connectionIds = () => connectionIdsOf(app);

const MACHINE_FORMS: Record<string, string> = { OAUTH2_CC: 'oauth2/auth', JWT: 'auth/jwt', TWO_STEP: 'auth/two-step' };

/** The ways of an entry in which a client can prove itself, that need no TLS; one without a name elsewhere. */
function waysOf(spec: ProviderSpec): { name: string; settings: Record<string, string> }[] {
  const given = settingsOf(spec);
  const ways = Object.entries(spec.clientCredentials?.choices ?? {}).flatMap(([field, options]) =>
    Object.keys(options)
      .filter((option) => options[option]?.clientAuth !== 'tls')
      .map((option): [string, string] => [field, option]),
  );
  if (ways.length === 0) return [{ name: spec.name, settings: given }];
  return ways.map(([field, option]) => {
    // An algorithm matters to the way that signs.
    const signs = spec.clientCredentials?.choices?.[field]?.[option]?.algorithm !== undefined;
    const settings = { ...given, ...(signs && { token_auth: 'private_key_jwt' }), [field]: option };
    return { name: `${spec.name}, ${field} ${option}`, settings };
  });
}

const machineWays = entries.flatMap((spec) => waysOf(spec).map((way) => ({ spec, ...way })));

describe.each(machineWays.map((way) => [way.name, way] as const))('%s', (_, { spec, settings }) => {
  let handle: DerivedHandle;
  const asksServer = spec.authMode !== 'JWT';
  const values = (): HoleValues => ({
    ...holeValues(spec),
    ...Object.fromEntries(Object.entries(settings).map(([name, value]) => [`integrationConfig.${name}`, value])),
  });

  beforeAll(async () => {
    handle = derived.change(spec.name, settings);
    await app.api('DELETE', `/integrations/${spec.name}`); // of an earlier way
    const config = Object.keys(settings).length > 0 ? { integration_config: settings } : {};
    const body = { provider: spec.name, unique_key: spec.name, custom: { emulated: 'true' }, ...config };
    const answer = await app.api('POST', '/integrations', body);
    expect([answer.status, answer.text]).toEqual([200, answer.text]);
  });

  async function submit(form: Record<string, string>) {
    const query = new URLSearchParams({ connect_session_token: await sessionToken(app, spec.name), ...params(spec) });
    const before = handle.seen().length;
    const response = await fetch(`${app.url}/${MACHINE_FORMS[spec.authMode]}/${spec.name}?${query}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ type: spec.authMode, ...form }),
    });
    const body = (await response.json()) as Record<string, unknown>;
    return { status: response.status, body, seen: handle.seen().slice(before) };
  }

  async function connected() {
    const answer = await submit(handle.customer());
    expect([answer.status, answer.body]).toEqual([200, answer.body]);
    const connectionId = String(answer.body['connectionId']);
    const { body } = await read(spec, connectionId);
    return { ...answer, connectionId, token: body.credentials.token as string };
  }

  function expectCalled(token: string): void {
    const last = handle.seen().at(-1);
    expect([last?.path, last?.status]).toEqual([apiPath(spec, values()), 200]);
    if (last !== undefined) expectApiCall(spec, last, { accessToken: token }, values());
  }

  it('connects, calls, and gets its next token', async () => {
    const { connectionId, token, seen } = await connected();
    const verified = spec.api.verification === undefined ? 0 : 1;
    expect(seen.map(({ status }) => status)).toEqual(
      Array.from({ length: verified + (asksServer ? 1 : 0) }, () => 200),
    );
    const called = await callApi(spec, connectionId, values());
    expect([called.status, called.text]).toEqual([200, called.text]);
    expectCalled(token);

    const before = handle.tokenRequestCount();
    if (!asksServer) return; // a token made here is no other within the same second
    const { body } = await read(spec, connectionId, '&force_refresh=true');
    expect(handle.tokenRequestCount()).toBe(before + 1);
    expect(body.credentials.token).not.toBe(token);
    expect((await callApi(spec, connectionId, values())).status).toBe(200);
    expectCalled(body.credentials.token as string);
  });

  it('stores nothing of a form that the provider refuses', async () => {
    const right = handle.customer();
    const before = (await connectionIds()).length;
    for (const [name, field] of Object.entries(spec.credentials ?? {})) {
      const value = right[name];
      // A key that is not used by this way proves nothing; PEM that is changed is no key.
      if (value === undefined || field.kind === 'enum' || value.includes('BEGIN')) continue;
      const isUsed = name !== 'client_secret' || !['private_key_jwt'].includes(settings['token_auth'] ?? '');
      if (!isUsed) continue;
      const wrong = `${value.slice(0, -1)}${value.endsWith('0') ? '1' : '0'}`;
      const answer = await submit({ ...right, [name]: wrong });
      expect([name, answer.status]).toEqual([name, 400]);
      expect(answer.seen.at(-1)?.status).toBe(401);
    }
    expect((await connectionIds()).length).toBe(before);
  });

  it('is cured when the provider ends its token', async () => {
    if (!asksServer) return;
    const { connectionId, token } = await connected();
    await endToken(app, connectionId, 3_600_000); // an old one: a fresh one gets the benefit of the doubt
    await handle.revokeGrant(handle.grants().at(-1)?.id ?? '');
    expect((await callApi(spec, connectionId, values())).status).toBe(200);
    const { body } = await read(spec, connectionId);
    expect(body.credentials.token).not.toBe(token);
    expectCalled(body.credentials.token as string);
  });

  it('lets go as the file says', async () => {
    const { connectionId, token } = await connected();
    const before = handle.seen().length;
    const deleted = await app.api('DELETE', `/connections/${connectionId}?provider_config_key=${spec.name}`);
    const { disconnect } = spec;
    const outcome = disconnect.kind === 'unsupported' ? 'unsupported' : 'revoked';
    expect(deleted.body).toMatchObject({ success: true, outcome });
    const seen = handle.seen().slice(before);
    expect(seen.map(({ status }) => status)).toEqual(disconnect.kind === 'call' ? [200] : []);
    const [call] = seen;
    if (disconnect.kind === 'call' && call !== undefined) {
      expect([call.method, call.path]).toEqual([disconnect.method, pathOf(disconnect.url, values())]);
      expectAuth(disconnect.auth ?? spec.api.auth, call, { ...values(), accessToken: token });
      expect(handle.grants().at(-1)?.state).toBe('revoked');
    }
    expect((await read(spec, connectionId)).status).toBe(404);
  });
});
