/**
 * A scripted OAuth provider on loopback: token endpoint with the four rotation habits, revocation endpoint (RFC 7009), a
 * protected resource and a deauthorize call. Faults are queued; every request is counted.
 */
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

/** What becomes of a used refresh token. */
export type RotationHabit =
  /** It stays; the answer repeats it. */
  | 'same'
  /** It stays; the answer has none. */
  | 'silent'
  /** The old one is dead at once. */
  | 'rotate'
  /** The old one works on for `graceMs`. */
  | 'grace'
  /** As `rotate`, and using the old one again revokes the whole grant. */
  | 'family';

export type TokenFault =
  /** Commits, then cuts the connection without an answer. */
  | { kind: 'lost-reply' }
  /** Cuts the connection before anything happens. */
  | { kind: 'reset' }
  /** Commits, then sends half of the answer and cuts. */
  | { kind: 'half-reply' }
  /** Does nothing but send this. */
  | { kind: 'raw'; status: number; body: string; headers?: Record<string, string> }
  /** Commits, then sends this instead of the answer. */
  | { kind: 'garbled'; status: number; body: string }
  /** Commits, then waits with the answer until the gate opens. */
  | { kind: 'held'; gate: Promise<void> };

export interface Tokens {
  access_token: string;
  refresh_token: string;
}

export interface TokenRequest {
  refreshToken: string;
  /** What was decided, whether or not the answer got through. */
  outcome: 'issued' | 'invalid_grant' | 'invalid_client' | 'none';
}

export interface TokenServer {
  url: string;
  /** `host:port` for the egress allow-list. */
  pair: string;
  tokenUrl: string;
  revokeUrl: string;
  readonly requests: TokenRequest[];
  readonly revocations: { token: string; hint: string }[];
  readonly deauthorized: string[];
  habit: RotationHabit;
  graceMs: number;
  expiresIn: number;
  /** Refuses every client. */
  refuseClient: boolean;
  /** Status of the revocation and deauthorize endpoints; 200 by default. */
  letGoStatus: number;
  /** Waited for before the deauthorize answer. */
  letGoGate: Promise<void> | undefined;
  /** Called when the token endpoint has decided, before it answers. */
  onDecided: (() => void) | undefined;
  /** A new grant, as if a customer had said yes. */
  grant(): Tokens;
  /** Ends a grant at the provider. */
  revoke(refreshToken: string): void;
  isAlive(accessToken: string): boolean;
  /** True while this very refresh token is the one to use: an older one that is only forgiven does not count. */
  isCurrent(refreshToken: string): boolean;
  /** The next token requests meet these, one each. */
  fault(...faults: TokenFault[]): void;
  clearFaults(): void;
  close(): Promise<void>;
}

interface Grant {
  dead: boolean;
  current: string;
  old: Map<string, number>;
  access: Set<string>;
}

const CLIENT = { id: 'client-id', secret: 'client-secret-value' };
export const TOKEN_SERVER_CLIENT = { clientId: CLIENT.id, clientSecret: CLIENT.secret };

export async function startTokenServer(
  options: { habit?: RotationHabit; graceMs?: number; expiresIn?: number } = {},
): Promise<TokenServer> {
  const grants: Grant[] = [];
  const faults: TokenFault[] = [];
  const sockets = new Set<Socket>();
  const grantOf = (refreshToken: string) =>
    grants.find((grant) => grant.current === refreshToken || grant.old.has(refreshToken));

  const state: TokenServer = {
    url: '',
    pair: '',
    tokenUrl: '',
    revokeUrl: '',
    requests: [],
    revocations: [],
    deauthorized: [],
    habit: options.habit ?? 'rotate',
    graceMs: options.graceMs ?? 30_000,
    expiresIn: options.expiresIn ?? 3_600,
    refuseClient: false,
    letGoStatus: 200,
    letGoGate: undefined,
    onDecided: undefined,
    grant() {
      const made = { access_token: token('at'), refresh_token: token('rt') };
      grants.push({ dead: false, current: made.refresh_token, old: new Map(), access: new Set([made.access_token]) });
      return made;
    },
    revoke(refreshToken) {
      const grant = grantOf(refreshToken);
      if (grant !== undefined) grant.dead = true;
    },
    isAlive: (accessToken) => grants.some((grant) => !grant.dead && grant.access.has(accessToken)),
    isCurrent: (refreshToken) => grants.some((grant) => !grant.dead && grant.current === refreshToken),
    fault(...more) {
      faults.push(...more);
    },
    clearFaults() {
      faults.length = 0;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((closed) => server.close(closed));
    },
  };

  /** Decides as the habit says. Undefined: `invalid_grant`. */
  function use(refreshToken: string): Record<string, unknown> | undefined {
    const grant = grantOf(refreshToken);
    if (grant === undefined || grant.dead) return undefined;
    if (grant.current !== refreshToken) {
      if (state.habit === 'family') grant.dead = true;
      const usedAtMs = grant.old.get(refreshToken) ?? 0;
      if (state.habit !== 'grace' || performance.now() - usedAtMs > state.graceMs) return undefined;
    }
    const access = token('at');
    grant.access.add(access);
    const answer = { access_token: access, token_type: 'bearer', expires_in: state.expiresIn, scope: 'all' };
    if (state.habit === 'silent') return answer;
    if (state.habit !== 'same') {
      if (!grant.old.has(grant.current)) grant.old.set(grant.current, performance.now());
      grant.current = token('rt');
    }
    return { ...answer, refresh_token: grant.current };
  }

  async function onToken(form: URLSearchParams, response: ServerResponse): Promise<void> {
    const refreshToken = form.get('refresh_token') ?? '';
    const request: TokenRequest = { refreshToken, outcome: 'none' };
    state.requests.push(request);
    const fault = faults.shift();
    if (fault?.kind === 'reset') {
      response.socket?.destroy();
      return;
    }
    if (fault?.kind === 'raw') {
      response.writeHead(fault.status, { 'content-type': 'application/json', ...fault.headers }).end(fault.body);
      return;
    }
    const known =
      !state.refuseClient && form.get('client_id') === CLIENT.id && form.get('client_secret') === CLIENT.secret;
    const issued = known ? use(refreshToken) : undefined;
    request.outcome = !known ? 'invalid_client' : issued === undefined ? 'invalid_grant' : 'issued';
    state.onDecided?.();
    if (fault?.kind === 'lost-reply') {
      response.socket?.destroy();
      return;
    }
    if (fault?.kind === 'held') await fault.gate;
    const body = JSON.stringify(issued ?? { error: request.outcome });
    if (fault?.kind === 'garbled') {
      response.writeHead(fault.status, { 'content-type': 'text/html' }).end(fault.body);
      return;
    }
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    if (fault?.kind === 'half-reply') {
      response.writeHead(200, headers).write(body.slice(0, 20), () => response.socket?.destroy());
      return;
    }
    response.writeHead(issued === undefined ? (known ? 400 : 401) : 200, headers).end(body);
  }

  async function onRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const form = new URLSearchParams(await text(request));
    const path = new URL(request.url ?? '/', 'http://localhost').pathname;
    const bearer = (request.headers.authorization ?? '').replace(/^\w+ /, '');
    if (path === '/token') {
      await onToken(form, response);
    } else if (path === '/revoke') {
      const revoked = form.get('token') ?? '';
      state.revocations.push({ token: revoked, hint: form.get('token_type_hint') ?? '' });
      if (state.letGoStatus === 200) {
        for (const grant of grants) {
          if (grant.current === revoked || grant.old.has(revoked)) grant.dead = true;
          grant.access.delete(revoked);
        }
      }
      response.writeHead(state.letGoStatus).end('{}');
    } else if (path === '/deauthorize') {
      const alive = state.isAlive(bearer);
      if (alive && state.letGoStatus === 200) {
        state.deauthorized.push(bearer);
        for (const grant of grants) if (grant.access.has(bearer)) grant.dead = true;
      }
      await state.letGoGate;
      response.writeHead(alive ? state.letGoStatus : 401).end('{}');
    } else {
      response.writeHead(state.isAlive(bearer) ? 200 : 401).end('{}');
    }
  }

  const server = createServer((request, response) => {
    onRequest(request, response).catch((error: unknown) => {
      response.socket?.destroy(error instanceof Error ? error : undefined);
    });
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {}); // faults cut connections on purpose
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  state.pair = `127.0.0.1:${port}`;
  state.url = `http://${state.pair}`;
  state.tokenUrl = `${state.url}/token`;
  state.revokeUrl = `${state.url}/revoke`;
  return state;
}

function token(kind: string): string {
  return `${kind}_${randomBytes(12).toString('hex')}`;
}

async function text(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
