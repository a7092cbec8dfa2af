/** What the connect tests share: a log that remembers, a clock one can push, and an authorization server of their own. */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Clock } from '../../src/base/clock.ts';
import type { Log, LogFields } from '../../src/base/log.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { beginFlow, sessionToken } from '../support/connect.ts';
import type { TestApp } from '../support/app.ts';
import type { EmulatorName } from '../../emulators/index.ts';

/** A log whose every line can be searched. */
export function rememberingLog(): { log: Log; text(): string } {
  const lines: string[] = [];
  const make = (bound: LogFields): Log => {
    const at = (level: string) => (message: string, fields?: LogFields) =>
      void lines.push(JSON.stringify({ level, message, ...bound, ...fields }));
    return {
      debug: at('debug'),
      info: at('info'),
      warn: at('warn'),
      error: at('error'),
      child: (fields) => make({ ...bound, ...fields }),
    };
  };
  return { log: make({}), text: () => lines.join('\n') };
}

/** Real time plus what the test added. */
export function pushableClock(): { clock: Clock; push(ms: number): void } {
  let addedMs = 0;
  return {
    clock: { ...systemClock, now: () => systemClock.now() + addedMs },
    push(ms) {
      addedMs += ms;
    },
  };
}

/** A flow whose customer has said yes (or no): the callback is still to come. */
export async function answeredFlow(
  app: TestApp,
  options: {
    key?: string;
    emulator?: EmulatorName;
    decision?: 'allow' | 'deny';
    token?: string;
    query?: Record<string, string>;
  } = {},
): Promise<{ token: string; cookie: string; location: string; back: URL }> {
  const { key = 'checkr-partner', emulator = 'checkr', decision = 'allow' } = options;
  const token = options.token ?? (await sessionToken(app, key));
  const flow = await beginFlow(app.url, key, token, options.query);
  const back = new URL(app.emulators.get(emulator).consent(flow.location, { decision }));
  return { token, cookie: flow.cookie, location: flow.location, back };
}

/** The provider's redirect as the browser follows it. */
export function followBack(
  app: { url: string },
  back: URL | string,
  cookie = '',
  headers: Record<string, string> = {},
): Promise<Response> {
  const search = typeof back === 'string' ? back : back.search;
  return fetch(`${app.url}/oauth/callback${search}`, { redirect: 'manual', headers: { cookie, ...headers } });
}

export interface TokenRequest {
  headers: IncomingMessage['headers'];
  form: URLSearchParams;
}

export interface TinyServer {
  url: string;
  pair: string;
  requests: TokenRequest[];
  /** The next answers; the last one stays. */
  answer: (request: TokenRequest) => { status?: number; body: string; type?: string };
  close(): Promise<void>;
}

/** A token endpoint (any path) that answers what it is told. */
export async function startTinyServer(): Promise<TinyServer> {
  const requests: TokenRequest[] = [];
  const tiny: TinyServer = {
    url: '',
    pair: '',
    requests,
    answer: () => ({ body: JSON.stringify({ access_token: 'at-1', token_type: 'Bearer', expires_in: 3600 }) }),
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
    request.on('end', () => {
      const seen = { headers: request.headers, form: new URLSearchParams(body) };
      requests.push(seen);
      const { status = 200, body: text, type = 'application/json' } = tiny.answer(seen);
      response.writeHead(status, { 'content-type': type, connection: 'close' }).end(text);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  tiny.pair = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  tiny.url = `http://${tiny.pair}`;
  return tiny;
}

/** Sends a typed credential as the customer's browser does. */
export async function postCredential(
  url: string,
  path: string,
  token: string,
  body: unknown,
  query: Record<string, string> = {},
): Promise<{ status: number; body: Record<string, unknown>; text: string }> {
  const response = await fetch(`${url}${path}?${new URLSearchParams({ connect_session_token: token, ...query })}`, {
    method: 'POST',
    headers: { origin: 'https://app.example.com', 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, body: JSON.parse(text) as Record<string, unknown>, text };
}
