import { z } from 'zod';
import { defineRoute } from '../../../base/route.ts';
import type { Assets } from '../assets.ts';
import type { ConnectDeps } from '../deps.ts';
import { escapeHtml } from '../page.ts';

/** The Connect page: one HTML file, one script, one style sheet. It may be framed by the listed origins only. */
export function showConnectPageRoute(deps: ConnectDeps, assets: Assets) {
  return defineRoute({
    method: 'GET',
    path: '/connect-ui/',
    summary: 'The Connect page',
    auth: { by: 'public', why: 'the page holds nothing; it works with the session token it is given' },
    query: z.record(z.string(), z.unknown()),
    errors: [],
    html: true,
    handle() {
      const { host, protocol, origin } = deps.publicUrl();
      const socket = `${protocol === 'https:' ? 'wss' : 'ws'}://${host}`;
      const html = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Connect</title><meta name="referrer" content="no-referrer"><link rel="icon" href="data:,">
<link rel="stylesheet" href="/connect-ui/assets/${assets.nameOf('app.css')}">
<script type="module" src="/connect-ui/assets/${assets.nameOf('app.js')}"></script></head>
<body data-origin="${escapeHtml(origin)}" data-app="${escapeHtml(deps.appName ?? '')}"><div id="root"></div>
<noscript><p class="card">This page needs JavaScript to connect your account.</p></noscript></body></html>`;
      return {
        html,
        headers: {
          'content-security-policy': [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            `connect-src 'self' ${socket}`,
            "base-uri 'none'",
            "form-action 'none'",
            ['frame-ancestors', "'self'", ...deps.connectFrameAncestors].join(' '),
          ].join('; '),
          'cache-control': 'no-store',
          'referrer-policy': 'no-referrer',
          'x-content-type-options': 'nosniff',
          'cross-origin-opener-policy': 'unsafe-none',
        },
      };
    },
  });
}
