/** What the first page of `hawser dev` tells about webhooks and events. */
import type { Services } from '../node.ts';
import type { WebhooksPanel } from './webhooks-page.ts';

const WEBHOOKS_SHOWN = 6;
const DELIVERIES_SHOWN = 6;

type PanelServices = Pick<Services, 'inbound' | 'outbound'>;

export async function readWebhooks(
  { inbound, outbound }: PanelServices,
  query: { environmentId: number; playUrl: string | undefined },
): Promise<WebhooksPanel> {
  const { environmentId, playUrl } = query;
  const [received, deliveries, endpoints] = await Promise.all([
    inbound.list({ environmentId, limit: WEBHOOKS_SHOWN }),
    outbound.deliveries.list({ environmentId }, { limit: DELIVERIES_SHOWN }),
    outbound.endpoints.list(environmentId),
  ]);
  return {
    received: received.map(({ receivedAt, integrationKey, type, trust, state, reason, matched }) => ({
      at: receivedAt,
      integrationKey,
      type,
      trust,
      state,
      reason,
      matched,
    })),
    deliveries: deliveries.map(({ id, occurredAt, kind, url, state, attempts, lastStatus, lastError }) => ({
      id,
      at: occurredAt,
      kind,
      url,
      state,
      attempts,
      result: lastStatus === undefined ? lastError : String(lastStatus),
    })),
    hasEndpoint: endpoints.length > 0,
    playUrl,
    isBusy: received.some(({ state }) => state === 'received') || deliveries.some(({ attempts }) => attempts === 0),
  };
}
