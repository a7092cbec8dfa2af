/** Parts of the developer page: what people at the provider could do next, and the webhooks that were sent. */
import { html, type Html, prose } from './html.ts';
import type { Mount } from './mount.ts';
import { field, select, table } from './pages.ts';

/** Tell of an account or a grant: the buttons beside those send them. */
const TOLD_BY_BUTTON = ['account.credentialed', 'token.deauthorized'];

/** Webhooks shown; the API has more. */
const WEBHOOKS_SHOWN = 25;

/** Buttons for what happens at the provider; empty for a provider where nothing does. */
export function playsPart(mount: Mount): Html | undefined {
  const { rest } = mount.definition;
  if (rest.plays === undefined) return undefined;
  const all = [...mount.state.accounts.values()].map((account) => ({ account, plays: rest.plays?.(account) ?? [] }));
  const open = all.filter(({ plays }) => plays.length > 0);
  return html`<section id="plays">
    <h2>What happens next</h2>
    ${open.length === 0 && html`<p class="soft">Nothing is open.</p>`}
    ${open.map(
      ({ account, plays }) =>
        html`<h3>${account.name}</h3>
          ${plays.map(
            ({ name, id, label }) =>
              html`<form method="post" action="${mount.basePath}/developer/play">
                <input type="hidden" name="account_id" value="${account.id}" />
                <input type="hidden" name="name" value="${name}" />
                <button class="small" name="id" value="${id}">${label}</button>
              </form>`,
          )}`,
    )}
  </section>`;
}

/** What was sent where, and how it went. */
export function webhooksPart(mount: Mount): Html | undefined {
  const { webhooks: habit } = mount.definition;
  if (habit === undefined) return undefined;
  const rows = mount.state.webhooks
    .slice(-WEBHOOKS_SHOWN)
    .toReversed()
    .map((webhook) => {
      const last = webhook.attempts.at(-1);
      return html`<tr>
        <td>${webhook.createdAt}</td>
        <td>${webhook.type}</td>
        <td><code>${webhook.url}</code></td>
        <td class="${webhook.state === 'delivered' ? 'good' : webhook.state === 'given-up' ? 'bad' : ''}">
          ${webhook.state}
        </td>
        <td>${webhook.attempts.length}${last !== undefined && `, ${last.status ?? last.error}`}</td>
        <td>
          <form method="post" action="${mount.basePath}/developer/resend-webhook">
            <button class="small" name="id" value="${webhook.id}">Send again</button>
          </form>
        </td>
      </tr>`;
    });
  return html`<section id="webhooks">
    <h2>Webhooks</h2>
    ${rows.length === 0 ? html`<p class="soft">None yet. They go to the webhook address of an application.</p>` : table(['At', 'Event', 'To', 'State', 'Tries', ''], rows)}
    <details>
      <summary>Send made-up events</summary>
      <p class="soft">Nothing happens to any resource; whoever hears of the account hears of them all at once.</p>
      <form method="post" action="${mount.basePath}/developer/send-events">
        <div class="fields">
          ${select(
            'Of account',
            'account_id',
            [...mount.state.accounts.values()].map(({ id, name }): [string, string] => [id, name]),
            '',
          )}
          ${select(
            'Event',
            'type',
            habit.types.filter((type) => !TOLD_BY_BUTTON.includes(type)).map((type): [string, string] => [type, type]),
            '',
          )}
          ${field('How many', 'count', 'number', '1')}
        </div>
        <button class="main">Send</button>
      </form>
    </details>
    <details>
      <summary>Event types and header</summary>
      <p>${prose(`The signature stands in \`${habit.signatureHeader}\`.`)}</p>
      <ul>
        ${habit.types.map((type) => html`<li><code>${type}</code></li>`)}
      </ul>
    </details>
  </section>`;
}
