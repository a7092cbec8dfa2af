import type { Clock } from '../../base/clock.ts';
import type { Activity } from '../activity/index.ts';
import type { Connection } from '../connections/index.ts';
import { ACTIVITY_PATH_CHARS_MAX, EQUAL_KINDS_MAX, EQUAL_LINES_MAX, EQUAL_WINDOW_MS } from './limits.ts';

/** A finished call. Never its query, a header or a body. */
export interface DoneCall {
  connection: Connection;
  integration: string;
  method: string;
  path: string;
  /** 0: no answer. */
  status: number;
  durationMs: number;
  retries: number;
  /** Why it failed on the way; undefined when the provider's answer went through. */
  code: string | undefined;
}

/** One line per call: what, how it ended, how long. */
export function recordCall(activity: Pick<Activity, 'record'>, done: DoneCall): void {
  const { connection, code, status, retries } = done;
  const durationMs = Math.round(done.durationMs);
  activity.record({
    environmentId: connection.environmentId,
    kind: 'call',
    ok: code === undefined && status < 400,
    connectionId: connection.id,
    integration: done.integration,
    summary: `${done.method} ${shortened(done.path)} → ${code ?? status}`,
    detail: code === undefined ? { status, durationMs, retries } : { status, durationMs, retries, code },
  });
}

/** Good calls that are equal but for their time. */
interface Equal {
  first: DoneCall;
  calls: number;
  durationMs: number;
}

export interface CallLog {
  record(done: DoneCall): void;
  /** Writes what is counted but not yet told. */
  close(): void;
}

/**
 * A line per call, as long as a person could read them: good calls of one connection to one path beyond
 * {@link EQUAL_LINES_MAX} in {@link EQUAL_WINDOW_MS} become one line that says how many. A table row costs more than the
 * call that it tells of.
 */
export function createCallLog({ activity, clock }: { activity: Pick<Activity, 'record'>; clock: Clock }): CallLog {
  let seen = new Map<string, Equal>();

  function tell(): void {
    const told = seen;
    seen = new Map();
    for (const { first, calls, durationMs } of told.values()) {
      const extra = calls - EQUAL_LINES_MAX;
      if (extra <= 0) continue;
      const { connection, status } = first;
      activity.record({
        environmentId: connection.environmentId,
        kind: 'call',
        ok: true,
        connectionId: connection.id,
        integration: first.integration,
        summary: `${first.method} ${shortened(first.path)} → ${status}, ${extra} more`,
        detail: { status, durationMs: Math.round(durationMs / extra), retries: 0, calls: extra },
      });
    }
  }

  const stop = clock.every(EQUAL_WINDOW_MS, () => {
    if (seen.size > 0) tell();
  });
  return {
    record(done) {
      const { connection, code, status, retries } = done;
      if (code !== undefined || status >= 400 || retries > 0) {
        recordCall(activity, done);
        return;
      }
      const key = `${connection.environmentId} ${connection.id} ${status} ${done.method} ${done.path}`;
      const equal = seen.get(key);
      if (equal === undefined) seen.set(key, { first: done, calls: 1, durationMs: 0 });
      else equal.calls += 1;
      if (equal === undefined || equal.calls <= EQUAL_LINES_MAX) recordCall(activity, done);
      else equal.durationMs += done.durationMs;
      if (seen.size >= EQUAL_KINDS_MAX) tell();
    },
    close() {
      stop();
      tell();
    },
  };
}

function shortened(path: string): string {
  return path.length > ACTIVITY_PATH_CHARS_MAX ? `${path.slice(0, ACTIVITY_PATH_CHARS_MAX)}…` : path;
}
