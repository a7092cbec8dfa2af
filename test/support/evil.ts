/**
 * EVIL: an upstream that is scripted byte by byte over a raw socket, for everything a real HTTP server refuses to do:
 * lie about lengths, stop half-way, drip, reset, answer nonsense. It records every byte it gets.
 */
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { Clock } from '../../src/base/clock.ts';

export interface EvilRequest {
  method: string;
  target: string;
  /** Lower-case names, values joined by `, `. */
  headers: Record<string, string>;
  rawHead: string;
  body: Buffer;
}

export interface EvilConnection {
  readonly socket: Socket;
  /** Every byte received so far. */
  received(): Buffer;
  /** The next request with its whole body; `undefined` when the peer closed first. */
  request(): Promise<EvilRequest | undefined>;
  /** Only the head of the next request; its body stays unread in `received()`. */
  head(): Promise<string | undefined>;
  /** Writes; resolves when the kernel took the bytes, or when the socket is gone. */
  send(bytes: string | Buffer): Promise<void>;
  /** Half-closes after what was sent. */
  end(): void;
  /** Closes with a TCP reset. */
  reset(): void;
  /** Resolves when the socket is closed from either side. */
  readonly closed: Promise<void>;
}

export type EvilScript = (connection: EvilConnection, index: number) => void | Promise<void>;

export interface Evil {
  readonly port: number;
  /** `127.0.0.1:port` */
  readonly pair: string;
  readonly connections: readonly EvilConnection[];
  url(path?: string): URL;
  /** Stops listening and closes every socket. Rejects with the first error of a script. */
  close(): Promise<void>;
}

/** Starts EVIL on a free loopback port. The script runs once per connection. With `tls` it speaks HTTPS. */
export async function createEvil(
  script: EvilScript,
  options: { tls?: { key: string; cert: string }; host?: string } = {},
): Promise<Evil> {
  const connections: EvilConnection[] = [];
  const failures: unknown[] = [];
  const host = options.host ?? '127.0.0.1';
  const onSocket = (socket: Socket): void => {
    const connection = openConnection(socket);
    const index = connections.push(connection) - 1;
    Promise.resolve()
      .then(() => script(connection, index))
      .catch((error: unknown) => failures.push(error));
  };
  const server: Server = options.tls === undefined ? createTcpServer(onSocket) : createTlsServer(options.tls, onSocket);
  // Below TLS: a handshake that fails never becomes a connection of the script.
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port } = server.address() as AddressInfo;
  const pair = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  return {
    port,
    pair,
    connections,
    url: (path = '/') => new URL(path, `${options.tls === undefined ? 'http' : 'https'}://${pair}`),
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      if (failures.length > 0) throw failures[0];
    },
  };
}

/** A script that answers each request of each connection with the same bytes. */
export function always(bytes: string | Buffer): EvilScript {
  return async (connection) => {
    while ((await connection.request()) !== undefined) await connection.send(bytes);
  };
}

/** The bytes of a plain answer with the right `Content-Length`. */
export function answer(status: number, body: string | Buffer, headers: Record<string, string> = {}): Buffer {
  const lines = Object.entries({ 'content-length': String(Buffer.byteLength(body)), ...headers });
  const head = `HTTP/1.1 ${status} Evil\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), Buffer.from(body)]);
}

/** Waits for a condition; fails after 10 s with the given words. */
export async function until(condition: () => boolean, what = 'the condition'): Promise<void> {
  const endsAtMs = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > endsAtMs) throw new Error(`waited 10 s for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/**
 * Lets both ends read what is under way. EVIL lives in the process of its peer: bytes that were written are readable at
 * the next turn of the event loop, however slow the machine is.
 */
export async function turns(count = 5): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** A clock that only moves when told: `advance` wakes every sleeper and ticker whose time has come. */
export function handClock(): Clock & { advance(ms: number): void; readonly sleepers: number } {
  let nowMs = Date.UTC(2026, 0, 1);
  const sleepers = new Set<{ atMs: number; wake: () => void }>();
  const tickers = new Set<{ everyMs: number; atMs: number; run: () => void }>();
  return {
    now: () => nowMs,
    monotonicMs: () => nowMs,
    sleep(ms, signal) {
      return new Promise((resolve, reject) => {
        if (signal?.aborted === true) {
          reject(signal.reason as Error);
          return;
        }
        const sleeper = { atMs: nowMs + ms, wake: resolve };
        sleepers.add(sleeper);
        signal?.addEventListener('abort', () => {
          sleepers.delete(sleeper);
          reject(signal.reason as Error);
        });
      });
    },
    every(ms, run) {
      const ticker = { everyMs: ms, atMs: nowMs + ms, run };
      tickers.add(ticker);
      return () => tickers.delete(ticker);
    },
    advance(ms) {
      nowMs += ms;
      for (const sleeper of sleepers) {
        if (sleeper.atMs > nowMs) continue;
        sleepers.delete(sleeper);
        sleeper.wake();
      }
      for (const ticker of tickers) {
        if (ticker.atMs > nowMs) continue;
        ticker.atMs = nowMs + ticker.everyMs;
        ticker.run();
      }
    },
    get sleepers() {
      return sleepers.size;
    },
  };
}

function openConnection(socket: Socket): EvilConnection {
  let buffered = Buffer.alloc(0);
  let taken = 0;
  let finished = false;
  let wake = Promise.withResolvers<void>();
  const stir = (): void => {
    wake.resolve();
    wake = Promise.withResolvers<void>();
  };
  socket.on('data', (chunk: Buffer) => {
    buffered = Buffer.concat([buffered, chunk]);
    stir();
  });
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const finish = (): void => {
    finished = true;
    stir();
  };
  socket.on('end', finish);
  socket.on('close', finish);
  // A peer that resets is what many of the scripts provoke; the close event tells the test.
  socket.on('error', finish);

  const rest = (): Buffer => buffered.subarray(taken);
  async function need(ready: () => boolean): Promise<boolean> {
    while (!ready()) {
      if (finished) return false;
      await wake.promise;
    }
    return true;
  }
  async function head(): Promise<string | undefined> {
    if (!(await need(() => rest().includes('\r\n\r\n')))) return undefined;
    const end = rest().indexOf('\r\n\r\n') + 4;
    const text = rest().toString('latin1', 0, end);
    taken += end;
    return text;
  }
  async function body(headers: Record<string, string>): Promise<Buffer | undefined> {
    if (headers['transfer-encoding'] === undefined) {
      const length = Number(headers['content-length'] ?? 0);
      if (!(await need(() => rest().length >= length))) return undefined;
      const bytes = Buffer.from(rest().subarray(0, length));
      taken += length;
      return bytes;
    }
    const chunks: Buffer[] = [];
    for (;;) {
      if (!(await need(() => rest().includes('\r\n')))) return undefined;
      const line = rest().indexOf('\r\n');
      const size = Number.parseInt(rest().toString('latin1', 0, line), 16);
      if (!(await need(() => rest().length >= line + 2 + size + 2))) return undefined;
      chunks.push(Buffer.from(rest().subarray(line + 2, line + 2 + size)));
      taken += line + 2 + size + 2;
      if (size === 0) return Buffer.concat(chunks);
    }
  }

  return {
    socket,
    closed,
    received: () => buffered,
    head,
    async request() {
      const rawHead = await head();
      if (rawHead === undefined) return undefined;
      const [first = '', ...lines] = rawHead.trimEnd().split('\r\n');
      const [method = '', target = ''] = first.split(' ');
      const headers: Record<string, string> = {};
      for (const line of lines) {
        const colon = line.indexOf(':');
        const name = line.slice(0, colon).toLowerCase();
        const value = line.slice(colon + 1).trim();
        headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`;
      }
      const bytes = await body(headers);
      return bytes === undefined ? undefined : { method, target, headers, rawHead, body: bytes };
    },
    send(bytes) {
      return new Promise((resolve) => {
        if (socket.destroyed) {
          resolve();
          return;
        }
        void closed.then(resolve);
        socket.write(bytes, () => resolve());
      });
    },
    end: () => void socket.end(),
    reset: () => void socket.resetAndDestroy(),
  };
}

/** A new self-signed certificate for these names and addresses, in PEM. Valid from yesterday for a week. */
export function selfSigned(names: readonly string[], validDays = 7): { key: string; cert: string } {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const algorithm = der(0x30, oid('2a8648ce3d040302')); // ecdsa-with-SHA256
  const name = der(0x30, der(0x31, der(0x30, oid('550403'), der(0x0c, Buffer.from('evil')))));
  const startsAtMs = Date.now() - 86_400_000;
  const validity = der(0x30, utcTime(startsAtMs), utcTime(startsAtMs + validDays * 86_400_000));
  const alternatives = der(
    0x30,
    ...names.map((entry) => {
      const parts = entry.split('.').map(Number);
      const isAddress = parts.length === 4 && parts.every((part) => Number.isInteger(part));
      return isAddress ? der(0x87, Buffer.from(parts)) : der(0x82, Buffer.from(entry));
    }),
  );
  const extensions = der(
    0xa3,
    der(
      0x30,
      der(0x30, oid('551d11'), der(0x04, alternatives)),
      der(0x30, oid('551d13'), der(0x01, Buffer.from([0xff])), der(0x04, der(0x30, der(0x01, Buffer.from([0xff]))))),
    ),
  );
  const body = der(
    0x30,
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    algorithm,
    name,
    validity,
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    extensions,
  );
  const signature = sign('sha256', body, privateKey);
  const certificate = der(0x30, body, algorithm, der(0x03, Buffer.from([0]), signature));
  const lines = certificate.toString('base64').replace(/(.{64})/g, '$1\n');
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
  };
}

/** One DER element: tag, length, content (X.690 8.1). */
function der(tag: number, ...content: Buffer[]): Buffer {
  const bytes = Buffer.concat(content);
  const length =
    bytes.length < 0x80
      ? Buffer.from([bytes.length])
      : bytes.length < 0x100
        ? Buffer.from([0x81, bytes.length])
        : Buffer.from([0x82, bytes.length >> 8, bytes.length & 0xff]);
  return Buffer.concat([Buffer.from([tag]), length, bytes]);
}

function oid(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, 'hex'));
}

function utcTime(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/\D/g, '').slice(2, 14);
  return der(0x17, Buffer.from(`${digits}Z`));
}
