/**
 * The sockets of waiting browsers (wire contract C.2). A browser opens one at `/`, is told its id, and passes the id to
 * `/oauth/connect`; the callback may land on another node, so messages travel by NOTIFY. Messages hold no secret.
 */
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import { randomId } from '../../base/ids.ts';
import { errorText } from '../../base/log.ts';
import type { ConnectDeps } from './deps.ts';
import type { Notice } from './model.ts';
import { notifySockets } from './store-flows.ts';

const CHANNEL = 'hawser_ws';
/** Nothing a client sends is read. */
const INBOUND_BYTES_MAX = 1_024;
/** A login with a second factor takes minutes, not a quarter of an hour. */
const SOCKET_LIFE_MS = 15 * 60_000;
/** Idle sockets are cut by proxies after 60 s; this keeps them. */
const PING_MS = 25_000;
/** One waiting person each; far below the limit of file handles. */
const SOCKETS_MAX = 5_000;
/** PostgreSQL takes 8,000 bytes per notification; the description is what can be long. */
const DESCRIPTION_LENGTH_MAX = 1_000;
/** Paths the published clients use; the first is their default. */
const PATHS = new Set(['/', '/ws']);

export interface Sockets {
  /**
   * Takes the upgrade requests of this server; those of other paths are refused. `ready` resolves when messages of
   * other nodes arrive.
   */
  attach(server: Server): AttachedSockets;
  /** Sends a message to the browser with this id, whichever node holds it. Gone browsers are no error. */
  tell(wsClientId: string, notice: Notice): Promise<void>;
  /** Sockets open on this node. */
  readonly size: number;
}

export interface AttachedSockets {
  ready: Promise<void>;
  /** Cuts the sockets of this node and stops listening. */
  close(): Promise<void>;
}

/** The sockets of one node. */
export function createSockets(deps: Pick<ConnectDeps, 'db' | 'clock' | 'log'>): Sockets {
  const { db, clock, log } = deps;
  const wss = new WebSocketServer({ noServer: true, maxPayload: INBOUND_BYTES_MAX, perMessageDeflate: false });
  const open = new Map<string, { socket: WebSocket; openedAt: number }>();
  function deliver(to: string, notice: Notice): boolean {
    const found = open.get(to);
    if (found === undefined) return false;
    found.socket.send(JSON.stringify(notice));
    return true;
  }

  /** Keeps sockets alive and ends those that waited too long. */
  function tend(): void {
    const oldest = clock.monotonicMs() - SOCKET_LIFE_MS;
    for (const { socket, openedAt } of open.values()) {
      if (openedAt < oldest) socket.close(1000, 'waited too long');
      else socket.ping();
    }
  }

  function accept(socket: WebSocket): void {
    const id = randomId();
    open.set(id, { socket, openedAt: clock.monotonicMs() });
    socket.on('close', () => open.delete(id));
    socket.on('error', (error) => log.debug('a waiting socket failed', { error: errorText(error) }));
    socket.send(JSON.stringify({ message_type: 'connection_ack', ws_client_id: id }));
  }

  function upgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    const path = (request.url ?? '').split('?')[0] ?? '';
    if (!PATHS.has(path)) return refuse(stream, '404 Not Found');
    if (open.size >= SOCKETS_MAX) return refuse(stream, '503 Service Unavailable');
    wss.handleUpgrade(request, stream, head, accept);
  }

  return {
    attach(server) {
      server.on('upgrade', upgrade);
      const stop = clock.every(PING_MS, tend);
      const listening = db.listen(CHANNEL, (payload) => {
        const { to, notice } = JSON.parse(payload) as { to: string; notice: Notice };
        deliver(to, notice);
      });
      return {
        ready: listening.then(() => undefined),
        async close() {
          stop();
          server.off('upgrade', upgrade);
          for (const { socket } of open.values()) socket.terminate();
          wss.close();
          await (
            await listening
          )();
        },
      };
    },
    async tell(wsClientId, notice) {
      if (deliver(wsClientId, notice)) return;
      const short =
        notice.message_type === 'error'
          ? { ...notice, error_desc: notice.error_desc.slice(0, DESCRIPTION_LENGTH_MAX) }
          : notice;
      await notifySockets(db, CHANNEL, JSON.stringify({ to: wsClientId, notice: short }));
    },
    get size() {
      return open.size;
    },
  };
}

function refuse(stream: Duplex, status: string): void {
  stream.on('error', () => stream.destroy()); // the client left first: nothing to tell it
  stream.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}
