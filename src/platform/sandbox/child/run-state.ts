import { AsyncLocalStorage } from 'node:async_hooks';
import type { ScriptContext } from '../model.ts';
import type { SandboxLimits } from '../limits.ts';
import type { AbortCode } from '../frames.ts';
import { ScriptAbort } from './script-error.ts';

/** One run as the runner sees it. */
export interface RunState {
  readonly id: string;
  readonly context: ScriptContext;
  readonly limits: SandboxLimits;
  readonly abort: AbortController;
  /** `performance.now()` from which on a checkpoint ends the run. */
  readonly softEndsAtMs: number;
  /** Set when the host said that it must end. */
  aborted: { code: AbortCode; message: string } | undefined;
  /** Nothing of it may happen any more. */
  isOver: boolean;
  /** Ended together with the run. */
  readonly timers: Set<{ stop(): void }>;
  /** Fails the run from outside of its promise: unhandled rejections and thrown timers. */
  fail(error: unknown): void;
  /** Asks the host; `args` are JSON texts. Errors: ScriptError of the host, ScriptAbort. */
  call(method: string, args: readonly string[]): Promise<unknown>;
  /** The same without an answer: log lines. */
  tell(method: string, args: readonly string[]): void;
}

/** The run whose code is on the stack, through every await and timer. */
export const currentRun = new AsyncLocalStorage<RunState>();

/** Throws when the run has to end (wire contract F.3, last line). */
export function checkGoing(run: RunState): void {
  if (run.aborted !== undefined) throw new ScriptAbort(run.aborted.code, run.aborted.message);
  if (run.isOver) {
    throw new ScriptAbort('script_aborted', 'The function has ended already. Await every call before it returns.');
  }
}
