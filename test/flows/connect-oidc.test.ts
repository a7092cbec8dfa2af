/** The flow against an independent, strict authorization server: discovery, PKCE, issuer, exact redirect matching. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startTestApp, type TestApp } from '../support/app.ts';
import { beginFlow, sessionToken } from '../support/connect.ts';
import { freePort } from '../support/free-port.ts';
import { startOidc, type Oidc } from '../support/oidc.ts';
import { followBack } from './connect-helpers.ts';

let app: TestApp;
let oidc: Oidc;
beforeAll(async () => {
  const port = await freePort();
  oidc = await startOidc({ redirectUris: [`http://localhost:${port}/oauth/callback`], pkceRequired: true });
  app = await startTestApp({
    settings: { HAWSER_PORT: String(port), HAWSER_EGRESS_ALLOW: new URL(oidc.issuer).host },
  });
  const answer = await app.api('POST', '/integrations', {
    provider: 'oauth2-generic',
    unique_key: 'oidc',
    credentials: {
      type: 'OAUTH2',
      client_id: oidc.clientId,
      client_secret: oidc.clientSecret,
      scopes: 'openid,offline_access',
    },
    integration_config: { issuer: oidc.issuer },
  });
  expect([answer.status, answer.text]).toEqual([200, answer.text]);
});
afterAll(async () => {
  await app?.close();
  await oidc?.close();
});

it('connects by discovery, with PKCE and the issuer checked', async () => {
  const flow = await beginFlow(app.url, 'oidc', await sessionToken(app, 'oidc'), {
    'authorization_params[prompt]': 'consent',
  });
  const back = await oidc.consent(flow.location);
  expect(back.searchParams.get('iss')).toBe(oidc.issuer);
  const response = await followBack(app, back, flow.cookie);
  expect([response.status, await response.text()]).toEqual([200, expect.any(String)]);
  const { body } = await app.api('GET', '/connections?integrationId=oidc');
  const read = await app.api(
    'GET',
    `/connections/${body.connections[0].connection_id}?provider_config_key=oidc&refresh_token=true`,
  );
  expect(await oidc.isActive(read.body.credentials.access_token)).toBe(true);
  expect(await oidc.isActive(read.body.credentials.refresh_token)).toBe(true);
  expect(Date.parse(read.body.credentials.expires_at)).toBeGreaterThan(0);
});

it('abuse 5: stops when the issuer of the answer is another, or missing although the server promised it', async () => {
  for (const change of [
    (url: URL) => url.searchParams.set('iss', 'https://evil.example'),
    (url: URL) => url.searchParams.delete('iss'),
  ]) {
    const flow = await beginFlow(app.url, 'oidc', await sessionToken(app, 'oidc'));
    const back = await oidc.consent(flow.location);
    change(back);
    const before = oidc.tokenRequests().length;
    expect((await followBack(app, back, flow.cookie)).status).toBe(400);
    expect(oidc.tokenRequests()).toHaveLength(before);
  }
});

it('abuse 6: a code of one flow is worth nothing in another: PKCE', async () => {
  const token = await sessionToken(app, 'oidc');
  const [one, two] = [await beginFlow(app.url, 'oidc', token), await beginFlow(app.url, 'oidc', token)];
  const [backOne, backTwo] = [await oidc.consent(one.location), await oidc.consent(two.location)];
  backOne.searchParams.set('code', backTwo.searchParams.get('code') as string);
  const response = await followBack(app, backOne, one.cookie);
  expect([response.status, await response.text()]).toEqual([400, expect.stringContaining('token_err')]);
  expect(oidc.tokenRequests().at(-1)?.status).toBe(400);
});
