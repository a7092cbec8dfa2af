import { createHash } from 'node:crypto';
import { isSameText } from './same-text.ts';
import type { WebhookRequest } from './verify.ts';

/** More fields than any provider sends: a stranger's are not sorted by the hundred thousand. */
const FIELDS_MAX = 1_000;
/**
 * The fields of a form as they are signed: sorted by name, then by value, each pair once. Empty for a body that is no
 * form. Undefined: such a body is not the one whose hash stands in the query, or the form has too many fields.
 */
export function signedForm({ url, headers, body }: WebhookRequest, bodyHashParam: string): string | undefined {
  const hash = new URL(url).searchParams.get(bodyHashParam);
  const isForm = /^application\/x-www-form-urlencoded\b/i.test(String(headers['content-type'] ?? ''));
  if ((hash !== null || !isForm) && !isSameText((hash ?? '').toLowerCase(), sha256(body))) return undefined;
  if (!isForm) return '';
  const fields = new Map<string, Set<string>>();
  let count = 0;
  for (const [name, value] of new URLSearchParams(body.toString('utf8'))) {
    count += 1;
    if (count > FIELDS_MAX) return undefined;
    fields.set(name, (fields.get(name) ?? new Set()).add(value));
  }
  const sorted = [...fields].toSorted(([one], [other]) => (one < other ? -1 : 1));
  return sorted.flatMap(([name, values]) => [...values].toSorted().map((value) => name + value)).join('');
}

function sha256(body: Buffer): string {
  return createHash('sha256').update(body).digest('hex');
}
