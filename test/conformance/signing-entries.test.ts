/**
 * The entries whose calls are signed, or whose app is installed (`OAUTH1`, `AWS_SIGV4`, `APP`), through the whole server,
 * against an emulator derived from the entry that checks every signature. Nothing here names a provider.
 */
import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { catalogue } from '../../catalogue/index.ts';
import type { ProviderSpec } from '../../catalogue/_spec/index.ts';
import { startDerived, type Derived, type DerivedHandle } from '../../emulators/derived/index.ts';
import { startTestApp, type TestApp } from '../support/app.ts';
import { beginFlow, sessionToken } from '../support/connect.ts';
import { endToken } from '../support/token-end.ts';
import { expectAuth, pathOf, type HoleValues } from './expectations.ts';
import { apiPath, callEntry, connectionIdsOf, holeValues, params, readEntry, settingsOf } from './stage.ts';

const entries = [...catalogue.values()].filter((spec) => ['OAUTH1', 'AWS_SIGV4', 'APP'].includes(spec.authMode));
const PEM = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
}).privateKey;

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

const ID = '4711';

/** What the developer registers: at the provider, and here. */
function registration(spec: ProviderSpec) {
  const secret = spec.authMode === 'APP' ? PEM : 'client-secret-0123456789';
  const host = spec.app?.linkHosts[0] ?? '';
  const credentials =
    spec.authMode === 'APP'
      ? { type: 'APP', app_id: ID, app_link: `https://${host}/apps/${ID}`, private_key: PEM }
      : { type: spec.authMode, client_id: ID, client_secret: secret };
  const back = spec.authMode === 'APP' ? '/app-auth/connect' : '/oauth/callback';
  return { secret, credentials, redirectUri: `${app.url}${back}` };
}

describe.each(entries.map((spec) => [spec.name, spec] as const))('%s', (_, spec) => {
  let handle: DerivedHandle;
  const hasPage = spec.authMode !== 'AWS_SIGV4';
  const renews = spec.authMode !== 'OAUTH1';

  beforeAll(async () => {
    handle = derived.get(spec.name);
    const { secret, credentials, redirectUri } = registration(spec);
    handle.adoptApp({ clientId: ID, secret }, { name: 'Conformance', redirectUri });
    const config = settingsOf(spec);
    const answer = await app.api('POST', '/integrations', {
      provider: spec.name,
      unique_key: spec.name,
      credentials,
      ...(Object.keys(config).length > 0 && { integration_config: config }),
      custom: { emulated: 'true' },
    });
    expect([answer.status, answer.text]).toEqual([200, answer.text]);
  });

  /** By its page, or by its form; `forge` changes what comes back, or what is typed. */
  async function attempt(decision: 'allow' | 'deny' = 'allow', forge: Record<string, string> = {}) {
    const before = handle.seen().length;
    const session = await sessionToken(app, spec.name);
    let response: Response;
    if (hasPage) {
      const flow = await beginFlow(app.url, spec.name, session, params(spec));
      const back = new URL(handle.consent(flow.location, { decision }));
      for (const [name, value] of Object.entries(forge)) back.searchParams.set(name, value);
      response = await fetch(back, { redirect: 'manual', headers: { cookie: flow.cookie } });
    } else {
      const query = new URLSearchParams({ connect_session_token: session, ...params(spec) });
      response = await fetch(`${app.url}/auth/aws-sigv4/${spec.name}?${query}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ ...handle.customer(), ...forge }),
      });
    }
    const text = (await response.text()).replaceAll('&#34;', '"');
    return { status: response.status, text, seen: handle.seen().slice(before) };
  }

  async function connected() {
    const { status, text, seen } = await attempt();
    expect([status, text]).toEqual([200, text]);
    const connectionId = /"connectionId":"([0-9a-f-]{36})"/.exec(text)?.[1] ?? '';
    const { body } = await readEntry(app, spec, connectionId);
    expect(body.state).toBe('active');
    return { connectionId, seen, body, values: holeValues(spec, body.connection_config) };
  }

  async function expectCall(connectionId: string, values: HoleValues): Promise<void> {
    const called = await callEntry(app, spec, connectionId, values);
    expect([called.status, called.text]).toEqual([200, called.text]);
    expect(called.body).toMatchObject({ account: { name: 'First Account' } });
    expect(handle.seen().at(-1)?.path).toBe(apiPath(spec, values));
  }

  it('connects, and its calls are let in', async () => {
    const { connectionId, seen, body, values } = await connected();
    expect(seen.every(({ status }) => status < 300)).toBe(true);
    for (const key of [...Object.keys(spec.app?.metadata ?? {}), ...Object.keys(spec.oauth1?.metadata ?? {})]) {
      expect(body.connection_config[key]).toEqual(expect.stringMatching(/./));
    }
    await expectCall(connectionId, values);
    // A nonce or a date of its own: the same call once more is not the same signature.
    await expectCall(connectionId, values);
  });

  it('stores nothing that is refused, forged or typed wrong', async () => {
    const before = (await connectionIdsOf(app)).length;
    const wrong: Record<string, string> =
      spec.authMode === 'APP'
        ? { installation_id: '99' }
        : spec.authMode === 'OAUTH1'
          ? { oauth_verifier: 'guessed' }
          : { role_arn: 'arn:aws:iam::123456789012:role/of-somebody-else' };
    const forged = await attempt('allow', wrong);
    expect([forged.status, forged.seen.at(-1)?.status]).toEqual([400, expect.any(Number)]);
    expect(forged.seen.at(-1)?.status).toBeGreaterThanOrEqual(400);
    if (hasPage) {
      const denied = await attempt('deny');
      expect(denied.status).toBe(400);
    }
    expect((await connectionIdsOf(app)).length).toBe(before);
  });

  it('gets its next token, where there is one', async () => {
    const { connectionId, body, values } = await connected();
    const before = handle.tokenRequestCount();
    const next = await readEntry(app, spec, connectionId, '&force_refresh=true');
    expect(handle.tokenRequestCount() - before).toBe(renews ? 1 : 0);
    expect(JSON.stringify(next.body.credentials) === JSON.stringify(body.credentials)).toBe(!renews);
    await expectCall(connectionId, values);
  });

  it('notices that the provider has ended its token', async () => {
    const { connectionId, values } = await connected();
    await endToken(app, connectionId, 3_600_000);
    await handle.revokeGrant(handle.grants().at(-1)?.id ?? '');
    if (renews) {
      await expectCall(connectionId, values);
      return;
    }
    expect((await callEntry(app, spec, connectionId, values)).status).toBe(401);
    const state = async () =>
      (await app.api('GET', `/connections?connectionId=${connectionId}`)).body.connections[0].state;
    await expect.poll(state).toBe('needs_reauth');
  });

  it('lets go as the file says', async () => {
    const { connectionId, body, values } = await connected();
    const before = handle.seen().length;
    const deleted = await app.api('DELETE', `/connections/${connectionId}?provider_config_key=${spec.name}`);
    const { disconnect } = spec;
    expect(deleted.body).toMatchObject({
      success: true,
      outcome: disconnect.kind === 'unsupported' ? 'unsupported' : 'revoked',
    });
    const seen = handle.seen().slice(before);
    expect(seen.map(({ status }) => status)).toEqual(disconnect.kind === 'call' ? [200] : []);
    const [call] = seen;
    if (disconnect.kind === 'call' && call !== undefined) {
      expect([call.method, call.path]).toEqual([disconnect.method, pathOf(disconnect.url, values)]);
      const auth = disconnect.auth ?? spec.api.auth;
      if (auth.in !== 'signature') expectAuth(auth, call, { ...values, accessToken: body.credentials.access_token });
    }
    expect((await readEntry(app, spec, connectionId)).status).toBe(404);
  });
});
