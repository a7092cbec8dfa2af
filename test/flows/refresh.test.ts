/**
 * Refresh and disconnect against an independent authorization server that rotates strictly and revokes the whole grant
 * when a refresh token is used twice: the hardest case. Two nodes share one database.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Hawser } from '../../src/shell/node.ts';
import { callApi, startTestApp, type TestApp } from '../support/app.ts';
import { beginFlow, sessionToken } from '../support/connect.ts';
import { eventually } from '../support/build.ts';
import { freePort } from '../support/free-port.ts';
import { startOidc, type Oidc } from '../support/oidc.ts';
import { followBack } from './connect-helpers.ts';

const ROUNDS = 15;
const CALLERS_PER_NODE = 25;

let app: TestApp;
let oidc: Oidc;
let other: Hawser;
let nodes: Hawser[];
let environmentId: number;
let connectionId: string;

beforeAll(async () => {
  const port = await freePort();
  oidc = await startOidc({
    redirectUris: [`http://localhost:${port}/oauth/callback`],
    pkceRequired: true,
    rotate: true,
  });
  const allow = { HAWSER_EGRESS_ALLOW: new URL(oidc.issuer).host };
  app = await startTestApp({ settings: { HAWSER_PORT: String(port), ...allow } });
  other = await app.startNode({ settings: { HAWSER_PORT: '0', ...allow } });
  nodes = [app.hawser, other];
  environmentId = (await app.services.environments.byName('dev'))?.id as number;
  await app.api('POST', '/integrations', {
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
  const flow = await beginFlow(app.url, 'oidc', await sessionToken(app, 'oidc'), {
    'authorization_params[prompt]': 'consent',
  });
  await followBack(app, await oidc.consent(flow.location), flow.cookie);
  const { body } = await app.api('GET', '/connections?integrationId=oidc');
  connectionId = body.connections[0].connection_id as string;
});

afterAll(async () => {
  await app?.close();
  await oidc?.close();
});

const read = (url: string, query = '') =>
  callApi(url, app.apiKey, 'GET', `/connections/${connectionId}?provider_config_key=oidc${query}`);

it('asks once per expiry, whoever asks, and every generation works', async () => {
  for (let round = 1; round <= ROUNDS; round += 1) {
    await app.db.query(`UPDATE credential SET expires_at = clock_timestamp() - interval '1 second', sealed = sealed`);
    const before = oidc.tokenRequests().length;
    await eventually(
      () => nodes.some(({ services }) => services.credentials.peek(environmentId, 'oidc', connectionId) !== undefined),
      (remembered) => !remembered,
    );
    const answers = await Promise.all(
      Array.from({ length: CALLERS_PER_NODE * 2 }, (_, index) => read(index % 2 === 0 ? app.url : other.url)),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    const tokens = new Set(answers.map(({ body }) => body.credentials.access_token as string));
    expect(tokens.size).toBe(1);
    expect(oidc.tokenRequests().length - before).toBe(1);
    expect(await oidc.isActive([...tokens][0] as string)).toBe(true);
    expect(answers[0]?.text).not.toContain('refresh_token');
  }
  const [row] = await app.db.query<{ gen: number }>('SELECT gen FROM credential');
  expect(row?.gen).toBe(ROUNDS + 1);
  expect(oidc.tokenRequests().every(({ status }) => status === 200)).toBe(true);
  const states = await app.db.query(`SELECT payload FROM event WHERE type = 'connection.state'`);
  expect(states).toEqual([]);
});

it('lets go at the server when the connection is deleted', async () => {
  const { body } = await read(app.url, '&refresh_token=true&force_refresh=true');
  const { access_token: accessToken, refresh_token: refreshToken } = body.credentials;
  expect(await oidc.isActive(refreshToken)).toBe(true);
  const answer = await app.api('DELETE', `/connections/${connectionId}?provider_config_key=oidc`);
  expect([answer.status, answer.body]).toEqual([200, { success: true, outcome: 'revoked' }]);
  expect(await oidc.isActive(refreshToken)).toBe(false);
  expect(await oidc.isActive(accessToken)).toBe(false);
  expect((await read(other.url)).status).toBe(404);
});
