/**
 * The mock candidates of the fake Checkr. Checkr's own list is handed out on request and not public, so all of this is
 * an assumption, except that anything else stays `pending` for ever. Source: providers.md 1.10 "Staging data".
 */
import type { Candidate } from './rest-model.ts';

export type Outcome = 'clear' | 'consider' | 'suspended' | 'dispute' | 'canceled';

export const OUTCOMES: readonly Outcome[] = ['clear', 'consider', 'suspended', 'dispute', 'canceled'];

/** SSN → scripted end of the report. `111-11-2001` is the number of Checkr's guide. */
export const MOCK_SSN_OUTCOMES: Readonly<Record<string, Outcome>> = {
  '111112001': 'clear',
  '111112002': 'consider',
  '111112003': 'suspended',
  '111112004': 'dispute',
  '111112005': 'canceled',
};

/** `mock.clear@…`, or with a tag to tell several apart: `mock.consider+7@…`. */
const MOCK_EMAIL = /^mock\.([a-z]+)(\+[^@]*)?@/i;

export function isMockSsn(digits: string): boolean {
  return digits in MOCK_SSN_OUTCOMES;
}

/** The scripted end of this candidate's reports; undefined means that they stay pending. */
export function scriptedOutcome(candidate: Candidate | undefined): Outcome | undefined {
  if (!candidate) return undefined;
  const named = MOCK_EMAIL.exec(candidate.email)?.[1]?.toLowerCase();
  return OUTCOMES.find((outcome) => outcome === named) ?? MOCK_SSN_OUTCOMES[candidate.hiddenSsn ?? ''];
}

/** A known outcome or undefined. */
export function readOutcome(text: string | undefined): Outcome | undefined {
  return OUTCOMES.find((outcome) => outcome === text);
}
