import { describe, expect, it } from 'vitest';
import { frequencyProblem, parseFrequency } from './frequency.ts';

describe('parseFrequency', () => {
  it.each([
    ['every hour', 3_600_000],
    ['every 30s', 30_000],
    ['5m', 300_000],
    ['Every 2 Hours', 7_200_000],
    ['every minute', 60_000],
    ['every half day', 43_200_000],
    ['every half hour', 1_800_000],
    ['quarter hour', 900_000],
    ['every week', 604_800_000],
    ['every month', 2_592_000_000],
    ['1.5h', 5_400_000],
    ['31 days', 2_678_400_000],
  ])('%s', (text, periodMs) => {
    expect(parseFrequency(text)).toBe(periodMs);
    expect(frequencyProblem(text)).toBeUndefined();
  });

  it.each([
    '',
    'every',
    'hourly',
    '29s',
    'every second',
    '32 days',
    '-5m',
    '5',
    'constructor',
    '5 toString',
    '1e9h',
    'x'.repeat(100),
  ])('refuses %j', (text) => {
    expect(parseFrequency(text)).toBeUndefined();
    expect(frequencyProblem(text)).toMatch(/period/);
  });
});
