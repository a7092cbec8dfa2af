/**
 * Who is connected. A socket is a stranger until a request on it shows a valid key or session token. Strangers of one
 * address are few, and those that only wait are closed first: one machine cannot take all sockets of the process.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import { addressKey, type Trust } from './address.ts';
import { WATCH_INTERVAL_MS, type EdgeLimits } from './limits.ts';

interface Stranger {
  socket: Socket;
  address: string;
  /** Complete heads whose answers are not yet written; infinite for a WebSocket. */
  underWay: number;
  /** Since when nothing is under way. */
  waitsSinceMs: number;
}

export interface Peers {
  /** A request on this socket was authenticated. */
  admit(socket: Socket): void;
  /** The newest answer of a socket, written or not. */
  latestAnswer(socket: Socket): ServerResponse | undefined;
  /** Closes every socket without a call under way, and each other one after its call. */
  closeIdle(): void;
  stop(): void;
}

type Limits = Pick<EdgeLimits, 'socketsMax' | 'strangersPerAddressMax' | 'waitingPerAddressMax' | 'strangerPatienceMs'>;

/** Trusted proxies bring the callers of many addresses: their sockets are not limited. */
export function watchPeers(
  server: Server,
  options: { clock: Clock; log: Log; limits: Limits; isTrusted: Trust },
): Peers {
  const { clock, log, limits, isTrusted } = options;
  const strangers = new WeakMap<Socket, Stranger>();
  const byAddress = new Map<string, Set<Stranger>>();
  const answers = new WeakMap<Socket, ServerResponse>();
  const sockets = new Set<Socket>();

  function forget(stranger: Stranger): void {
    strangers.delete(stranger.socket);
    const group = byAddress.get(stranger.address);
    group?.delete(stranger);
    if (group?.size === 0) byAddress.delete(stranger.address);
  }

  function onConnection(socket: Socket): void {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    const from = socket.remoteAddress;
    if (from === undefined || isTrusted(from)) return;
    const address = addressKey(from);
    const group = byAddress.get(address) ?? new Set();
    if (group.size >= limits.strangersPerAddressMax) {
      log.debug('a connection was refused: too many of its address', { address });
      socket.destroy();
      return;
    }
    const stranger = { socket, address, underWay: 0, waitsSinceMs: clock.monotonicMs() };
    group.add(stranger);
    byAddress.set(address, group);
    strangers.set(socket, stranger);
    socket.once('close', () => forget(stranger));
  }

  function onRequest({ socket }: IncomingMessage, response: ServerResponse): void {
    answers.set(socket, response);
    const stranger = strangers.get(socket);
    if (stranger === undefined) return;
    stranger.underWay += 1;
    response.once('close', () => {
      stranger.underWay -= 1;
      stranger.waitsSinceMs = clock.monotonicMs();
    });
  }

  function onUpgrade({ socket }: IncomingMessage): void {
    const stranger = strangers.get(socket);
    if (stranger !== undefined) stranger.underWay = Infinity;
  }

  function closeWaiting(): void {
    const latestMs = clock.monotonicMs() - limits.strangerPatienceMs;
    for (const [address, group] of byAddress) {
      if (group.size <= limits.waitingPerAddressMax) continue;
      const waiting = [...group].filter((one) => one.underWay === 0 && one.waitsSinceMs <= latestMs);
      const surplus = waiting.length - limits.waitingPerAddressMax;
      if (surplus <= 0) continue;
      log.debug('waiting connections of one address were closed', { address, count: surplus });
      waiting.sort((one, other) => one.waitsSinceMs - other.waitsSinceMs);
      for (const { socket } of waiting.slice(0, surplus)) socket.destroy();
    }
  }

  let toldFull = false;
  server.maxConnections = limits.socketsMax;
  server.on('drop', () => {
    if (!toldFull) log.warn('connections are refused: too many sockets are open', { sockets: limits.socketsMax });
    toldFull = true;
  });
  server.on('connection', onConnection);
  server.on('request', onRequest);
  server.on('upgrade', onUpgrade);
  const stop = clock.every(WATCH_INTERVAL_MS, closeWaiting);
  return {
    admit(socket) {
      const stranger = strangers.get(socket);
      if (stranger !== undefined) forget(stranger);
    },
    latestAnswer: (socket) => answers.get(socket),
    closeIdle() {
      for (const socket of sockets) {
        const answer = answers.get(socket);
        if (answer === undefined || answer.closed) socket.destroy();
        else answer.once('close', () => socket.destroySoon());
      }
    },
    stop,
  };
}
