/** Client certificates: each connection shows the one of its request, and no other. */
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { getCACertificates, setDefaultCACertificates, type TLSSocket } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { selfSigned } from '../../../test/support/evil.ts';
import { alsoClose, closeAfterEach, upstreamFor } from './upstream.test-support.ts';
import type { ClientIdentity } from './index.ts';

closeAfterEach();

async function startAsking(): Promise<{ url: URL; pair: string; seen: { peer: string; resumed: boolean }[] }> {
  const tls = selfSigned(['localhost']);
  setDefaultCACertificates([...getCACertificates('default'), tls.cert]);
  const seen: { peer: string; resumed: boolean }[] = [];
  const server = createServer({ ...tls, requestCert: true, rejectUnauthorized: false }, (request, response) => {
    const socket = request.socket as TLSSocket;
    seen.push({ peer: socket.getPeerCertificate().fingerprint256 ?? 'none', resumed: socket.isSessionReused() });
    response.end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  alsoClose(
    () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(resolve);
      }),
  );
  const pair = `localhost:${(server.address() as AddressInfo).port}`;
  return { url: new URL(`https://${pair}/`), pair, seen };
}

function identity(name: string): ClientIdentity {
  const { cert, key } = selfSigned([name]);
  return { certificate: cert, privateKey: key };
}

describe('a client certificate', () => {
  it('is shown by its own requests only, in kept, fresh and streamed exchanges alike', async () => {
    const server = await startAsking();
    const upstream = upstreamFor({ pair: server.pair });
    const [a, b] = [identity('a.example'), identity('b.example')];
    const call = (tls?: ClientIdentity, fresh = false) =>
      upstream.call({ method: 'GET', url: server.url, headers: {}, fresh, ...(tls && { tls }) });
    const stream = (tls: ClientIdentity) =>
      new Promise<void>((resolve, reject) => {
        upstream.stream(
          { method: 'GET', url: server.url, headers: {}, headersTimeoutMs: 0, bodyIdleTimeoutMs: 0, tls },
          { onHeaders() {}, onData: () => true, onEnd: () => resolve(), onError: reject },
        );
      });
    for (const run of [
      () => call(a),
      () => call(),
      () => call(b),
      () => call(a, true),
      () => call(undefined, true),
      () => call(b, true),
      () => stream(a),
      () => stream(b),
      () => call(),
    ]) {
      await run();
    }
    const peers = server.seen.map(({ peer }) => peer);
    const [ofA, none, ofB] = peers;
    expect(new Set([ofA, none, ofB]).size).toBe(3);
    expect(none).toBe('none');
    expect(peers).toEqual([ofA, none, ofB, ofA, none, ofB, ofA, ofB, none]);
  });

  it('whose key does not fit fails before anything is sent', async () => {
    const server = await startAsking();
    const upstream = upstreamFor({ pair: server.pair });
    const broken = { certificate: identity('a.example').certificate, privateKey: identity('b.example').privateKey };
    await expect(upstream.call({ method: 'GET', url: server.url, headers: {}, tls: broken })).rejects.toMatchObject({
      kind: 'tls',
      requestSent: false,
    });
    expect(server.seen).toEqual([]);
  });
});
