import { once } from 'node:events';
import { connect, type AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { silentLog } from '../../base/log.ts';
import type { Route } from '../../base/route.ts';
import { systemClock } from '../../platform/clock.ts';
import { createServer } from './server.ts';

it('a stop lets the call under way end, and cuts who only waits', async () => {
  const arrived = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  const slow: Route = {
    method: 'GET',
    path: '/slow',
    summary: 'Waits',
    auth: { by: 'public', why: 'a test' },
    errors: [],
    documented: false,
    async handle() {
      arrived.resolve();
      await go.promise;
      return { body: { done: true } };
    },
  };
  const { app } = await createServer({
    db: { listening: true, ping: async () => true },
    log: silentLog,
    clock: systemClock,
    version: '0',
    environments: { peekKey: () => undefined, byKey: async () => undefined },
    sessionByToken: async () => undefined,
    publicUrl: () => new URL('http://localhost'),
    ready: () => true,
    routes: [slow],
    plugins: [],
    rateLimitPerMinute: 0,
    authFailuresPerMinute: 0,
    trustedProxies: [],
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;
  const silent = connect(port, '127.0.0.1');
  const halfSaid = connect(port, '127.0.0.1', () => halfSaid.write('GET /health HT'));
  const cut = Promise.all([once(silent, 'close'), once(halfSaid, 'close')]);
  for (const socket of [silent, halfSaid]) socket.on('error', () => undefined); // a reset is as good as an end
  const answer = fetch(`http://127.0.0.1:${port}/slow`);
  await arrived.promise;
  const closed = app.close();
  await cut;
  go.resolve();
  expect(await (await answer).json()).toEqual({ done: true });
  await closed;
});
