/** What referees do: they answer, and the request is complete. */
import type { Account, Play, ResourceEvent, RestTools } from '../engine/types.ts';
import { moveRequest, requestsOf, type ReferenceRequest } from './rest-requests.ts';

/** Older ones have no button. */
const SHOWN_MAX = 10;

const isOpen = ({ status }: ReferenceRequest): boolean => status !== 'complete' && status !== 'archived';

export function plays(account: Account): Play[] {
  return requestsOf(account)
    .filter(isOpen)
    .slice(-SHOWN_MAX)
    .map(({ id, candidate }) => ({
      name: 'complete-request',
      id,
      label: `Complete this request: ${String(candidate['email'])}`,
    }));
}

export function play(
  account: Account,
  { name, id }: Pick<Play, 'name' | 'id'>,
  tools: RestTools,
): ResourceEvent[] | undefined {
  const request = requestsOf(account).find((one) => one.id === id);
  if (name !== 'complete-request' || request === undefined || !isOpen(request)) return undefined;
  return moveRequest(request, 'complete', tools.clock.now());
}
