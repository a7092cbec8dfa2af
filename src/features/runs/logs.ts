/** What scripts say, collected from all runs of this node and written in batches. */
import type { Clock } from '../../base/clock.ts';
import { errorText, type Log } from '../../base/log.ts';
import type { Database } from '../../platform/postgres/index.ts';
import type { Run } from './model.ts';
import type { Redactor } from './redact.ts';
import { insertLogs, type LogLine } from './store-state.ts';

const FLUSH_INTERVAL_MS = 250;
const BATCH_MAX = 500;
/** One line as stored. Source: wire contract F.3, about 100 KB. */
const LINE_CHARS_MAX = 100_000;
/** Of one run; then a last line says so. A script that prints a gigabyte must not fill the disk. */
const RUN_LINES_MAX = 10_000;
const RUN_CHARS_MAX = 5_000_000;
/** Of all runs while the database is away; the newest are dropped beyond it. */
const QUEUE_CHARS_MAX = 50_000_000;

const LEVELS: ReadonlySet<string> = new Set(['debug', 'info', 'warn', 'error']);

export interface RunLog {
  /** Adds what the script said: `[{level, message, payload?, at}]`. What has another shape is left out. */
  add(lines: unknown): void;
  say(level: 'info' | 'warn' | 'error', message: string, payload?: unknown): void;
}

export interface LogWriter {
  of(run: Pick<Run, 'environmentId' | 'id'>, redactor: Redactor): RunLog;
  /** Everything said so far is stored, or the database is away. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

export function createLogWriter(deps: { db: Database; clock: Clock; log: Log }): LogWriter {
  const { db, clock, log } = deps;
  let queue: LogLine[] = [];
  let chars = 0;
  let dropped = 0;
  let writing: Promise<void> = Promise.resolve();

  async function write(): Promise<void> {
    while (queue.length > 0) {
      const batch = queue.slice(0, BATCH_MAX);
      await insertLogs(db, batch);
      queue = queue.slice(batch.length);
      for (const line of batch) chars -= sizeOf(line);
    }
    if (dropped > 0) log.warn('lines of functions were dropped while the database was slow', { dropped });
    dropped = 0;
  }

  function flush(): Promise<void> {
    if (queue.length === 0) return writing;
    writing = writing.then(write).catch((error: unknown) => {
      log.warn('lines of functions could not be written; they stay queued', { error: errorText(error) });
    });
    return writing;
  }

  const stop = clock.every(FLUSH_INTERVAL_MS, () => void flush());

  return {
    of(run, redactor) {
      let lines = 0;
      let spent = 0;
      const push = (level: string, message: string, payload: unknown, at: Date): void => {
        if (lines > RUN_LINES_MAX || spent > RUN_CHARS_MAX) return;
        const json = payload === undefined ? null : (JSON.stringify(redactor.json(payload)) ?? null);
        const line: LogLine = {
          environmentId: run.environmentId,
          runId: run.id,
          at,
          level,
          message: cut(redactor.text(message)),
          payload: json !== null && json.length > LINE_CHARS_MAX ? JSON.stringify({ cut: cut(json) }) : json,
        };
        lines += 1;
        spent += sizeOf(line);
        if (lines > RUN_LINES_MAX || spent > RUN_CHARS_MAX) {
          Object.assign(line, {
            level: 'warn',
            message: 'This run has said too much: the rest is left out.',
            payload: null,
          });
        }
        if (chars > QUEUE_CHARS_MAX) dropped += 1;
        else {
          queue.push(line);
          chars += sizeOf(line);
        }
      };
      return {
        add(given) {
          if (!Array.isArray(given)) return;
          for (const one of given as unknown[]) {
            const { level, message, payload, at } = (one ?? {}) as Record<string, unknown>;
            const time = typeof at === 'string' || typeof at === 'number' ? new Date(at) : undefined;
            const known = time !== undefined && Math.abs(time.getTime() - clock.now()) < 86_400_000;
            push(
              typeof level === 'string' && LEVELS.has(level) ? level : 'info',
              typeof message === 'string' ? message : String(message),
              payload,
              known ? time : new Date(clock.now()),
            );
          }
        },
        say: (level, message, payload) => push(level, message, payload, new Date(clock.now())),
      };
    },
    flush,
    async close() {
      stop();
      await flush();
    },
  };
}

function sizeOf(line: LogLine): number {
  return line.message.length + (line.payload?.length ?? 0) + 50;
}

function cut(text: string): string {
  return text.length <= LINE_CHARS_MAX ? text : `${text.slice(0, LINE_CHARS_MAX).toWellFormed()}…`;
}
