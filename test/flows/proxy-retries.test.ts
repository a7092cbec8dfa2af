/** Calls that are made again: after which answers, after which waits, and how often. */
import { afterEach, describe, expect, it } from 'vitest';
import type { RetrySpec } from '../../catalogue/_spec/index.ts';
import { answer, createEvil, until, type EvilScript } from '../support/evil.ts';
import { aLive, anIntegration, aProvider, callProxy, handClock, startProxy, type Answer } from '../support/proxy.ts';
import { createOpenList, recording, startProxyOverEvil, type ProxyOverEvilOptions } from '../support/proxy-evil.ts';

const list = createOpenList();
afterEach(() => list.close());

const ok = answer(200, 'ok');

/** A call under a clock that the test moves: says how long it waited before each repetition. */
async function callUnderClock(
  script: EvilScript,
  call: { method?: string; body?: string | Buffer; headers?: Record<string, string> },
  options: ProxyOverEvilOptions = {},
): Promise<{ waits: number[]; got: Answer; retries: unknown; calls: number }> {
  const hand = handClock();
  const { proxy, evil } = await startProxyOverEvil(list, script, { ...options, clock: hand.clock });
  const waits: number[] = [];
  let got: Answer | undefined;
  const answered = callProxy(proxy.port, '/proxy/x', call).then((value) => (got = value));
  for (;;) {
    await until(() => got !== undefined || hand.sleeping().length > 0, 'an answer or a wait');
    const [waitMs] = hand.sleeping();
    if (waitMs === undefined) break;
    waits.push(waitMs);
    hand.advance(waitMs - 1);
    expect(hand.sleeping()).toEqual([1]);
    hand.advance(1);
  }
  await answered;
  await until(() => proxy.entries.length === 1);
  return { waits, got: await answered, retries: proxy.entries[0]?.detail?.['retries'], calls: evil.connections.length };
}

describe('retries on an answer', () => {
  it('fault 13: are not made unless asked for', async () => {
    const { script, requests } = recording(answer(503, 'no'), ok);
    const { got, waits } = await callUnderClock(script, {});
    expect([got.status, waits, requests.length]).toEqual([503, [], 1]);
  });

  it.each([500, 502, 503, 504, 429])('fault 13: are made on %i, waiting 3 s, 6 s, 12 s', async (status) => {
    const { script, requests } = recording(answer(status, 'no'), answer(status, 'no'), answer(status, 'no'), ok);
    const { got, waits, retries } = await callUnderClock(script, { headers: { retries: '3' } });
    expect([got.body.toString(), waits, retries]).toEqual(['ok', [3000, 6000, 12_000], 3]);
    expect(requests.length).toBe(4);
  });

  it('end with the last answer when all are used up', async () => {
    const { script, requests } = recording(answer(500, 'one'), answer(502, 'two'), answer(503, 'three'));
    const { got } = await callUnderClock(script, { headers: { retries: '2' } });
    expect([got.status, got.body.toString(), requests.length]).toEqual([503, 'three', 3]);
  });

  it.each([200, 201, 302, 400, 401, 403, 404, 409, 422])('are not made on %i', async (status) => {
    const { script, requests } = recording(answer(status, 'x'), ok);
    const { got, waits } = await callUnderClock(script, { headers: { retries: '5' } });
    expect([got.status, waits, requests.length]).toEqual([status, [], 1]);
  });

  it('are made on the statuses of Retry-On too', async () => {
    const { script } = recording(answer(404, 'x'), answer(401, 'x'), ok);
    const { got, waits } = await callUnderClock(script, { headers: { retries: '5', 'retry-on': '404, 401' } });
    expect([got.status, waits]).toEqual([200, [3000, 6000]]);
  });

  it.each<[string, Record<string, string>, RetrySpec | undefined, number[]]>([
    ['Retry-After in seconds', { 'retry-after': '7' }, undefined, [7000]],
    ['Retry-After as a date', { 'retry-after': 'Sun, 01 Mar 2026 12:00:50 GMT' }, undefined, [20_000]],
    ['an ISO date (Checkr)', { 'x-ratelimit-reset': '2026-03-01T12:01:00Z' }, { at: ['x-ratelimit-reset'] }, [30_000]],
    ['epoch seconds', { 'x-reset': String(Date.parse('2026-03-01T12:00:40Z') / 1000) }, { at: ['X-Reset'] }, [10_000]],
    ['the longest of several', { a: '5', b: '9' }, { after: ['a', 'b'] }, [9000]],
    ['nothing readable', { 'retry-after': 'soon' }, undefined, [3000]],
    ['a moment in the past', { 'x-ratelimit-reset': '2026-03-01T11:59:00Z' }, { at: ['x-ratelimit-reset'] }, [3000]],
  ])('wait as the provider says: %s', async (_name, headers, retry, expected) => {
    const { script } = recording(answer(429, 'no', headers), ok);
    const { got, waits } = await callUnderClock(script, { headers: { retries: '1' } }, { api: { retry } });
    expect([got.status, waits]).toEqual([200, expected]);
  });

  it('fault 13: are not made when the wait is longer than a request is kept: the caller learns the date', async () => {
    const { script, requests } = recording(answer(429, 'no', { 'retry-after': '601' }), ok);
    const { got, waits } = await callUnderClock(script, { headers: { retries: '3' } });
    expect([got.status, got.headers['retry-after'], waits, requests.length]).toEqual([429, '601', [], 1]);
  });

  it('are not made on a good answer that says it was the last one allowed', async () => {
    const { script, requests } = recording(
      answer(201, 'made', { 'x-remaining': '0', 'x-reset': '2026-03-01T12:01:00Z' }),
    );
    const api = { retry: { at: ['x-reset'], remaining: 'x-remaining' } };
    const { got, waits } = await callUnderClock(
      script,
      { method: 'POST', body: 'x', headers: { retries: '3' } },
      { api },
    );
    expect([got.status, waits, requests.length]).toEqual([201, [], 1]);
  });

  it('send the same bytes again', async () => {
    const { script, requests } = recording(answer(429, 'no'), ok);
    const body = Buffer.alloc(1024 * 1024, 'abc');
    await callUnderClock(script, { method: 'POST', body, headers: { retries: '1', 'content-type': 'text/plain' } });
    expect(requests.length).toBe(2);
    expect(requests[1]?.body.equals(body)).toBe(true);
    expect(requests[1]?.rawHead).toBe(requests[0]?.rawHead);
  });

  it('are not made for a body that is not kept', async () => {
    const { script, requests } = recording(answer(429, 'no'), ok);
    const body = Buffer.alloc(1024 * 1024 + 1);
    const { got } = await callUnderClock(script, { method: 'PUT', body, headers: { retries: '3' } });
    expect([got.status, requests.length]).toEqual([429, 1]);
  });

  const matrix: [
    method: string,
    status: number,
    extra: Record<string, string>,
    call: Record<string, string>,
    made: boolean,
  ][] = [
    ['PUT', 500, {}, {}, true],
    ['DELETE', 502, {}, {}, true],
    ['POST', 500, {}, {}, false],
    ['POST', 502, {}, {}, false],
    ['POST', 504, {}, {}, false],
    ['POST', 503, {}, {}, false],
    ['POST', 503, { 'retry-after': '1' }, {}, true],
    ['POST', 429, {}, {}, true],
    ['PATCH', 500, {}, {}, false],
    ['PATCH', 429, {}, {}, true],
    ['POST', 500, {}, { 'nango-proxy-idempotency-key': 'k1' }, true],
    ['POST', 500, {}, { 'nango-proxy-other-key': 'k1' }, false],
    ['POST', 500, {}, { 'retry-on': '500' }, true],
  ];
  it.each(matrix)('fault 13: of %s after %i %j with %j: %s', async (method, status, extra, call, made) => {
    const { script, requests } = recording(answer(status, 'no', extra), ok);
    const options = { api: { idempotencyHeader: 'Idempotency-Key' } };
    await callUnderClock(script, { method, body: 'x', headers: { retries: '1', ...call } }, options);
    expect(requests.length).toBe(made ? 2 : 1);
  });

  it('take the credential anew after the wait', async () => {
    const { script, requests } = recording(answer(429, 'no'), ok);
    const evil = list.add(await createEvil(script));
    const integration = anIntegration(aProvider(`http://${evil.pair}`));
    const lives = ['first', 'second'].map((token) =>
      aLive(integration, { credential: { type: 'OAUTH2', access_token: token, raw: {} } }),
    );
    let peeks = 0;
    const hand = handClock();
    const credentials = {
      peek: () => lives[Math.min(peeks++, 1)],
      live: async () => lives[1] as (typeof lives)[0],
      afterUnauthorized: async () => undefined,
      spend: async () => undefined,
    };
    const proxy = list.add(await startProxy({ allow: [evil.pair], clock: hand.clock, deps: { credentials } }));
    const got = callProxy(proxy.port, '/proxy/x', { headers: { retries: '1' } });
    await until(() => hand.sleeping().length === 1);
    hand.advance(3000);
    expect((await got).status).toBe(200);
    expect(requests.map(({ headers }) => headers['authorization'])).toEqual(['Bearer first', 'Bearer second']);
  });

  it('stop when the caller leaves during the wait', async () => {
    const hand = handClock();
    const { script, requests } = recording(answer(429, 'no'), ok);
    const { proxy } = await startProxyOverEvil(list, script, { clock: hand.clock });
    const left = new AbortController();
    const call = callProxy(proxy.port, '/proxy/x', { headers: { retries: '3' }, signal: left.signal });
    await until(() => hand.sleeping().length === 1);
    left.abort();
    await expect(call).rejects.toThrow();
    await until(() => hand.sleeping().length === 0);
    hand.advance(60_000);
    expect(requests.length).toBe(1);
    expect(proxy.entries[0]?.detail?.['code']).toBe('client_closed');
  });
});

/** Takes the request and breaks the connection, the first `times` times. */
const breaking =
  (times: number, seen: { count: number }): EvilScript =>
  async (connection, index) => {
    await connection.request();
    seen.count += 1;
    if (index < times) connection.reset();
    else await connection.send(ok);
  };

describe('retries without an answer', () => {
  it('are made for a GET', async () => {
    const seen = { count: 0 };
    const { got, waits } = await callUnderClock(breaking(2, seen), { headers: { retries: '2' } });
    expect([got.status, waits, seen.count]).toEqual([200, [3000, 6000], 3]);
  });

  it.each(['POST', 'PATCH'])('fault 13: are not made for a %s that may have arrived', async (method) => {
    const seen = { count: 0 };
    const { got } = await callUnderClock(breaking(1, seen), { method, body: 'x', headers: { retries: '3' } });
    expect([got.status, got.json(), seen.count]).toMatchObject([500, { code: 'ECONNRESET', method }, 1]);
  });

  it('fault 13: are made for a POST with the provider’s idempotency key', async () => {
    const seen = { count: 0 };
    const { got } = await callUnderClock(
      breaking(1, seen),
      { method: 'POST', body: 'x', headers: { retries: '3', 'nango-proxy-idempotency-key': 'k' } },
      { api: { idempotencyHeader: 'Idempotency-Key' } },
    );
    expect([got.status, seen.count]).toEqual([200, 2]);
  });

  it('are made for a POST when no connection was made', async () => {
    const evil = await createEvil(() => undefined);
    await evil.close();
    const hand = handClock();
    const live = aLive(anIntegration(aProvider(`http://${evil.pair}`)));
    const proxy = list.add(await startProxy({ allow: [evil.pair], live, clock: hand.clock }));
    const call = callProxy(proxy.port, '/proxy/x', { method: 'POST', body: 'x', headers: { retries: '2' } });
    for (const waitMs of [3000, 6000]) {
      await until(() => hand.sleeping().length === 1);
      expect(hand.sleeping()).toEqual([waitMs]);
      hand.advance(waitMs);
    }
    const got = await call;
    expect([got.status, got.json()]).toMatchObject([500, { code: 'ECONNREFUSED', status: 500, method: 'POST' }]);
  });

  it('are not made for an answer that is no HTTP', async () => {
    const { script } = recording('nonsense\r\n\r\n');
    const { got, waits } = await callUnderClock(script, { headers: { retries: '3' } });
    expect([got.status, waits]).toEqual([500, []]);
  });

  it('are not made once the answer has begun', async () => {
    let count = 0;
    const { proxy } = await startProxyOverEvil(list, async (connection) => {
      await connection.request();
      count += 1;
      await connection.send(`HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf`);
      connection.reset();
    });
    await expect(callProxy(proxy.port, '/proxy/x', { headers: { retries: '3' } })).rejects.toThrow();
    expect(count).toBe(1);
  });
});

describe('many calls that are refused at the same moment', () => {
  it('fault 13: come back a few at a time, fewer when they are refused again', async () => {
    const calls = 40;
    const held: (() => void)[] = [];
    let seen = 0;
    // The first try of each call is refused; what comes after it waits to be answered.
    const script: EvilScript = async (connection) => {
      for (let request = await connection.request(); request !== undefined; request = await connection.request()) {
        seen += 1;
        if (seen <= calls) await connection.send(answer(429, 'no', { 'retry-after': '5' }));
        else {
          const isGood = await new Promise<boolean>((resolve) => held.push(() => resolve(seen > calls + 32)));
          await connection.send(isGood ? ok : answer(429, 'no', { 'retry-after': '5' }));
        }
      }
    };
    const hand = handClock();
    const { proxy } = await startProxyOverEvil(list, script, { clock: hand.clock });
    const answers: number[] = [];
    for (let index = 0; index < calls; index += 1) {
      void callProxy(proxy.port, '/proxy/x', { headers: { retries: '3' } }).then(({ status }) => answers.push(status));
    }
    await until(() => hand.sleeping().length === calls);
    hand.advance(5_000);
    await until(() => held.length === 32);
    for (const refuse of held.splice(0)) refuse();
    // The other eight go now. When the 32 come back, 16 are let through at a time.
    await until(() => held.length === 8);
    await until(() => hand.sleeping().filter((ms) => ms === 5_000).length === 32);
    hand.advance(5_000);
    await until(() => held.length === 16);
    expect(seen).toBe(calls + 32 + 8 + 8);
    while (answers.length < calls) {
      await until(() => held.length > 0 || answers.length === calls);
      for (const go of held.splice(0)) go();
    }
    expect(answers).toEqual(Array.from({ length: calls }, () => 200));
  });

  it('fault 13: become fewer by refusals only: another status that the caller wants repeated is none', async () => {
    const said: (boolean | undefined)[] = [];
    const enter = () => {
      let isOver = false;
      const end = (refused?: boolean): void => {
        if (!isOver) said.push(refused);
        isOver = true;
      };
      return Promise.resolve({ end });
    };
    const missing = answer(404, 'not yet');
    const { script } = recording(missing, missing, answer(429, 'no'), missing, ok);
    const call = { headers: { retries: '5', 'retry-on': '404' } };
    const { got } = await callUnderClock(script, call, { deps: { retryGate: { enter } } });
    expect([got.status, said]).toEqual([200, [false, true, false, false]]);
  });
});
