/** Calls that are refused before anything is sent: by what they lack, by their address, by an override. */
import { afterEach, describe, expect, it } from 'vitest';
import { always, answer, createEvil } from '../support/evil.ts';
import { aConnection, aLive, anIntegration, aProvider, callProxy, startProxy } from '../support/proxy.ts';
import { createOpenList, recording, startProxyOverEvil } from '../support/proxy-evil.ts';

const list = createOpenList();
afterEach(() => list.close());

const ok = answer(200, 'ok');

describe('a call that is refused before anything is sent', () => {
  const cases: [string, Record<string, string>, string, number, string][] = [
    ['without Provider-Config-Key', { 'provider-config-key': '' }, '/proxy/x', 400, 'missing_provider_config_key'],
    ['without Connection-Id', { 'connection-id': '' }, '/proxy/x', 400, 'missing_connection_id'],
    ['of an unknown integration', { 'provider-config-key': 'nobody' }, '/proxy/x', 404, 'unknown_provider_config'],
    ['of an unknown connection', { 'connection-id': 'nobody' }, '/proxy/x', 400, 'unknown_connection'],
    ['without a key', { authorization: '' }, '/proxy/x', 401, 'unknown_account'],
    ['with dot segments', {}, '/proxy/a/%2e%2e/b', 400, 'invalid_endpoint'],
    ['to another host', {}, '/proxy/https://evil.example/x', 400, 'invalid_endpoint'],
    [
      'with an override while it is off',
      { 'base-url-override': 'https://evil.example' },
      '/proxy/x',
      400,
      'base_url_override_disabled',
    ],
  ];
  it.each(cases)('%s', async (_name, headers, path, status, code) => {
    const { proxy, evil } = await startProxyOverEvil(list, always(ok));
    const got = await callProxy(proxy.port, path, { headers });
    expect([got.status, got.json()]).toMatchObject([status, { error: { code, message: expect.any(String) } }]);
    expect(evil.connections.length).toBe(0);
    expect(proxy.entries).toEqual([]);
  });

  it('by scope', async () => {
    for (const [scopes, status] of [
      [['environment:proxy'], 200],
      [['environment:*'], 200],
      [['environment:connections:*', 'environment:prox'], 403],
      [[], 403],
    ] as const) {
      const { proxy } = await startProxyOverEvil(list, always(ok), { scopes });
      const got = await callProxy(proxy.port, '/proxy/x');
      expect([scopes, got.status]).toEqual([scopes, status]);
      if (status === 403) {
        expect(got.json()).toEqual({
          error: { code: 'forbidden', message: 'Insufficient scope. Required: environment:proxy' },
        });
      }
    }
  });

  it('by an address that may not be called, in words that say what to do', async () => {
    const evil = list.add(await createEvil(always(ok)));
    for (const base of [`http://${evil.pair}`, 'https://10.0.0.1', 'https://169.254.169.254', 'http://93.184.215.14']) {
      const proxy = list.add(await startProxy({ allow: [], live: aLive(anIntegration(aProvider(base))) }));
      const got = await callProxy(proxy.port, '/proxy/x', { method: 'POST', body: 'x', headers: { retries: '3' } });
      expect([base, got.status, got.json()]).toMatchObject([base, 400, { error: { code: 'egress_refused' } }]);
      expect((got.json() as { error: { message: string } }).error.message).toContain('HAWSER_EGRESS_ALLOW');
    }
    expect(evil.connections.length).toBe(0);
  });

  it('by an integration without an address, unless an override gives one', async () => {
    const evil = list.add(await createEvil(always(ok)));
    const provider = {
      ...aProvider('${integrationConfig.api_base_url}'),
      integrationConfig: { api_base_url: { title: 'API', description: '', kind: 'url' as const, optional: true } },
    };
    const live = aLive(anIntegration(provider));
    const proxy = list.add(
      await startProxy({ allow: [evil.pair], live, deps: { baseUrlOverride: { allow: [`http://${evil.pair}`] } } }),
    );
    const refused = await callProxy(proxy.port, '/proxy/x');
    expect([refused.status, refused.json()]).toMatchObject([400, { error: { code: 'missing_api_url' } }]);
    const got = await callProxy(proxy.port, '/proxy/x', { headers: { 'base-url-override': `http://${evil.pair}` } });
    expect(got.status).toBe(200);
  });

  it('abuse 14: by values of the connection that do not fit their template', async () => {
    const provider = {
      ...aProvider('https://${connectionConfig.sub}.api.example.com'),
      connectionConfig: { sub: { title: 'Sub', description: '', kind: 'label' as const } },
    };
    for (const sub of [
      'evil.tld/',
      'a@evil.tld',
      'x#',
      'x?',
      'x\\',
      ':443/',
      '..',
      '',
      'a\r\nb',
      '${accessToken}',
      ['a'],
    ]) {
      const connection = aConnection({ connectionConfig: { sub } });
      const proxy = list.add(await startProxy({ allow: [], live: aLive(anIntegration(provider), { connection }) }));
      const got = await callProxy(proxy.port, '/proxy/x');
      expect([sub, got.status]).toEqual([sub, 400]);
    }
  });
});

describe('Base-Url-Override', () => {
  it('empty means none', async () => {
    const { proxy } = await startProxyOverEvil(list, always(ok));
    expect((await callProxy(proxy.port, '/proxy/x', { headers: { 'base-url-override': '' } })).status).toBe(200);
  });

  it('abuse 13: goes to exactly the listed origins', async () => {
    const { script, requests } = recording(ok);
    const evil = list.add(await createEvil(script));
    const live = aLive(anIntegration(aProvider('https://api.example.com')));
    const origin = `http://${evil.pair}`;
    const proxy = list.add(
      await startProxy({
        allow: [evil.pair],
        live,
        deps: { baseUrlOverride: { allow: [origin, 'https://a.example'] } },
      }),
    );
    const at = (value: string, path = '/proxy/x') =>
      callProxy(proxy.port, path, { headers: { 'base-url-override': value } });
    expect((await at(origin)).status).toBe(200);
    expect((await at(`${origin}/deep/`)).status).toBe(200);
    expect((await at(`${origin}/deep`, `/proxy/${origin}/deep/y?z=1`)).status).toBe(200);
    expect(requests.map(({ target }) => target)).toEqual(['/x', '/deep/x', '/deep/y?z=1']);
    const refused = [
      'https://evil.example',
      `https://${evil.pair}`,
      `http://127.0.0.1`,
      `http://user@${evil.pair}`,
      `http://user:pw@${evil.pair}`,
      `${origin}#x`,
      `${origin}/?x=1`,
      `http:\\\\${evil.pair}`,
      `ftp://${evil.pair}`,
      `//${evil.pair}`,
      evil.pair,
      'nonsense',
      'https://a.example.evil.example',
      'https://a.example:8443',
      'https://a.example.',
      'javascript:alert(1)',
      'file:///etc/passwd',
    ];
    for (const value of refused) {
      const got = await at(value);
      expect([value, got.status, got.json()]).toMatchObject([
        value,
        400,
        { error: { code: 'base_url_override_not_allowed' } },
      ]);
    }
    expect(requests.length).toBe(3);
  });

  it('abuse 13: * still stops at the egress guard', async () => {
    const { proxy, evil } = await startProxyOverEvil(list, always(ok), {
      allow: [],
      deps: { baseUrlOverride: { allow: ['*'] } },
    });
    const bases = [
      `http://${evil.pair}`,
      'https://127.0.0.1',
      'https://[::1]',
      'https://169.254.169.254',
      'https://0x7f.1',
    ];
    for (const base of [
      ...bases,
      'https://localhost',
      'https://[::ffff:7f00:1]',
      'https://10.1.2.3',
      'https://017700000001',
    ]) {
      const got = await callProxy(proxy.port, '/proxy/x', { headers: { 'base-url-override': base } });
      expect([base, got.status, got.json()]).toMatchObject([
        base,
        400,
        { error: { code: 'base_url_override_not_allowed' } },
      ]);
    }
    expect(evil.connections.length).toBe(0);
  });
});
