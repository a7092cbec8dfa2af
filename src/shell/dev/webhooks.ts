/** What the first page of `hawser dev` tells about webhooks and events. */
import type { Services } from '../node.ts';
import type { WebhooksPanel } from './webhooks-page.ts';

const WEBHOOKS_SHOWN = 6;
const DELIVERIES_SHOWN = 6;
/** What has not been tried by then waits for its endpoint, which may take days. */
const AT_ONCE_MS = 5_000;

type PanelServices = Pick<Services, 'clock' | 'inbound' | 'outbound'>;

export async function readWebhooks(
  { clock, inbound, outbound }: PanelServices,
  query: { environmentId: number; playUrl: string | undefined },
): Promise<WebhooksPanel> {
  const { environmentId, playUrl } = query;
  const [received, deliveries, endpoints] = await Promise.all([
    inbound.list({ environmentId, limit: WEBHOOKS_SHOWN }),
    outbound.deliveries.list({ environmentId }, { limit: DELIVERIES_SHOWN }),
    outbound.endpoints.list(environmentId),
  ]);
  const isOnItsWay = ({ state, attempts, occurredAt }: (typeof deliveries)[number]): boolean =>
    state === 'pending' && attempts === 0 && clock.now() - occurredAt.getTime() < AT_ONCE_MS;
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
    isBusy: received.some(({ state }) => state === 'received') || deliveries.some(isOnItsWay),
  };
}
