/** What is derived from the catalogue: pages, schema, and the API that shows it. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { catalogue } from '../../catalogue/index.ts';
import { startTestApp, type TestApp } from '../support/app.ts';

it('has pages and a schema that are up to date', async () => {
  const script = fileURLToPath(new URL('../../scripts/docs-providers.ts', import.meta.url));
  await expect(promisify(execFile)(process.execPath, [script, '--check'])).resolves.toMatchObject({ stderr: '' });
});

describe('over HTTP', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startTestApp({ seed: false });
  });
  afterAll(() => app.close());

  it('lists and tells providers to a key', async () => {
    const all = await app.api('GET', '/providers');
    expect(all.status).toBe(200);
    expect(all.body.data.map(({ name }: { name: string }) => name)).toEqual([...catalogue.keys()]);
    expect((await app.api('GET', '/providers?search=XREF')).body.data).toHaveLength(1);
    expect((await app.api('GET', '/providers?serch=x')).body.error.code).toBe('invalid_query_params');
    const one = await app.api('GET', '/providers/xref');
    expect(one.body.data).toMatchObject({ name: 'xref', auth_mode: 'OAUTH2', body_format: 'json', disable_pkce: true });
    expect((await app.api('GET', '/providers/nobody')).body.error.code).toBe('not_found');
    expect((await fetch(`${app.url}/providers`)).status).toBe(401);
  });

  it('serves the picture that a provider names', async () => {
    const { body } = await app.api('GET', '/providers/checkbook');
    const logo = await fetch(body.data.logo_url.replace(/^https?:\/\/[^/]+/, app.url));
    expect(logo.status).toBe(200);
    expect(logo.headers.get('content-type')).toBe('image/svg+xml; charset=utf-8');
    expect(logo.headers.get('content-security-policy')).toBe("default-src 'none'; sandbox");
    expect(logo.headers.get('x-content-type-options')).toBe('nosniff');
    expect(await logo.text()).toMatch(/^<svg /);
    expect((await fetch(`${app.url}/images/template-logos/nobody.svg`)).status).toBe(404);
  });
});
