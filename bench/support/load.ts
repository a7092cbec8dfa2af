/**
 * A small load generator: raw sockets with keep-alive, one request in flight per socket, answers counted by their
 * `Content-Length`. An HTTP client library would cost more than what it measures.
 */
import { createHmac } from 'node:crypto';
import { connect, type Socket } from 'node:net';

export interface LoadOrder {
  url: string;
  headers: Record<string, string>;
  /** JSON of a POST. Default: a GET. */
  body?: string;
  /** Instead of a body: a number of its own between these two, and the hex HMAC of the whole in this header. */
  signed?: { header: string; secret: string; before: string; after: string };
  connections: number;
  durationMs: number;
}

export interface LoadResult {
  requests: number;
  errors: number;
  elapsedMs: number;
  latenciesMs: number[];
}

/** Of the last signed body of this process: no two are equal. */
let serial = 0;

const HEAD_END = Buffer.from('\r\n\r\n');

async function run(order: LoadOrder): Promise<LoadResult> {
  const url = new URL(order.url);
  const lines = Object.entries(order.headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const write = (body: string | undefined, more = ''): Buffer =>
    Buffer.from(
      `${body === undefined ? 'GET' : 'POST'} ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\n${lines.join('')}${more}${bodyHead(body)}\r\n${body ?? ''}`,
    );
  const fixed = write(order.body);
  const next = (): Buffer => {
    if (order.signed === undefined) return fixed;
    const { header, secret, before, after } = order.signed;
    const body = `${before}${(serial += 1)}${after}`;
    return write(body, `${header}: ${createHmac('sha256', secret).update(body).digest('hex')}\r\n`);
  };
  const result: LoadResult = { requests: 0, errors: 0, elapsedMs: 0, latenciesMs: [] };
  const startedAtMs = performance.now();
  const endsAtMs = startedAtMs + order.durationMs;
  await Promise.all(Array.from({ length: order.connections }, () => drive(url, next, endsAtMs, result)));
  result.elapsedMs = performance.now() - startedAtMs;
  return result;
}

function bodyHead(body: string | undefined): string {
  if (body === undefined) return '';
  return `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`;
}

function drive(url: URL, next: () => Buffer, endsAtMs: number, result: LoadResult): Promise<void> {
  return new Promise((resolve) => {
    const socket: Socket = connect(Number(url.port), url.hostname);
    let sentAtMs = 0;
    let head: Buffer | undefined;
    let left = 0;
    const finish = (failed: boolean): void => {
      if (failed) result.errors += 1;
      socket.removeAllListeners().on('error', () => {
        // What comes after the end does not matter.
      });
      socket.destroy();
      resolve();
    };
    const send = (): void => {
      const request = next();
      sentAtMs = performance.now();
      socket.write(request);
    };
    socket.setNoDelay(true);
    socket.on('connect', send);
    socket.on('error', () => finish(true));
    socket.on('close', () => finish(true));
    socket.on('data', (chunk) => {
      if (left > 0) left -= chunk.length;
      else {
        head = head === undefined ? chunk : Buffer.concat([head, chunk]);
        const end = head.indexOf(HEAD_END);
        if (end === -1) return;
        const text = head.toString('latin1', 0, end);
        const length = Number(/\r\ncontent-length: *(\d+)/i.exec(text)?.[1]);
        if (!text.startsWith('HTTP/1.1 200') || !Number.isInteger(length)) {
          finish(true);
          return;
        }
        left = length - (head.length - end - HEAD_END.length);
        head = undefined;
      }
      if (left > 0) return;
      const nowMs = performance.now();
      result.requests += 1;
      result.latenciesMs.push(nowMs - sentAtMs);
      if (nowMs >= endsAtMs) finish(left < 0);
      else send();
    });
  });
}

process.on('message', (order: LoadOrder) => {
  void run(order).then((result) => process.send?.(result));
});
process.send?.({ ready: true });
