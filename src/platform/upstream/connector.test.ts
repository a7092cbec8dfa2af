import { setDefaultCACertificates, getCACertificates, type TLSSocket } from 'node:tls';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { always, answer, handClock, selfSigned, turns, until, type Evil } from '../../../test/support/evil.ts';
import type { CallResponse } from './index.ts';
import { closeAfterEach, evilWith, goneUrl, upstreamFor } from './upstream.test-support.ts';

closeAfterEach();

const secure = (evil: Evil, host = 'localhost'): URL => new URL(`https://${host}:${evil.port}/`);

const trust = (cert: string): void => setDefaultCACertificates([...getCACertificates('bundled'), cert]);

const callSecure = async (evil: Evil, host?: string): Promise<CallResponse> => {
  const url = secure(evil, host);
  return await upstreamFor(evil, { allow: [url.host] }).call({ method: 'GET', url, headers: {} });
};

describe('connections', () => {
  it('are kept, unless the call wants its own', async () => {
    const evil = await evilWith(always(answer(200, 'ok')));
    const upstream = upstreamFor(evil);
    const call = async (fresh: boolean): Promise<void> => {
      await upstream.call({ method: 'GET', url: evil.url(), headers: {}, fresh });
      await turns();
    };
    await call(false);
    await call(false);
    expect(evil.connections).toHaveLength(1);
    await call(true);
    await call(true);
    expect(evil.connections).toHaveLength(3);
    await Promise.all([evil.connections[1]?.closed, evil.connections[2]?.closed]);
    await call(false);
    expect(evil.connections).toHaveLength(3);
  });

  it('that the server closed while idle do no harm', async () => {
    const evil = await evilWith(async (connection) => {
      await connection.request();
      await connection.send(answer(200, 'ok'));
      connection.end();
    });
    const upstream = upstreamFor(evil);
    for (let round = 0; round < 5; round++) {
      expect((await upstream.call({ method: 'POST', url: evil.url(), headers: {}, body: 'x' })).status).toBe(200);
      await evil.connections.at(-1)?.closed;
    }
  });

  it('that are refused say so, with nothing sent', async () => {
    const url = await goneUrl();
    const upstream = upstreamFor({ pair: url.host });
    await expect(upstream.call({ method: 'POST', url, headers: {}, body: 'x' })).rejects.toMatchObject({
      kind: 'refused',
      code: 'ECONNREFUSED',
      requestSent: false,
    });
  });

  it('are ended by destroy, and none is made after', async () => {
    const evil = await evilWith(async (connection) => void (await connection.request()));
    const upstream = upstreamFor(evil);
    const calls = [false, true].map((fresh) =>
      upstream.call({ method: 'GET', url: evil.url(), headers: {}, fresh }).catch((error: unknown) => error),
    );
    await until(() => evil.connections.filter((connection) => connection.received().length > 0).length === 2);
    await upstream.destroy();
    for (const outcome of await Promise.all(calls))
      expect(outcome).toMatchObject({ kind: 'aborted', requestSent: true });
    await Promise.all(evil.connections.map((connection) => connection.closed));
    await expect(upstream.call({ method: 'GET', url: evil.url(), headers: {} })).rejects.toMatchObject({
      kind: 'aborted',
    });
    await upstream.close();
  });

  it('that are being made are given up by destroy', async () => {
    const clock = handClock();
    const upstream = upstreamFor(undefined, { clock, resolve: () => new Promise(() => undefined) });
    const called = upstream.call({ method: 'GET', url: new URL('https://never.example/'), headers: {} });
    const outcome = called.catch((error: unknown) => error);
    await until(() => clock.sleepers === 2);
    await upstream.destroy();
    expect(await outcome).toMatchObject({ kind: 'aborted', requestSent: false });
    await until(() => clock.sleepers === 0);
  });

  it('may finish when closing', async () => {
    const evil = await evilWith(async (connection) => {
      await connection.request();
      await upstreamClosing;
      await connection.send(answer(200, 'late'));
    });
    const upstream = upstreamFor(evil);
    const { promise: upstreamClosing, resolve } = Promise.withResolvers<void>();
    const called = upstream.call({ method: 'GET', url: evil.url(), headers: {} });
    await until(() => (evil.connections[0]?.received().length ?? 0) > 0);
    const closing = upstream.close();
    resolve();
    expect((await called).body.toString()).toBe('late');
    await closing;
  });
});

describe('TLS', () => {
  afterEach(() => setDefaultCACertificates(getCACertificates('bundled')));

  it('works with a trusted certificate for the name and for an address, twice (session kept)', async () => {
    const tls = selfSigned(['localhost', '127.0.0.1']);
    trust(tls.cert);
    const evil = await evilWith(always(answer(200, 'secure')), { tls });
    expect((await callSecure(evil)).body.toString()).toBe('secure');
    expect((await callSecure(evil, '127.0.0.1')).body.toString()).toBe('secure');
    // The name goes into the handshake, an address never does (RFC 6066 3).
    expect(evil.connections.map(({ socket }) => (socket as TLSSocket).servername)).toEqual(['localhost', false]);
    const upstream = upstreamFor(evil, { allow: [`localhost:${evil.port}`] });
    for (let round = 0; round < 2; round++) {
      const response = await upstream.call({
        method: 'GET',
        url: secure(evil),
        headers: { host: 'evil.example' },
        fresh: true,
      });
      expect(response.status).toBe(200);
    }
  });

  it('refuses an unknown issuer, even when the environment says not to look', async () => {
    const evil = await evilWith(always(answer(200, 'secure')), { tls: selfSigned(['localhost']) });
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
    try {
      await expect(callSecure(evil)).rejects.toMatchObject({
        kind: 'tls',
        code: 'DEPTH_ZERO_SELF_SIGNED_CERT',
        requestSent: false,
      });
    } finally {
      vi.unstubAllEnvs();
    }
    expect(evil.connections.reduce((sum, connection) => sum + connection.received().length, 0)).toBe(0);
  });

  it('refuses the certificate of another name', async () => {
    const tls = selfSigned(['other.example']);
    trust(tls.cert);
    const evil = await evilWith(always(answer(200, 'secure')), { tls });
    for (const host of ['localhost', '127.0.0.1']) {
      await expect(callSecure(evil, host)).rejects.toMatchObject({
        kind: 'tls',
        code: 'ERR_TLS_CERT_ALTNAME_INVALID',
        requestSent: false,
      });
    }
  });

  it('refuses an expired certificate', async () => {
    const tls = selfSigned(['localhost'], 0.5);
    trust(tls.cert);
    const evil = await evilWith(always(answer(200, 'secure')), { tls });
    await expect(callSecure(evil)).rejects.toMatchObject({ kind: 'tls', code: 'CERT_HAS_EXPIRED', requestSent: false });
  });

  it('tells plain HTTP on the other side, and a hang-up, from an answer', async () => {
    const plain = await evilWith(async (connection) => {
      await connection.send('HTTP/1.1 400 Bad Request\r\n\r\n');
    });
    await expect(callSecure(plain)).rejects.toMatchObject({ kind: 'tls', requestSent: false });
    const mute = await evilWith((connection) => connection.reset());
    await expect(callSecure(mute)).rejects.toMatchObject({ kind: 'reset', code: 'ECONNRESET', requestSent: false });
  });
});
