/** A provider made of one function: it sees every request whole and answers as the test says. */
import { createServer as createHttp, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';

export interface SeenRequest {
  method: string;
  /** Path and query as sent. */
  target: string;
  path: string;
  query: URLSearchParams;
  headers: IncomingMessage['headers'];
  body: Buffer;
  /** The body as form parameters. */
  form: URLSearchParams;
  /** SHA-256 of the TLS client certificate, if one was presented. */
  peer: string | undefined;
}

export interface ScriptedReply {
  status?: number;
  json?: unknown;
  text?: string;
  headers?: Record<string, string>;
}

export interface Scripted {
  url: string;
  pair: string;
  requests: SeenRequest[];
  /** Decides about each answer; replaced at will. */
  answer: (request: SeenRequest) => ScriptedReply | Promise<ScriptedReply>;
  /** Requests whose path ends like this. */
  to(suffix: string): SeenRequest[];
  close(): Promise<void>;
}

/** `tls`: serves HTTPS and asks for client certificates, taking any. */
export async function startScripted(options: { tls?: { key: string; cert: string } } = {}): Promise<Scripted> {
  const state: Scripted = {
    url: '',
    pair: '',
    requests: [],
    answer: () => ({ status: 404, json: { error: 'not_scripted' } }),
    to: (suffix) => state.requests.filter(({ path }) => path.endsWith(suffix)),
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const url = new URL(request.url ?? '/', 'http://scripted.example');
    const seen: SeenRequest = {
      method: request.method ?? '',
      target: request.url ?? '',
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
      body,
      form: new URLSearchParams(body.toString('utf8')),
      peer: 'getPeerCertificate' in request.socket ? peerOf(request.socket as TLSSocket) : undefined,
    };
    state.requests.push(seen);
    const reply = await state.answer(seen);
    const text = reply.text ?? JSON.stringify(reply.json ?? {});
    response.writeHead(reply.status ?? 200, { 'content-type': 'application/json', ...reply.headers }).end(text);
  }
  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    serve(request, response).catch((error: unknown) => {
      // A failing script must fail the test, not hang it.
      response.writeHead(599, { 'content-type': 'text/plain' }).end(String(error));
    });
  };
  const { tls } = options;
  const server =
    tls === undefined
      ? createHttp(onRequest)
      : createHttps({ ...tls, requestCert: true, rejectUnauthorized: false }, onRequest);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const host = tls === undefined ? '127.0.0.1' : 'localhost';
  state.pair = `${host}:${port}`;
  state.url = `${tls === undefined ? 'http' : 'https'}://${state.pair}`;
  return state;
}

function peerOf(socket: TLSSocket): string | undefined {
  const { fingerprint256 } = socket.getPeerCertificate();
  return fingerprint256 as string | undefined;
}
