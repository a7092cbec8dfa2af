import { afterEach, expect, it } from 'vitest';
import { openRaw, startEdge, type TestEdge } from '../../../test/abuse/edge.ts';
import { handClock, until } from '../../../test/support/evil.ts';
import { silentLog } from '../../base/log.ts';
import type { Integration } from '../integrations/index.ts';
import { registerGateway, type GatewayDeps } from './gateway.ts';

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
  const deps: Omit<GatewayDeps, 'watchBody' | 'toError'> = {
    log: silentLog,
    environments: { byUuid: async (uuid) => (uuid === ENVIRONMENT.uuid ? ENVIRONMENT : undefined) },
    integrations: { peek: () => ({ id: 1, uniqueKey: 'k' }) as Integration, byKey: async () => undefined },
    connections: { byId: async () => undefined },
    async receive(_target, { body }) {
      if (fail !== undefined) throw fail;
      taken.push(body);
      return { status: 200, body: 'ok', contentType: 'text/plain' };
    },
    urls: { read: async () => undefined },
    serverUrl: () => 'http://localhost:1',
  };
  edge = await startEdge([], {
    clock,
    plugins: [
      { auth: { by: 'public', why: 'a test' }, mount: (app, own) => registerGateway(app, { ...deps, ...own }) },
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
