import type { TokenAnswer } from '../oauth2/token-answer.ts';

/**
 * The answer as it concerns a credential that the customer owns: a client that is not accepted is theirs, no fault of the
 * integration, and one refusal does not end a credential that may be mended at the provider's side.
 */
export function asCustomers(answer: TokenAnswer): TokenAnswer {
  if (answer.ok || (answer.kind !== 'invalid_client' && answer.kind !== 'invalid_grant')) return answer;
  return { ...answer, kind: 'refused' };
}
