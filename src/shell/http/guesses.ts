/**
 * Wrong keys and tokens. What one address may try is limited before the database is asked; a secret that was valid a
 * moment ago is never held up by the guesses of a neighbour, and the same wrong one again costs nothing.
 */
import type { Clock } from '../../base/clock.ts';
import { secretHash } from '../../base/ids.ts';
import { Recent } from '../../base/recent.ts';
import { httpErrors } from './errors.ts';

const WINDOW_MS = 60_000;
/** Memory bounds against callers that change their address or their guess. */
const ADDRESSES_MAX = 100_000;
const SECRETS_MAX = 10_000;
/** A wrong secret is answered from memory for this long: a worker with an old key asks us, not the database. */
const WRONG_MS = 10_000;
/** Customers open old links, and an office has one address: browsers may fail more often than backends. */
const BROWSER_FACTOR = 6;

interface Tries {
  window: number;
  failed: number;
  flying: Set<Promise<unknown>>;
}

export interface Guesses {
  /**
   * Looks a secret up for a caller. Undefined: nobody has it. Concurrent calls above the limit wait for the outcome of
   * the others. Errors: `too_many_request`.
   */
  check<T>(address: string, secret: string, lookUp: () => Promise<T | undefined>): Promise<T | undefined>;
  /** For routes that check a browser's token or a password themselves. Errors: `too_many_request`. */
  assertBrowserMayTry(address: string): void;
  browserFailed(address: string): void;
  /** Until the window ends. */
  secondsLeft(): number;
}

/** `perMinute`: failures of one address; 0 switches the limit off. */
export function createGuesses(options: { clock: Clock; perMinute: number }): Guesses {
  const { clock, perMinute } = options;
  const right = new Recent<string, true>(SECRETS_MAX);
  const wrong = new Recent<string, number>(SECRETS_MAX);
  const backends = new Recent<string, Tries>(ADDRESSES_MAX);
  const browsers = new Recent<string, Tries>(ADDRESSES_MAX);

  function triesOf(from: Recent<string, Tries>, address: string): Tries {
    const window = Math.floor(clock.monotonicMs() / WINDOW_MS);
    let tries = from.get(address);
    if (tries === undefined) {
      tries = { window, failed: 0, flying: new Set() };
      from.set(address, tries);
    } else if (tries.window !== window) {
      tries.window = window;
      tries.failed = 0;
    }
    return tries;
  }

  async function note(address: string, found: Promise<unknown>): Promise<void> {
    try {
      if ((await found) === undefined) triesOf(backends, address).failed += 1;
    } catch {
      // A database that is away says nothing about the secret; the caller sees the error.
    }
  }

  async function guess<T>(address: string, lookUp: () => Promise<T | undefined>): Promise<T | undefined> {
    let tries = triesOf(backends, address);
    while (tries.failed + tries.flying.size >= perMinute) {
      if (tries.failed >= perMinute) throw httpErrors.fail('too_many_request');
      await Promise.race(tries.flying);
      tries = triesOf(backends, address);
    }
    const found = lookUp();
    const settled = note(address, found);
    tries.flying.add(settled);
    await settled;
    tries.flying.delete(settled);
    return found;
  }

  return {
    async check(address, secret, lookUp) {
      if (perMinute === 0) return lookUp();
      const id = secretHash(secret).toString('base64');
      const nowMs = clock.monotonicMs();
      if ((wrong.get(id) ?? nowMs) > nowMs) return undefined;
      const found = await (right.has(id) ? lookUp() : guess(address, lookUp));
      if (found === undefined) {
        right.delete(id);
        wrong.set(id, nowMs + WRONG_MS);
      } else {
        right.set(id, true);
      }
      return found;
    },
    assertBrowserMayTry(address) {
      if (perMinute === 0) return;
      if (triesOf(browsers, address).failed >= perMinute * BROWSER_FACTOR) throw httpErrors.fail('too_many_request');
    },
    browserFailed(address) {
      if (perMinute > 0) triesOf(browsers, address).failed += 1;
    },
    secondsLeft() {
      return Math.max(1, Math.ceil((WINDOW_MS - (clock.monotonicMs() % WINDOW_MS)) / 1_000));
    },
  };
}
