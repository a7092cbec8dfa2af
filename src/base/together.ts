/**
 * Statements of one shape that wait at the same moment go to the database as one. The first goes at once; while it is
 * under way the others gather, so that nobody waits for company and a crowd costs few commits.
 */
import type { Clock } from './clock.ts';
import { isHawserError } from './errors.ts';

/** More rows only delay the first. */
const BATCH_MAX = 100;
/** Statements under way: one commits while the next is being sent. */
const FLYING_MAX = 2;
/** Nobody waits longer for statements that hang, behind a lock or on a dead connection: those that wait go beside them. */
const PATIENCE_MS = 250;

export interface TogetherOptions {
  clock: Pick<Clock, 'sleep'>;
  /** Decides when the first of those that wait goes. Default: at once. */
  gather?: (go: () => void) => void;
}

interface Waiting<I, O> {
  item: I;
  resolve(value: O): void;
  reject(error: unknown): void;
}

/**
 * `send` answers in the order of its items. One that fails makes each of its batch go alone; a database that is away
 * (an error that may be tried again) is told to everybody who waits.
 */
export function createTogether<I, O>(
  send: (items: readonly I[]) => Promise<O[]>,
  { clock, gather = (go) => go() }: TogetherOptions,
): (item: I) => Promise<O> {
  let waiting: Waiting<I, O>[] = [];
  let flying = 0;
  let isWatched = false;

  function pump(): void {
    while (flying < FLYING_MAX && waiting.length > 0) launch();
    if (waiting.length > 0) watch();
  }

  function launch(): void {
    const batch = waiting.slice(0, BATCH_MAX);
    waiting = waiting.slice(BATCH_MAX);
    flying += 1;
    void fly(batch).finally(() => {
      flying -= 1;
      pump();
    });
  }

  function watch(): void {
    if (isWatched) return;
    isWatched = true;
    const [first] = waiting;
    void clock.sleep(PATIENCE_MS).then(() => {
      isWatched = false;
      if (waiting.length > 0 && waiting[0] === first) launch();
      if (waiting.length > 0) watch();
      return undefined;
    });
  }

  async function fly(batch: readonly Waiting<I, O>[]): Promise<void> {
    try {
      const answers = await send(batch.map((one) => one.item));
      batch.forEach((one, index) => one.resolve(answers[index] as O));
    } catch (error) {
      // Whoever waits behind would hear the same, later.
      if (isHawserError(error) && error.retryable) {
        for (const one of [...batch, ...waiting.splice(0)]) one.reject(error);
      } else if (batch.length === 1) batch[0]?.reject(error);
      else await Promise.all(batch.map((one) => fly([one])));
    }
  }

  return (item) =>
    new Promise((resolve, reject) => {
      if (waiting.push({ item, resolve, reject }) === 1) gather(pump);
    });
}
