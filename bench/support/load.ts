/**
 * A small load generator: raw sockets with keep-alive, one request in flight per socket, answers counted by their
 * `Content-Length`. An HTTP client library would cost more than what it measures.
 */
import { connect, type Socket } from 'node:net';

export interface LoadOrder {
  url: string;
  headers: Record<string, string>;
  /** JSON of a POST. Default: a GET. */
  body?: string;
  connections: number;
  durationMs: number;
}

export interface LoadResult {
  requests: number;
  errors: number;
  elapsedMs: number;
  latenciesMs: number[];
}

const HEAD_END = Buffer.from('\r\n\r\n');

async function run(order: LoadOrder): Promise<LoadResult> {
  const url = new URL(order.url);
  const lines = Object.entries(order.headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const request = Buffer.from(
    `${order.body === undefined ? 'GET' : 'POST'} ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\n${lines.join('')}${bodyHead(order.body)}\r\n${order.body ?? ''}`,
  );
  const result: LoadResult = { requests: 0, errors: 0, elapsedMs: 0, latenciesMs: [] };
  const startedAtMs = performance.now();
  const endsAtMs = startedAtMs + order.durationMs;
  await Promise.all(Array.from({ length: order.connections }, () => drive(url, request, endsAtMs, result)));
  result.elapsedMs = performance.now() - startedAtMs;
  return result;
}

function bodyHead(body: string | undefined): string {
  if (body === undefined) return '';
  return `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`;
}

function drive(url: URL, request: Buffer, endsAtMs: number, result: LoadResult): Promise<void> {
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
