/**
 * Opens every outgoing connection: resolve once, check all answers, connect to one of them, look at the address on the
 * other end, then TLS with the name from the URL. No byte is sent before these checks are through.
 */
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { connect as connectTcp, isIP, type LookupFunction, type Socket } from 'node:net';
import { connect as connectTls, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { LRUCache } from 'lru-cache';
import type { buildConnector } from 'undici';
import type { Clock } from '../../base/clock.ts';
import { parseAddress } from './classify.ts';
import {
  readTarget,
  refusalToFailure,
  refuse,
  refuseNonPublic,
  resolveTarget,
  type Resolver,
  type Target,
} from './egress.ts';
import { codeOf, failure, isReset, markReset, toFailure } from './failure.ts';
import type { ClientIdentity } from './identity.ts';

/** DNS, TCP and TLS together. A host that needs longer is down. */
const CONNECT_TIMEOUT_MS = 10_000;

/** How long one address of several gets before the next is tried; a broken IPv6 route costs this once a connection. */
const ATTEMPT_TIMEOUT_MS = 500;

/** Idle time before the kernel probes a kept connection. */
const KEEP_ALIVE_PROBE_MS = 60_000;

/** Sessions kept for abbreviated handshakes; one per host and port. */
const TLS_SESSIONS_MAX = 256;

/** The system's resolver: hosts file and DNS, in the order of the answer. */
export const systemResolver: Resolver = async (hostname) => {
  const answers = await lookup(hostname, { all: true, order: 'verbatim' });
  return answers.map((answer) => answer.address);
};

export interface Connector {
  connect: buildConnector.connector;
  /** Gives up all connections that are being made. */
  destroy(): void;
}

/** Builds the `connect` function of our undici pools. `allow` is read at every connection, so a change counts at once. */
export function createConnector(options: {
  allow: () => ReadonlySet<string>;
  resolve: Resolver;
  clock: Clock;
  connectTimeoutMs?: number;
  /** Presented in every handshake of this connector. */
  identity?: ClientIdentity;
}): Connector {
  const sessions = new LRUCache<string, Buffer>({ max: TLS_SESSIONS_MAX });
  const attempts = new Set<AbortController>();
  const timeoutMs = options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS;

  const run = async (origin: string): Promise<Socket> => {
    // Read again: the policy may have changed while the request waited for a connection.
    const target = readTarget(new URL(origin), options.allow());
    const attempt = new AbortController();
    attempts.add(attempt);
    options.clock.sleep(timeoutMs, attempt.signal).then(
      () => attempt.abort(failure('timeout_connect', 'ETIMEDOUT', target.pair)),
      () => {
        // Cancelled: the attempt ended before its time was up.
      },
    );
    try {
      const addresses = await unlessAborted(resolveTarget(target, options.resolve), attempt.signal);
      const tcp = await openTcp(target, addresses, attempt.signal);
      return target.protocol === 'http:' ? tcp : await openTls(target, tcp, sessions, options.identity, attempt.signal);
    } catch (error) {
      throw attempt.signal.aborted ? attempt.signal.reason : error;
    } finally {
      attempts.delete(attempt);
      attempt.abort();
    }
  };

  return {
    connect({ host, hostname, protocol }, deliver) {
      const shown = host ?? hostname;
      run(`${protocol}//${shown}`).then(
        (socket) => queueMicrotask(() => deliver(null, socket)),
        (error: unknown) => {
          const failed = toFailure(refusalToFailure(error), shown, 'connect', false);
          queueMicrotask(() => deliver(failed, null as never));
        },
      );
    },
    destroy() {
      for (const attempt of attempts) attempt.abort(failure('aborted', 'ABORT_ERR', 'the upstream'));
    },
  };
}

async function openTcp(target: Target, addresses: readonly string[], signal: AbortSignal): Promise<Socket> {
  const checked = addresses.map((address) => ({ address, family: isIP(address) }));
  const pinned: LookupFunction = (_hostname, _options, done) => done(null, checked);
  const socket = connectTcp({
    host: target.hostname,
    port: target.port,
    lookup: pinned,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: ATTEMPT_TIMEOUT_MS,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_PROBE_MS,
  });
  await ready(socket, 'connect', signal);
  try {
    checkPeer(target, addresses, socket.remoteAddress);
  } catch (error) {
    socket.destroy();
    throw error;
  }
  return socket;
}

/**
 * The address on the other end must be one of those that were checked, whatever the system did in between.
 * Errors: `egress_refused`; `UpstreamFailure` of kind `reset` when the peer has gone already.
 */
export function checkPeer(target: Target, addresses: readonly string[], remoteAddress: string | undefined): void {
  if (remoteAddress === undefined) throw failure('reset', 'ECONNRESET', target.pair);
  const peer = bytesOf(remoteAddress);
  if (peer === undefined || !addresses.some((address) => bytesOf(address) === peer)) {
    throw refuse(target.pair, 'the connection went to another address than the one that was checked');
  }
  if (!target.allowed) refuseNonPublic(target.pair, [remoteAddress]);
}

function bytesOf(address: string): string | undefined {
  return parseAddress(address)?.join('.');
}

async function openTls(
  target: Target,
  tcp: Socket,
  sessions: LRUCache<string, Buffer>,
  identity: ClientIdentity | undefined,
  signal: AbortSignal,
): Promise<TLSSocket> {
  const named = isIP(target.hostname) === 0;
  const secureContext = identity && contextOf(identity, target, tcp);
  const socket = connectTls({
    socket: tcp,
    ...(secureContext !== undefined && { secureContext }),
    // Both are what the certificate is checked against; RFC 6066 forbids addresses in the server name.
    host: target.hostname,
    servername: named ? target.hostname : '',
    session: sessions.get(target.pair),
    ALPNProtocols: ['http/1.1'],
    minVersion: 'TLSv1.2',
    // Said outright, so that NODE_TLS_REJECT_UNAUTHORIZED cannot switch it off.
    rejectUnauthorized: true,
  });
  socket.on('session', (session) => sessions.set(target.pair, session));
  try {
    await ready(socket, 'secureConnect', signal);
  } catch (error) {
    tcp.destroy();
    const code = codeOf(error);
    // A peer that hangs up in the handshake is a reset; everything else is about trust or the protocol of TLS.
    throw code === '' || isReset(code) ? error : failure('tls', code, target.pair, { cause: error });
  }
  return socket;
}

/** A key that does not fit its certificate fails here, before any byte is sent. */
function contextOf({ certificate, privateKey }: ClientIdentity, target: Target, tcp: Socket): SecureContext {
  try {
    return createSecureContext({ cert: certificate, key: privateKey, minVersion: 'TLSv1.2' });
  } catch (error) {
    tcp.destroy();
    throw failure('tls', codeOf(error), target.pair, { cause: error });
  }
}

async function ready(socket: Socket, event: 'connect' | 'secureConnect', signal: AbortSignal): Promise<void> {
  // Stays for the socket's life: renames resets before undici's own listener runs, and no error is ever unhandled.
  socket.on('error', markReset);
  try {
    await once(socket, event, { signal });
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return await Promise.race([
    work,
    new Promise<never>((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    }),
  ]);
}
