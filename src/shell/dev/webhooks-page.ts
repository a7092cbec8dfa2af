/** What providers have told and what the app was told, on the first page of `hawser dev`. Plain HTML, no script. */
import { escapeHtml } from '../http/page.ts';
import { time, tone } from './functions-page.ts';

export interface ShownWebhook {
  at: Date;
  integrationKey: string;
  type: string | undefined;
  /** What proved it. */
  trust: string;
  state: string;
  reason: string | undefined;
  /** Connections it was about. */
  matched: number;
}

export interface ShownDelivery {
  id: number;
  at: Date;
  kind: string;
  url: string;
  state: string;
  attempts: number;
  result: string | undefined;
}

export interface WebhooksPanel {
  received: ShownWebhook[];
  deliveries: ShownDelivery[];
  /** The app has an address for events. */
  hasEndpoint: boolean;
  /** Where people at an emulated provider make something happen. */
  playUrl: string | undefined;
  /** Some webhook is not yet dealt with. */
  isBusy: boolean;
}

/** Empty before the first webhook and the first event to the app. */
export function renderWebhooks(panel: WebhooksPanel): string {
  if (panel.received.length === 0 && panel.deliveries.length === 0) return '';
  return `${renderReceived(panel)}${renderDeliveries(panel)}`;
}

function renderReceived({ received, playUrl }: WebhooksPanel): string {
  if (received.length === 0) return '';
  const e = escapeHtml;
  const rows = received.map((one) => {
    const state = one.reason === undefined ? one.state : `${one.state} (${one.reason})`;
    return `<tr><td>${time(one.at)}</td><td><code>${e(one.type ?? '')}</code></td><td><code>${e(one.integrationKey)}</code></td><td>${e(one.trust)}</td><td class="${tone(one.state)}">${e(state)}</td><td>${one.matched}</td></tr>`;
  });
  const more = playUrl === undefined ? '' : `<a href="${e(playUrl)}">Make something happen at the provider</a> · `;
  return `<h2 id="webhooks">Webhooks of the provider</h2>
<table><thead><tr><th scope="col">At</th><th scope="col">Event</th><th scope="col">Integration</th><th scope="col">Proven by</th><th scope="col">State</th><th scope="col">Connections</th></tr></thead><tbody>
${rows.join('\n')}
</tbody></table>
<p class="lead">${more}<code>npm run hawser -- inbound list</code></p>
`;
}

function renderDeliveries({ deliveries, hasEndpoint }: WebhooksPanel): string {
  const e = escapeHtml;
  if (deliveries.length === 0) {
    return hasEndpoint
      ? ''
      : `<p class="lead">Your app is told when it has an address: <code>HAWSER_DEV_WEBHOOK_URL=http://127.0.0.1:3000/hooks npm start</code></p>`;
  }
  const rows = deliveries.map(
    (one) =>
      `<tr><td>${time(one.at)}</td><td><code>${e(one.kind)}</code></td><td><code>${e(one.url)}</code></td><td class="${tone(one.state)}">${e(one.state)}</td><td>${one.attempts}${one.result === undefined ? '' : `, ${e(one.result)}`}</td></tr>`,
  );
  return `<h2 id="deliveries">Events to your app</h2>
<table><thead><tr><th scope="col">At</th><th scope="col">Event</th><th scope="col">To</th><th scope="col">State</th><th scope="col">Tries</th></tr></thead><tbody>
${rows.join('\n')}
</tbody></table>
<p class="lead"><code>npm run hawser -- deliveries show ${deliveries[0]?.id ?? ''}</code></p>`;
}
