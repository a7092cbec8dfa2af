/** The first page of `hawser dev`: one button, and what it brought. Plain HTML, no script. */
import { escapeHtml } from '../http/page.ts';
import { renderRuns, renderSyncsAndRecords, type FunctionsPanel } from './functions-page.ts';
import { renderWebhooks, type WebhooksPanel } from './webhooks-page.ts';

export interface DevConnection {
  connectionId: string;
  integrationKey: string;
  state: string;
  createdAt: Date;
}

export interface ProxiedCall {
  method: string;
  path: string;
  status: number;
  durationMs: number;
  /** Pretty-printed JSON, or the text as it came. */
  body: string;
}

export interface DevPage {
  url: string;
  emulatorUrl: string | undefined;
  integrations: {
    key: string;
    displayName: string;
    about: string;
    emulated: boolean;
    /** Page of the emulator that plays it, when it runs here. */
    developerUrl: string | undefined;
  }[];
  connections: DevConnection[];
  /** The call that shows the connected account; undefined before the first connection. */
  call: ProxiedCall | undefined;
  /** Integration of that call. */
  shown: string | undefined;
  functions: FunctionsPanel;
  webhooks: WebhooksPanel;
  dataDir: string;
  problem: string | undefined;
}

export const STYLE = `:root{color-scheme:light dark;--line:#8884;--soft:#8881;--accent:#0f5bd7;--on-accent:#fff;--good:#0a7a3d;--bad:#b3261e}
@media (prefers-color-scheme:dark){:root{--accent:#7ab0ff;--on-accent:#06142b;--good:#6fd99a;--bad:#ff8a80}}
*{box-sizing:border-box}body{font:16px/1.5 system-ui,sans-serif;margin:0;background:Canvas;color:CanvasText}
main{max-width:56rem;margin:0 auto;padding:2.5rem 1.25rem 4rem}h1{font-size:1.6rem;margin:0}h2{font-size:1.05rem;margin:2.2rem 0 .6rem}
p{margin:.4rem 0}.lead{opacity:.8}.row{display:flex;flex-wrap:wrap;gap:.75rem;align-items:center;margin:1.4rem 0}
button{font:inherit;border:0;border-radius:.5rem;padding:.7rem 1.2rem;cursor:pointer}
button.main{background:var(--accent);color:var(--on-accent);font-weight:600;font-size:1.05rem}
button.quiet{background:var(--soft);color:inherit;border:1px solid var(--line);padding:.45rem .9rem}
button:focus-visible,a:focus-visible{outline:3px solid var(--accent);outline-offset:2px}a{color:var(--accent)}
pre{background:var(--soft);border:1px solid var(--line);border-radius:.5rem;padding:1rem;overflow:auto;max-height:24rem;font-size:.85rem;margin:.5rem 0}
code{font-size:.9em}table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.45rem .6rem .45rem 0;border-bottom:1px solid var(--line);vertical-align:middle}
.badge{font-size:.75rem;border:1px solid var(--line);border-radius:1rem;padding:.1rem .55rem;opacity:.85;white-space:nowrap}.good{color:var(--good);font-weight:600}.bad{color:var(--bad);font-weight:600}
td .row{margin:.2rem 0}#account{max-height:11rem}.problem{border-left:4px solid #c33;padding:.4rem .8rem;background:var(--soft)}`;

/** Headers of the page: it loads nothing and posts only to itself and the emulators. */
export function pageHeaders(emulatorUrl: string | undefined): Record<string, string> {
  const targets = emulatorUrl === undefined ? "'self'" : `'self' ${new URL(emulatorUrl).origin}`;
  return {
    'content-security-policy': `default-src 'none'; style-src 'self'; img-src data:; form-action ${targets}; frame-ancestors 'none'; base-uri 'none'`,
    'cache-control': 'no-store',
    // Without a referrer a form's Origin would be `null`, and its own buttons would look foreign.
    'referrer-policy': 'same-origin',
  };
}

/** While something runs, the page loads itself again, without a script. Only a URL without fragment does. */
const BUSY_REFRESH_SECONDS = 1;

export function renderDevPage(page: DevPage): string {
  const e = escapeHtml;
  const first = page.integrations[0];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
${page.functions.isBusy || page.webhooks.isBusy ? `<meta http-equiv="refresh" content="${BUSY_REFRESH_SECONDS}">` : ''}
<title>Hawser</title><link rel="icon" href="data:,"><link rel="stylesheet" href="/dev/style.css"></head><body><main>
<h1>Hawser runs</h1>
<p class="lead">Everything on this page is real but the provider: the emulator on this machine plays it.</p>
${page.problem === undefined ? '' : `<p class="problem" role="alert">${e(page.problem)}</p>`}
${page.call === undefined || page.shown === undefined ? (first === undefined ? '' : renderFirst(first)) : renderCall(page.call, page.shown)}
${renderSyncsAndRecords(page.functions)}
${renderWebhooks(page.webhooks)}
${renderRuns(page.functions)}
<h2>Integrations</h2>
<table><thead><tr><th scope="col">Integration</th><th scope="col">For</th><th scope="col"></th></tr></thead><tbody>
${page.integrations.map((one) => renderIntegration(one)).join('\n')}
</tbody></table>
${page.connections.length === 0 ? '' : renderConnections(page.connections)}
<h2>Next</h2>
<p>API keys are in <code>${e(page.dataDir)}/hawser.json</code>. With one of them:</p>
<pre>curl ${e(page.url)}/connections -H "Authorization: Bearer $KEY"
npm run hawser -- call GET /v1/account --integration checkr-partner --connection ${e(page.connections[0]?.connectionId ?? '<id>')}
npm run hawser -- syncs</pre>
<p>${page.emulatorUrl === undefined ? '' : `<a href="${e(page.emulatorUrl)}/">Emulators: apps, accounts, faults</a> · `}<a href="/openapi.json">OpenAPI</a></p>
</main></body></html>`;
}

function renderFirst(first: { key: string; displayName: string }): string {
  return `<div class="row"><form method="post" action="/dev/connect"><input type="hidden" name="integration" value="${escapeHtml(first.key)}">
<button class="main" id="connect">Connect the emulated ${escapeHtml(first.displayName)}</button></form>
<span class="lead">One click: consent, token, and a call through the proxy.</span></div>`;
}

function renderCall(call: ProxiedCall, shown: string): string {
  const e = escapeHtml;
  const isGood = call.status < 400;
  return `<h2><span class="${isGood ? 'good' : 'bad'}">${isGood ? 'Connected.' : 'The call was refused.'}</span> <code>${e(call.method)} /proxy${e(call.path)}</code> through <code>${e(shown)}</code>: ${call.status} in ${call.durationMs} ms</h2>
<pre id="account">${e(call.body)}</pre>`;
}

function renderIntegration(one: DevPage['integrations'][number]): string {
  const e = escapeHtml;
  const hidden = `<input type="hidden" name="integration" value="${e(one.key)}">`;
  const buttons = one.emulated
    ? `<div class="row"><form method="post" action="/dev/connect">${hidden}<button class="quiet">Connect</button></form>
<form method="post" action="/dev/connect">${hidden}<input type="hidden" name="consent" value="ask"><button class="quiet">Connect, with its consent page</button></form></div>`
    : '';
  return `<tr><td><code>${e(one.key)}</code> ${one.emulated ? '<span class="badge">emulated</span>' : ''}</td><td>${e(one.about)}${one.developerUrl === undefined ? '' : ` · <a href="${e(one.developerUrl)}">emulator</a>`}</td><td>${buttons}</td></tr>`;
}

function renderConnections(connections: DevConnection[]): string {
  const e = escapeHtml;
  return `<h2>Connections</h2><table><thead><tr><th scope="col">Connection</th><th scope="col">Integration</th><th scope="col">State</th><th scope="col"></th></tr></thead><tbody>
${connections
  .map(
    (
      one,
    ) => `<tr><td><code>${e(one.connectionId)}</code></td><td><code>${e(one.integrationKey)}</code></td><td>${e(one.state)}</td><td>
<form method="post" action="/dev/disconnect"><input type="hidden" name="integration" value="${e(one.integrationKey)}"><input type="hidden" name="connection" value="${e(one.connectionId)}"><button class="quiet">Disconnect</button></form></td></tr>`,
  )
  .join('\n')}
</tbody></table>`;
}
