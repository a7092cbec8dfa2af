import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { refreshWindowMs, usabilityOf } from './expiry.ts';

describe('refresh window', () => {
  it('is 20 % of a short life and 15 minutes of a long one, ± 10 %', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1_000, max: 10 ** 10 }), fc.nat(), fc.nat(), (lifeMs, id, gen) => {
        const windowMs = refreshWindowMs(lifeMs, id, gen);
        const plainMs = Math.min(900_000, lifeMs * 0.2);
        expect(windowMs).toBeGreaterThanOrEqual(plainMs * 0.9 - 1);
        expect(windowMs).toBeLessThanOrEqual(plainMs * 1.1 + 1);
        expect(refreshWindowMs(lifeMs, id, gen)).toBe(windowMs);
      }),
    );
  });

  it('spreads connections that were made together', () => {
    const windows = Array.from({ length: 100 }, (_, id) => Math.round(refreshWindowMs(3_600_000, id, 1) / 1_000));
    expect(new Set(windows).size).toBeGreaterThan(40);
  });
});

describe('usability', () => {
  it.each([
    [undefined, 'endless'],
    [1_000_000, 'fresh'],
    [600_001, 'fresh'],
    [600_000, 'due'],
    [30_001, 'due'],
    [30_000, 'closing'],
    [1, 'closing'],
    [0, 'ended'],
    [-5, 'ended'],
  ])('%s ms left of a window of 10 min: %s', (leftMs, expected) => {
    expect(usabilityOf(leftMs, 600_000)).toBe(expected);
  });
});
