/** A TCP relay that can be cut or stalled: what stands behind it is then gone, for whoever goes through it. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** What becomes of bytes on their way to the server: passed on, or the connection ends before or after them. */
export type Fate = 'pass' | 'cut before' | 'cut after';

export type Direction = 'to server' | 'from server' | 'both';

export interface Relay {
  port: number;
  /** Cuts every connection and refuses new ones. */
  cut(): void;
  /** Lets nothing through, and tells nobody: half of a partition. Default: in both directions. */
  stall(direction?: Direction): void;
  /** Ends a cut or a stall. */
  restore(): void;
  /** From now on new connections go there. */
  retarget(target: { host: string; port: number }): void;
  /** Asked about everything that goes to the server. */
  onRequest: ((bytes: Buffer) => Fate) | undefined;
  close(): Promise<void>;
}

export async function startRelay(first: { host: string; port: number }): Promise<Relay> {
  const sockets = new Set<Socket>();
  let target = first;
  let state: 'open' | 'cut' | 'stalled' = 'open';
  let stalled: Direction = 'both';
  /** The directions of sockets by where their bytes go. */
  const ways = new WeakMap<Socket, Direction>();
  const isStalled = (one: Socket): boolean => state === 'stalled' && (stalled === 'both' || stalled === ways.get(one));

  function join(one: Socket, other: Socket, way: Direction, fateOf: (bytes: Buffer) => Fate): void {
    sockets.add(one);
    ways.set(one, way);
    one.setNoDelay(true);
    one.on('data', (bytes: Buffer) => {
      const fate = fateOf(bytes);
      if (fate === 'cut before') {
        one.destroy();
        return;
      }
      if (fate === 'cut after') {
        // The bytes arrive; what they bring about is never heard of.
        other.removeAllListeners('data').end(bytes);
        one.removeAllListeners('close').destroy();
        sockets.delete(one);
        return;
      }
      if (!other.write(bytes)) one.pause();
    });
    other.on('drain', () => {
      if (!isStalled(one)) one.resume();
    });
    one.on('end', () => other.end());
    one.on('close', () => {
      sockets.delete(one);
      other.destroy();
    });
    one.on('error', () => {}); // 'close' follows
    if (isStalled(one)) one.pause();
  }

  const server = createServer({ allowHalfOpen: true }, (client) => {
    if (state === 'cut') {
      client.destroy();
      return;
    }
    const behind = connect({ ...target, allowHalfOpen: true });
    join(client, behind, 'to server', (bytes) => relay.onRequest?.(bytes) ?? 'pass');
    join(behind, client, 'from server', () => 'pass');
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const cutAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  const relay: Relay = {
    port: (server.address() as AddressInfo).port,
    onRequest: undefined,
    cut() {
      state = 'cut';
      cutAll();
    },
    stall(direction = 'both') {
      state = 'stalled';
      stalled = direction;
      for (const socket of sockets) if (isStalled(socket)) socket.pause();
    },
    restore() {
      const before = state;
      state = 'open';
      if (before === 'stalled') for (const socket of sockets) socket.resume();
    },
    retarget(next) {
      target = next;
    },
    async close() {
      cutAll();
      await new Promise((closed) => server.close(closed));
    },
  };
  return relay;
}
