/** The HTTP edge alone, around routes of a test, and a client that writes bytes no HTTP library would. */
import { connect, type AddressInfo, type Socket } from 'node:net';
import { silentLog, type Log } from '../../src/base/log.ts';
import type { Clock } from '../../src/base/clock.ts';
import type { Principal, Route } from '../../src/base/route.ts';
import { systemClock } from '../../src/platform/clock.ts';
import type { EdgeLimits } from '../../src/shell/http/limits.ts';
import { createServer, type EdgeServer, type ServerDeps } from '../../src/shell/http/server.ts';

export interface TestEdge extends EdgeServer {
  port: number;
  url: string;
  close(): Promise<void>;
}

/** The one key that the edge of a test knows. */
export const KEY = 'a1b2c3d4-0000-4000-8000-00000000000a';

export const KEY_PRINCIPAL: Principal = {
  kind: 'key',
  environment: { id: 1, uuid: 'u', name: 'dev', isProduction: false, callbackUrl: undefined },
  keyId: 'key-1',
  scopes: ['environment:*'],
};

/** Listens on a free loopback port. */
export async function startEdge(
  routes: Route[],
  options: Partial<Omit<ServerDeps, 'routes' | 'limits'>> & {
    limits?: Partial<EdgeLimits>;
    clock?: Clock;
    log?: Log;
  } = {},
): Promise<TestEdge> {
  const edge = await createServer({
    db: { listening: true, ping: async () => true },
    log: silentLog,
    clock: systemClock,
    version: '0.0.0-test',
    environments: {
      peekKey: () => undefined,
      byKey: async (secret) => (secret.toLowerCase() === KEY ? KEY_PRINCIPAL : undefined),
    },
    sessionByToken: async () => undefined,
    publicUrl: () => new URL('http://localhost:1'),
    ready: () => true,
    plugins: [],
    rateLimitPerMinute: 0,
    authFailuresPerMinute: 10,
    trustedProxies: [],
    ...options,
    routes,
  });
  await edge.app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = edge.app.server.address() as AddressInfo;
  return { ...edge, port, url: `http://127.0.0.1:${port}`, close: () => edge.app.close() };
}

export interface RawReply {
  status: number;
  headers: Map<string, string>;
  body: string;
}

export interface RawSocket {
  readonly socket: Socket;
  send(bytes: string): void;
  /** All complete replies so far. */
  replies(): RawReply[];
  text(): string;
  readonly closed: Promise<void>;
  readonly isClosed: boolean;
}

/** Opens a socket that stays until somebody ends it. */
export function openRaw(port: number): Promise<RawSocket> {
  return new Promise((resolve, reject) => {
    let text = '';
    let isClosed = false;
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const closed = new Promise<void>((done) => {
      socket.once('close', () => {
        isClosed = true;
        done();
      });
    });
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    socket.on('end', () => socket.end());
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      socket.on('error', () => {}); // a reset is an end like any other; `closed` tells
      resolve({
        socket,
        send: (bytes) => void socket.write(Buffer.from(bytes, 'latin1')),
        replies: () => readReplies(text),
        text: () => text,
        closed,
        get isClosed() {
          return isClosed;
        },
      });
    });
  });
}

/** Sends the bytes and no more, and reads to the end. */
export async function exchange(port: number, bytes: string): Promise<{ replies: RawReply[]; text: string }> {
  const raw = await openRaw(port);
  raw.send(bytes);
  raw.socket.end();
  await raw.closed;
  return { replies: raw.replies(), text: raw.text() };
}

/** Splits what a server wrote into its replies; an incomplete one at the end is left out. */
export function readReplies(text: string): RawReply[] {
  const replies: RawReply[] = [];
  let at = 0;
  while (at < text.length) {
    const headEnd = text.indexOf('\r\n\r\n', at);
    if (headEnd === -1) break;
    const [first = '', ...lines] = text.slice(at, headEnd).split('\r\n');
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(first)?.[1]);
    if (!Number.isInteger(status)) throw new Error(`no status line: ${first.slice(0, 80)}`);
    const headers = new Map(
      lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
    );
    at = headEnd + 4;
    if (status < 200) continue;
    const length = Number(headers.get('content-length') ?? 0);
    if (headers.has('transfer-encoding')) throw new Error('chunked replies are not read here');
    if (text.length < at + length) break;
    replies.push({ status, headers, body: text.slice(at, at + length) });
    at += length;
  }
  return replies;
}
