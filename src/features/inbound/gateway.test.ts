import { afterEach, describe, expect, it } from 'vitest';
import { openRaw, startEdge, type TestEdge } from '../../../test/abuse/edge.ts';
import { handClock, until } from '../../../test/support/evil.ts';
import { silentLog } from '../../base/log.ts';
import type { Integration } from '../integrations/index.ts';
import { inboundErrors } from './errors.ts';
import { registerGateway, type GatewayDeps } from './gateway.ts';
import { createUnproven } from './unproven.ts';

let edge: TestEdge | undefined;
afterEach(() => edge?.close());

const ENVIRONMENT = {
  id: 1,
  uuid: '00000000-0000-4000-8000-000000000001',
  name: 'dev',
  isProduction: false,
  callbackUrl: undefined,
};

/** The gateway on the real edge; what comes through is counted. */
async function startGateway(clock = handClock(), fail?: Error) {
  const taken: Buffer[] = [];
  const deps: Omit<GatewayDeps, 'watchBody' | 'toError' | 'unproven'> = {
    log: silentLog,
    environments: { byUuid: async (uuid) => (uuid === ENVIRONMENT.uuid ? ENVIRONMENT : undefined) },
    integrations: {
      peek: (_environmentId, key) => ({ id: key === 'k' ? 1 : 2, uniqueKey: key, provider: {} }) as Integration,
      byKey: async () => undefined,
    },
    connections: { byId: async () => undefined },
    async receive(_target, { body }) {
      if (fail !== undefined) throw fail;
      if (body.subarray(0, 3).equals(Buffer.from('bad'))) throw inboundErrors.fail('webhook_invalid_signature');
      taken.push(body);
      return { status: 200, body: 'ok', contentType: 'text/plain', isProven: true };
    },
    urls: { read: async () => undefined },
    serverUrl: () => 'http://localhost:1',
  };
  edge = await startEdge([], {
    clock,
    plugins: [
      {
        auth: { by: 'public', why: 'a test' },
        mount: (app, own) => registerGateway(app, { ...deps, ...own, unproven: createUnproven(own) }),
      },
    ],
  });
  return { clock, taken, url: `${edge.url}/webhook/${ENVIRONMENT.uuid}/k` };
}

it('abuse 34: a webhook that drips in is given up after 15 s', async () => {
  const { clock, taken } = await startGateway();
  const raw = await openRaw((edge as TestEdge).port);
  raw.send(`POST /webhook/${ENVIRONMENT.uuid}/k HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n`);
  const startMs = clock.monotonicMs();
  await until(() => {
    clock.advance(500);
    raw.send('1');
    return raw.replies().length > 0 || raw.isClosed;
  });
  expect(clock.monotonicMs() - startMs).toBeGreaterThan(15_000);
  const [reply] = raw.replies();
  expect([reply?.status, JSON.parse(reply?.body ?? '').code]).toEqual([408, 'request_timeout']);
  await raw.closed;
  expect(taken).toEqual([]);
});

it('a place that is not there reads no body', async () => {
  const { taken } = await startGateway();
  const raw = await openRaw((edge as TestEdge).port);
  raw.send('POST /webhook/nowhere/k HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n');
  await until(() => raw.replies().length > 0);
  expect(JSON.parse(raw.replies()[0]?.body ?? '').error.code).toBe('unknown_environment');
  raw.socket.destroy();
  expect(taken).toEqual([]);
});

it('what fails inside is told as nothing more than that', async () => {
  const { url } = await startGateway(handClock(), new Error('a detail with a secret'));
  const response = await fetch(url, { method: 'POST', body: 'x' });
  expect([response.status, await response.text()]).toEqual([500, '{"error":"internal_error"}']);
});

describe('senders that prove nothing', () => {
  const LARGE = 'x'.repeat(70_000);

  async function startLimited() {
    const gateway = await startGateway();
    const send = async (body: string, key = 'k') => {
      const response = await fetch(gateway.url.replace(/k$/, key), { method: 'POST', body });
      const { code } = (response.status === 200 ? {} : await response.json()) as { code?: string };
      return [response.status, code, Number(response.headers.get('retry-after') ?? 0)] as const;
    };
    return { ...gateway, send };
  }

  it('may fail so often a minute, and then come back later; what is proven is taken all the while', async () => {
    const { clock, taken, send } = await startLimited();
    for (let times = 0; times < 10; times += 1) expect((await send('bad'))[1]).toBe('webhook_invalid_signature');
    const [status, code, retryAfter] = await send('bad');
    expect([status, code]).toEqual([429, 'webhook_limited']);
    expect(retryAfter).toBeGreaterThan(0);
    expect(retryAfter).toBeLessThanOrEqual(60);
    // Each integration has its own.
    expect((await send('bad', 'other'))[0]).toBe(401);
    expect((await send('good'))[0]).toBe(200);
    expect((await send('bad'))[0]).toBe(429);
    expect(taken.map(String)).toEqual(['good']);
    clock.advance(60_000);
    expect((await send('bad'))[0]).toBe(401);
  });

  it('have nothing large read, unless something from there was proven', async () => {
    const { taken, send } = await startLimited();
    expect((await send(LARGE, 'other'))[0]).toBe(200);
    for (let times = 0; times < 10; times += 1) await send('bad');
    const raw = await openRaw((edge as TestEdge).port);
    // Without a length, and without a byte of it.
    raw.send(`POST /webhook/${ENVIRONMENT.uuid}/k HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n`);
    await until(() => raw.replies().length > 0);
    expect(raw.replies()[0]?.status).toBe(429);
    raw.socket.destroy();
    expect((await send('good'))[0]).toBe(200);
    expect((await send(LARGE))[0]).toBe(200);
    expect(taken.map((body) => body.length)).toEqual([LARGE.length, 4, LARGE.length]);
  });
});
