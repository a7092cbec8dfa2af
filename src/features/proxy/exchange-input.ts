/** What one proxied call is made of, and what it needs around it. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { LiveConnection } from '../credentials/index.ts';
import type { CallLog } from './activity.ts';
import type { ProxyLimits } from './limits.ts';
import type { ProxyDeps } from './model.ts';
import type { Dispatchable, Preparer } from './prepare.ts';
import type { Call } from './read-call.ts';
import type { RetryGate } from './retry-gate.ts';
import type { SingleUseWrites } from './single-use.ts';

/** Looked at now and then; see {@link ExchangeDeps.watched}. */
export interface Watched {
  check(nowMs: number): void;
}

export interface ExchangeDeps extends ProxyDeps {
  limits: ProxyLimits;
  retryGate: RetryGate;
  preparer: Preparer;
  singleUse: SingleUseWrites;
  callLog: CallLog;
  /** Exchanges that may wait for their caller, or have a deadline. */
  watched: Set<Watched>;
}

export interface ExchangeInput {
  call: Call;
  live: LiveConnection;
  dispatchable: Dispatchable;
  /** This call uses up the grant of its connection. */
  singleUse: boolean;
  request: IncomingMessage;
  response: ServerResponse;
  /** Headers that the shell has set on the reply so far. */
  ownHeaders: Record<string, unknown>;
}
