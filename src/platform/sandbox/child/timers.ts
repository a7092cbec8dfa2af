import { promisify } from 'node:util';
import { currentRun } from './run-state.ts';

/** Puts timers in the place of Node's that end with the run that made them. */
export function installTimers(): void {
  const { setTimeout: later, setInterval: every, setImmediate: soon } = globalThis;
  const { clearTimeout, clearInterval, clearImmediate } = globalThis;

  function replace(
    name: string,
    start: (call: () => void, ms: unknown) => object,
    stop: (timer: never) => void,
    isRepeated: boolean,
  ): void {
    // prettier-ignore
    const made = (callback: (...args: unknown[]) => unknown, ...rest: unknown[]): object => {
      if (typeof callback !== 'function') throw new TypeError(`${name} takes a function.`);
      const run = currentRun.getStore();
      const args = name === 'setImmediate' ? rest : rest.slice(1);
      const timers = run?.timers;
      const timer = start(() => {
        if (!isRepeated) timers?.delete(entry);
        if (run?.isOver !== true) callback(...args);
      }, rest[0]);
      const entry = { stop: () => stop(timer as never) };
      timers?.add(entry);
      return timer;
    };
    if (!isRepeated) {
      const soonOrLater = (...rest: unknown[]): Promise<unknown> =>
        new Promise((resolve) => made(() => resolve(rest.at(-1)), ...rest));
      Object.defineProperty(made, promisify.custom, {
        value: name === 'setImmediate' ? soonOrLater : (ms: unknown, value: unknown) => soonOrLater(ms, value),
      });
    }
    Object.defineProperty(globalThis, name, { value: made, writable: true, configurable: true, enumerable: true });
  }
  replace('setTimeout', (call, ms) => later(call, ms as number), clearTimeout, false);
  replace('setInterval', (call, ms) => every(call, ms as number), clearInterval, true);
  replace('setImmediate', (call) => soon(call), clearImmediate, false);
}
