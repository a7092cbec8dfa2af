import { createHmac } from 'node:crypto';
import type { WebhookChallenge } from '../../../catalogue/_spec/index.ts';
import { hmacKey } from '../hmac-key.ts';
import { isSameText } from './same-text.ts';

type Question = Extract<WebhookChallenge, { kind: 'get' }>;

/** What providers ask with: base64 or an id. No JSON object, and no list, is ever one. */
const TEXT = /^[\w.~+/=-]{1,512}$/;

/**
 * True for a text that is signed for whoever asks. Where the same secret signs events, such a text is none: else anybody
 * could have one signed here.
 */
export function isQuestion(text: string): boolean {
  return TEXT.test(text);
}

/** The value of the answer to `text`; undefined when the query does not hold the secret that it should. */
export function answerChallenge(
  { token, signs }: Question,
  query: URLSearchParams,
  text: string,
  secrets: readonly string[],
): string | undefined {
  const given = token === undefined ? undefined : (query.get(token) ?? '');
  if (given !== undefined && !secrets.some((secret) => isSameText(given, secret))) return undefined;
  if (signs === undefined) return text;
  const [secret = ''] = secrets;
  return signs.prefix + createHmac(signs.algorithm, hmacKey(secret)).update(text).digest('base64');
}
