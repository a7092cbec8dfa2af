import { describe, expect, it } from 'vitest';
import { checkbookRest } from '../checkbook/rest.ts';
import { checkrRest } from '../checkr/rest.ts';
import { xrefRest } from '../xref/rest.ts';
import { createIdempotency, type Idempotency } from './idempotency.ts';
import { aClock, anAccount, aGrant, aRequest, someTools, type TestTools } from './testing.ts';
import type { Account, JsonObject, RestReply, RestSlice } from './types.ts';

/** What the engine does with a POST that carries a key. */
function post(
  memory: Idempotency,
  slice: RestSlice,
  call: { path: string; key: string; body: JsonObject; account: Account; tools: TestTools; scope?: string },
): RestReply | 'in-flight' {
  const bodyHash = JSON.stringify(call.body);
  const verdict = memory.begin(call.account.id, call.key, bodyHash, slice.idempotency);
  if (verdict.kind === 'in-flight') return 'in-flight';
  if (verdict.kind === 'replay') return verdict.reply;
  const request = aRequest(`POST ${call.path}`, {
    account: call.account,
    body: call.body,
    grant: aGrant({ scope: call.scope ?? 'check' }),
  });
  const reply = slice.handle(request, call.tools) as RestReply;
  memory.finish(call.account.id, call.key, bodyHash, slice.idempotency, reply);
  return reply;
}

const candidate = (email: string) => ({ email, first_name: 'Ada', last_name: 'Alder' });

describe('the key alone decides (scenario 8)', () => {
  it('replays the first 2xx with its status, also for another body, and makes no second resource', () => {
    const tools = someTools();
    const account = anAccount();
    const memory = createIdempotency(tools.clock);
    const call = { path: '/v1/candidates', key: 'k1', account, tools };
    const first = post(memory, checkrRest, { ...call, body: candidate('ada@example.com') });
    const again = post(memory, checkrRest, { ...call, body: candidate('bob@example.com') });
    expect(first).toMatchObject({ status: 201, changed: true });
    expect(again).toEqual({ status: 201, body: (first as RestReply).body, headers: undefined });
    expect(account.data['candidates']).toHaveLength(1);

    post(memory, checkrRest, { ...call, key: 'k2', body: candidate('bob@example.com') });
    expect(account.data['candidates']).toHaveLength(2);
  });

  it('does not keep a refusal', () => {
    const tools = someTools();
    const account = anAccount();
    const memory = createIdempotency(tools.clock);
    const call = { path: '/v1/candidates', key: 'k1', account, tools };
    expect(post(memory, checkrRest, { ...call, body: candidate('nobody') })).toMatchObject({ status: 400 });
    expect(post(memory, checkrRest, { ...call, body: candidate('ada@example.com') })).toMatchObject({ status: 201 });
  });

  it('answers a twin in flight with 409 until the first is finished or abandoned', () => {
    const habit = checkrRest.idempotency;
    const memory = createIdempotency(aClock());
    expect(memory.begin('a', 'k', 'body', habit)).toEqual({ kind: 'run' });
    expect(memory.begin('a', 'k', 'other body', habit)).toEqual({ kind: 'in-flight' });
    expect(memory.begin('b', 'k', 'body', habit)).toEqual({ kind: 'run' });
    memory.abandon('a', 'k', 'body', habit);
    expect(memory.begin('a', 'k', 'body', habit)).toEqual({ kind: 'run' });
    expect(habit.inFlightBody).toEqual({
      message: 'Another request with the same idempotency key is in progress',
    });
  });

  it('forgets after 24 hours', () => {
    const clock = aClock();
    const habit = checkrRest.idempotency;
    const memory = createIdempotency(clock);
    memory.begin('a', 'k', 'body', habit);
    memory.finish('a', 'k', 'body', habit, { status: 201, body: { id: '1' } });
    clock.advanceMs(24 * 3_600_000 - 1);
    expect(memory.begin('a', 'k', 'body', habit).kind).toBe('replay');
    clock.advanceMs(1);
    expect(memory.begin('a', 'k', 'body', habit).kind).toBe('run');
  });

  it('hands out copies: changing a replay does not change the next one', () => {
    const habit = checkrRest.idempotency;
    const memory = createIdempotency(aClock());
    memory.begin('a', 'k', 'body', habit);
    memory.finish('a', 'k', 'body', habit, { status: 200, body: { id: '1' } });
    const replay = memory.begin('a', 'k', 'body', habit);
    if (replay.kind === 'replay') (replay.reply.body as JsonObject)['id'] = 'changed';
    expect(memory.begin('a', 'k', 'body', habit)).toMatchObject({ kind: 'replay', reply: { body: { id: '1' } } });
  });
});

describe('key and body decide (scenario 14)', () => {
  it('the same key and body gives the same check; another body gives a second check', () => {
    const tools = someTools();
    const account = anAccount();
    checkbookRest.seed(account, [], tools);
    const before = account.data['checks']?.length ?? 0;
    const memory = createIdempotency(tools.clock);
    const call = { path: '/v3/check/digital', key: 'pay-1', account, tools };
    const body = { recipient: 'kit@example.com', name: 'Kit Larch', amount: 5.25 };

    const first = post(memory, checkbookRest, { ...call, body }) as RestReply;
    const same = post(memory, checkbookRest, { ...call, body }) as RestReply;
    expect(first.status).toBe(201);
    expect(same.body).toEqual(first.body);
    expect(account.data['checks']).toHaveLength(before + 1);

    const altered = post(memory, checkbookRest, { ...call, body: { ...body, amount: 5.26 } }) as RestReply;
    expect(altered.status).toBe(201);
    expect((altered.body as JsonObject)['id']).not.toBe((first.body as JsonObject)['id']);
    expect(account.data['checks']).toHaveLength(before + 2);
  });

  it('does not spend a grant a second time by a replay', () => {
    const habit = checkbookRest.idempotency;
    const memory = createIdempotency(aClock());
    memory.begin('a', 'k', 'body', habit);
    memory.finish('a', 'k', 'body', habit, { status: 201, body: {}, changed: true, spendsGrant: true, events: [] });
    expect(memory.begin('a', 'k', 'body', habit)).toEqual({
      kind: 'replay',
      reply: { status: 201, body: {}, headers: undefined },
    });
  });

  it('keeps refusals but no server error', () => {
    const habit = checkbookRest.idempotency;
    const memory = createIdempotency(aClock());
    memory.begin('a', 'k', 'body', habit);
    memory.finish('a', 'k', 'body', habit, { status: 500 });
    expect(memory.begin('a', 'k', 'body', habit).kind).toBe('run');
    memory.finish('a', 'k', 'body', habit, { status: 400 });
    expect(memory.begin('a', 'k', 'body', habit).kind).toBe('replay');
  });
});

it('a provider that ignores keys runs every call', () => {
  const habit = xrefRest.idempotency;
  const memory = createIdempotency(aClock());
  expect(memory.begin('a', 'k', 'body', habit)).toEqual({ kind: 'run' });
  expect(memory.begin('a', 'k', 'body', habit)).toEqual({ kind: 'run' });
  memory.finish('a', 'k', 'body', habit, { status: 201 });
  expect(memory.begin('a', 'k', 'body', habit)).toEqual({ kind: 'run' });
});
