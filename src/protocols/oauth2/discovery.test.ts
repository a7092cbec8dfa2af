import { processDiscoveryResponse, calculatePKCECodeChallenge } from 'oauth4webapi';
import { describe, expect, it } from 'vitest';
import { discoveryUrls, issuerProblem, readDiscovery } from './discovery.ts';
import { newPkce } from './pkce.ts';
import { chosenOAuth2, issuerOf, issuerToRead, withDiscovery } from './resolve.ts';
import { revocationRequest } from './revocation.ts';
import { inputWith, PROVIDER, SPEC } from './testing.ts';

const ISSUER = 'https://login.example.com/tenant';
const DOCUMENT = {
  issuer: ISSUER,
  authorization_endpoint: 'https://login.example.com/tenant/authorize',
  token_endpoint: 'https://login.example.com/tenant/token',
  revocation_endpoint: 'https://login.example.com/tenant/revoke',
  authorization_response_iss_parameter_supported: true,
  code_challenge_methods_supported: ['S256'],
  token_endpoint_auth_methods_supported: ['client_secret_post', 7],
};

function read(change: Record<string, unknown>, issuer = ISSUER) {
  return readDiscovery(issuer, Buffer.from(JSON.stringify({ ...DOCUMENT, ...change })));
}

describe('readDiscovery', () => {
  it('reads the facts', () => {
    expect(read({})).toEqual({
      issuer: ISSUER,
      authorizationUrl: DOCUMENT.authorization_endpoint,
      tokenUrl: DOCUMENT.token_endpoint,
      revocationUrl: DOCUMENT.revocation_endpoint,
      issSupported: true,
      pkceMethods: ['S256'],
      tokenAuthMethods: ['client_secret_post'],
      scopes: [],
    });
    expect(
      read({ revocation_endpoint: undefined, authorization_response_iss_parameter_supported: 'yes' }),
    ).toMatchObject({
      revocationUrl: undefined,
      issSupported: false,
    });
  });

  it.each([
    [{ issuer: 'https://evil.example' }, /another issuer/],
    [{ issuer: `${ISSUER}/` }, /another issuer/],
    [{ issuer: 7 }, /another issuer/],
    [{ token_endpoint: undefined }, /lacks/],
    [{ token_endpoint: '/token' }, /unusable/],
    [{ token_endpoint: 'http://login.example.com/token' }, /unusable/],
    [{ token_endpoint: 'https://u:p@login.example.com/token' }, /unusable/],
    [{ token_endpoint: 'https://login.example.com/?x=${clientSecret}' }, /unusable/],
    [{ authorization_endpoint: 'javascript:alert(1)' }, /unusable/],
    [{ authorization_endpoint: 'https://login.example.com/a#b' }, /unusable/],
  ])('refuses %j', (change, message) => {
    expect(() => read(change)).toThrow(
      expect.objectContaining({ code: 'discovery_failed', message: expect.stringMatching(message) }),
    );
  });

  it.each(['', '<html>', '[]', 'null', '7', '{"issuer"', '\u0000'])('refuses the body %j', (body) => {
    expect(() => readDiscovery(ISSUER, Buffer.from(body))).toThrow(
      expect.objectContaining({ code: 'discovery_failed' }),
    );
  });

  it('allows plain http only for an issuer that is plain http', () => {
    const issuer = 'http://127.0.0.1:4000';
    const change = {
      issuer,
      authorization_endpoint: `${issuer}/a`,
      token_endpoint: `${issuer}/t`,
      revocation_endpoint: undefined,
    };
    expect(read(change, issuer).tokenUrl).toBe(`${issuer}/t`);
  });

  it('agrees with oauth4webapi about the issuer', async () => {
    for (const told of [ISSUER, `${ISSUER}/`, 'https://LOGIN.example.com/tenant', 'https://evil.example']) {
      const body = JSON.stringify({ ...DOCUMENT, issuer: told });
      const response = new Response(body, { headers: { 'content-type': 'application/json' } });
      const library = await processDiscoveryResponse(new URL(ISSUER), response).then(
        () => true,
        () => false,
      );
      const ours = (() => {
        try {
          readDiscovery(ISSUER, Buffer.from(body));
          return true;
        } catch {
          return false; // the refusal is what is compared
        }
      })();
      expect([told, ours]).toEqual([told, library]);
    }
  });
});

describe('discoveryUrls', () => {
  it('knows both places', () => {
    expect(discoveryUrls(ISSUER).map(String)).toEqual([
      'https://login.example.com/tenant/.well-known/openid-configuration',
      'https://login.example.com/.well-known/oauth-authorization-server/tenant',
    ]);
    expect(discoveryUrls('https://login.example.com').map(String)).toEqual([
      'https://login.example.com/.well-known/openid-configuration',
      'https://login.example.com/.well-known/oauth-authorization-server',
    ]);
  });
});

describe('issuerProblem', () => {
  it('compares when both sides are known', () => {
    expect(issuerProblem({ issuer: ISSUER }, ISSUER)).toBeUndefined();
    expect(issuerProblem({ issuer: ISSUER }, undefined)).toBeUndefined();
    expect(issuerProblem({}, 'https://any.example')).toBeUndefined();
    expect(issuerProblem({ issuer: ISSUER, issRequired: true }, undefined)).toMatch(/does not say/);
    expect(issuerProblem({ issuer: ISSUER }, 'https://evil.example')).toMatch(/another server/);
    expect(issuerProblem({ issuer: ISSUER }, `${ISSUER}/`)).toMatch(/another server/);
  });
});

describe('resolution', () => {
  const part = {
    issuer: '${integrationConfig.issuer}',
    token: { ...SPEC.token, url: '${integrationConfig.token_url}' },
    choices: {
      region: {
        eu: { clientAuth: 'basic' as const },
        us: { rotation: { kind: 'none' as const }, scopeSeparator: ',' as const },
      },
    },
  };

  it('asks for the issuer while a URL is empty, and fills only that one', () => {
    const input = inputWith(part, { integrationConfig: { issuer: ISSUER } });
    expect(issuerToRead(input.oauth2, input)).toBe(ISSUER);
    const filled = withDiscovery(input.oauth2, read({}), input);
    expect(filled.token.url).toBe(DOCUMENT.token_endpoint);
    expect(filled.authorize.url).toBe(SPEC.authorize.url);
    expect([filled.issuer, filled.issRequired]).toEqual([ISSUER, true]);
    expect(issuerToRead(filled, input)).toBeUndefined();
  });

  it('asks for nothing when all is there, and says what is missing', () => {
    const whole = inputWith(part, { integrationConfig: { token_url: 'https://a.example/t', issuer: ISSUER } });
    expect(issuerToRead(whole.oauth2, whole)).toBeUndefined();
    expect(issuerOf(whole.oauth2, whole)).toBe(ISSUER);
    expect(chosenOAuth2(whole)?.issuer).toBe(ISSUER);
    const nothing = inputWith(part);
    expect(chosenOAuth2(nothing)?.issuer).toBe(part.issuer);
    expect(() => issuerToRead(nothing.oauth2, nothing)).toThrow(
      expect.objectContaining({ code: 'incomplete_integration' }),
    );
  });

  it('waits for a tenant’s host without an issuer', () => {
    const input = inputWith({ token: { ...SPEC.token, url: 'https://${connectionConfig.shop}.shop.example/token' } });
    expect(issuerToRead(input.oauth2, input)).toBeUndefined();
  });

  it('applies the chosen option, else the default, else nothing', () => {
    const provider = (fallback?: string) => ({
      ...PROVIDER,
      oauth2: { ...SPEC, ...part },
      integrationConfig: {
        ...PROVIDER.integrationConfig,
        region: {
          title: 'R',
          description: 'R',
          kind: 'enum' as const,
          options: ['eu', 'us'],
          ...(fallback ? { default: fallback } : {}),
        },
      },
    });
    const choose = (value: unknown, fallback?: string) =>
      chosenOAuth2({
        provider: provider(fallback),
        connectionConfig: {},
        integrationConfig: value === undefined ? {} : { region: value },
      });
    expect(choose('eu')?.token.clientAuth).toBe('basic');
    expect(choose('us')).toMatchObject({ refresh: { rotation: { kind: 'none' } }, scopes: { separator: ',' } });
    expect(choose(undefined, 'eu')?.token.clientAuth).toBe('basic');
    for (const odd of [undefined, 'constructor', '__proto__', 7]) expect(choose(odd)).toEqual({ ...SPEC, ...part });
    expect(
      chosenOAuth2({ provider: { ...PROVIDER, oauth2: undefined }, connectionConfig: {}, integrationConfig: {} }),
    ).toBeUndefined();
  });
});

describe('newPkce', () => {
  it('makes a challenge that the library computes too, each time another', async () => {
    const made = [newPkce(), newPkce()];
    for (const { verifier, challenge } of made) {
      expect(verifier).toMatch(/^[A-Za-z0-9_-]{43}$/);
      expect(await calculatePKCECodeChallenge(verifier)).toBe(challenge);
    }
    expect(made[0]?.verifier).not.toBe(made[1]?.verifier);
  });
});

describe('revocationRequest', () => {
  const base = {
    url: new URL('https://a.example/revoke'),
    client: { clientId: 'id', clientSecret: 'shh' },
    token: 't-1',
  };

  it('names token and hint and authenticates as told', () => {
    const body = revocationRequest({ ...base, hint: 'refresh_token', clientAuth: 'body' });
    expect(body.method).toBe('POST');
    expect(Object.fromEntries(new URLSearchParams(body.body))).toEqual({
      token: 't-1',
      token_type_hint: 'refresh_token',
      client_id: 'id',
      client_secret: 'shh',
    });
    const basic = revocationRequest({ ...base, hint: 'access_token', clientAuth: 'basic' });
    expect(basic.headers['authorization']).toBe(`Basic ${Buffer.from('id:shh').toString('base64')}`);
    expect(basic.body).toBe('token=t-1&token_type_hint=access_token');
    const none = revocationRequest({ ...base, hint: 'access_token', clientAuth: 'none' });
    expect(none.body).toBe('token=t-1&token_type_hint=access_token&client_id=id');
  });
});
