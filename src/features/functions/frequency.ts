/** Shortest and longest period of a sync (wire contract J.2). */
export const FREQUENCY_MIN_MS = 30_000;
export const FREQUENCY_MAX_MS = 31 * 86_400_000;

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;

const UNITS: Record<string, number> = {
  __proto__: null as never,
  s: SECOND_MS,
  sec: SECOND_MS,
  secs: SECOND_MS,
  second: SECOND_MS,
  seconds: SECOND_MS,
  m: MINUTE_MS,
  min: MINUTE_MS,
  mins: MINUTE_MS,
  minute: MINUTE_MS,
  minutes: MINUTE_MS,
  h: HOUR_MS,
  hr: HOUR_MS,
  hrs: HOUR_MS,
  hour: HOUR_MS,
  hours: HOUR_MS,
  d: DAY_MS,
  day: DAY_MS,
  days: DAY_MS,
  w: 7 * DAY_MS,
  week: 7 * DAY_MS,
  weeks: 7 * DAY_MS,
  month: 30 * DAY_MS,
};
const NAMED: Record<string, number> = {
  __proto__: null as never,
  'half day': 12 * HOUR_MS,
  'half hour': 30 * MINUTE_MS,
  'quarter hour': 15 * MINUTE_MS,
};

/** Longest text that is looked at. */
const FREQUENCY_CHARACTERS_MAX = 64;
const NUMBERED = /^(\d{1,9}(?:\.\d{1,3})?)? ?([a-z]+)$/;

/**
 * Reads `every hour`, `every 30s`, `5m`, `half day` as milliseconds; undefined when it is no period, or none from 30 s
 * to 31 days. Source: wire contract A.6.
 */
export function parseFrequency(text: string): number | undefined {
  const periodMs = readPeriodMs(text);
  return periodMs !== undefined && periodMs >= FREQUENCY_MIN_MS && periodMs <= FREQUENCY_MAX_MS ? periodMs : undefined;
}

/** Why a frequency is refused, for people; undefined when it is fine. */
export function frequencyProblem(text: string): string | undefined {
  const periodMs = readPeriodMs(text);
  if (periodMs === undefined)
    return `"${text.slice(0, 80)}" is no period. Write it like "every hour", "every 30s" or "5m".`;
  if (periodMs < FREQUENCY_MIN_MS) return `"${text}" is shorter than 30 seconds, the shortest period.`;
  if (periodMs > FREQUENCY_MAX_MS) return `"${text}" is longer than 31 days, the longest period.`;
  return undefined;
}

function readPeriodMs(text: string): number | undefined {
  if (text.length > FREQUENCY_CHARACTERS_MAX) return undefined;
  const period = text
    .trim()
    .toLowerCase()
    .replaceAll(/\s+/g, ' ')
    .replace(/^every ?/, '');
  if (NAMED[period] !== undefined) return NAMED[period];
  const match = NUMBERED.exec(period);
  const unitMs = match === null ? undefined : UNITS[match[2] as string];
  return unitMs === undefined ? undefined : Math.round(Number(match?.[1] ?? 1) * unitMs);
}
