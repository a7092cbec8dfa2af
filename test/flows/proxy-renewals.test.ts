/** Calls that the provider refuses with 401: one renewal of the credential, one repetition. */
import { afterEach, describe, expect, it } from 'vitest';
import type { ProviderSpec } from '../../catalogue/_spec/index.ts';
import { answer, createEvil, until, type EvilScript } from '../support/evil.ts';
import { aLive, anIntegration, aProvider, callProxy, startProxy } from '../support/proxy.ts';
import { createOpenList, recording } from '../support/proxy-evil.ts';

const list = createOpenList();
afterEach(() => list.close());

const ok = answer(200, 'ok');
const bare = { 'content-length': '3' };
const refused = answer(401, 'expired', { 'www-authenticate': 'Bearer' });

/** Credentials whose renewal the test controls. */
async function startRenewing(script: EvilScript, renewed: 'a new token' | 'nothing' | 'an error') {
  const evil = list.add(await createEvil(script));
  const integration = anIntegration(aProvider(`http://${evil.pair}`));
  const live = aLive(integration);
  const fresh = aLive(integration, { credential: { type: 'OAUTH2', access_token: 'fresh', raw: {} }, generation: 2 });
  const asked: number[] = [];
  const proxy = list.add(
    await startProxy({
      allow: [evil.pair],
      live,
      deps: {
        baseUrlOverride: { allow: [`http://${evil.pair}`] },
        credentials: {
          peek: () => live,
          live: async () => live,
          async afterUnauthorized(used) {
            asked.push(used.generation);
            if (renewed === 'an error') throw new Error('database away');
            return renewed === 'a new token' && used.generation === 1 ? fresh : undefined;
          },
          spend: async () => undefined,
        },
      },
    }),
  );
  return { proxy, evil, asked };
}

describe('a 401', () => {
  it('leads to one renewal and one repetition, without asking for retries', async () => {
    const { script, requests } = recording(refused, ok);
    const { proxy, asked } = await startRenewing(script, 'a new token');
    const got = await callProxy(proxy.port, '/proxy/x', { method: 'POST', body: 'same' });
    expect([got.status, asked]).toEqual([200, [1]]);
    expect(requests.map(({ headers }) => headers['authorization'])).toEqual([
      expect.stringContaining('tok_'),
      'Bearer fresh',
    ]);
    expect(requests.map(({ body }) => body.toString())).toEqual(['same', 'same']);
  });

  it('that comes again goes to the caller', async () => {
    const { script, requests } = recording(refused);
    const { proxy, asked } = await startRenewing(script, 'a new token');
    const got = await callProxy(proxy.port, '/proxy/x');
    expect([got.status, got.body.toString(), got.headers['www-authenticate']]).toEqual([401, 'expired', 'Bearer']);
    expect(requests.length).toBe(2);
    await until(() => asked.length === 2);
    expect(asked).toEqual([1, 2]);
  });

  it.each(['nothing', 'an error'] as const)('goes to the caller when the renewal brings %s', async (renewed) => {
    const { script, requests } = recording(refused, ok);
    const { proxy, asked } = await startRenewing(script, renewed);
    const got = await callProxy(proxy.port, '/proxy/x');
    expect([got.status, got.body.toString(), requests.length, asked]).toEqual([401, 'expired', 1, [1]]);
  });

  it('with a large body goes to the caller whole', async () => {
    const body = Buffer.alloc(300_000, 'x');
    const { script } = recording(answer(401, body));
    const { proxy } = await startRenewing(script, 'nothing');
    const got = await callProxy(proxy.port, '/proxy/x');
    expect([got.status, got.body.equals(body)]).toEqual([401, true]);
  });

  it('to a body that is not kept goes to the caller, and the renewal is still asked for', async () => {
    const { script, requests } = recording(refused, ok);
    const { proxy, asked } = await startRenewing(script, 'a new token');
    const got = await callProxy(proxy.port, '/proxy/x', { method: 'POST', body: Buffer.alloc(70_000) });
    expect([got.status, requests.length]).toEqual([401, 1]);
    await until(() => asked.length === 1);
  });

  it('to a credential of the caller’s own, or from another address, says nothing about ours', async () => {
    const { script, requests } = recording(refused);
    const { proxy, evil, asked } = await startRenewing(script, 'a new token');
    await callProxy(proxy.port, '/proxy/x', { headers: { 'nango-proxy-authorization': 'Basic eDo=' } });
    await callProxy(proxy.port, '/proxy/x', { headers: { 'base-url-override': `http://${evil.pair}/other` } });
    expect([requests.length, asked]).toEqual([2, []]);
  });

  it('to a header or parameter that replaces ours says nothing about ours either', async () => {
    const shapes: [ProviderSpec['api']['auth'], string, Record<string, string>][] = [
      [{ in: 'header', name: 'X-Api-Key', value: '${accessToken}' }, '/proxy/x', { 'nango-proxy-x-api-key': 'mine' }],
      [{ in: 'query', name: 'key', value: '${accessToken}' }, '/proxy/x?key=mine', {}],
    ];
    for (const [auth, path, headers] of shapes) {
      let asked = 0;
      const { script } = recording(refused);
      const evil = list.add(await createEvil(script));
      const live = aLive(anIntegration(aProvider(`http://${evil.pair}`, { auth })));
      const credentials = {
        peek: () => live,
        live: async () => live,
        async afterUnauthorized() {
          asked += 1;
          return undefined;
        },
        spend: async () => undefined,
      };
      const proxy = list.add(await startProxy({ allow: [evil.pair], live, deps: { credentials } }));
      expect((await callProxy(proxy.port, path, { headers })).status).toBe(401);
      expect(asked).toBe(0);
      expect((await callProxy(proxy.port, '/proxy/x')).status).toBe(401);
      expect(asked).toBe(1);
    }
  });

  it('answered after the caller has left is not repeated', async () => {
    const asked = Promise.withResolvers<void>();
    const go = Promise.withResolvers<undefined>();
    const { script, requests } = recording(answer(401, 'expired', bare), ok);
    const evil = list.add(await createEvil(script));
    const live = aLive(anIntegration(aProvider(`http://${evil.pair}`)));
    const proxy = list.add(
      await startProxy({
        allow: [evil.pair],
        live,
        deps: {
          credentials: {
            peek: () => live,
            live: async () => live,
            async afterUnauthorized() {
              asked.resolve();
              await go.promise;
              return live;
            },
            spend: async () => undefined,
          },
        },
      }),
    );
    const left = new AbortController();
    const call = callProxy(proxy.port, '/proxy/x', { signal: left.signal });
    await asked.promise;
    left.abort();
    await expect(call).rejects.toThrow();
    await until(() => proxy.entries.length === 1);
    go.resolve(undefined);
    await proxy.close();
    expect(requests.length).toBe(1);
  });
});
