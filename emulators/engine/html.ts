/**
 * @module emulators/engine/html
 *
 * Pages without scripts: an escaping template and the frame that every page shares. Looks are plain on purpose; no
 * provider's logo or colours are copied.
 */
import type { HttpReply } from './http.ts';

/** Markup that is already safe. */
export class Html {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export type HtmlValue = Html | string | number | undefined | false | HtmlValue[];

/** Template tag: every value is escaped unless it is {@link Html}; lists are joined, `undefined` and `false` vanish. */
export function html(strings: TemplateStringsArray, ...values: HtmlValue[]): Html {
  let text = strings[0] ?? '';
  for (const [index, value] of values.entries()) text += render(value) + (strings[index + 1] ?? '');
  return new Html(text);
}

function render(value: HtmlValue): string {
  if (value === undefined || value === false) return '';
  if (value instanceof Html) return value.text;
  if (Array.isArray(value)) return value.map(render).join('');
  return String(value).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** Plain text whose `quoted` words become code. */
export function prose(text: string): Html {
  return html`${text.split('`').map((part, index) => (index % 2 === 1 ? html`<code>${part}</code>` : part))}`;
}

export interface PageParts {
  title: string;
  displayName: string;
  /** Path prefix of the emulator, for the stylesheet. */
  basePath: string;
  body: Html;
  /** Text after the word "Emulator" on top of the page. Default: that this is not the real provider. */
  banner?: string;
  /** `wide` for the developer page. */
  width?: 'narrow' | 'wide';
}

/**
 * Headers of every page. No `form-action`: browsers apply it to the redirect that follows a form, and the consent form
 * must lead to the app's own origin. `same-origin` referrer, so that forms still carry their Origin.
 */
const PAGE_HEADERS = {
  'Content-Type': 'text/html; charset=utf-8',
  'Content-Security-Policy':
    "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; img-src data:",
  'Referrer-Policy': 'same-origin',
  'X-Content-Type-Options': 'nosniff',
  'Cache-Control': 'no-store',
};

/** A whole page as a reply. */
export function page(status: number, parts: PageParts, headers: Record<string, string> = {}): HttpReply {
  const { title, displayName, basePath, body, width = 'narrow' } = parts;
  const { banner = `This is not ${displayName}. Everyone and everything here is made up.` } = parts;
  const document = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title}</title>
        <link rel="icon" href="data:," />
        <link rel="stylesheet" href="${basePath}/_emulator/style.css" />
      </head>
      <body>
        <p class="banner"><strong>Emulator</strong> ${banner}</p>
        <main class="${width}">${body}</main>
      </body>
    </html>`;
  return { status, headers: { ...PAGE_HEADERS, ...headers }, body: document.text };
}

/** The stylesheet of all pages. */
export function stylesheet(): HttpReply {
  return {
    status: 200,
    headers: { 'Content-Type': 'text/css; charset=utf-8', 'Cache-Control': 'max-age=300' },
    body: STYLE,
  };
}

const STYLE = `
:root {
  color-scheme: light dark;
  --ground: #f4f4f1; --card: #ffffff; --ink: #1d2127; --soft: #5b6470; --line: #d9dbd6;
  --accent: #1f5f8b; --accent-ink: #ffffff; --warn: #fff3cd; --warn-ink: #5c4400; --bad: #a3262a; --good: #1c6b3f;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #14171b; --card: #1d2126; --ink: #e8eaed; --soft: #a3abb5; --line: #363c44;
    --accent: #7db7e0; --accent-ink: #10151a; --warn: #3d3212; --warn-ink: #f3dc97; --bad: #ff9a9c; --good: #86d6a7;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
.banner { margin: 0; padding: .5rem 1rem; background: var(--warn); color: var(--warn-ink); text-align: center; font-size: .875rem; }
main { margin: 2rem auto; padding: 0 1rem; }
main.narrow { max-width: 30rem; }
main.wide { max-width: 72rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .75rem; text-wrap: balance; }
h2 { font-size: 1.125rem; margin: 0 0 .75rem; }
h3 { font-size: 1rem; margin: 1.25rem 0 .5rem; }
p { margin: 0 0 .75rem; }
section, .card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 1.5rem; margin-bottom: 1.25rem; }
section > :last-child, .card > :last-child, details > :last-child { margin-bottom: 0; }
ul { margin: 0 0 1rem; padding-left: 1.25rem; }
a { color: var(--accent); }
code { font: .875em ui-monospace, monospace; overflow-wrap: anywhere; }
small, .soft { color: var(--soft); font-size: .875rem; }
.kicker { color: var(--soft); font-size: .875rem; margin-bottom: .25rem; }
.note { border-left: 3px solid var(--warn-ink); background: var(--warn); color: var(--warn-ink); padding: .5rem .75rem; border-radius: 4px; }
.problem { border-left: 3px solid var(--bad); padding: .5rem .75rem; color: var(--bad); background: var(--ground); border-radius: 4px; }
.good { color: var(--good); } .bad { color: var(--bad); }
label { display: block; margin-bottom: .75rem; font-size: .875rem; }
label > span { display: block; margin-bottom: .25rem; }
input, select, button { font: inherit; }
input, select { width: 100%; padding: .5rem .625rem; border: 1px solid var(--line); border-radius: 8px; background: var(--ground); color: var(--ink); }
button { min-height: 2.75rem; padding: .5rem 1rem; border: 1px solid var(--line); border-radius: 8px; background: var(--card); color: var(--ink); cursor: pointer; }
button.main { background: var(--accent); border-color: var(--accent); color: var(--accent-ink); font-weight: 600; }
button.small { min-height: 2rem; padding: .125rem .625rem; font-size: .875rem; }
button.link { border: 0; padding: 0; min-height: 0; background: none; color: var(--accent); text-decoration: underline; font-size: .875rem; }
button:focus-visible, input:focus-visible, select:focus-visible, summary:focus-visible, a:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.choices { display: grid; gap: .75rem; grid-template-columns: 1fr 1fr; margin: 1rem 0; }
.people { display: grid; gap: .5rem; margin-bottom: 1.25rem; }
.people button { text-align: left; display: grid; padding: .625rem .875rem; }
.people small { display: block; }
.fields { display: grid; gap: 0 1rem; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); align-items: end; }
.scroll { overflow-x: auto; margin: 0 -1.5rem 1rem; padding: 0 1.5rem; }
table { border-collapse: collapse; width: 100%; min-width: 38rem; font-size: .875rem; }
td { white-space: nowrap; }
td code { display: inline-block; max-width: 24rem; white-space: normal; overflow-wrap: break-word; vertical-align: top; }
th, td { text-align: left; vertical-align: top; padding: .5rem .75rem .5rem 0; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; white-space: nowrap; }
td form { display: inline; }
nav { display: flex; flex-wrap: wrap; gap: .25rem 1rem; margin-bottom: 1rem; font-size: .875rem; }
details { margin-bottom: 1rem; }
summary { cursor: pointer; color: var(--soft); font-size: .875rem; padding: .25rem 0; }
details li { font-size: .875rem; color: var(--soft); }
section > form + form, section > form + details { margin-top: 1rem; }
hr { border: 0; border-top: 1px solid var(--line); margin: 1.25rem 0; }
dl.pairs { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem; margin: 0 0 1rem; font-size: .875rem; }
dl.pairs dt { color: var(--soft); } dl.pairs dd { margin: 0; min-width: 0; overflow-wrap: anywhere; }
@media (max-width: 32rem) { main { margin-top: 1rem; } section, .card { padding: 1.125rem; } .scroll { margin-inline: -1.125rem; padding-inline: 1.125rem; } dl.pairs { grid-template-columns: 1fr; gap: 0; } dl.pairs dd { margin-bottom: .5rem; } }
`;
