/** Builders and a hand-driven clock for the tests of the REST slices. */
import type { Clock } from '../../src/base/clock.ts';
import type { Account, Grant, Json, RestRequest, RestTools, User } from './types.ts';

/** A clock that moves only when told. Starts at 2026-11-21T10:00:00Z. */
export interface HandClock extends Clock {
  advanceMs(ms: number): void;
  advanceDays(days: number): void;
}

export function aClock(startMs: number = Date.parse('2026-11-21T10:00:00Z')): HandClock {
  let nowMs = startMs;
  return {
    now: () => nowMs,
    monotonicMs: () => nowMs - startMs,
    sleep: async (ms) => {
      nowMs += ms;
    },
    every: () => () => undefined,
    advanceMs(ms) {
      nowMs += ms;
    },
    advanceDays(days) {
      nowMs += days * 86_400_000;
    },
  };
}

/** Tools with counting ids and the given knobs; `knobs` may be changed between calls. */
export interface TestTools extends RestTools {
  clock: HandClock;
  knobs: Record<string, Json>;
}

export function someTools(knobs: Record<string, Json> = {}, clock: HandClock = aClock()): TestTools {
  let last = 0;
  return {
    clock,
    knobs,
    hexId: (characters) => (last += 1).toString(16).padStart(characters, '0'),
    knob: (name) => knobs[name],
  };
}

/** An account that may do everything and owns nothing. */
export function anAccount(fields: Partial<Account> = {}): Account {
  return {
    id: 'acc000000000000000000001',
    name: 'Harbour & Sons',
    createdAt: '2026-01-02T03:04:05.000Z',
    ready: true,
    data: {},
    ...fields,
  };
}

export function aUser(fields: Partial<User> = {}): User {
  return {
    id: 'aaaaaaaaaaaaaaaaaaaaaaaa',
    accountId: 'acc000000000000000000001',
    email: 'ann@harbour.example',
    fullName: 'Ann Harbour',
    password: 'not-used',
    ...fields,
  };
}

export function aGrant(fields: Partial<Grant> = {}): Grant {
  return {
    id: 'grant-1',
    clientId: 'cccccccccccccccccccccccc',
    accountId: 'acc000000000000000000001',
    userId: 'aaaaaaaaaaaaaaaaaaaaaaaa',
    scope: 'read_write',
    mode: 'live',
    state: 'active',
    createdAt: '2026-11-01T00:00:00Z',
    ...fields,
  };
}

/** `aRequest('POST /v1/candidates', { body })`: method and path with query in one text, the rest has defaults. */
export function aRequest(line: string, fields: Partial<RestRequest> = {}): RestRequest {
  const [method = 'GET', target = '/'] = line.split(' ');
  const url = new URL(target, 'http://emulator.test');
  const user = fields.user ?? aUser();
  return {
    method,
    path: url.pathname,
    query: url.searchParams,
    headers: {},
    body: undefined,
    account: anAccount(),
    grant: aGrant(),
    baseUrl: 'http://127.0.0.1:3004/mount',
    users: [user],
    ...fields,
    user,
  };
}
