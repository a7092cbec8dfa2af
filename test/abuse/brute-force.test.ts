/** Guessing keys, tokens and passwords, and getting around limits (threats 2.6, case 39), with the default settings. */
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { callApi, startTestApp, type TestApp } from '../support/app.ts';
import { readConfig } from '../../src/config.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { rememberingLog } from '../flows/connect-helpers.ts';
import { startMatrix, type Matrix } from '../support/matrix.ts';
import { openRaw, readReplies } from './edge.ts';

/** A clock that stands: all of a test happens in one minute. */
function standingClock() {
  let nowMs = Date.now();
  return {
    clock: { ...systemClock, now: () => nowMs, monotonicMs: () => nowMs },
    push: (ms: number) => void (nowMs += ms),
  };
}

const DEFAULTS = { HAWSER_AUTH_FAILURES_PER_MINUTE: '' };

describe('abuse 39: guesses', () => {
  const time = standingClock();
  const memory = rememberingLog();
  let app: TestApp;
  let lookUps = 0;
  beforeAll(async () => {
    app = await startTestApp({ seed: false, clock: time.clock, log: memory.log, settings: DEFAULTS });
    const { environments } = app.services;
    const { byKey } = environments;
    environments.byKey = (secret) => {
      lookUps += 1;
      return byKey(secret);
    };
  });
  afterAll(() => app?.close());
  afterEach(() => {
    time.push(60_000);
    lookUps = 0;
  });

  /** Many calls, pipelined on some sockets. */
  async function flood(heads: string[]): Promise<{ status: number; body: string; retryAfter: string | undefined }[]> {
    const port = Number(new URL(app.url).port);
    const perSocket = Math.ceil(heads.length / 20);
    const texts = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const part = heads.slice(index * perSocket, (index + 1) * perSocket);
        if (part.length === 0) return '';
        const raw = await openRaw(port);
        // The last one asks for the end: a caller that hangs up first gets no more answers.
        raw.send(part.map((one, at) => `${one}${at === part.length - 1 ? 'Connection: close\r\n' : ''}\r\n`).join(''));
        await raw.closed;
        return raw.text();
      }),
    );
    return texts.flatMap(readReplies).map(({ status, body, headers }) => ({
      status,
      body,
      retryAfter: headers.get('retry-after'),
    }));
  }
  const head = (path: string, token: string, more = ''): string =>
    `GET ${path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer ${token}\r\n${more}`;

  it('abuse 39: of 10,000 guessed keys ten reach the database; all replies are alike', async () => {
    expect((await app.api('GET', '/connections')).status).toBe(200);
    lookUps = 0;
    const replies = await flood(Array.from({ length: 10_000 }, () => head('/connections', randomUUID())));
    expect(replies).toHaveLength(10_000);
    const told = new Map<number, string[]>();
    for (const { status, body } of replies) (told.get(status) ?? told.set(status, []).get(status)!).push(body);
    // On a machine under load the database may be too busy to say: that is no wrong guess.
    const busy = told.get(503)?.length ?? 0;
    expect(lookUps).toBe(10 + busy);
    expect(told.get(401)).toHaveLength(10);
    expect(told.get(429)).toHaveLength(9_990 - busy);
    expect([new Set(told.get(401)).size, new Set(told.get(429)).size]).toEqual([1, 1]);
    for (const { status, retryAfter } of replies) if (status === 429) expect(Number(retryAfter)).toBeGreaterThan(0);
    // A neighbour at the same address with a good key does not notice.
    expect((await app.api('GET', '/connections')).status).toBe(200);
  });

  it('abuse 39: a thousand X-Forwarded-For values do not help, and are told to the operator once', async () => {
    const spoofed = Array.from({ length: 1_000 }, (_, index) =>
      head('/connections', randomUUID(), `X-Forwarded-For: 198.51.100.${index % 250}, 203.0.113.${index % 250}\r\n`),
    );
    const forms = [
      'Forwarded: for=192.0.2.1',
      'X-Real-IP: 192.0.2.2',
      'CF-Connecting-IP: 192.0.2.3',
      'True-Client-IP: 192.0.2.4',
    ];
    await flood([...spoofed, ...forms.map((form) => head('/connections', randomUUID(), `${form}\r\n`))]);
    expect(lookUps).toBe(10);
    expect(memory.text().match(/a proxy in front is not trusted/g)).toHaveLength(1);
  });

  it('abuse 39: the proxy and every other route share one budget, in whatever spelling', async () => {
    const paths = ['/proxy/v1/x', '/integrations', '/integrations/', '/providers', '/connections?limit=1', '/config/x'];
    await flood(
      Array.from({ length: 600 }, (_, index) => {
        const key = randomUUID();
        return head(paths[index % paths.length] as string, index % 2 === 0 ? key.toUpperCase() : key);
      }),
    );
    expect(lookUps).toBe(10);
  });

  it('abuse 39: guessed session tokens count like keys', async () => {
    const token = (): string => `nango_connect_session_${randomUUID().replaceAll('-', '').repeat(2)}`;
    const replies = await flood(Array.from({ length: 500 }, () => head('/connect/session', token())));
    expect(replies.filter(({ status }) => status === 401)).toHaveLength(10);
    await flood(Array.from({ length: 20 }, () => head('/connections', randomUUID())));
    expect(lookUps).toBe(0);
  });

  it('abuse 39: tokens in the query of browser routes: 60 a minute, also when the answer is a way back', async () => {
    const statuses = [];
    const back = `&return_to=${encodeURIComponent(`${app.url}/connect-ui/`)}`;
    for (let index = 0; index < 70; index += 1) {
      const token = `nango_connect_session_${randomUUID().replaceAll('-', '').repeat(2)}`;
      const query = `connect_session_token=${token}${index % 2 === 0 ? '' : back}`;
      const response = await fetch(`${app.url}/oauth/connect/x?${query}`, { redirect: 'manual' });
      statuses.push(response.status);
      await response.arrayBuffer();
    }
    expect(statuses).toEqual([
      ...Array.from({ length: 60 }, (_, index) => (index % 2 === 0 ? 401 : 302)),
      ...Array<number>(10).fill(429),
    ]);
  });

  it('abuse 39: a key that is revoked stops at once, and the same wrong key is not looked up again and again', async () => {
    const wrong = randomUUID();
    for (let index = 0; index < 50; index += 1) {
      expect((await callApi(app.url, wrong, 'GET', '/connections')).body.error.code).toBe('unknown_account');
    }
    expect(lookUps).toBe(1);
  });
});

describe('abuse 39: behind a trusted proxy', () => {
  const time = standingClock();
  let matrix: Matrix;
  beforeAll(async () => {
    matrix = await startMatrix({
      clock: time.clock,
      settings: { ...DEFAULTS, HAWSER_TRUSTED_PROXIES: '127.0.0.1, ::1, 10.0.0.0/8' },
    });
  });
  afterAll(() => matrix?.close());

  const tryKey = async (forwarded: string): Promise<number> => {
    const { status } = await callApi(matrix.app.url, randomUUID(), 'GET', '/connections', undefined, {
      'x-forwarded-for': forwarded,
    });
    return status;
  };

  it('abuse 39: callers count by the address the proxy saw, not by what they claim', async () => {
    for (let index = 0; index < 10; index += 1) expect(await tryKey(`198.51.100.${index}, 203.0.113.9`)).toBe(401);
    for (const claim of ['198.51.100.77', '10.1.1.1', 'unknown', '::1', '127.0.0.1, 198.51.100.1', '']) {
      expect([claim, await tryKey(`${claim}, 203.0.113.9`)]).toEqual([claim, 429]);
    }
    // A second trusted proxy on the way is looked through.
    expect(await tryKey('203.0.113.9, 10.2.3.4')).toBe(429);
    // A neighbour is not held up; nor is text that is no address a way out: it counts for the proxy itself.
    expect(await tryKey('203.0.113.10')).toBe(401);
    for (let index = 0; index < 10; index += 1) expect(await tryKey(`nonsense-${index}`)).toBe(401);
    expect(await tryKey('other nonsense')).toBe(429);
    // A whole IPv6 network of one subscriber is one caller.
    for (let index = 0; index < 10; index += 1) expect(await tryKey(`2001:db8:5:6:${index}::1`)).toBe(401);
    expect(await tryKey('2001:db8:5:6:ffff::2')).toBe(429);
    expect(await tryKey('2001:db8:5:7::1')).toBe(401);
  });

  it('abuse 39: the dashboard password is guessed 60 times a minute, not more', async () => {
    const guess = async (password: string): Promise<number> => {
      const authorization = `Basic ${Buffer.from(`hawser:${password}`).toString('base64')}`;
      const response = await fetch(`${matrix.app.url}/`, {
        headers: { 'x-forwarded-for': '203.0.113.50', authorization },
        redirect: 'manual',
      });
      await response.arrayBuffer();
      return response.status;
    };
    const statuses = [];
    for (let index = 0; index < 65; index += 1) statuses.push(await guess(`guess ${index}`));
    expect(statuses).toEqual([...Array<number>(60).fill(401), ...Array<number>(5).fill(429)]);
    expect(await guess('a password of a test')).toBe(429);
    time.push(60_000);
    expect(await guess('a password of a test')).toBe(200);
  });
});

describe('abuse 39: the limit of calls', () => {
  const time = standingClock();
  let matrix: Matrix;
  beforeAll(async () => {
    matrix = await startMatrix({ clock: time.clock, settings: { HAWSER_RATE_LIMIT_PER_MINUTE: '30' } });
    time.push(60_000);
  });
  afterAll(() => matrix?.close());

  it('abuse 39: each key, each session and each address counts for itself, on the proxy too', async () => {
    const { app, dev, prod } = matrix;
    const call = (key: string, path = '/integrations', headers = {}) =>
      callApi(app.url, key, 'GET', path, undefined, headers);
    const proxied = { 'provider-config-key': dev.integration, 'connection-id': dev.connection };
    for (let index = 0; index < 15; index += 1) {
      const one = await call(dev.key);
      expect([one.status, one.headers.get('x-ratelimit-remaining')]).toEqual([200, String(29 - 2 * index)]);
      const two = await call(dev.key, '/proxy/v1/x', proxied);
      expect([two.status, two.headers.get('x-ratelimit-remaining')]).toEqual([200, String(28 - 2 * index)]);
    }
    for (const answer of [
      await call(dev.key),
      await call(dev.key, '/proxy/v1/x', { ...proxied, 'x-forwarded-for': '203.0.113.1' }),
      await call(dev.key.toUpperCase()),
    ]) {
      expect([answer.status, answer.body.error.code]).toEqual([429, 'too_many_request']);
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    }
    expect((await call(prod.key)).status).toBe(200);
    expect((await call(dev.session)).status).toBe(200);
    const open = async (): Promise<number> => (await fetch(`${app.url}/health`)).status;
    const statuses = [];
    for (let index = 0; index < 31; index += 1) statuses.push(await open());
    expect(statuses.slice(0, 30)).toEqual(Array<number>(30).fill(200));
    expect(statuses[30]).toBe(429);
    time.push(60_000);
    expect((await call(dev.key)).status).toBe(200);
  });
});

describe('abuse 39: the settings', () => {
  it('abuse 39: trust nobody and limit guesses unless told otherwise', () => {
    expect(readConfig('start', {})).toMatchObject({ trustedProxies: [], authFailuresPerMinute: 10 });
  });

  it('abuse 39: trusted proxies are addresses and ranges; a name, everybody or a slip of the pen is no start', () => {
    const read = (text: string): string[] => readConfig('start', { HAWSER_TRUSTED_PROXIES: text }).trustedProxies;
    expect(read('10.0.0.7, 10.1.0.0/16 ::1,2001:db8::/32')).toEqual([
      '10.0.0.7',
      '10.1.0.0/16',
      '::1',
      '2001:db8::/32',
    ]);
    for (const wrong of [
      'localhost',
      '*',
      'true',
      '0.0.0.0/0',
      '::/0',
      '10.0.0.0/33',
      '10.0.0',
      '10.0.0.7/',
      '10.0.0.7/8/8',
      '1',
      '::1/129',
      'fe80::1%eth0',
      '10.0.0.0/-1',
    ]) {
      // prettier-ignore
      expect(() => read(wrong), wrong).toThrow(/HAWSER_TRUSTED_PROXIES/);
    }
  });
});
