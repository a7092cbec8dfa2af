/**
 * Every entry of the catalogue through the whole server, against an emulator derived from the entry: what the file
 * declares is what must be seen on the wire. Nothing here names a provider.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { catalogue } from '../../catalogue/index.ts';
import type { OAuth2Spec, ProviderSpec } from '../../catalogue/_spec/index.ts';
import {
  FOREIGN_ORIGIN_KNOB,
  startDerived,
  TOKEN_PLACE_KNOB,
  type Derived,
  type DerivedHandle,
} from '../../emulators/derived/index.ts';
import { startTestApp, type TestApp } from '../support/app.ts';
import { beginFlow, sessionToken } from '../support/connect.ts';
import {
  expectApiCall,
  expectAuth,
  expectAuthorize,
  expectDisconnect,
  expectTokenRequest,
  pathOf,
  type HoleValues,
} from './expectations.ts';
import { sampleInput } from './sample.ts';
import { apiPath, callEntry, connectionIdsOf, holeValues, params, readEntry, settingsOf } from './stage.ts';

const entries = [...catalogue.values()];
const oauthEntries = entries.filter((spec) => spec.authMode === 'OAUTH2');
const keyEntries = entries.filter((spec) => ['API_KEY', 'BASIC', 'NONE'].includes(spec.authMode));
const played = [...oauthEntries, ...keyEntries];

let derived: Derived;
let app: TestApp;

beforeAll(async () => {
  const settings = Object.fromEntries(played.map((spec) => [spec.name, settingsOf(spec)]));
  derived = await startDerived(played, { settings });
  app = await startTestApp({ seed: false, emulatorUrl: derived.url });
});
afterAll(async () => {
  await app?.close();
  await derived?.close();
});

async function setUp(spec: ProviderSpec, client?: { id: string; secret: string }): Promise<void> {
  const config = settingsOf(spec);
  const answer = await app.api('POST', '/integrations', {
    provider: spec.name,
    unique_key: spec.name,
    ...(client && { credentials: { type: 'OAUTH2', client_id: client.id, client_secret: client.secret } }),
    ...(Object.keys(config).length > 0 && { integration_config: config }),
    custom: { emulated: 'true' },
  });
  expect([answer.status, answer.text]).toEqual([200, answer.text]);
}

const callApi = (spec: ProviderSpec, connectionId: string, values: HoleValues) =>
  callEntry(app, spec, connectionId, values);
const read = (spec: ProviderSpec, connectionId: string, query = '') => readEntry(app, spec, connectionId, query);
const connectionIds = () => connectionIdsOf(app);

describe.each(oauthEntries.map((spec) => [spec.name, spec] as const))('%s', (_, spec) => {
  let handle: DerivedHandle;
  let client: { id: string; secret: string };
  let redirectUri: string;
  const oauth2: OAuth2Spec = sampleInput(spec).oauth2;
  const scope = (oauth2.scopes?.default ?? []).join(' ');
  /** Keys that the token answer and the call after it bring. */
  const toldBesideToken = [oauth2.response?.metadata, oauth2.afterConnect?.metadata].flatMap((table) =>
    Object.keys(table ?? {}),
  );
  const endsAll = 'ends' in spec.disconnect && spec.disconnect.ends === 'account';

  beforeAll(async () => {
    handle = derived.get(spec.name);
    redirectUri = `${app.url}/oauth/callback`;
    const { clientId, liveSecret } = handle.registerApp({ name: 'Conformance', redirectUri });
    client = { id: clientId, secret: liveSecret };
    await setUp(spec, client);
  });

  /** Asks for consent and brings the answer back. */
  async function connect(decision: 'allow' | 'deny' = 'allow', forge?: (back: URL) => void) {
    const flow = await beginFlow(app.url, spec.name, await sessionToken(app, spec.name), params(spec));
    const back = new URL(handle.consent(flow.location, { decision }));
    forge?.(back);
    const before = handle.seen().length;
    const response = await fetch(back, { redirect: 'manual', headers: { cookie: flow.cookie } });
    const page = await response.text();
    return { asked: new URL(flow.location), back, status: response.status, page, seen: handle.seen().slice(before) };
  }

  async function connected() {
    const result = await connect();
    expect([result.status, result.page]).toEqual([200, result.page]);
    const connectionId = /"connectionId":"([0-9a-f-]{36})"/.exec(result.page.replaceAll('&#34;', '"'))?.[1] ?? '';
    expect(connectionId).toMatch(/./);
    const { body } = await read(spec, connectionId);
    expect(body.state).toBe('active');
    return { ...result, connectionId, body, values: holeValues(spec, body.connection_config) };
  }

  it('connects, calls and refreshes as the file says', async () => {
    const { asked, back, seen, body, values, connectionId } = await connected();
    const typed = holeValues(spec);
    expectAuthorize(oauth2, asked, spec.emulator ?? spec.name, { values: typed, clientId: client.id, redirectUri });
    const code = back.searchParams.get(oauth2.callback.code ?? 'code') ?? '';
    expect(code).not.toBe('');
    expect(back.searchParams.get(oauth2.callback.state ?? 'state')).not.toBeNull();
    const [exchange, ...later] = seen.filter(({ path }) => path !== spec.account?.readiness?.path);
    const [second] = later;
    if (exchange !== undefined) {
      expectTokenRequest(oauth2, exchange, { values, client, grant: { code, redirectUri, scope } });
    }
    expect(later).toHaveLength(oauth2.afterConnect === undefined ? 0 : 1);
    if (oauth2.afterConnect !== undefined && second !== undefined) {
      expect([second.method, second.path, second.status]).toEqual([
        'GET',
        pathOf(oauth2.afterConnect.url, values),
        200,
      ]);
      // Asked before anything was learned.
      expectAuth(spec.api.auth, second, { ...typed, accessToken: body.credentials.access_token });
    }
    // What the provider tells of the account, in the redirect and in the answer.
    for (const key of oauth2.callback.metadata ?? []) {
      expect(body.connection_config[key]).toBe(back.searchParams.get(key));
    }
    for (const key of toldBesideToken) {
      expect(body.connection_config[key]).toEqual(expect.stringMatching(/./));
      const { hosts } = spec.connectionConfig?.[key] ?? {};
      if (hosts !== undefined) expect(new URL(body.connection_config[key]).protocol).toBe('https:');
    }
    if (spec.account !== undefined) expect(body.connection_config[spec.account.idFrom]).toBe(handle.accounts()[0]?.id);
    const tellsEnd = oauth2.refresh !== undefined && oauth2.response?.expiry?.kind !== 'none';
    expect(typeof body.credentials.expires_at).toBe(tellsEnd ? 'string' : 'undefined');
    expect(typeof body.credentials.refresh_token).toBe(oauth2.refresh === undefined ? 'undefined' : 'string');

    await expectCall(connectionId, values, body.credentials.access_token as string);
    await expectRefresh(connectionId, values, body.credentials);
  });

  async function expectCall(connectionId: string, values: HoleValues, accessToken: string): Promise<void> {
    const answer = await callApi(spec, connectionId, values);
    expect([answer.status, answer.text]).toEqual([200, answer.text]);
    const last = handle.seen().at(-1);
    expect(last?.path).toBe(apiPath(spec, values));
    if (last !== undefined) expectApiCall(spec, last, { accessToken }, values);
  }

  async function expectRefresh(
    connectionId: string,
    values: HoleValues,
    old: { access_token: string; refresh_token?: string },
  ): Promise<void> {
    const before = handle.tokenRequestCount();
    const { body } = await read(spec, connectionId, '&force_refresh=true');
    if (oauth2.refresh === undefined) {
      expect([body.credentials.access_token, handle.tokenRequestCount()]).toEqual([old.access_token, before]);
      return;
    }
    expect(handle.tokenRequestCount()).toBe(before + 1);
    const request = handle.seen().at(-1);
    if (request !== undefined) {
      const grant = { refreshToken: old.refresh_token ?? '' };
      expectTokenRequest(oauth2, request, { values, client, grant });
    }
    expect(body.credentials.access_token).not.toBe(old.access_token);
    const stays = oauth2.refresh.rotation.kind === 'none';
    expect(body.credentials.refresh_token === old.refresh_token).toBe(stays);
    await expectCall(connectionId, values, body.credentials.access_token as string);
  }

  it('tells a refusal of the customer and one of the server', async () => {
    const before = (await connectionIds()).length;
    const denied = await connect('deny');
    expect([denied.status, denied.seen]).toEqual([400, []]);
    expect(denied.page).toContain('access was refused');

    handle.setKnob('codeTtlSec', 0);
    const late = await connect();
    handle.setKnob('codeTtlSec', 600);
    // In the provider's own words and with its own status, read as what it means.
    expect(late.seen.map(({ status }) => status)).toEqual([oauth2.response?.errorStatus ?? 400]);
    expect([late.status, late.page]).toEqual([400, expect.stringContaining('it does not accept the code')]);
    expect((await connectionIds()).length).toBe(before);
  });

  it('finds the token in each of its places', async () => {
    const places = oauth2.response?.accessToken ?? ['access_token'];
    for (const place of places.keys()) {
      handle.setKnob(TOKEN_PLACE_KNOB, place);
      const { connectionId, values, body } = await connected();
      await expectCall(connectionId, values, body.credentials.access_token as string);
      expect(typeof body.credentials.refresh_token).toBe(oauth2.refresh === undefined ? 'undefined' : 'string');
    }
    handle.setKnob(TOKEN_PLACE_KNOB, 0);
  });

  it('gives a 401 through when the customer has revoked', async () => {
    const { connectionId, values } = await connected();
    await handle.revokeGrant(handle.grants().at(-1)?.id ?? '');
    const { refusal } = spec.api;
    const refused = await callApi(spec, connectionId, values);
    expect(refused.status).toBe(refusal === undefined ? 401 : 200);
    if (refusal !== undefined) expect(refused.body[refusal.code]).toBe(refusal.unauthorized[0]);
    const state = async () =>
      (await app.api('GET', `/connections?connectionId=${connectionId}`)).body.connections[0].state;
    // Without a harmless call nobody can tell a dead token from a call that is not allowed.
    if (spec.api.verification !== undefined) await expect.poll(state).toBe('needs_reauth');
  });

  it('sends nothing to an origin that the file does not list', async () => {
    const isLearned = (key: string) => spec.connectionConfig?.[key]?.hosts !== undefined;
    const before = (await connectionIds()).length;
    for (const key of (oauth2.callback.metadata ?? []).filter(isLearned)) {
      const forged = await connect('allow', (back) => back.searchParams.set(key, 'https://evil.example'));
      expect([forged.status, forged.seen]).toEqual([400, []]);
    }
    if (!toldBesideToken.some(isLearned)) return;
    handle.setKnob(FOREIGN_ORIGIN_KNOB, 'https://evil.example');
    const forged = await connect();
    handle.setKnob(FOREIGN_ORIGIN_KNOB, '');
    expect(forged.status).toBe(400);
    expect(forged.page).not.toContain('evil.example');
    expect((await connectionIds()).length).toBe(before);
  });

  it('follows an address that moved, told by a refresh, and no foreign one', async () => {
    const isLearned = (key: string) => spec.connectionConfig?.[key]?.hosts !== undefined;
    const keys = Object.keys(oauth2.response?.metadata ?? {}).filter(isLearned);
    const [key] = keys;
    if (key === undefined || oauth2.refresh === undefined) return;
    const { connectionId, body } = await connected();
    const known = body.connection_config[key] as string;
    const listed = spec.connectionConfig?.[key]?.hosts ?? [];
    const moved = `https://${(listed[0] ?? '').replace(/^\./, 'moved.')}`;
    expect(known).not.toBe(moved);
    const refreshed = async (origin: string) => {
      handle.setKnob(FOREIGN_ORIGIN_KNOB, origin);
      const before = handle.tokenRequestCount();
      const answer = await read(spec, connectionId, '&force_refresh=true');
      handle.setKnob(FOREIGN_ORIGIN_KNOB, '');
      expect([answer.status, handle.tokenRequestCount()]).toEqual([200, before + 1]);
      return answer.body;
    };
    const evil = await refreshed('https://evil.example');
    // The token is good, whatever stands beside it.
    expect(evil.credentials.access_token).not.toBe(body.credentials.access_token);
    expect(keys.map((one) => evil.connection_config[one])).toEqual(keys.map((one) => body.connection_config[one]));
    await refreshed(moved);
    expect((await read(spec, connectionId)).body.connection_config[key]).toBe(moved);
  });

  it('uses no code of a redirect whose signature is not right', async () => {
    const { signature } = oauth2.callback;
    if (signature === undefined) return;
    const before = (await connectionIds()).length;
    const forgeries: ((back: URL) => void)[] = [
      (back) => back.searchParams.delete(signature.param),
      (back) => back.searchParams.set(signature.param, 'a'.repeat(64)),
      (back) => back.searchParams.append('more', '1'),
      (back) => back.searchParams.set(oauth2.callback.code ?? 'code', 'another'),
    ];
    for (const forge of forgeries) {
      const forged = await connect('allow', forge);
      expect([forged.status, forged.seen]).toEqual([400, []]);
      expect(forged.page).toContain('not signed');
    }
    expect((await connectionIds()).length).toBe(before);
  });

  async function letGo(connectionId: string): Promise<unknown> {
    return (await app.api('DELETE', `/connections/${connectionId}?provider_config_key=${spec.name}`)).body;
  }

  /** Where one call ends the whole account, the others of these tests must not be in the way. */
  /** Where members share a grant, or one call ends them all, others would change what is seen. */
  async function forgetOthers(): Promise<void> {
    if (!endsAll && spec.account?.suggestedPolicy !== 'share') return;
    const { body } = await app.api('GET', '/connections');
    const others = (body.connections as { connection_id: string; provider_config_key: string }[]).filter(
      (one) => one.provider_config_key === spec.name,
    );
    for (const { connection_id: id } of others) await letGo(id);
  }

  it('ends an account with its last connection only, where one call ends all of it', async () => {
    if (!endsAll) return;
    await forgetOthers();
    const [first, second] = [await connected(), await connected()];
    const before = handle.seen().length;
    expect(await letGo(first.connectionId)).toMatchObject({
      outcome: 'revoked',
      detail: expect.stringContaining('other connections of the account'),
    });
    expect(handle.seen().length).toBe(before);
    expect((await callApi(spec, second.connectionId, second.values)).status).toBe(200);
    expect(await letGo(second.connectionId)).toMatchObject({ outcome: 'revoked' });
    expect(handle.seen().length).toBe(before + 2);
    expect(handle.grants().filter(({ state }) => state === 'active')).toEqual([]);
  });

  it('lets go as the file says', async () => {
    await forgetOthers();
    const { connectionId, values, body } = await connected();
    const grant = handle.grants().at(-1);
    const before = handle.seen().length;
    const deleted = await app.api('DELETE', `/connections/${connectionId}?provider_config_key=${spec.name}`);
    const revokes = spec.disconnect.kind === 'call' || spec.disconnect.kind === 'rfc7009';
    expect(deleted.body).toMatchObject({ success: true, outcome: revokes ? 'revoked' : 'unsupported' });
    expectDisconnect(spec, handle.seen().slice(before), {
      values,
      client,
      accessToken: body.credentials.access_token,
      ...(body.credentials.refresh_token !== undefined && { refreshToken: body.credentials.refresh_token }),
    });
    expect(handle.grants().find(({ id }) => id === grant?.id)?.state).toBe(revokes ? 'revoked' : 'active');
    expect((await read(spec, connectionId)).status).toBe(404);
  });

  it('takes "was gone already" for done', async () => {
    if (spec.disconnect.kind !== 'call') return;
    const { auth, success, goneErrors, goneStatuses } = spec.disconnect;
    const saysSo = goneErrors !== undefined || goneStatuses !== undefined;
    if (!saysSo && (auth !== undefined || success !== undefined)) return;
    await forgetOthers();
    const { connectionId } = await connected();
    await handle.revokeGrant(handle.grants().at(-1)?.id ?? '');
    const deleted = await app.api('DELETE', `/connections/${connectionId}?provider_config_key=${spec.name}`);
    expect(deleted.body).toMatchObject({ success: true, outcome: 'revoked' });
  });
});

describe.each(keyEntries.map((spec) => [spec.name, spec] as const))('%s', (_, spec) => {
  let handle: DerivedHandle;
  beforeAll(async () => {
    handle = derived.get(spec.name);
    await setUp(spec);
  });

  const FORMS: Record<string, string> = {
    API_KEY: 'api-auth/api-key',
    BASIC: 'api-auth/basic',
    NONE: 'auth/unauthenticated',
  };

  async function submit(body: Record<string, string> | undefined) {
    const query = new URLSearchParams({
      connect_session_token: await sessionToken(app, spec.name),
      ...params(spec),
    });
    const response = await fetch(`${app.url}/${FORMS[spec.authMode]}/${spec.name}?${query}`, {
      method: 'POST',
      ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  }

  /** Right and wrong credentials of the first account. */
  function credentials(right: boolean): HoleValues | undefined {
    const key = handle.accounts()[0]?.apiKey;
    const secret = right ? (key?.secretKey ?? '') : 'wrong-0123456789';
    if (spec.authMode === 'API_KEY') return { apiKey: secret };
    return spec.authMode === 'BASIC' ? { username: key?.publishableKey ?? '', password: secret } : undefined;
  }

  it('connects by its form, and calls with the credential in its place', async () => {
    const right = credentials(true);
    const before = handle.seen().length;
    const answer = await submit(right);
    expect([answer.status, answer.body]).toEqual([200, answer.body]);
    const values = holeValues(spec);
    const checks = handle.seen().slice(before);
    expect(checks).toHaveLength(spec.api.verification === undefined ? 0 : 1);
    for (const check of checks) expectApiCall(spec, check, right ?? {}, values);

    const called = await callApi(spec, String(answer.body['connectionId']), values);
    expect([called.status, called.text]).toEqual([200, called.text]);
    const last = handle.seen().at(-1);
    expect(last?.path).toBe(apiPath(spec, values));
    if (last !== undefined) expectApiCall(spec, last, right ?? {}, values);
  });

  it('refuses what the provider refuses, where it can ask', async () => {
    const wrong = credentials(false);
    if (spec.api.verification === undefined || wrong === undefined) return;
    const before = (await connectionIds()).length;
    const answer = await submit(wrong);
    expect(answer).toMatchObject({ status: 400, body: { error: { code: 'connection_test_failed' } } });
    expect((await connectionIds()).length).toBe(before);
  });

  it('is forgotten when it is deleted', async () => {
    const answer = await submit(credentials(true));
    const id = String(answer.body['connectionId']);
    const deleted = await app.api('DELETE', `/connections/${id}?provider_config_key=${spec.name}`);
    const outcome = spec.disconnect.kind === 'nothing' ? 'revoked' : 'unsupported';
    expect(deleted.body).toMatchObject({ success: true, outcome });
    expect((await read(spec, id)).status).toBe(404);
  });
});
