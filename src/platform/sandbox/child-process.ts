import type { Clock } from '../../base/clock.ts';
import { HawserError } from '../../base/errors.ts';
import { errorText, type Log } from '../../base/log.ts';
import { randomId } from '../../base/ids.ts';
import {
  createDecoder,
  frameOf,
  isDeeperThan,
  type AbortCode,
  type HostFailure,
  type ToChild,
  type ToHost,
} from './frames.ts';
import type { SandboxLimits } from './limits.ts';
import { HOST_METHODS, type SandboxResult, type SandboxRun, type ScriptFailure } from './model.ts';
import { runnerFrames } from './runner-text.ts';
import { allowLong, findPrlimit, spawnChild, type Spawned } from './spawn.ts';

/** A run inside a process. */
interface Running {
  run: SandboxRun;
  resolve(result: SandboxResult): void;
  /** On the monotonic clock; counted from when the process is ready. */
  endsAtMs: number;
  /** Set by a cancellation: killed then. */
  killAtMs: number | undefined;
  /** Writes that the host has not ended; the result waits for them. */
  readonly writes: Set<Promise<unknown>>;
  /** All calls that are open. */
  calls: number;
  isEnding: boolean;
  logRows: number;
  logBytes: number;
  onAbort: () => void;
}

/** One child. It serves one function of one environment, which its first run decides. */
export interface Child {
  readonly slot: number;
  /** `environment:bundle`; undefined while it waits for its first run. */
  key: string | undefined;
  readonly running: number;
  /** Takes no more runs. */
  isRetired: boolean;
  readonly isDead: boolean;
  readonly startedAtMs: number;
  readonly runsDone: number;
  idleSinceMs: number;
  start(run: SandboxRun, resolve: (result: SandboxResult) => void): void;
  /** Deadlines, cancelled runs, processes that do not answer. Called some times a second. */
  sweep(nowMs: number): void;
  kill(): void;
  /** Ends every run as cancelled. */
  abortAll(message: string): void;
  readonly ended: Promise<void>;
}

export interface ChildDeps {
  clock: Clock;
  log: Log;
  limits: SandboxLimits;
  /** A run ended or the process did: somebody else may use the place. */
  onFree(): void;
  /** The process could not be started. */
  onStartError(error: unknown): void;
}

const METHODS: ReadonlySet<string> = new Set(HOST_METHODS);
/** Calls that change something of ours; a run is not over before they are. */
const WRITES = /^(?:batch|save|clear|set|update|trackDeletes|deleteRecords|log$)/;
const STDERR_KEPT_BYTES = 4_096;
const OUT_OF_MEMORY = /heap out of memory|Reached heap limit|Allocation failed|OOM/i;

export function startChild(slot: number, deps: ChildDeps): Child {
  const { clock, log, limits } = deps;
  const runs = new Map<string, Running>();
  const known = new Set<string>();
  let spawned: Spawned | undefined;
  let isReady = false;
  let isDead = false;
  let waiting: Buffer[] = [];
  let stderrTail = '';
  let stderrBytes = 0;
  let runsDone = 0;
  let violation: string | undefined;
  /** A run was given up that may still be at work here. */
  let hasZombie = false;
  let ping: { n: number; sentAtMs: number } | undefined;
  let pings = 0;
  const startedAtMs = clock.monotonicMs();
  let finish = (): void => undefined;
  const ended = new Promise<void>((resolve) => (finish = resolve));

  function send(message: ToChild): void {
    const frame = frameOf(JSON.stringify(message));
    if (isReady) spawned?.pipe.write(frame);
    else waiting.push(frame);
  }

  function kill(): void {
    child.isRetired = true;
    spawned?.child.kill('SIGKILL');
  }

  function settle(id: string, result: SandboxResult): void {
    const running = runs.get(id);
    if (running === undefined) return;
    runs.delete(id);
    runsDone += 1;
    running.run.signal?.removeEventListener('abort', running.onAbort);
    if (runs.size === 0) child.idleSinceMs = clock.monotonicMs();
    running.resolve(result);
    if (runs.size === 0 && child.isRetired) kill();
    deps.onFree();
  }

  /** The child said how it ended; its writes that are still open come first. */
  async function end(id: string, result: SandboxResult): Promise<void> {
    const running = runs.get(id);
    if (running === undefined || running.isEnding) return;
    running.isEnding = true;
    while (running.writes.size > 0) await Promise.allSettled(running.writes);
    settle(id, result);
  }

  function take(json: Buffer): void {
    if (isDeeperThan(json, limits.depthMax + 8)) throw new Error('a message nested too deep');
    const message = JSON.parse(json.toString()) as ToHost;
    if (message.t === 'ready') {
      isReady = true;
      const first = waiting;
      waiting = [];
      for (const frame of first) spawned?.pipe.write(frame);
      for (const each of runs.values()) each.endsAtMs = clock.monotonicMs() + each.run.limits.timeoutMs;
    } else if (message.t === 'pong') {
      if (message.n === ping?.n) ping = undefined;
    } else if (message.t === 'call') call(message, json.length);
    else if (message.t === 'done') {
      if (json.length > (runs.get(message.id)?.run.limits.outputBytesMax ?? limits.outputBytesMax) + 1_024) {
        throw new Error('an output over its limit');
      }
      void end(message.id, { ok: true, output: message.out });
    } else if (message.t === 'fail') void end(message.id, { ok: false, error: failureFrom(message.error) });
    else throw new Error('a message of no known kind');
  }

  function call(message: Extract<ToHost, { t: 'call' }>, bytes: number): void {
    const { id, m, a } = message;
    const running = runs.get(id);
    // Ids are random and looked up among the runs of this process: those of others are not known here.
    if (running === undefined || running.isEnding) return;
    if (!METHODS.has(m) || !Array.isArray(a)) throw new Error('a call of no known method');
    if (m === 'log') {
      running.logRows += Array.isArray(a[0]) ? a[0].length : 1;
      running.logBytes += bytes;
      // The child keeps to the limits by itself; this is for one that does not.
      if (running.logRows > limits.logRowsMax + 1 || running.logBytes > limits.logBytesMax * 1.2) return;
    }
    if (running.calls > limits.callsMax * 2) throw new Error('too many open calls');
    running.calls += 1;
    const work = answer(running, message);
    if (!WRITES.test(m)) return;
    running.writes.add(work);
    void work.then(() => running.writes.delete(work));
  }

  /** Never rejects. */
  async function answer(running: Running, { id, n, m, a }: Extract<ToHost, { t: 'call' }>): Promise<void> {
    const reply = await ask(running, m, a);
    running.calls -= 1;
    if (n === 0 || isDead) return;
    try {
      send({ t: 'reply', id, n, ...reply });
    } catch (error) {
      log.error('an answer to a function has no JSON', { method: m, error: errorText(error) });
      send({ t: 'reply', id, n, error: { code: 'server_error', message: `The answer of ${m} could not be sent.` } });
    }
  }

  async function ask(running: Running, m: string, a: unknown[]): Promise<{ value: unknown } | { error: HostFailure }> {
    try {
      return { value: (await running.run.host(m, a)) ?? null };
    } catch (error) {
      return { error: hostFailure(error, m, log) };
    }
  }

  function die(error: (all: number) => ScriptFailure): void {
    if (isDead) return;
    isDead = true;
    child.isRetired = true;
    const failure = error(runs.size);
    for (const id of runs.keys()) void end(id, { ok: false, error: failure });
    finish();
    deps.onFree();
  }

  function crash(code: number | null, signal: NodeJS.Signals | null, all: number): ScriptFailure {
    const isShared = all > 1 || hasZombie;
    const payload = { neighbour: isShared, exitCode: code, signal };
    if (OUT_OF_MEMORY.test(stderrTail)) {
      const text = `The function used more memory than the ${limits.heapMegabytes} MB of heap it may have. Work in smaller pages, and keep no whole listing in memory.`; // prettier-ignore
      return { code: 'function_runtime_out_of_memory', message: text, payload };
    }
    const why = violation ?? (signal === null ? `exit code ${code}` : `signal ${signal}`);
    const text = `The process of the function ended under it (${why}).${isShared ? ' Another run of the function in the same process may be the cause.' : ''}`; // prettier-ignore
    return { code: 'function_runtime_crashed', message: text, payload };
  }

  async function boot(): Promise<void> {
    const [frames, prlimit] = await Promise.all([runnerFrames(), findPrlimit(limits, log)]);
    if (isDead) return;
    const isLong = [...runs.values()].some(({ run }) => run.alone === true);
    const made = spawnChild(slot, limits, { prlimit, isLong });
    spawned = made;
    made.child.on('error', (error) => {
      // Also emitted when a signal cannot be sent to a process that is gone.
      if (made.child.pid !== undefined) return;
      deps.onStartError(error);
      die(() => unavailable());
    });
    made.child.on('exit', (code, signal) => die((all) => crash(code, signal, all)));
    // EPIPE after the end of the child; `exit` tells it.
    made.pipe.on('error', () => undefined);
    const decode = createDecoder(limits.messageBytesMax + 4_096, take);
    made.pipe.on('data', (chunk: Buffer) => {
      if (violation !== undefined) return;
      try {
        decode(chunk);
      } catch (error) {
        violation = error instanceof SyntaxError ? 'a message that is no JSON' : (error as Error).message;
        log.warn('a process of a function broke the protocol', { why: violation });
        kill();
      }
    });
    made.stderr.on('data', (chunk: Buffer) => {
      stderrBytes += chunk.length;
      stderrTail = (stderrTail + chunk.toString('latin1')).slice(-STDERR_KEPT_BYTES);
      if (stderrBytes > limits.stderrBytesMax) kill();
    });
    made.pipe.write(frames);
    made.pipe.write(frameOf(JSON.stringify({ t: 'hello', limits } satisfies ToChild)));
  }

  function start(run: SandboxRun, resolve: (result: SandboxResult) => void): void {
    const id = randomId();
    const { timeoutMs } = run.limits;
    const running: Running = {
      run,
      resolve,
      endsAtMs: isReady ? clock.monotonicMs() + timeoutMs : Number.POSITIVE_INFINITY,
      killAtMs: undefined,
      writes: new Set(),
      calls: 0,
      isEnding: false,
      logRows: 0,
      logBytes: 0,
      onAbort: () => abort(id, 'script_aborted', 'The run was cancelled.'),
    };
    runs.set(id, running);
    child.key ??= keyOf(run);
    if (run.alone === true && spawned !== undefined) void allowLong(spawned, limits, log);
    const { hash, code } = run.bundle;
    send({
      t: 'run',
      id,
      hash,
      ...(!known.has(hash) && { code }),
      entry: run.entry,
      input: run.input,
      context: run.context,
      softTimeoutMs: run.limits.softTimeoutMs ?? timeoutMs * limits.softTimeoutShare,
      outputBytesMax: run.limits.outputBytesMax ?? limits.outputBytesMax,
    });
    known.add(hash);
    run.signal?.addEventListener('abort', running.onAbort, { once: true });
    if (run.signal?.aborted === true) running.onAbort();
  }

  function abort(id: string, code: AbortCode, message: string): void {
    const running = runs.get(id);
    if (running === undefined || running.killAtMs !== undefined) return;
    running.killAtMs = clock.monotonicMs() + limits.abortGraceMs;
    send({ t: 'abort', id, code, message });
  }

  /** Gives up a run that does not end: the process goes with it, unless neighbours are at work and it still answers. */
  function giveUp(id: string, error: ScriptFailure): void {
    child.isRetired = true;
    const message = { t: 'abort', id, code: error.code as AbortCode, message: error.message } as const;
    if (runs.size > 1) {
      hasZombie = true;
      send(message);
      ping ??= { n: (pings += 1), sentAtMs: clock.monotonicMs() };
      send({ t: 'ping', n: ping.n });
    } else kill();
    void end(id, { ok: false, error });
  }

  function sweep(nowMs: number): void {
    if (isDead) return;
    if (!isReady && nowMs - startedAtMs > limits.startMs) {
      log.error('a process for functions did not start', { stderr: stderrTail.slice(-200) });
      kill();
      return die(() => unavailable());
    }
    if (ping !== undefined && nowMs - ping.sentAtMs > limits.pongMs) {
      violation = 'it did not answer: a loop';
      return kill();
    }
    for (const [id, running] of runs) {
      if (running.isEnding) continue;
      if (nowMs >= running.endsAtMs) {
        const seconds = running.run.limits.timeoutMs / 1_000;
        const message = `The function did not end within its limit of ${seconds} s. Look for a loop or a promise that never resolves; split long work, and save checkpoints.`; // prettier-ignore
        giveUp(id, { code: 'execution_timeout', message });
      } else if (running.killAtMs !== undefined && nowMs >= running.killAtMs) {
        giveUp(id, { code: 'script_aborted', message: 'The run was cancelled and did not end by itself.' });
      }
    }
  }

  const child: Child = {
    slot,
    key: undefined,
    isRetired: false,
    startedAtMs,
    idleSinceMs: startedAtMs,
    ended,
    start,
    sweep,
    kill() {
      kill();
      // Not yet spawned: nothing will tell.
      if (spawned === undefined) die(() => unavailable());
    },
    abortAll(message) {
      for (const id of runs.keys()) void end(id, { ok: false, error: { code: 'script_aborted', message } });
    },
    get running() {
      return runs.size;
    },
    get isDead() {
      return isDead;
    },
    get runsDone() {
      return runsDone;
    },
  };
  boot().catch((error: unknown) => {
    deps.onStartError(error);
    die(() => unavailable());
  });
  return child;
}

/** What a process is for: one function's code in one environment. */
export function keyOf(run: SandboxRun): string {
  return `${run.environmentId}:${run.bundle.hash}`;
}

/** Told to the pool, which makes an error of it. */
export const UNAVAILABLE = 'sandbox_unavailable';
function unavailable(): ScriptFailure {
  return { code: UNAVAILABLE, message: 'No process could be started to run the function.' };
}

function hostFailure(error: unknown, method: string, log: Log): HostFailure {
  if (error instanceof HawserError) {
    const { code, message, status, payload } = error;
    return { code, message, status, ...(payload !== undefined && { payload }) };
  }
  if (
    typeof error === 'object' &&
    error !== null &&
    'code' in error &&
    'message' in error &&
    !(error instanceof Error)
  ) {
    // The failure of an action that the script called.
    const { code, message, payload, upstream } = error as ScriptFailure;
    return { code, message, payload, ...(upstream && { upstream }) };
  }
  log.error('a call of a function failed inside Hawser', { method, error: errorText(error) });
  return { code: 'server_error', message: `Hawser itself failed in ${method}; its log says why.` };
}

const TEXT_CHARS_MAX = 16_000;

/** Takes over what a failure may have, whatever the child sent. */
function failureFrom(error: unknown): ScriptFailure {
  const given = (typeof error === 'object' && error !== null ? error : {}) as Record<string, unknown>;
  const text = (value: unknown): string | undefined =>
    typeof value === 'string' ? value.slice(0, TEXT_CHARS_MAX) : undefined;
  const { payload, upstream } = given;
  return {
    code: text(given['code']) ?? 'script_internal_error',
    message: text(given['message']) ?? 'The function failed.',
    ...(payload !== undefined && { payload }),
    ...(typeof upstream === 'object' && upstream !== null && { upstream: upstream as ScriptFailure['upstream'] }),
    ...(text(given['stack']) !== undefined && { stack: text(given['stack']) }),
  };
}
