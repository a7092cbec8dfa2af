/** One try of a delivery: open its body, sign, send, and say what follows. */
import { errorText } from '../../base/log.ts';
import { eventPlace } from '../connections/index.ts';
import { deliveryHeaders, messageIdOf } from './headers.ts';
import type { Lane, Waiting } from './lane.ts';
import { LOST_MAX } from './limits.ts';
import type { OutboundDeps } from './model.ts';
import { waitAfter } from './schedule.ts';
import { send, type Tried } from './send.ts';
import type { Settled } from './settle.ts';
import type { DueEndpoint } from './store-queue.ts';
import { isOurTrouble } from './trouble.ts';

/** `nothing`: nothing is known of it, and its lease ends. `not begun`: its endpoint has changed meanwhile. */
export type Outcome = Settled | 'nothing' | 'not begun';

/** Errors: our own trouble; then it was not begun. `isCut`: true once the node ends the tries under way. */
export async function attempt(deps: OutboundDeps, lane: Lane, one: Waiting, isCut: () => boolean): Promise<Outcome> {
  const { clock, log } = deps;
  const { vault } = deps.environments;
  const { endpoint, keys, version } = lane;
  const environmentId = endpoint.environment_id;
  const messageId = messageIdOf(one.uuid);
  const parked = (error: string): Settled =>
    settledOf(endpoint, one, messageId, { ...unsent(deps), error }, 'parked', undefined);
  if (one.lost > LOST_MAX) return parked(`lost: ${LOST_MAX} servers ended while they sent this.`);
  let body: Buffer;
  try {
    if (one.sealed === null) throw new Error('no body');
    body = Buffer.from(await vault.open(eventPlace(environmentId, one.uuid), one.sealed), 'utf8');
  } catch (error) {
    if (isOurTrouble(error)) throw error;
    log.error('the body of a delivery cannot be read', { delivery: one.id, error: errorText(error) });
    // A key that is away for a moment must not cost an event; one that stays away must not cost a neighbour's turn.
    return one.lost < LOST_MAX ? 'nothing' : parked('unreadable: The body of this event cannot be opened.');
  }
  if (lane.version !== version) return 'not begun';
  const headers = deliveryHeaders({
    messageId,
    sequence: one.sequence ?? undefined,
    occurredAt: one.occurred_at,
    provider: one.provider_headers ?? undefined,
    body,
    keys,
    attempts: one.attempts,
    nowMs: clock.now(),
  });
  const tried = await send(deps, { url: new URL(endpoint.url), headers, body });
  // Our own stop is no answer of the endpoint: the lease ends and somebody else sends.
  if (isCut()) return 'nothing';
  deps.killPoints.reach('W7');
  const isGood = tried.status !== undefined && tried.status >= 200 && tried.status < 300;
  const waitMs = isGood ? undefined : waitAfter(one.step + 1, one.id, tried.retryAfterMs);
  const state = isGood ? 'delivered' : waitMs === undefined ? 'failed' : 'pending';
  const settled = settledOf(endpoint, one, messageId, tried, state, waitMs);
  settled.result.answerSealed = await sealAnswer(deps, environmentId, one, tried.answer);
  return settled;
}

async function sealAnswer(
  deps: OutboundDeps,
  environmentId: number,
  one: Waiting,
  answer: Buffer,
): Promise<Buffer | undefined> {
  if (answer.length === 0) return undefined;
  const place = { environmentId, table: 'delivery_attempt', row: `${one.id}:${one.lease_epoch}` };
  try {
    return await deps.environments.vault.seal({ ...place, column: 'answer_sealed' }, answer.toString('utf8'));
  } catch (error) {
    // What became of the try counts more than what was said about it.
    deps.log.warn('the answer of an endpoint cannot be kept', { delivery: one.id, error: errorText(error) });
    return undefined;
  }
}

function unsent({ clock }: OutboundDeps): Tried {
  const at = new Date(clock.now());
  return { at, durationMs: 0, status: undefined, error: undefined, answer: Buffer.alloc(0), retryAfterMs: undefined };
}

function settledOf(
  endpoint: DueEndpoint,
  one: Waiting,
  messageId: string,
  tried: Tried,
  state: Settled['result']['state'],
  waitMs: number | undefined,
): Settled {
  return {
    result: {
      environmentId: endpoint.environment_id,
      endpointId: endpoint.id,
      id: one.id,
      epoch: one.lease_epoch,
      state,
      step: one.step + 1,
      waitMs,
      at: tried.at,
      durationMs: tried.durationMs,
      status: tried.status,
      error: tried.error,
      answerSealed: undefined,
    },
    messageId,
    kind: one.type,
    url: endpoint.url,
    wasFailing: endpoint.failures > 0 || endpoint.half_open,
    isSent: state !== 'parked',
    retryAfterMs: tried.retryAfterMs,
  };
}
