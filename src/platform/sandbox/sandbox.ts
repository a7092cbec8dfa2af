import { availableParallelism } from 'node:os';
import type { Clock } from '../../base/clock.ts';
import { errorText, type Log } from '../../base/log.ts';
import { keyOf, startChild, UNAVAILABLE, type Child } from './child-process.ts';
import { sandboxErrors } from './errors.ts';
import { limitsOf, type SandboxLimits } from './limits.ts';
import type { Sandbox, SandboxResult, SandboxRun } from './model.ts';
import { noteSpawnError, slotOf } from './spawn.ts';

export interface SandboxDeps {
  clock: Clock;
  log: Log;
  /** Over {@link SANDBOX_LIMITS}. */
  limits?: Partial<SandboxLimits>;
}

interface Queued {
  run: SandboxRun;
  /** On the monotonic clock. */
  sinceMs: number;
  resolve(result: SandboxResult): void;
}

const SWEEP_MS = 50;
/** Kept waiting for a function that has no process yet, while functions run at all. */
const BLANKS = 1;

/** Starts nothing yet: the first run does. */
export function createSandbox({ clock, log, limits: over }: SandboxDeps): Sandbox {
  const limits = limitsOf(over);
  const processors = availableParallelism();
  const children = new Set<Child>();
  const alone = new Set<Child>();
  const queue: Queued[] = [];
  let stopSweep: (() => void) | undefined;
  let isClosed = false;
  let started = 0;
  let killed = 0;
  let lastUseMs = 0;

  function add(slot: number): Child {
    started += 1;
    const child = startChild(slot, {
      clock,
      log,
      limits,
      onFree: pump,
      onStartError(error) {
        if (!noteSpawnError(error, log)) log.error('no process for functions', { error: errorText(error) });
      },
    });
    children.add(child);
    stopSweep ??= clock.every(SWEEP_MS, sweep);
    void forget(child);
    return child;
  }

  async function forget(child: Child): Promise<void> {
    await child.ended;
    children.delete(child);
    alone.delete(child);
    killed += 1;
    pump();
  }

  function processesMax(): number {
    const waitedMs = clock.monotonicMs() - (queue[0]?.sinceMs ?? Number.POSITIVE_INFINITY);
    return limits.processesMax * (waitedMs > limits.crowdedMs ? 2 : 1);
  }

  /** True when the environment works in as many of these as one may, of `max`. */
  function hasItsShare({ environmentId }: SandboxRun, among: ReadonlySet<Child>, max: number): boolean {
    const own = [...among].filter((child) => child.running > 0 && child.key?.startsWith(`${environmentId}:`) === true);
    return own.length >= Math.ceil(max * limits.environmentShare);
  }

  /** Room for one more process: also by ending one that has nothing to do. */
  function hasRoom(): boolean {
    if (children.size < processesMax()) return true;
    const idle = [...children].filter((child) => child.running === 0);
    if (idle.some((child) => child.isRetired)) return false; // one is on its way out
    idle.toSorted((a, b) => a.idleSinceMs - b.idleSinceMs)[0]?.kill();
    // It is gone when the system says so; `ended` tries again.
    return false;
  }

  function freshFor(run: SandboxRun): Child | undefined {
    if (hasItsShare(run, children, processesMax())) return undefined;
    const slot = slotOf(run.environmentId);
    for (const child of children) {
      if (child.key === undefined && child.slot === slot && !child.isRetired) return child;
    }
    return hasRoom() ? add(slot) : undefined;
  }

  function place(run: SandboxRun): Child | undefined {
    if (run.alone === true) {
      if (alone.size >= limits.aloneMax || hasItsShare(run, alone, limits.aloneMax)) return undefined;
      const child = freshFor(run);
      if (child === undefined) return undefined;
      child.isRetired = true;
      alone.add(child);
      return child;
    }
    const key = keyOf(run);
    const mine = [...children].filter((child) => child.key === key && !child.isRetired);
    const best = mine.toSorted((a, b) => a.running - b.running)[0];
    if (best === undefined) return freshFor(run);
    const isSpread = best.running < limits.spreadAt || mine.length >= processors;
    if (!isSpread && children.size < limits.processesMax) return freshFor(run) ?? best;
    return best.running < limits.concurrencyMax ? best : undefined;
  }

  function pump(): void {
    // In order, but a run that has to wait holds up no other one.
    const full = new Set<string>();
    for (let at = 0; at < queue.length;) {
      const next = queue[at] as Queued;
      const key = next.run.alone === true ? `alone:${next.run.environmentId}` : keyOf(next.run);
      const child = full.has(key) ? undefined : place(next.run);
      if (child === undefined) {
        full.add(key);
        at += 1;
        continue;
      }
      queue.splice(at, 1);
      child.start(next.run, next.resolve);
      warm(child.slot);
    }
  }

  function warm(slot: number): void {
    const blanks = [...children].filter((child) => child.key === undefined && !child.isRetired && child.running === 0);
    if (blanks.length < BLANKS && children.size < limits.processesMax) add(slot);
  }

  function sweep(): void {
    const now = clock.monotonicMs();
    for (const child of children) {
      child.sweep(now);
      const isOld = child.runsDone >= limits.runsMax || now - child.startedAtMs > limits.ageMs;
      const isIdle = child.running === 0 && now - child.idleSinceMs > limits.idleMs;
      const isUnwanted = child.key === undefined && now - lastUseMs > limits.idleMs;
      if (child.key !== undefined && isOld) child.isRetired = true;
      if (child.running === 0 && (child.isRetired || (child.key !== undefined && isIdle) || isUnwanted)) child.kill();
    }
    if (queue.length > 0) pump();
    if (children.size === 0 && queue.length === 0) {
      stopSweep?.();
      stopSweep = undefined;
    }
  }

  async function once(run: SandboxRun): Promise<SandboxResult> {
    const cancelled = (message: string): SandboxResult => ({ ok: false, error: { code: 'script_aborted', message } });
    if (isClosed) return cancelled('This node is stopping.');
    if (run.signal?.aborted === true) return cancelled('The run was cancelled before it began.');
    return new Promise<SandboxResult>((resolve) => {
      const queued: Queued = { run, resolve: done, sinceMs: clock.monotonicMs() };
      function done(result: SandboxResult): void {
        run.signal?.removeEventListener('abort', drop);
        resolve(result);
      }
      function drop(): void {
        const at = queue.indexOf(queued);
        if (at === -1) return; // runs already: its process hears of it
        queue.splice(at, 1);
        done(cancelled('The run was cancelled before it began.'));
      }
      run.signal?.addEventListener('abort', drop);
      queue.push(queued);
      pump();
    });
  }

  return {
    async run(run) {
      lastUseMs = clock.monotonicMs();
      let result = await once(run);
      // The first child of a container that may not change users: once more, as who we are.
      if (!result.ok && result.error.code === UNAVAILABLE) result = await once(run);
      if (!result.ok && result.error.code === UNAVAILABLE) throw sandboxErrors.fail('sandbox_unavailable');
      return result;
    },
    stats: () => ({
      processes: children.size,
      running: [...children].reduce((sum, child) => sum + child.running, 0),
      started,
      killed,
    }),
    async close() {
      isClosed = true;
      const text = 'This node is stopping.';
      for (const { resolve } of queue.splice(0))
        resolve({ ok: false, error: { code: 'script_aborted', message: text } });
      const all = [...children];
      for (const child of all) {
        child.abortAll(text);
        child.kill();
      }
      await Promise.all(all.map((child) => child.ended));
      stopSweep?.();
      stopSweep = undefined;
    },
  };
}
