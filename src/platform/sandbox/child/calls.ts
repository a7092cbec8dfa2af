import { jsonOf } from './json.ts';
import { checkGoing, type RunState } from './run-state.ts';

/** How the methods of the script object ask the host. */
export interface Calls {
  /** Asks at once. `what` names the arguments in an error. */
  ask<T = unknown>(method: string, ...args: unknown[]): Promise<T>;
  /**
   * Asks after every earlier ordered call has ended; writes and checkpoints go this way, so that they keep their order
   * without being awaited. When one that was still open at the call fails, this one fails with the same error: a
   * checkpoint is never ahead of its data.
   */
  ordered<T>(send: () => Promise<T>): Promise<T>;
  /** Resolves when every ordered call has ended. Errors: of the first that was open now and failed. */
  settled(): Promise<void>;
}

export function createCalls(run: RunState): Calls {
  let last: Promise<unknown> | undefined;
  const { messageBytesMax: bytesMax, depthMax } = run.limits;

  return {
    async ask<T>(method: string, ...args: unknown[]): Promise<T> {
      checkGoing(run);
      const json = args.map((each) =>
        each === undefined
          ? 'null'
          : jsonOf(each, `An argument of ${method}`, 'invalid_argument', { bytesMax, depthMax }),
      );
      return (await run.call(method, json)) as T;
    },
    ordered<T>(send: () => Promise<T>): Promise<T> {
      checkGoing(run);
      const before = last;
      const mine = (async () => {
        await before;
        checkGoing(run);
        return send();
      })();
      last = mine;
      const forget = (): void => {
        if (last === mine) last = undefined;
      };
      mine.then(forget, forget);
      return mine;
    },
    async settled() {
      await last;
    },
  };
}
