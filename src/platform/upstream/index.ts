/**
 * @module upstream
 *
 * The only way out: every outbound HTTP exchange of the program goes through here. Invariants: nothing but public
 * addresses is called unless its exact `host:port` is on the allow-list; plain `http:` only to that list; the address
 * that was checked is the one connected to; TLS is verified; redirects are never followed; nothing is retried; every
 * answer has a size limit; an answer that is cut short is a failure.
 */
import { Agent, Client } from 'undici';
import type { Clock } from '../../base/clock.ts';
import { HEADER_BYTES_MAX } from './answer.ts';
import {
  CALL_BODY_BYTES_MAX,
  CALL_TIMEOUT_MS,
  CallExchange,
  callHeaders,
  type CallRequest,
  type CallResponse,
} from './call.ts';
import { createConnector, systemResolver, type Connector } from './connector.ts';
import { decodeBody } from './decode.ts';
import {
  compileAllow,
  readTarget,
  refusalToFailure,
  resolveTarget,
  type EgressPolicy,
  type Resolver,
  type Target,
} from './egress.ts';
import { errors } from './errors.ts';
import { failure, UpstreamFailure } from './failure.ts';
import { createIdentityPools, type ClientIdentity, type IdentityPools } from './identity.ts';
import { Lines } from './lines.ts';
import { writeHead } from './request-head.ts';
import { StreamExchange, type StreamHandle, type StreamRequest, type StreamSink } from './stream.ts';

export { classifyAddress, classifyBytes, parseAddress, type AddressClass } from './classify.ts';
export { CALL_BODY_BYTES_MAX, CALL_TIMEOUT_MS, type CallRequest, type CallResponse } from './call.ts';
export { normalizePair, type EgressPolicy, type Resolver } from './egress.ts';
export { errors as upstreamErrors } from './errors.ts';
export type { ClientIdentity } from './identity.ts';
export { UpstreamFailure, type FailureKind } from './failure.ts';
export {
  STREAM_BODY_BYTES_MAX,
  type HeaderRecord,
  type StreamHandle,
  type StreamRequest,
  type StreamSink,
} from './stream.ts';

export interface Upstream {
  /**
   * Says whether this URL may be called now. It is checked again at every call.
   * Errors: `egress_refused` (400), naming host:port and the setting; `egress_unresolved` (400, retryable).
   */
  check(url: URL): Promise<void>;
  /**
   * Buffered exchange: no redirects, no retries, one deadline over everything, the body inflated and capped.
   * Errors: `UpstreamFailure`; for kind `egress_refused` its `cause` is the public `HawserError`. What `onRequestSent`
   * throws comes out as it is.
   */
  call(request: CallRequest): Promise<CallResponse>;
  /**
   * Streamed exchange. Failures go to `sink.onError`, never before this method has returned. The body is passed on as it
   * was sent (content encoding untouched, chunked framing undone).
   */
  stream(request: StreamRequest, sink: StreamSink): StreamHandle;
  /** Lets running exchanges finish and takes no new ones. */
  close(): Promise<void>;
  /** Ends everything at once; running exchanges fail as `aborted`. */
  destroy(): Promise<void>;
}

/** Kept connections per origin; measured against nginx with the same number. */
const CONNECTIONS_PER_ORIGIN = 128;

/** How often silent exchanges and unused connections are looked for: one timer instead of several per call. */
const SWEEP_MS = 500;

/** Origins whose verdict is kept; the list starts anew when it is full. */
const VERDICTS_MAX = 1000;

/** A kept connection is used no later than this after its last answer, whatever the server promises. */
const KEEP_ALIVE_MAX_MS = 60_000;

/** `TRACE` echoes credentials, `CONNECT` opens a tunnel past every check. */
const refusedMethods = new Set(['CONNECT', 'TRACE']);

/** Everything that hangs on one state of the allow-list. A new list gets new connections. */
interface Generation {
  source: readonly string[];
  allow: ReadonlySet<string>;
  verdicts: Map<string, Target>;
  agent: Agent;
  lines: Lines;
  /** Connections made with a client certificate: kept apart, TLS sessions included. */
  identified: IdentityPools<Identified>;
}

interface Identified {
  clientOptions: Client.Options;
  agent: Agent;
  lines: Lines;
  connector: Connector;
}

/** What holds connections. */
interface Closing {
  close(): Promise<unknown>;
  destroy(): Promise<unknown>;
}

/** Opens the way out. `policy` is asked at every exchange; `connectionsPerOrigin` defaults to 128. */
export function createUpstream(options: {
  policy: () => EgressPolicy;
  clock: Clock;
  userAgent: string;
  connectionsPerOrigin?: number;
  resolve?: Resolver;
}): Upstream {
  const { clock, userAgent } = options;
  const resolve = options.resolve ?? systemResolver;
  const connectorOptions = { allow: () => generation().allow, resolve, clock };
  const connector = createConnector(connectorOptions);
  const commonOptions = {
    pipelining: 1,
    allowH2: false,
    maxHeaderSize: HEADER_BYTES_MAX,
    keepAliveMaxTimeout: KEEP_ALIVE_MAX_MS,
  } as const;
  const clientOptions = { ...commonOptions, connect: connector.connect };
  const connectors = new Set<Connector>([connector]);
  const linesMax = options.connectionsPerOrigin ?? CONNECTIONS_PER_ORIGIN;
  const nowMs = (): number => clock.monotonicMs();
  const holders = new Set<Closing>();
  const lineSets = new Set<Lines>();
  const running = new Set<StreamExchange>();
  const stopSweep = clock.every(SWEEP_MS, sweep);
  let closed = false;
  let destroyed = false;
  let current: Generation | undefined;

  function generation(): Generation {
    const { allow: source } = options.policy();
    if (current !== undefined && sameList(current.source, source)) return current;
    const before = current;
    const identified = createIdentityPools(openIdentified, (old) => {
      connectors.delete(old.connector);
      retire(old.agent, old.lines);
    });
    current = {
      source: [...source],
      allow: compileAllow(source),
      verdicts: new Map(),
      agent: openAgent(clientOptions),
      lines: openLines(connector),
      identified,
    };
    if (before !== undefined) {
      retire(before.agent, before.lines);
      before.identified.clear();
    }
    return current;
  }

  function openIdentified(identity: ClientIdentity): Identified {
    const own = createConnector({ ...connectorOptions, identity });
    const ownOptions = { ...commonOptions, connect: own.connect };
    connectors.add(own);
    return { clientOptions: ownOptions, agent: openAgent(ownOptions), lines: openLines(own), connector: own };
  }

  function openAgent(agentOptions: Client.Options): Agent {
    const agent = new Agent({ ...agentOptions, connections: linesMax });
    holders.add(agent);
    return agent;
  }

  function openLines(over: Connector): Lines {
    const lines = new Lines({ connector: over, linesMax, nowMs });
    holders.add(lines);
    lineSets.add(lines);
    return lines;
  }

  /** Lets its exchanges finish and takes no new ones. */
  function retire(agent: Agent, lines: Lines): void {
    void agent.close().then(() => holders.delete(agent));
    void lines.close().then(() => holders.delete(lines) && lineSets.delete(lines));
  }

  /** {@link readTarget} with its answer kept per origin. */
  function admit(url: URL, { allow, verdicts }: Generation): Target {
    const { origin } = url;
    const kept = verdicts.get(origin);
    // A `blob:` URL has the origin of another scheme.
    if (kept !== undefined && kept.protocol === url.protocol && url.username === '' && url.password === '') return kept;
    const target = readTarget(url, allow);
    if (verdicts.size >= VERDICTS_MAX) verdicts.clear();
    verdicts.set(origin, target);
    return target;
  }

  function admitOrFail(url: URL, active: Generation): Target {
    try {
      return admit(url, active);
    } catch (error) {
      throw refusalToFailure(error);
    }
  }

  function sweep(): void {
    const atMs = nowMs();
    for (const exchange of running) exchange.check(atMs);
    for (const lines of lineSets) lines.sweep();
  }

  function usable(method: string, pair: string): string {
    if (closed) throw failure('aborted', 'ABORT_ERR', pair);
    const upper = method.toUpperCase();
    if (refusedMethods.has(upper)) throw failure('protocol', 'UND_ERR_INVALID_ARG', pair);
    return upper;
  }

  return {
    async check(url) {
      const target = readTarget(url, generation().allow);
      try {
        await resolveTarget(target, resolve);
      } catch (error) {
        if (error instanceof UpstreamFailure && error.kind === 'dns') {
          throw errors.fail('egress_unresolved', { message: error.message, cause: error });
        }
        throw error;
      }
    },

    async call(request) {
      const active = generation();
      const target = admitOrFail(request.url, active);
      const method = usable(request.method, target.pair);
      if (request.signal?.aborted === true) {
        throw failure('aborted', 'ABORT_ERR', target.pair, { cause: request.signal.reason });
      }
      const done = new AbortController();
      const identified = identifiedFor(request, active);
      const client = request.fresh
        ? new Client(request.url.origin, identified?.clientOptions ?? clientOptions)
        : undefined;
      if (client !== undefined) holders.add(client);
      let onAbort: (() => void) | undefined;
      try {
        const raw = await new Promise<CallResponse>((resolved, rejected) => {
          const exchange = new CallExchange(target.pair, { ...request, method }, (error, response) =>
            response === undefined ? rejected(error) : resolved(response),
          );
          onAbort = () => exchange.abort(request.signal?.reason);
          request.signal?.addEventListener('abort', onAbort, { once: true });
          clock.sleep(request.timeoutMs ?? CALL_TIMEOUT_MS, done.signal).then(
            () => exchange.expire(),
            () => {
              // Cancelled: the exchange ended before its deadline.
            },
          );
          (client ?? identified?.agent ?? active.agent).dispatch(
            {
              origin: request.url.origin,
              path: request.url.pathname + request.url.search,
              method,
              headers: callHeaders(request.headers, userAgent),
              body: request.body ?? null,
              headersTimeout: 0,
              bodyTimeout: 0,
            },
            exchange,
          );
        });
        return await inflated(raw, request.bodyBytesMax ?? CALL_BODY_BYTES_MAX, target.pair);
      } finally {
        done.abort();
        if (onAbort !== undefined) request.signal?.removeEventListener('abort', onAbort);
        if (client !== undefined) {
          holders.delete(client);
          void client.destroy();
        }
      }
    },

    stream(request, sink) {
      try {
        const active = generation();
        const target = admitOrFail(request.url, active);
        const method = usable(request.method, target.pair);
        const { host } = request.url;
        const path = request.requestTarget ?? request.url.pathname + request.url.search;
        const head = writeHead({ method, host, target: path, headers: request.headers, userAgent });
        if (head === undefined) throw failure('protocol', 'UND_ERR_INVALID_ARG', target.pair);
        const exchange = new StreamExchange({
          pair: target.pair,
          request: request.method === method ? request : { ...request, method },
          head,
          sink,
          nowMs,
          onSettled,
        });
        running.add(exchange);
        exchange.start(identifiedFor(request, active)?.lines ?? active.lines, target);
        return exchange;
      } catch (error) {
        if (!(error instanceof UpstreamFailure)) throw error;
        queueMicrotask(() => sink.onError(error));
        return idle;
      }
    },

    async close() {
      if (destroyed) return;
      closed = true;
      await Promise.all([...holders].map((holder) => holder.close()));
      stopSweep();
    },

    async destroy() {
      closed = true;
      destroyed = true;
      stopSweep();
      for (const each of connectors) each.destroy();
      await Promise.all([...holders].map((holder) => holder.destroy()));
    },
  };

  function identifiedFor(request: { url: URL; tls?: ClientIdentity | undefined }, active: Generation) {
    if (request.tls === undefined || request.url.protocol !== 'https:') return undefined;
    return active.identified.of(request.tls);
  }

  function onSettled(exchange: StreamExchange): void {
    running.delete(exchange);
  }
}

/** The handle of an exchange that was refused before it began. */
const idle: StreamHandle = {
  resume() {},
  abort() {},
};

async function inflated(raw: CallResponse, bytesMax: number, pair: string): Promise<CallResponse> {
  const { 'content-encoding': encoding, 'content-length': _packedLength, ...headers } = raw.headers;
  if (encoding === undefined) return raw;
  const body = await decodeBody(raw.body, Array.isArray(encoding) ? encoding.join(',') : encoding, bytesMax, pair);
  return { status: raw.status, headers, body };
}

function sameList(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((entry, index) => entry === right[index]);
}
