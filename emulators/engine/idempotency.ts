/**
 * What the fake providers remember about `Idempotency-Key`, in each provider's own habit.
 *
 * An entry is `running` (its call is being answered) → `kept` (the reply is replayed until the window ends), or it
 * goes away: the habit does not keep such a reply, the call was abandoned, or the window ended.
 */
import type { Clock } from '../../src/base/clock.ts';
import type { IdempotencyHabit, RestReply } from './types.ts';

/** What to do with a call that carries a key. */
export type IdempotencyVerdict = { kind: 'run' } | { kind: 'replay'; reply: RestReply } | { kind: 'in-flight' };

export interface Idempotency {
  /**
   * Starts a call. `scope` says whose key it is (account or grant); `bodyHash` is any digest of the body. After `run`
   * the caller must end with `finish` or `abandon`.
   */
  begin(scope: string, key: string, bodyHash: string, habit: IdempotencyHabit): IdempotencyVerdict;
  /** Ends a call that was answered, and keeps the reply when the habit says so. */
  finish(scope: string, key: string, bodyHash: string, habit: IdempotencyHabit, reply: RestReply): void;
  /** Ends a call that got no answer (a fault, a thrown error): the next call with the key runs again. */
  abandon(scope: string, key: string, bodyHash: string, habit: IdempotencyHabit): void;
}

/** Entries kept before outdated and then the oldest ones go: bounds memory of a long-running emulator. */
const ENTRIES_MAX = 10_000;

const HOUR_MS = 3_600_000;

interface Entry {
  /** Undefined while the call runs. */
  reply?: RestReply;
  /** Wall time; only for a kept reply. */
  untilMs: number;
}

/** Creates a memory of keys. Source: providers.md 1.10 and 3.6 "Idempotency". */
export function createIdempotency(clock: Clock): Idempotency {
  const entries = new Map<string, Entry>();

  function sweep(): void {
    const nowMs = clock.now();
    for (const [id, entry] of entries) if (entry.reply && entry.untilMs <= nowMs) entries.delete(id);
    for (const [id, entry] of entries) {
      if (entries.size < ENTRIES_MAX) return;
      if (entry.reply) entries.delete(id);
    }
  }

  return {
    begin(scope, key, bodyHash, habit) {
      const id = entryId(scope, key, bodyHash, habit);
      if (id === undefined) return { kind: 'run' };
      const known = entries.get(id);
      if (known && !known.reply) return { kind: 'in-flight' };
      if (known?.reply && known.untilMs > clock.now()) return { kind: 'replay', reply: structuredClone(known.reply) };
      if (entries.size >= ENTRIES_MAX) sweep();
      entries.delete(id);
      entries.set(id, { untilMs: 0 });
      return { kind: 'run' };
    },

    finish(scope, key, bodyHash, habit, reply) {
      const id = entryId(scope, key, bodyHash, habit);
      if (id === undefined) return;
      if (!isKept(habit, reply.status)) {
        entries.delete(id);
        return;
      }
      // A replay changes nothing and tells nothing again: only status, headers and body come back.
      const { status, body, headers } = structuredClone(reply);
      entries.set(id, { reply: { status, body, headers }, untilMs: clock.now() + habit.windowHours * HOUR_MS });
    },

    abandon(scope, key, bodyHash, habit) {
      const id = entryId(scope, key, bodyHash, habit);
      if (id !== undefined && !entries.get(id)?.reply) entries.delete(id);
    },
  };
}

/** What makes two calls "the same"; undefined when the provider ignores keys. */
function entryId(scope: string, key: string, bodyHash: string, habit: IdempotencyHabit): string | undefined {
  switch (habit.kind) {
    case 'replay-2xx':
      return JSON.stringify([scope, key]);
    case 'key-and-body':
      return JSON.stringify([scope, key, bodyHash]);
    case 'none':
      return undefined;
  }
}

/** `key-and-body` also keeps refusals ("same key, same response"); a server error is never kept (assumption). */
function isKept(habit: IdempotencyHabit, status: number): boolean {
  return habit.kind === 'replay-2xx' ? status >= 200 && status < 300 : status < 500;
}
