/** APIs that say no with a 200: what such an answer means. Pure. */
import type { RefusalSpec } from '../../catalogue/_spec/index.ts';
import { atPath, parseBody, sameValue } from './oauth2/parse-body.ts';

/** What a good status hides: `unauthorized`, the credential is dead; `refused`, another no. */
export type HiddenRefusal = 'unauthorized' | 'refused';

/** Undefined: the answer is good, has a bad status of its own, or is not understood. Never throws. */
export function hiddenRefusal(
  spec: RefusalSpec | undefined,
  answer: { status: number; body: Buffer },
): HiddenRefusal | undefined {
  if (spec === undefined || answer.status < 200 || answer.status >= 300) return undefined;
  const parsed = parseBody(answer.body);
  if (parsed.kind !== 'object') return undefined;
  const said = atPath(parsed.value, spec.success.path);
  if (said === undefined || sameValue(said, spec.success.equals)) return undefined;
  const code = atPath(parsed.value, spec.code);
  return typeof code === 'string' && spec.unauthorized.includes(code) ? 'unauthorized' : 'refused';
}
