import type { Activity } from '../activity/index.ts';
import type { Connection } from '../connections/index.ts';
import { ACTIVITY_PATH_CHARS_MAX } from './limits.ts';

/** One line per call: what, how it ended, how long. Never the query, a header or a body. */
export function recordCall(
  activity: Pick<Activity, 'record'>,
  done: {
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
  },
): void {
  const { connection, code, status, retries } = done;
  const path =
    done.path.length > ACTIVITY_PATH_CHARS_MAX ? `${done.path.slice(0, ACTIVITY_PATH_CHARS_MAX)}…` : done.path;
  const durationMs = Math.round(done.durationMs);
  activity.record({
    environmentId: connection.environmentId,
    kind: 'call',
    ok: code === undefined && status < 400,
    connectionId: connection.id,
    integration: done.integration,
    summary: `${done.method} ${path} → ${code ?? status}`,
    detail: code === undefined ? { status, durationMs, retries } : { status, durationMs, retries, code },
  });
}
