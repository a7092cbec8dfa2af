/** Endpoints and deliveries over the API and by the command line, against a running server that sends by itself. */
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Environment } from '../../src/base/route.ts';
import { bodyOf, startSink, type Sink } from '../../src/features/outbound/outbound.test-support.ts';
import { readConfig } from '../../src/config.ts';
import { runCli } from '../../src/shell/cli/index.ts';
import { seedEndpoint } from '../../src/shell/dev/seed.ts';
import { callApi, startTestApp, type TestApp } from '../support/app.ts';

let app: TestApp;
let sink: Sink;

beforeAll(async () => {
  sink = await startSink();
  app = await startTestApp({ seed: false, settings: { HAWSER_EGRESS_ALLOW: sink.pair } });
});

afterAll(async () => {
  vi.unstubAllEnvs();
  await app.close();
  await sink.close();
});

beforeEach(() => {
  vi.stubEnv('HAWSER_URL', app.url);
  vi.stubEnv('HAWSER_API_KEY', app.apiKey);
  sink.answer = () => ({ status: 200 });
  sink.got.length = 0;
});

async function hawser(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const said = { out: '', err: '' };
  const code = await runCli(args, {
    out: (text) => void (said.out += text),
    err: (text) => void (said.err += text),
  });
  return { code, ...said };
}

/** As soon as it is so; the server sends on its own. */
const soon = (check: () => void | Promise<void>) => vi.waitFor(check, { timeout: 15_000, interval: 20 });

describe('endpoints and deliveries', () => {
  it('an endpoint is added, tested, fails, is looked at, and gets what it missed', { timeout: 60_000 }, async () => {
    expect((await hawser('endpoints', 'list')).out).toMatch(/^No endpoints/);
    const added = await hawser('endpoints', 'add', `${sink.url}/hooks`, '--kinds', 'endpoint.test,auth', '--json');
    const { id, secret } = JSON.parse(added.out) as { id: string; secret: string };
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect((await hawser('endpoints', 'list')).out).toMatch(
      new RegExp(`^${id} +additional +enabled +- +endpoint.test,auth +${sink.url}`, 'm'),
    );
    sink.answer = () => ({ status: 500, body: 'no' });
    expect((await hawser('endpoints', 'test', id)).code).toBe(0);
    await soon(async () =>
      expect((await hawser('deliveries', '--failed')).out).toMatch(/^ID +HAPPENED[^]*pending 500 after 1/),
    );
    const [failed] = JSON.parse((await hawser('deliveries', '--failed', '--json')).out) as [{ id: string }];
    const shown = await hawser('deliveries', 'show', failed.id);
    expect(shown.out).toContain(`"data":{"endpointId":"${id}"}`);
    expect(shown.out).toMatch(/Z {2}500 {2}\d+ ms {2}no\n/);
    sink.answer = () => ({ status: 200 });
    expect((await hawser('deliveries', 'replay', failed.id)).out).toBe('Sent again.\n');
    await soon(async () => expect((await hawser('deliveries', '-s', 'delivered')).out).toContain('endpoint.test'));
    const again = await hawser('deliveries', 'replay', '--kind', 'endpoint.test', '--state', 'delivered');
    expect(again.out).toBe('Sent again: 1.\n');
    await soon(() => expect(sink.got).toHaveLength(3));
    expect(new Set(sink.got.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    expect((await hawser('deliveries', 'replay')).code).toBe(4);
    expect((await hawser('deliveries', 'replay', '99999')).err).toMatch(/No such delivery/);
    const rotated = await hawser('endpoints', 'rotate', id, '--grace-hours', '1');
    expect(rotated.out).toMatch(/^Its secret now: whsec_/);
    const kept = await app.api('GET', `/endpoints/${id}/secret`);
    expect(kept.body.data).toEqual({ secret: rotated.out.trim().split(' ').at(-1), previous_secret: secret });
    expect((await hawser('endpoints', 'disable', id)).out).toBe(`${id} is disabled.\n`);
    expect((await hawser('endpoints', 'list')).out).toContain('disabled (by_hand)');
    expect((await hawser('endpoints', 'test', id)).err).toMatch(/disabled/);
    expect((await hawser('endpoints', 'enable', id)).code).toBe(0);
    expect((await hawser('endpoints', 'remove', id)).code).toBe(0);
    expect((await hawser('endpoints', 'remove', id)).err).toMatch(/No such endpoint/);
    expect((await hawser('endpoints', 'add', 'http://127.0.0.1:1/')).err).toMatch(/HAWSER_EGRESS_ALLOW/);
  });

  it('the settings of the wire contract, and events of the product itself, signed with the key of hawser.json', async () => {
    const changed = await app.api('PATCH', '/endpoints/settings', {
      primary_url: `${sink.url}/one`,
      on_sync_error: false,
    });
    expect(changed.body.data).toEqual({
      primary_url: `${sink.url}/one`,
      secondary_url: null,
      on_auth_creation: true,
      on_auth_refresh_error: true,
      on_sync_completion_always: false,
      on_sync_error: false,
      on_async_action_completion: true,
    });
    await app.api('POST', '/integrations', { provider: 'private-api-bearer', unique_key: 'own', integration_config: { base_url: sink.url } }); // prettier-ignore
    const made = await app.api('POST', '/connections', {
      provider_config_key: 'own',
      connection_id: 'acme',
      credentials: { type: 'API_KEY', apiKey: 'the-key' },
      tags: { plan: 'a' },
    });
    expect(made.status).toBe(201);
    await soon(() => expect(sink.got).toHaveLength(1));
    expect(bodyOf(sink.got[0])).toEqual({
      authMode: 'API_KEY',
      connectionId: 'acme',
      environment: 'dev',
      from: 'nango',
      operation: 'creation',
      provider: 'private-api-bearer',
      providerConfigKey: 'own',
      success: true,
      tags: { plan: 'a' },
      type: 'auth',
    });
    const rotated = await app.api('POST', '/environment/webhook-signing-key/rotate');
    const { id } = (await app.services.environments.byName('dev')) as Environment;
    expect(await app.services.environments.webhookSigningKey(id)).toBe(rotated.body.data.webhook_signing_key);
    // A list is read to its end by its cursor.
    const { body: first } = await app.api('GET', '/deliveries?limit=1');
    expect(first.deliveries).toHaveLength(1);
    expect(first.next_cursor).toBeNull();
  });

  it('`hawser dev` adds the app of the developer, once, and lets it be called', async () => {
    const config = readConfig('dev', { HAWSER_DEV_WEBHOOK_URL: `${sink.url}/dev` });
    expect(config.egressAllow).toEqual([sink.pair]);
    expect(readConfig('start', { HAWSER_DEV_WEBHOOK_URL: `${sink.url}/dev` }).egressAllow).toEqual([]);
    await seedEndpoint(app.services, config.devWebhookUrl as string);
    await seedEndpoint(app.services, config.devWebhookUrl as string);
    const { body } = await app.api('GET', '/endpoints');
    const primary = (body.endpoints as { role: string }[]).filter(({ role }) => role === 'primary');
    expect(primary).toEqual([expect.objectContaining({ url: `${sink.url}/dev`, kinds: null, state: 'enabled' })]);
  });

  it('abuse 27: of another environment cannot be seen, changed, sent again or removed', async () => {
    const { body } = await app.api('POST', '/endpoints', { url: `${sink.url}/mine` });
    const endpoint = body.data.id as string;
    await app.api('POST', `/endpoints/${endpoint}/test`);
    await soon(() => expect(sink.got.filter(({ path }) => path === '/mine')).toHaveLength(1));
    const list = await app.api('GET', `/deliveries?endpoint_id=${endpoint}`);
    const delivery = list.body.deliveries[0].id as string;
    const calls: [string, string, object?][] = [
      ['GET', `/endpoints/${endpoint}`],
      ['GET', `/endpoints/${endpoint}/secret`],
      ['PATCH', `/endpoints/${endpoint}`, { enabled: false }],
      ['DELETE', `/endpoints/${endpoint}`],
      ['POST', `/endpoints/${endpoint}/rotate`, {}],
      ['POST', `/endpoints/${endpoint}/test`],
      ['GET', `/deliveries/${delivery}`],
      ['POST', `/deliveries/${delivery}/replay`],
    ];
    for (const [method, path, send] of calls) {
      const answer = await callApi(app.url, app.prodApiKey, method, path, send);
      expect([method, path, answer.status]).toEqual([method, path, 404]);
    }
    const bulk = await callApi(app.url, app.prodApiKey, 'POST', '/deliveries/replay', { endpoint_id: endpoint });
    expect(bulk.body).toEqual({ success: true, replayed: 0 });
    const theirs = await callApi(app.url, app.prodApiKey, 'GET', '/deliveries');
    expect(theirs.body.deliveries).toEqual([]);
    expect((await app.api('GET', `/endpoints/${endpoint}`)).body.data).toMatchObject({ state: 'enabled' });
  });
});
