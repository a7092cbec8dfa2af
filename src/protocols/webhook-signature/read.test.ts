import { describe, expect, it } from 'vitest';
import type { WebhookTime } from '../../../catalogue/_spec/index.ts';
import { readTime } from './read.ts';

const SECOND_MS = Date.parse('2026-11-22T12:00:00Z');

describe('the time of an event', () => {
  const at = (unit: WebhookTime['unit'], told: unknown) =>
    readTime({ in: { headers: ['x-at'], paths: ['at'] }, unit }, {}, { at: told });

  it.each<[what: string, unit: WebhookTime['unit'], told: unknown, afterMs: number]>([
    // Within the second that is told, it may have been at its end.
    ['whole seconds', 'seconds', SECOND_MS / 1_000, 999],
    ['a text of seconds', 'seconds', String(SECOND_MS / 1_000), 999],
    ['a date without fractions', 'date', '2026-11-22T13:00:00+01:00', 999],
    ['a date as HTTP writes it', 'date', 'Sun, 22 Nov 2026 12:00:00 GMT', 999],
    ['milliseconds', 'milliseconds', SECOND_MS + 5, 5],
    ['nanoseconds', 'date', '2026-11-22T12:00:00.246373287Z', 246],
  ])('is read from %s', (_what, unit, told, afterMs) => {
    expect(at(unit, told)).toBe(SECOND_MS + afterMs);
  });

  it.each<[unit: WebhookTime['unit'], told: unknown]>([
    ['seconds', 'soon'],
    ['seconds', '-1'],
    ['seconds', '1e9'],
    ['date', 'yesterday'],
    ['date', `2026-11-22T12:00:00.${'0'.repeat(100)}Z`],
    ['milliseconds', undefined],
    ['milliseconds', { at: 1 }],
  ])('%s is not read from %j', (unit, told) => {
    expect(at(unit, told)).toBeUndefined();
  });

  it('is that of the header, where both tell one', () => {
    const both: WebhookTime = { in: { headers: ['x-at'], paths: ['at'] }, unit: 'milliseconds' };
    expect(readTime(both, { 'x-at': '7' }, { at: '8' })).toBe(7);
  });
});
