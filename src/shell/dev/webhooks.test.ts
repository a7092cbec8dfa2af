import { expect, it } from 'vitest';
import { systemClock } from '../../platform/clock.ts';
import type { Services } from '../node.ts';
import { readWebhooks } from './webhooks.ts';

const NOW_MS = Date.parse('2026-11-22T12:00:00Z');

/** Services with one delivery and one webhook, as far as the page looks at them. */
function having(delivery: object, webhook: object): Services {
  return {
    clock: { ...systemClock, now: () => NOW_MS },
    inbound: { list: async () => [webhook] },
    outbound: { deliveries: { list: async () => [delivery] }, endpoints: { list: async () => [{}] } },
  } as unknown as Services;
}

it.each([
  ['of an event that was just written', 1_000, 0, 'routed', true],
  ['that waits for an endpoint', 60_000, 0, 'routed', false],
  ['that was tried', 1_000, 1, 'routed', false],
  ['that was tried, and a webhook that was not yet dealt with', 60_000, 1, 'received', true],
])('a delivery %s: whether the page changes within seconds', async (_what, ageMs, attempts, state, isBusy) => {
  const delivery = { occurredAt: new Date(NOW_MS - ageMs), state: 'pending', attempts };
  const panel = await readWebhooks(having(delivery, { state }), { environmentId: 1, playUrl: undefined });
  expect(panel).toMatchObject({ isBusy, hasEndpoint: true });
});
