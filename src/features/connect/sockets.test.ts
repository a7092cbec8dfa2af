import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { Clock } from '../../base/clock.ts';
import { silentLog } from '../../base/log.ts';
import { createTestDatabase, type TestDatabase } from '../../../test/support/database.ts';
import { createSockets, type AttachedSockets, type Sockets } from './sockets.ts';

let database: TestDatabase;
let sockets: Sockets;
let attached: AttachedSockets;
let monotonicMs = 0;
let tick: () => void = () => {};
const clock: Clock = {
  now: () => 0,
  monotonicMs: () => monotonicMs,
  sleep: async () => {},
  every(_ms, run) {
    tick = run;
    return () => {};
  },
};
const server = createServer();

beforeAll(async () => {
  database = await createTestDatabase();
  sockets = createSockets({ db: database.db, clock, log: silentLog });
  attached = sockets.attach(server);
  await attached.ready;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  await attached?.close();
  server.close();
  await database?.drop();
});

async function open(): Promise<{ socket: WebSocket; id: string; closed: Promise<number>; pinged: Promise<unknown> }> {
  const socket = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  const closed = new Promise<number>((resolve) => socket.on('close', resolve));
  const pinged = new Promise((resolve) => socket.on('ping', resolve));
  const hello = await new Promise<string>((resolve) =>
    socket.once('message', (data: Buffer) => resolve(data.toString())),
  );
  return { socket, id: (JSON.parse(hello) as { ws_client_id: string }).ws_client_id, closed, pinged };
}

describe('waiting sockets', () => {
  it('are kept alive, and ended after a quarter of an hour', async () => {
    const old = await open();
    monotonicMs += 14 * 60_000;
    tick();
    await old.pinged;
    const young = await open();
    monotonicMs += 61_000;
    tick();
    expect(await old.closed).toBe(1000);
    await young.pinged;
    await expect.poll(() => sockets.size).toBe(1);
    young.socket.close();
    await young.closed;
  });

  it('a message to nobody is no error, a long one is cut to what a notification takes', async () => {
    const heard: string[] = [];
    const stop = await database.db.listen('hawser_ws', (payload) => heard.push(payload));
    await sockets.tell('6f1d9f4e-6e3e-4b0c-9a51-0d2f9d1f9a11', {
      message_type: 'error',
      provider_config_key: 'k',
      connection_id: 'c',
      error_type: 't',
      error_desc: '界'.repeat(5_000),
    });
    await expect.poll(() => heard.length).toBe(1);
    expect(Buffer.byteLength(heard[0] as string)).toBeLessThan(8_000);
    await stop();
  });
});
