/**
 * A provider's API called for a script: prepared, sent and repeated as `/proxy` does it, but buffered. The credential
 * stays in this process.
 */
import { isUtf8 } from 'node:buffer';
import type { Clock } from '../../base/clock.ts';
import { HawserError } from '../../base/errors.ts';
import { errorText } from '../../base/log.ts';
import type { ProxyAnswer, ProxyCall } from '../../platform/sandbox/index.ts';
import { UpstreamFailure, type CallResponse, type Upstream } from '../../platform/upstream/index.ts';
import { hopByHopHeaders, retryDelayMs, type HeaderRecord } from '../../protocols/http.ts';
import type { LiveConnection } from '../credentials/index.ts';
import { recordCall } from './activity.ts';
import { egressRefusal } from './egress-refusal.ts';
import { proxyErrors } from './errors.ts';
import { PROXY_LIMITS } from './limits.ts';
import type { ProxyDeps, WriteClaim } from './model.ts';
import type { Dispatchable } from './prepare.ts';
import type { Call } from './read-call.ts';
import { readScriptCall } from './read-script-call.ts';
import { hasIdempotencyKey, saysLater, waitAfterAnswer, waitAfterFailure, type Attempt } from './retry.ts';
import { createRetryGate, type Repetition } from './retry-gate.ts';
import { createScriptPreparer } from './script-preparer.ts';
import { createSingleUseWrites, usesUpGrant } from './single-use.ts';

export type ScriptCallDeps = Omit<ProxyDeps, 'upstream' | 'principalOf'> & { upstream: Pick<Upstream, 'call'> };

export interface ScriptCallInput {
  environmentId: number;
  /** Unless the call names others. */
  integrationKey: string;
  connectionId: string;
  call: ProxyCall;
  /** Used instead of the stored credential while the call names no other connection. */
  candidate?: LiveConnection | undefined;
  /** Hears of each credential before it is used. */
  onLive?: (live: LiveConnection) => void;
  signal?: AbortSignal | undefined;
}

export interface ScriptCalls {
  /**
   * Resolves for every answer, whatever its status.
   *
   * Errors: `script_network_error` without an answer; those of the credential; `invalid_headers`, `invalid_endpoint`,
   * `base_url_override_*`, `missing_api_url`, `egress_refused`, `connection_spent`, `connection_write_in_flight`.
   */
  call(input: ScriptCallInput): Promise<ProxyAnswer>;
  /** Resolves when no write of a single-use grant is under way. */
  settled(): Promise<void>;
}

/** Over one try. Slow report endpoints answer within a minute, large bodies take longer. */
const TRY_TIMEOUT_MS = 300_000;
const ANSWER_BYTES_MAX = 100 * 1024 ** 2;

const scriptErrors = {
  network: (failure: UpstreamFailure): HawserError =>
    new HawserError(
      'script_network_error',
      { status: 500, message: failure.message, retryable: true },
      { payload: { code: failure.code, sent: failure.requestSent }, cause: failure },
    ),
};

export function createScriptCalls(deps: ScriptCallDeps): ScriptCalls {
  const { clock, credentials, connections, activity, upstream, log } = deps;
  const limits = { ...PROXY_LIMITS, ...deps.limits };
  const preparer = createScriptPreparer(deps);
  const singleUse = createSingleUseWrites(deps, limits);
  const retryGate = deps.retryGate ?? createRetryGate(clock);

  async function liveOf(input: ScriptCallInput, call: Call): Promise<LiveConnection> {
    const { environmentId, candidate } = input;
    const isOwn = call.integrationKey === input.integrationKey && call.connectionId === input.connectionId;
    const live =
      (isOwn ? candidate : undefined) ??
      credentials.peek(environmentId, call.integrationKey, call.connectionId) ??
      (await credentials.live(environmentId, call.integrationKey, call.connectionId));
    input.onLive?.(live);
    return live;
  }

  async function send(call: Call, body: Buffer | undefined, use: Dispatchable, signal: AbortSignal | undefined) {
    const { url } = use.target;
    const headers = Object.fromEntries(use.headers);
    if (use.signer !== undefined) {
      Object.assign(
        headers,
        use.signer.sign({
          method: call.method,
          url,
          path: url.pathname,
          query: url.search.slice(1),
          headers,
          body: body ?? Buffer.alloc(0),
          streamed: false,
          nowMs: clock.now(),
        }),
      );
    }
    return upstream.call({
      method: call.method,
      url,
      headers,
      ...(body !== undefined && { body }),
      timeoutMs: TRY_TIMEOUT_MS,
      bodyBytesMax: ANSWER_BYTES_MAX,
      ...(use.tls !== undefined && { tls: use.tls }),
      ...(signal !== undefined && { signal }),
    });
  }

  async function run(input: ScriptCallInput): Promise<ProxyAnswer> {
    const { call, body } = readScriptCall(input.call, input);
    const callerRetry = { at: input.call.retryHeader?.at, after: input.call.retryHeader?.after };
    const startedAtMs = clock.monotonicMs();
    let live = await liveOf(input, call);
    const isSingleUse = usesUpGrant(call, live);
    if (isSingleUse && live.connection.state === 'spent') throw proxyErrors.fail('connection_spent');
    const attempt: Attempt = {
      call,
      made: 0,
      replayable: !isSingleUse,
      hasIdempotencyKey: hasIdempotencyKey(call, live),
      waitMsMax: limits.retryWaitMsMax,
    };
    let use = preparer.prepare(call, live);
    const claim: WriteClaim | undefined = isSingleUse ? await singleUse.claim(live) : undefined;
    let renewed = false;
    let repetition: Repetition | undefined;

    const note = (status: number, code?: string): void => {
      const { connection, integration } = live;
      if (code === undefined && status < 400) connections.touchGoodCall(connection.environmentId, connection.id);
      if (input.candidate !== undefined && live === input.candidate) return;
      recordCall(activity, {
        connection,
        integration: integration.uniqueKey,
        method: call.method,
        path: use.target.url.pathname,
        status,
        durationMs: clock.monotonicMs() - startedAtMs,
        retries: attempt.made,
        code,
      });
    };

    /** Waits as long as the provider wants and until it is this call's turn. */
    const again = async (waitMs: number): Promise<void> => {
      await pause(clock, waitMs, input.signal);
      repetition = await retryGate.enter(live.integration, input.signal).catch(() => undefined); // aborted meanwhile
      attempt.made += 1;
      try {
        live = await liveOf(input, call);
        use = preparer.prepare(call, live);
      } catch (error) {
        repetition?.end();
        throw error;
      }
    };

    for (;;) {
      let answer: CallResponse;
      try {
        answer = await send(call, body, use, input.signal);
        repetition?.end(saysLater(answer.status));
      } catch (error) {
        repetition?.end(error instanceof UpstreamFailure && input.signal?.aborted !== true ? true : undefined);
        if (!(error instanceof UpstreamFailure)) {
          await claim?.failed(true);
          throw error;
        }
        await claim?.failed(error.requestSent);
        const waitMs = waitAfterFailure(attempt, error);
        if (waitMs === undefined || input.signal?.aborted === true) {
          note(0, error.code);
          throw egressRefusal(error, call) ?? scriptErrors.network(error);
        }
        await again(waitMs);
        continue;
      }
      await claim?.answered(answer.status);
      if (answer.status === 401 && use.usesCredential && live !== input.candidate) {
        const fresh = await credentials.afterUnauthorized(live).catch((error: unknown) => {
          log.warn('a refused credential could not be renewed', { error: errorText(error) });
          return undefined;
        });
        if (fresh !== undefined && attempt.replayable && !renewed) {
          renewed = true;
          live = fresh;
          input.onLive?.(live);
          use = preparer.prepare(call, live);
          continue;
        }
      }
      const waitMs = waitOf(attempt, answer, live, callerRetry, clock.now());
      if (waitMs === undefined || input.signal?.aborted === true) {
        note(answer.status);
        return answerOf(answer);
      }
      await again(waitMs);
    }
  }

  return { call: run, settled: () => singleUse.settled() };
}

function waitOf(
  attempt: Attempt,
  answer: CallResponse,
  live: LiveConnection,
  header: { at: string | undefined; after: string | undefined },
  nowMs: number,
): number | undefined {
  const spec = live.integration.provider.api.retry;
  const { status, headers } = answer;
  const waitMs = waitAfterAnswer(attempt, { status, headers, spec, nowMs });
  if (waitMs === undefined || (header.at === undefined && header.after === undefined)) return waitMs;
  const caller = {
    on: attempt.call.retryOn,
    ...(header.at !== undefined && { at: [header.at] }),
    ...(header.after !== undefined && { after: [header.after] }),
  };
  const own = retryDelayMs({ status, headers, spec, caller, nowMs, attempt: attempt.made });
  return own === undefined || own > attempt.waitMsMax ? undefined : own;
}

/** Aborted: the next try finds the signal and gives up. */
async function pause(clock: Clock, waitMs: number, signal: AbortSignal | undefined): Promise<void> {
  await clock.sleep(waitMs, signal).catch(() => undefined); // aborted while waiting
}

function answerOf({ status, headers, body }: CallResponse): ProxyAnswer {
  const text = isUtf8(body);
  return {
    status,
    statusText: '',
    headers: flat(headers),
    ...(text ? { bodyText: body.toString('utf8') } : { bodyBase64: body.toString('base64') }),
  };
}

function flat(headers: Readonly<HeaderRecord>): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (hopByHopHeaders.has(name) || value === undefined) continue;
    result[name] = typeof value === 'string' ? value : value.join(', ');
  }
  return result;
}
