import { describe, expect, it } from 'vitest';
import { checkbookRest } from '../checkbook/rest.ts';
import { checkrRest } from '../checkr/rest.ts';
import { createLimiter } from './limit.ts';
import { aClock } from './testing.ts';

const check = (id: string) => `GET /v3/check/${id.repeat(32)}`;

describe('minute window (scenario 7)', () => {
  const dialect = checkrRest.limit;

  it('allows 1200 calls in a wall-clock minute and refuses call 1201', () => {
    const clock = aClock(Date.parse('2026-11-21T10:00:42.500Z'));
    const limiter = createLimiter(clock);
    let allowed = 0;
    for (let call = 0; call < 1_200; call += 1) {
      // All endpoints count together.
      if (limiter.take('account-1', dialect, call % 2 ? 'GET /v1/account' : 'GET /v1/candidates').allowed) allowed += 1;
    }
    expect(allowed).toBe(1_200);

    const refused = limiter.take('account-1', dialect, 'GET /v1/account');
    expect(refused).toEqual({
      allowed: false,
      headers: {
        'X-Ratelimit-Limit': '1200',
        'X-Ratelimit-Remaining': '0',
        'X-Ratelimit-Reset': '2026-11-21T10:01:00Z',
      },
    });
    expect(limiter.take('account-2', dialect, 'GET /v1/account').allowed).toBe(true);
  });

  it('starts anew at the next full minute, not 60 s after the first call', () => {
    const clock = aClock(Date.parse('2026-11-21T10:00:59.900Z'));
    const limiter = createLimiter(clock);
    const one = { ...dialect, perMinute: 1 };
    expect(limiter.take('a', one, 'x').allowed).toBe(true);
    clock.advanceMs(99);
    expect(limiter.take('a', one, 'x').allowed).toBe(false);
    clock.advanceMs(1);
    expect(limiter.take('a', one, 'x')).toMatchObject({
      allowed: true,
      headers: { 'X-Ratelimit-Remaining': '0', 'X-Ratelimit-Reset': '2026-11-21T10:02:00Z' },
    });
  });

  it('tells the remaining calls, and follows a changed limit at once', () => {
    const limiter = createLimiter(aClock());
    expect(limiter.take('a', dialect, 'x').headers['X-Ratelimit-Remaining']).toBe('1199');
    expect(limiter.take('a', { ...dialect, perMinute: 1 }, 'x').allowed).toBe(false);
    expect(limiter.take('a', { ...dialect, perMinute: 3 }, 'x').headers['X-Ratelimit-Remaining']).toBe('1');
  });

  it('does not wait for hours after the clock was set back', () => {
    const clock = aClock();
    const limiter = createLimiter(clock);
    const one = { ...dialect, perMinute: 1 };
    limiter.take('a', one, 'x');
    clock.advanceMs(-3_600_000);
    expect(limiter.take('a', one, 'x').allowed).toBe(true);
  });
});

describe('Retry-After', () => {
  const dialect = { ...checkbookRest.limit, perMinute: 2 };

  it('counts each endpoint of a grant by itself, ids apart', () => {
    const limiter = createLimiter(aClock());
    expect(limiter.take('grant', dialect, check('a'))).toEqual({ allowed: true, headers: {} });
    expect(limiter.take('grant', dialect, check('b')).allowed).toBe(true);
    expect(limiter.take('grant', dialect, check('c')).allowed).toBe(false);
    expect(limiter.take('grant', dialect, 'GET /v3/check').allowed).toBe(true);
    expect(limiter.take('other', dialect, check('c')).allowed).toBe(true);
  });

  it('says how many seconds are left of the minute since the first call', () => {
    const clock = aClock(Date.parse('2026-11-21T10:00:50Z'));
    const limiter = createLimiter(clock);
    limiter.take('grant', dialect, 'x');
    limiter.take('grant', dialect, 'x');
    clock.advanceMs(14_400);
    expect(limiter.take('grant', dialect, 'x')).toEqual({
      allowed: false,
      headers: { 'Retry-After': '46' },
      retryAfterSeconds: 46,
    });
    clock.advanceMs(45_600);
    expect(limiter.take('grant', dialect, 'x').allowed).toBe(true);
  });
});
