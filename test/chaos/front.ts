/**
 * Stands before every provider of a chaos test: writes down what was asked and what was given, and lets a test step in
 * between the provider's decision and the answer (kill points K4 and K5, seen from the provider's side).
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

/** One token request. */
export interface Served {
  kind: string;
  /** Name of the node that asked. */
  node: string;
  /** The refresh token that was sent. */
  used: string;
  /** What the provider gave for it, whether or not it arrived. */
  issued: { accessToken: string; refreshToken: string } | undefined;
}

/** `drop`: no byte of the answer is sent. `half`: its head and half of its body, then the call, and nothing more. */
export type Intervention = 'answer' | 'drop' | { half: () => void };

export interface Front {
  /** `host:port` for the egress allow-list. */
  pair: string;
  tokenUrl(kind: string): string;
  /** Every served request, oldest first. */
  readonly served: Served[];
  /** Requests that have not got their answer yet. */
  readonly pending: number;
  /** Called when the provider has decided, before its answer goes out. */
  onServed: ((served: Served) => Intervention | Promise<Intervention>) | undefined;
  close(): Promise<void>;
}

/** `targets`: token endpoint by kind. */
export async function startFront(targets: Record<string, string>): Promise<Front> {
  const served: Served[] = [];
  const sockets = new Set<Socket>();
  let pending = 0;

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const kind = (request.url ?? '').split('/').at(-1) ?? '';
    const body = await text(request);
    const answer = await fetch(targets[kind] as string, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body,
    });
    const raw = await answer.text();
    const entry: Served = {
      kind,
      node: (request.headers['user-agent'] ?? '').replace(/^hawser\//, ''),
      used: new URLSearchParams(body).get('refresh_token') ?? '',
      issued: issuedIn(raw),
    };
    served.push(entry);
    const intervention = (await front.onServed?.(entry)) ?? 'answer';
    if (intervention === 'drop') {
      response.socket?.destroy();
      return;
    }
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(raw) };
    response.writeHead(answer.status, headers);
    if (intervention === 'answer') response.end(raw);
    else response.write(raw.slice(0, raw.length / 2), intervention.half);
  }

  const server = createServer((request, response) => {
    pending += 1;
    serve(request, response)
      .catch((error: unknown) => void response.socket?.destroy(error instanceof Error ? error : undefined))
      .finally(() => (pending -= 1));
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {}); // killed nodes break their connections
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const pair = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const front: Front = {
    pair,
    tokenUrl: (kind) => `http://${pair}/token/${kind}`,
    served,
    get pending() {
      return pending;
    },
    onServed: undefined,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((closed) => server.close(closed));
    },
  };
  return front;
}

function issuedIn(raw: string): Served['issued'] {
  try {
    const answer = JSON.parse(raw) as { access_token?: string; refresh_token?: string };
    if (answer.access_token === undefined) return undefined;
    return { accessToken: answer.access_token, refreshToken: answer.refresh_token ?? '' };
  } catch {
    return undefined; // an error page of the provider
  }
}

async function text(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
