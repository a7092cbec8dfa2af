/** Small pages of the edge: no script, no outside resource. */
import { createHash } from 'node:crypto';

const STYLE = `:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;margin:0;min-height:100vh;display:grid;
place-items:center;background:Canvas;color:CanvasText}main{max-width:34rem;padding:2rem}h1{font-size:1.25rem}
code{font-size:.9em}`;

/** The one inline style that the policy lets through. */
const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64');

/** Escapes text for HTML content and double-quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

export const errorPage = {
  headers: {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
  },
  /** A page that tells a person what happened. Lines are escaped. */
  render(code: string, lines: readonly string[]): string {
    const body = lines.map((line) => `<p>${escapeHtml(line)}</p>`).join('');
    return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>This did not work</title><style>${STYLE}</style><main><h1>This did not work</h1>${body}
<p><code>${escapeHtml(code)}</code></p></main></html>`;
  },
};
