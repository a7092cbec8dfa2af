import { expect, it } from 'vitest';
import { systemClock } from '../../platform/clock.ts';
import type { Services } from '../node.ts';
import { renderWebhooks } from './webhooks-page.ts';
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

it('shows what there is: events to the app also before the first webhook, and no heading over nothing', () => {
  const panel = { received: [], deliveries: [], hasEndpoint: true, playUrl: undefined, isBusy: false };
  expect(renderWebhooks(panel)).toBe('');
  const at = new Date(NOW_MS);
  const delivery = { id: 7, at, kind: 'auth', url: 'http://app.test/', state: 'delivered', attempts: 1, result: '200' };
  const told = renderWebhooks({ ...panel, deliveries: [delivery] });
  expect(told).toContain('id="deliveries"');
  expect(told).not.toContain('id="webhooks"');
  const webhook = { at, integrationKey: 'k', type: 'x', trust: 'none', state: 'routed', reason: undefined, matched: 1 };
  const received = renderWebhooks({ ...panel, received: [webhook] });
  expect(received).toContain('id="webhooks"');
  expect(received).not.toContain('id="deliveries"');
});
