import type { HostFailure } from '../frames.ts';
import type { ScriptFailure } from '../model.ts';

/** An error of ours with a code, which a script may catch: from a check here, or from the host. */
export class ScriptError extends Error {
  readonly code: string;
  readonly status: number | undefined;
  readonly payload: unknown;
  readonly upstream: ScriptFailure['upstream'];

  constructor(code: string, message: string, more: Omit<HostFailure, 'code' | 'message'> = {}) {
    super(message);
    this.name = 'HawserError';
    this.code = code;
    this.status = more.status;
    this.payload = more.payload;
    this.upstream = more.upstream;
  }
}

/** The run must end now: cancelled, out of time, or interrupted after a checkpoint. */
export class ScriptAbort extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.name = 'ScriptAbort';
    this.code = code;
  }
}

/** What a script throws to fail with data of its own; `payload` is its argument (wire contract F.3, F.6). */
export class ActionError extends Error {
  readonly type: string;
  readonly payload: unknown;
  constructor(payload?: unknown) {
    const given = typeof payload === 'object' && payload !== null ? (payload as Record<string, unknown>) : {};
    const message = typeof payload === 'string' ? payload : given['message'];
    super(typeof message === 'string' ? message : 'The function ended with an ActionError');
    this.name = 'ActionError';
    this.type = 'action_script_runtime_error';
    this.payload = payload;
  }
}
