import { checkGoing, type RunState } from './run-state.ts';

const LEVELS = ['debug', 'info', 'warn', 'error', 'off'] as const;
type Level = (typeof LEVELS)[number];
/** Lines are sent together, after what runs now. */
const BATCH_ROWS = 200;

export interface ScriptLog {
  log(...args: unknown[]): void;
  setLogger(options: { level?: string }): void;
  /** For `console`: never throws. */
  write(level: Level, args: unknown[]): void;
  /** Sends what waits. */
  flush(): void;
}

/** `nango.log` with its level, its cut and its end (wire contract F.3). */
export function createScriptLog(run: RunState): ScriptLog {
  const { logRowsMax, logBytesMax, logRowBytesMax } = run.limits;
  let least: Level = run.context.loggerLevel ?? (run.context.isCLI ? 'debug' : 'warn');
  let waiting: string[] = [];
  let rows = 0;
  let bytes = 0;
  let isFull = false;
  let isPlanned = false;

  function flush(): void {
    isPlanned = false;
    if (waiting.length === 0) return;
    const batch = waiting;
    waiting = [];
    run.tell('log', [`[${batch.join(',')}]`]);
  }

  function push(row: string): void {
    waiting.push(row);
    if (waiting.length >= BATCH_ROWS) flush();
    else if (!isPlanned) {
      isPlanned = true;
      setImmediate(flush);
    }
  }

  function write(level: Level, message: unknown, payload: unknown): void {
    if (level === 'off' || LEVELS.indexOf(level) < LEVELS.indexOf(least) || isFull || run.isOver) return;
    const text = cutText(typeof message === 'string' ? message : textOf(message), logRowBytesMax);
    const details = payload === undefined ? undefined : textOf(Array.isArray(payload) ? { ...payload } : payload);
    const fits = details === undefined || details.length + text.length <= logRowBytesMax;
    const cut = fits
      ? details
      : JSON.stringify(`${details.slice(0, Math.max(0, logRowBytesMax - text.length))}… (cut)`);
    const row = `{"level":"${level}","message":${JSON.stringify(text)},"at":"${new Date().toISOString()}"${cut === undefined ? '' : `,"payload":${cut}`}}`; // prettier-ignore
    rows += 1;
    bytes += row.length;
    if (rows >= logRowsMax || bytes > logBytesMax) {
      isFull = true;
      const why = `Further log lines of this run are dropped: the limit is ${logRowsMax} lines and ${logBytesMax} bytes.`;
      push(`{"level":"warn","message":${JSON.stringify(why)},"at":"${new Date().toISOString()}"}`);
    } else push(row);
  }

  return {
    log(...args) {
      checkGoing(run);
      const last = args.at(-1);
      const options = args.length > 1 && isLevelOption(last) ? last : undefined;
      const payload = options !== undefined && args.length === 2 ? undefined : args[1];
      write(options?.level ?? 'info', args[0], payload);
    },
    setLogger(options) {
      const level = LEVELS.find((each) => each === options.level);
      if (level !== undefined && least !== 'off') least = level;
    },
    write: (level, args) => write(level, args.map((each) => (typeof each === 'string' ? each : textOf(each))).join(' '), undefined), // prettier-ignore
    flush,
  };
}

function isLevelOption(value: unknown): value is { level: Level } {
  const level = typeof value === 'object' && value !== null ? (value as { level?: unknown }).level : undefined;
  return LEVELS.some((each) => each === level);
}

/** JSON of anything; what has none is told by its kind. Errors keep name and message. */
function textOf(value: unknown): string {
  try {
    const shown = value instanceof Error ? { name: value.name, message: value.message } : value;
    return JSON.stringify(shown) ?? JSON.stringify(String(value));
  } catch {
    return '"(no JSON: circular, too deep or a BigInt)"'; // a log line must not fail the run
  }
}

function cutText(text: string, charsMax: number): string {
  return text.length <= charsMax ? text : `${text.slice(0, charsMax)}… (cut)`;
}
