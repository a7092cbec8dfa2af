/**
 * The page that ends a popup (wire contract C.3). It tells the opener and a BroadcastChannel, both of our own origin
 * only, and closes itself. Everything from outside is text: escaped here, and the policy allows no inline code.
 */
import { randomSecret } from '../../base/ids.ts';
import type { RouteReply } from '../../base/route.ts';
import type { Assets } from './assets.ts';
import { languageOf, pageTexts, type PageKind } from './page-texts.ts';

/** What the page shows and says. */
export interface Result {
  ok: boolean;
  kind: PageKind;
  /** Error type of the socket message. */
  errorType?: string;
  /** The provider's own code, cleaned. */
  providerError?: string | undefined;
  /** Text for the opener, and the details on the page. */
  message?: string;
  providerConfigKey?: string;
  connectionId?: string;
  /** Id of the waiting browser; the page repeats it. */
  clientId?: string | undefined;
}

/** Headers of every page that shows the outcome of a flow. */
function headers(nonce: string): Record<string, string> {
  return {
    'content-security-policy': [
      "default-src 'none'",
      `script-src 'nonce-${nonce}'`,
      `style-src 'nonce-${nonce}'`,
      'img-src data:',
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ].join('; '),
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    // The popup must keep its opener, whatever the edge sets elsewhere.
    'cross-origin-opener-policy': 'unsafe-none',
  };
}

/** Renders the page. `origin` is our own, the only one that messages go to. */
export function resultPage(
  assets: Assets,
  input: { result: Result; origin: string; status: number; acceptLanguage: string | undefined; setCookie?: string },
): RouteReply {
  const { result, origin } = input;
  const language = languageOf(input.acceptLanguage);
  const texts = pageTexts(language);
  const nonce = randomSecret();
  const { clientId } = result;
  const payload = result.ok
    ? { providerConfigKey: result.providerConfigKey, connectionId: result.connectionId, clientId }
    : {
        message: result.message ?? '',
        errorType: result.errorType ?? 'unknown_err',
        providerError: result.providerError,
        clientId,
      };
  const message = { type: result.ok ? 'nango_oauth_callback_success' : 'nango_oauth_callback_error', payload };
  const { title, text } = texts.kinds[result.kind];
  const details =
    result.ok || result.message === undefined
      ? ''
      : `<details><summary>${escapeHtml(texts.details)}</summary><p>${escapeHtml(result.message)}</p>
<p><code>${escapeHtml(result.errorType ?? '')}</code></p></details>`;
  const html = `<!doctype html>
<html lang="${language}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title><link rel="icon" href="data:,">
<link rel="stylesheet" href="/connect-ui/assets/${assets.nameOf('app.css')}" nonce="${nonce}">
<script src="/connect-ui/assets/${assets.nameOf('callback.js')}" nonce="${nonce}" defer></script></head>
<body class="standalone" data-origin="${escapeHtml(origin)}" data-message="${escapeHtml(JSON.stringify(message))}">
<main class="card result"><div class="mark ${result.ok ? 'good' : 'bad'}" aria-hidden="true"></div>
<h1>${escapeHtml(title)}</h1><p role="status">${escapeHtml(text)}</p>${details}
<button type="button" id="close" class="primary">${escapeHtml(texts.close)}</button></main></body></html>`;
  return {
    status: input.status,
    html,
    headers: { ...headers(nonce), ...(input.setCookie !== undefined && { 'set-cookie': input.setCookie }) },
  };
}

/** Escapes text for HTML content and double-quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
