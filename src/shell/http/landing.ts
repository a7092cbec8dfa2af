import type { Route } from '../../base/route.ts';
import { errorPage } from './page.ts';

/** What `hawser start` shows at `/`: that it runs, and where to go on. */
export function landingRoutes({ version }: { version: string }): Route[] {
  return [
    {
      method: 'GET',
      path: '/',
      summary: 'Landing page',
      auth: { by: 'public', why: 'tells nothing but the version' },
      errors: [],
      documented: false,
      handle: () => ({
        headers: errorPage.headers,
        html: `<!doctype html><html lang="en"><meta charset="utf-8"><title>Hawser</title>
<main><h1>Hawser ${version} runs</h1><p>The API is described in <a href="/openapi.json">openapi.json</a>.</p></main></html>`,
      }),
    },
  ];
}
