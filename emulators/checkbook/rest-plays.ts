/** What banks and recipients do: a check is cashed, or comes back. */
import type { Account, JsonObject, Play, ResourceEvent, RestTools } from '../engine/types.ts';
import { moveCheck } from './rest-checks.ts';
import { checksOf, type Status } from './rest-model.ts';

/** Older ones have no button. */
const SHOWN_MAX = 10;

const ENDS: Readonly<Record<string, Status>> = { 'pay-check': 'PAID', 'fail-check': 'FAILED' };
const OPEN: Status[] = ['UNPAID', 'IN_PROCESS', 'PRINTED', 'MAILED'];

export function plays(account: Account): Play[] {
  return checksOf(account)
    .filter((check) => OPEN.includes(check.status))
    .slice(-SHOWN_MAX)
    .flatMap((check) => [
      { name: 'pay-check', id: check.id, label: `Cash this check: ${check.name}, ${check.amount}` },
      { name: 'fail-check', id: check.id, label: `Let it bounce: ${check.name}, ${check.amount}` },
    ]);
}

export function play(
  account: Account,
  { name, id }: Pick<Play, 'name' | 'id'>,
  tools: RestTools,
): ResourceEvent[] | undefined {
  const status = Object.hasOwn(ENDS, name) ? ENDS[name] : undefined;
  const check = checksOf(account).find((one) => one.id === id);
  if (status === undefined || check === undefined || !OPEN.includes(check.status)) return undefined;
  const events: ResourceEvent[] = [];
  const emit = (type: string, object: JsonObject) => void events.push({ type, object });
  moveCheck({ tools, emit }, check, status);
  return events;
}
