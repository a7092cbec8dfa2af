import { isHawserError } from '../../base/errors.ts';

/** Our own trouble, which passes: the database or the key service is away, busy or full. It says nothing of the event. */
export function isOurTrouble(error: unknown): boolean {
  return isHawserError(error) && error.retryable;
}
