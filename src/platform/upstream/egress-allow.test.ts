import { describe, expect, it } from 'vitest';
import { always, answer, createEvil, turns, until } from '../../../test/support/evil.ts';
import { systemClock } from '../clock.ts';
import { compileAllow, normalizePair, readTarget, resolveTarget } from './egress.ts';
import { createUpstream, UpstreamFailure, type Resolver } from './index.ts';

describe('the allow-list', () => {
  it('covers no other address than the one that was resolved: the system turns 0.0.0.0 into loopback', async () => {
    const evil = await createEvil(always(answer(200, 'in')));
    const upstream = createUpstream({
      policy: () => ({ allow: [`zero.example:${evil.port}`] }),
      clock: systemClock,
      userAgent: 'x',
      resolve: async () => ['0.0.0.0'],
    });
    const url = new URL(`http://zero.example:${evil.port}/`);
    await expect(upstream.call({ method: 'GET', url, headers: {} })).rejects.toMatchObject({
      kind: 'egress_refused',
      message: expect.stringContaining('another address') as string,
    });
    await until(() => evil.connections.length === 1);
    await evil.connections[0]?.closed;
    expect(evil.connections[0]?.received().length).toBe(0);
    await upstream.destroy();
    await evil.close();
  });

  it('abuse 13: is exact in host and port, whatever the name resolves to', async () => {
    const evil = await createEvil(always(answer(200, 'in')));
    const call = async (allow: string, text: string): Promise<string> => {
      const upstream = createUpstream({
        policy: () => ({ allow: [allow.replace('PORT', String(evil.port))] }),
        clock: systemClock,
        userAgent: 'x',
        resolve: async () => ['127.0.0.1'],
      });
      try {
        const url = new URL(text.replace('PORT', String(evil.port)));
        return (await upstream.call({ method: 'GET', url, headers: {} })).body.toString();
      } catch (error) {
        if (error instanceof UpstreamFailure) return error.kind;
        throw error;
      } finally {
        await upstream.destroy();
      }
    };
    for (const [allow, text] of [
      ['127.0.0.1:PORT', 'http://127.0.0.1:PORT/'],
      ['127.0.0.1:PORT', 'http://0x7f.1:PORT/'],
      ['0x7f.1:PORT', 'http://127.0.0.1:PORT/'],
      ['LocalHost.:PORT', 'http://localhost:PORT/'],
      ['localhost:PORT', 'http://LOCALHOST.:PORT/'],
    ] as const) {
      expect(await call(allow, text), `${allow} ${text}`).toBe('in');
    }
    for (const [allow, text] of [
      ['localhost:PORT', 'http://127.0.0.1:PORT/'],
      ['127.0.0.1:PORT', 'http://localhost:PORT/'],
      ['127.0.0.1:PORT', 'http://127.0.0.2:PORT/'],
      ['127.0.0.1:1', 'http://127.0.0.1:PORT/'],
      ['127.0.0.1', 'http://127.0.0.1:PORT/'],
      ['127.0.0.1:80', 'http://127.0.0.1:PORT/'],
      ['*:PORT', 'http://127.0.0.1:PORT/'],
      ['127.0.0.0/8:PORT', 'http://127.0.0.1:PORT/'],
      ['localhost:PORT', 'http://sub.localhost:PORT/'],
      ['sub.localhost:PORT', 'http://localhost:PORT/'],
      ['localhost:PORT', 'http://user@localhost:PORT/'],
      ['http://localhost:PORT', 'http://localhost:PORT/'],
      ['localhost:PORT ,', 'http://localhost:PORT/'],
      ['', 'http://localhost:PORT/'],
    ] as const) {
      expect(await call(allow, text), `${allow} ${text}`).toBe('egress_refused');
    }
    await evil.close();
  });

  it('counts at once when it changes, for kept connections too', async () => {
    // Without the change the connection would be kept for half a minute.
    const evil = await createEvil(always(answer(200, 'in', { 'keep-alive': 'timeout=30' })));
    let allow = [evil.pair];
    const upstream = createUpstream({ policy: () => ({ allow }), clock: systemClock, userAgent: 'x' });
    const call = () => upstream.call({ method: 'GET', url: evil.url(), headers: {} });
    await call();
    await turns();
    await call();
    expect(evil.connections).toHaveLength(1);
    allow = [];
    await expect(call()).rejects.toMatchObject({ kind: 'egress_refused' });
    await until(
      () => evil.connections[0]?.socket.destroyed === true || evil.connections[0]?.socket.readableEnded === true,
    );
    allow = [evil.pair];
    await call();
    expect(evil.connections).toHaveLength(2);
    await upstream.destroy();
    await evil.close();
  });

  it('is asked again for every URL of an origin that was fine before', async () => {
    const evil = await createEvil(always(answer(200, 'in')));
    const upstream = createUpstream({ policy: () => ({ allow: [evil.pair] }), clock: systemClock, userAgent: 'x' });
    await upstream.call({ method: 'GET', url: evil.url(), headers: {} });
    for (const text of [
      `blob:${evil.url().href}`,
      `ws://${evil.pair}/`,
      `http://user@${evil.pair}/`,
      `http://:x@${evil.pair}/`,
    ]) {
      const called = upstream.call({ method: 'GET', url: new URL(text), headers: {} });
      await expect(called, text).rejects.toMatchObject({ kind: 'egress_refused' });
    }
    expect(evil.connections).toHaveLength(1);
    await upstream.destroy();
    await evil.close();
  });

  it('knows one spelling per pair', () => {
    expect(normalizePair('LOCALHOST:80')).toBe('localhost:80');
    expect(normalizePair('[::1]:3004')).toBe('[::1]:3004');
    expect(normalizePair('[0:0::1]:3004')).toBe('[::1]:3004');
    expect(normalizePair(' a.b.:443 ')).toBe('a.b:443');
    for (const text of [
      'a',
      'a:',
      ':1',
      'a:0',
      'a:65536',
      'a:1:2',
      '[::1]',
      '::1:80',
      'a b:1',
      'a/b:1',
      'u@a:1',
      'a:x',
      '[::1]:2:3',
    ]) {
      expect(normalizePair(text), text).toBeUndefined();
    }
    expect([...compileAllow(['A:1', 'nonsense', 'a:1', 'b:2'])]).toEqual(['a:1', 'b:2']);
  });
});

describe('readTarget', () => {
  it('normalises host and port', () => {
    const allow = compileAllow(['[::1]:80']);
    expect(readTarget(new URL('https://API.example./x'), allow)).toEqual({
      protocol: 'https:',
      hostname: 'api.example',
      port: 443,
      pair: 'api.example:443',
      allowed: false,
    });
    expect(readTarget(new URL('http://[::1]/'), allow)).toMatchObject({ hostname: '::1', port: 80, allowed: true });
  });

  it('gives a literal address back without asking anybody', async () => {
    const asked: string[] = [];
    const resolve: Resolver = async (name) => {
      asked.push(name);
      return [];
    };
    const target = readTarget(new URL('https://1.1.1.1/'), new Set());
    expect(await resolveTarget(target, resolve)).toEqual(['1.1.1.1']);
    expect(asked).toEqual([]);
    const named = readTarget(new URL('https://empty.example/'), new Set());
    await expect(resolveTarget(named, resolve)).rejects.toMatchObject({ kind: 'dns' });
  });
});
