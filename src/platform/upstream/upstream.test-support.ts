/** Helpers of the tests of this folder: servers and ways out that are closed after each test, exchanges written down. */
import { afterEach } from 'vitest';
import { createEvil, type Evil, type EvilScript } from '../../../test/support/evil.ts';
import type { Clock } from '../../base/clock.ts';
import { systemClock } from '../clock.ts';
import {
  createUpstream,
  type CallRequest,
  type CallResponse,
  type HeaderRecord,
  type Resolver,
  type StreamHandle,
  type StreamRequest,
  type StreamSink,
  type Upstream,
  type UpstreamFailure,
} from './index.ts';

const open: { upstreams: Upstream[]; others: (() => Promise<unknown>)[] } = { upstreams: [], others: [] };

/** Registers the cleaning up of a test file. */
export function closeAfterEach(): void {
  afterEach(async () => {
    await Promise.all(open.upstreams.splice(0).map((upstream) => upstream.destroy()));
    await Promise.all(open.others.splice(0).map((close) => close()));
  });
}

export function alsoClose(close: () => Promise<unknown>): void {
  open.others.push(close);
}

export async function evilWith(script: EvilScript, options?: Parameters<typeof createEvil>[1]): Promise<Evil> {
  const evil = await createEvil(script, options);
  alsoClose(() => evil.close());
  return evil;
}

/** A URL on which nobody listens any more. */
export async function goneUrl(): Promise<URL> {
  const evil = await createEvil(() => undefined);
  await evil.close();
  return evil.url();
}

/** A way out that may call this pair only. */
export function upstreamFor(
  evil: Pick<Evil, 'pair'> | undefined,
  extra: { clock?: Clock; allow?: string[]; connectionsPerOrigin?: number; resolve?: Resolver } = {},
): Upstream {
  const { clock = systemClock, allow = evil === undefined ? [] : [evil.pair], ...rest } = extra;
  const upstream = createUpstream({ policy: () => ({ allow }), clock, userAgent: 'hawser/test', ...rest });
  open.upstreams.push(upstream);
  return upstream;
}

export async function callOnce(script: EvilScript, request: Partial<CallRequest> = {}): Promise<CallResponse> {
  const evil = await evilWith(script);
  return await upstreamFor(evil).call({ method: 'GET', url: evil.url(), headers: {}, ...request });
}

export async function failureOf(script: EvilScript, request: Partial<CallRequest> = {}): Promise<UpstreamFailure> {
  return await callOnce(script, request).then(
    (response) => {
      throw new Error(`expected a failure, got ${response.status} ${response.body.toString()}`);
    },
    (error: UpstreamFailure) => error,
  );
}

/** Reads one request, sends these bytes, and then does this. */
export const sendThen =
  (bytes: string | Buffer, after: (connection: Parameters<EvilScript>[0]) => void): EvilScript =>
  async (connection) => {
    await connection.request();
    await connection.send(bytes);
    after(connection);
  };

/** The head of an answer without a body that claims to have one. */
export const lying = (status: number): string => `HTTP/1.1 ${status} x\r\ncontent-length: 999999999\r\n\r\n`;

/** An answer of one chunk. */
export const chunked = (size: number): string =>
  `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${size.toString(16)}\r\n${'x'.repeat(size)}\r\n0\r\n\r\n`;

export interface Outcome {
  events: string[];
  status?: number;
  statusText?: string;
  headers?: HeaderRecord;
  trailers?: HeaderRecord | undefined;
  body: Buffer;
  failure?: UpstreamFailure;
}

/** Runs one exchange to its end and writes down every callback in order. */
export function exchange(
  upstream: Upstream,
  url: URL,
  request: Partial<StreamRequest> = {},
  sink: Partial<StreamSink> = {},
): { handle: StreamHandle; done: Promise<Outcome>; outcome: Outcome } {
  const chunks: Buffer[] = [];
  const outcome: Outcome = { events: [], body: Buffer.alloc(0) };
  const { promise: done, resolve } = Promise.withResolvers<Outcome>();
  const finish = (): void => {
    outcome.body = Buffer.concat(chunks);
    resolve(outcome);
  };
  const handle = upstream.stream(
    { method: 'GET', url, headers: {}, headersTimeoutMs: 5000, bodyIdleTimeoutMs: 5000, ...request },
    {
      onHeaders(status, headers, statusText) {
        outcome.events.push('headers');
        Object.assign(outcome, { status, headers, statusText });
        return sink.onHeaders?.(status, headers, statusText);
      },
      onData(chunk) {
        outcome.events.push('data');
        chunks.push(chunk);
        return sink.onData?.(chunk) ?? true;
      },
      onEnd(trailers) {
        outcome.events.push('end');
        outcome.trailers = trailers;
        sink.onEnd?.(trailers);
        finish();
      },
      onError(error) {
        outcome.events.push('error');
        outcome.failure = error;
        finish();
      },
    },
  );
  return { handle, done, outcome };
}
