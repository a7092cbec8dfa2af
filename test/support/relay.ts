/** A TCP relay that can be cut or stalled: what stands behind it is then gone, for whoever goes through it. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** What becomes of bytes on their way to the server: passed on, or the connection ends before or after them. */
export type Fate = 'pass' | 'cut before' | 'cut after';

export interface Relay {
  port: number;
  /** Cuts every connection and refuses new ones. */
  cut(): void;
  /** Lets nothing through in either direction, and tells nobody: half of a partition. */
  stall(): void;
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

  function join(one: Socket, other: Socket, fateOf: (bytes: Buffer) => Fate): void {
    sockets.add(one);
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
      if (state !== 'stalled') one.resume();
    });
    one.on('end', () => other.end());
    one.on('close', () => {
      sockets.delete(one);
      other.destroy();
    });
    one.on('error', () => {}); // 'close' follows
    if (state === 'stalled') one.pause();
  }

  const server = createServer({ allowHalfOpen: true }, (client) => {
    if (state === 'cut') {
      client.destroy();
      return;
    }
    const behind = connect({ ...target, allowHalfOpen: true });
    join(client, behind, (bytes) => relay.onRequest?.(bytes) ?? 'pass');
    join(behind, client, () => 'pass');
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
    stall() {
      state = 'stalled';
      for (const socket of sockets) socket.pause();
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
