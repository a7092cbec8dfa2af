/** What a provider may do with a redirect: nothing. The caller sees it, and no credential goes anywhere else. */
import { afterEach, describe, expect, it } from 'vitest';
import type { ProviderSpec } from '../../catalogue/_spec/index.ts';
import { catalogue } from '../../catalogue/index.ts';
import type { Credential } from '../../src/features/credentials/index.ts';
import type { Integration } from '../../src/features/integrations/index.ts';
import { always, answer, createEvil, type EvilRequest, type EvilScript } from '../support/evil.ts';
import { aLive, anIntegration, aProvider, callProxy, startProxy } from '../support/proxy.ts';
import { createOpenList } from '../support/proxy-evil.ts';

const list = createOpenList();
afterEach(() => list.close());

const SECRET = 'canary-of-the-credential';
const STATUSES = [301, 302, 303, 307, 308];

interface Style {
  provider: (baseUrl: string) => ProviderSpec;
  credential: Credential;
  integration?: Partial<Integration>;
}

const bearer = (type: 'OAUTH2_CC' | 'JWT' | 'TWO_STEP' | 'APP'): Credential => ({
  type,
  token: SECRET,
  raw: {},
  fields: {},
});
const oauth2: Credential = { type: 'OAUTH2', access_token: SECRET, raw: {} };
const apiKey: Credential = { type: 'API_KEY', apiKey: SECRET };
const basic: Credential = { type: 'BASIC', username: 'someone', password: SECRET };
const by = (auth: ProviderSpec['api']['auth'], authMode: ProviderSpec['authMode'] = 'OAUTH2') => {
  return (baseUrl: string): ProviderSpec => ({ ...aProvider(baseUrl, { auth }), authMode });
};
const entry = (name: string) => {
  const spec = catalogue.get(name) as ProviderSpec;
  return (baseUrl: string): ProviderSpec => ({ ...spec, api: { ...spec.api, baseUrl } });
};
const header = (name: string, value: string) => ({ in: 'header', name, value }) as const;

const styles: Record<string, Style> = {
  'a bearer token': { provider: by(header('Authorization', 'Bearer ${accessToken}')), credential: oauth2 },
  'a scheme of its own': { provider: by(header('Authorization', 'Token ${accessToken}')), credential: oauth2 },
  'a token as user name': {
    provider: by({ in: 'basic', username: '${accessToken}', password: '' }),
    credential: oauth2,
  },
  'a header of its own': { provider: by(header('X-API-Key', '${apiKey}'), 'API_KEY'), credential: apiKey },
  'a key in the query': {
    provider: by({ in: 'query', name: 'api_key', value: '${apiKey}' }, 'API_KEY'),
    credential: apiKey,
  },
  'user and password': {
    provider: by({ in: 'basic', username: '${username}', password: '${password}' }, 'BASIC'),
    credential: basic,
  },
  'client credentials': {
    provider: by(header('Authorization', 'Bearer ${accessToken}'), 'OAUTH2_CC'),
    credential: bearer('OAUTH2_CC'),
  },
  'a signed token': { provider: by(header('Authorization', 'Ghost ${accessToken}'), 'JWT'), credential: bearer('JWT') },
  'a login': { provider: by(header('X-Session', '${accessToken}'), 'TWO_STEP'), credential: bearer('TWO_STEP') },
  'an installation': {
    provider: by(header('Authorization', 'token ${accessToken}'), 'APP'),
    credential: bearer('APP'),
  },
  'OAuth 1.0a': {
    provider: entry('trello'),
    credential: { type: 'OAUTH1', oauth_token: 'token', oauth_token_secret: SECRET, raw: {} },
    integration: { client: { clientId: 'client', clientSecret: 'client-secret' } as Integration['client'] },
  },
  'Signature Version 4': {
    provider: entry('aws-sigv4'),
    credential: {
      type: 'AWS_SIGV4',
      token: SECRET,
      raw: { AccessKeyId: 'AKIAEXAMPLE', SecretAccessKey: SECRET },
      fields: { region: 'eu-central-1' },
    },
    integration: { integrationConfig: { service: 's3' } },
  },
};

describe('abuse 15: redirects', () => {
  it.each(Object.entries(styles))('abuse 15: with %s: to wherever they point, none is followed', async (_, style) => {
    const other = list.add(await createEvil(always(answer(200, 'stolen'))));
    const got: EvilRequest[] = [];
    let reply = answer(200, 'ok');
    const script: EvilScript = async (connection) => {
      for (let request = await connection.request(); request !== undefined; request = await connection.request()) {
        got.push(request);
        await connection.send(reply);
      }
    };
    const evil = list.add(await createEvil(script));
    const integration = anIntegration(style.provider(`http://${evil.pair}`), style.integration);
    const live = aLive(integration, { credential: style.credential });
    const allow = [evil.pair, other.pair, evil.pair.replace('127.0.0.1', 'localhost')];
    const proxy = list.add(await startProxy({ allow, live }));
    const port = evil.pair.split(':')[1];
    const places = [`http://${evil.pair}/elsewhere`, `http://localhost:${port}/elsewhere`, `http://${other.pair}/`];
    for (const status of STATUSES) {
      for (const location of places) {
        reply = answer(status, 'moved', { location });
        const seen = await callProxy(proxy.port, '/proxy/x', { method: 'POST', body: 'what was said' });
        expect([seen.status, seen.headers.location]).toEqual([status, location]);
        expect(JSON.stringify([seen.headers, seen.body.toString()])).not.toContain(SECRET);
      }
    }
    expect(got.map(({ target }) => target.split('?')[0])).toEqual(Array.from({ length: 15 }, () => '/x'));
    expect(other.connections).toHaveLength(0);
    // The style was really at work.
    const [first] = got;
    expect(Object.keys(first?.headers ?? {}).join() + first?.target).toMatch(
      /authorization|x-api-key|x-session|api_key=/,
    );
  });
});
