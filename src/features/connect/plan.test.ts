import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { catalogue } from '../../../catalogue/index.ts';
import type { ProviderSpec } from '../../../catalogue/_spec/index.ts';
import type { Integration } from '../integrations/index.ts';
import {
  authorizationParamsOf,
  configIssues,
  connectionConfigOf,
  learnedKeys,
  optionallyTold,
  PROTECTED_PARAMS,
  scopeProblem,
  scopesOf,
  splitScopes,
} from './plan.ts';

const specs = [...catalogue.values()];
const withOAuth = specs.filter((spec) => spec.oauth2 !== undefined);
/** Names an attacker would try, and any other. */
const names = fc.oneof(
  fc.constantFrom(
    'oauth_scopes_override',
    'webhook_url',
    'pending',
    'constructor',
    '__proto__',
    'checkr_account_id',
    'xref_account_id',
    'locked',
    ...PROTECTED_PARAMS,
    'scope',
    'scopes',
    'user_scope',
  ),
  fc.string(),
);
const dictionary = fc.array(fc.tuple(names, fc.string()), { maxLength: 12 }).map((pairs) => Object.fromEntries(pairs));

function integrationOf(provider: ProviderSpec, scopes: string[] = []): Integration {
  return {
    environmentId: 1,
    id: 1,
    uniqueKey: 'k',
    provider,
    displayName: undefined,
    client: { type: 'OAUTH2', clientId: 'c', clientSecret: 's', scopes, webhookSecret: undefined },
    integrationConfig: {},
    custom: {},
    forwardWebhooks: true,
    emulated: false,
    createdAt: new Date(0),
    updatedAt: new Date(0),
  };
}

describe('what a browser may choose', () => {
  it('abuse 10: never a value the session fixed, a learned one or a reserved one', () => {
    fc.assert(
      fc.property(fc.constantFrom(...specs), dictionary, (provider, fromBrowser) => {
        const defaults = { connection_config: { locked: 'by the app', oauth_scopes_override: 'a' } };
        const config = connectionConfigOf(provider, defaults, fromBrowser);
        expect(config['locked']).toBe('by the app');
        for (const key of [
          ...learnedKeys(provider),
          'oauth_scopes_override',
          'webhook_url',
          'pending',
          'constructor',
        ]) {
          expect(Object.hasOwn(config, key)).toBe(false);
        }
        expect(Object.getPrototypeOf(config)).toBe(Object.prototype);
      }),
    );
  });

  it('abuse 10: never a protected authorization parameter, under any name', () => {
    fc.assert(
      fc.property(fc.constantFrom(...withOAuth), dictionary, (provider, fromBrowser) => {
        const oauth2 = provider.oauth2 as NonNullable<ProviderSpec['oauth2']>;
        const chosen = authorizationParamsOf(oauth2, undefined, fromBrowser);
        for (const name of [...PROTECTED_PARAMS, 'scope', 'scopes', 'user_scope']) {
          expect(Object.hasOwn(chosen, name)).toBe(false);
        }
        expect(authorizationParamsOf(oauth2, { authorization_params: { prompt: 'login' } }, fromBrowser)).toEqual({
          prompt: 'login',
        });
      }),
    );
  });

  it('a renamed standard parameter is protected too', () => {
    const oauth2 = {
      ...(withOAuth[0]?.oauth2 as NonNullable<ProviderSpec['oauth2']>),
      authorize: { url: 'https://x.example/a', rename: { client_id: 'client_key' } },
    };
    expect(authorizationParamsOf(oauth2, undefined, { client_key: 'mine', lang: 'de' })).toEqual({ lang: 'de' });
  });
});

describe('scopes', () => {
  const checkbook = catalogue.get('checkbook') as ProviderSpec;

  it('come from the session, else the integration, else the provider', () => {
    const override = { connection_config: { oauth_scopes_override: 'check_receive' } };
    expect(scopesOf(integrationOf(checkbook, ['single-use']), override)).toEqual(['check_receive']);
    expect(scopesOf(integrationOf(checkbook, ['single-use']), undefined)).toEqual(['single-use']);
    expect(scopesOf(integrationOf(checkbook), undefined)).toEqual(['check']);
  });

  it('must be known and, where the provider says so, one', () => {
    expect(() => scopesOf(integrationOf(checkbook, ['check', 'single-use']), undefined)).toThrow(/one scope/);
    expect(() => scopesOf(integrationOf(checkbook, ['admin']), undefined)).toThrow(/no scope "admin"/);
    expect(scopeProblem(undefined, ['any', 'thing'], 'X')).toBeUndefined();
  });

  it('are split at commas and white space, each once', () => {
    expect(splitScopes(' a,b  c,,a\n')).toEqual(['a', 'b', 'c']);
    expect(splitScopes('')).toEqual([]);
  });
});

it('what only some token answers tell is forgotten with its grant; what the app may have chosen is not', () => {
  const provider = specs.find((spec) => optionallyTold(spec).length > 0);
  const asked = specs.filter((spec) => Object.keys(spec.oauth2?.afterConnect?.metadata ?? {}).length > 0);
  expect(provider?.oauth2?.response?.metadata).toMatchObject({ bot_user_id: 'bot_user_id' });
  expect(provider && optionallyTold(provider)).toEqual(['bot_user_id']);
  expect(asked.length).toBeGreaterThan(0);
  for (const spec of asked) {
    for (const name of optionallyTold(spec)) expect(spec.oauth2?.afterConnect?.metadata).not.toHaveProperty(name);
  }
});

describe('configIssues', () => {
  const fields = {
    subdomain: { title: 'Subdomain', description: '', kind: 'label' },
    region: { title: 'Region', description: '', kind: 'enum', options: ['eu', 'us'], optional: true },
    account: { title: 'Account', description: '', kind: 'segment', automated: true },
  } as const satisfies ProviderSpec['connectionConfig'];

  it('names what is missing or wrong, and asks for nothing automated', () => {
    expect(configIssues(fields, {}, 'params')).toEqual([
      { code: 'custom', message: 'Subdomain is required.', path: ['params', 'subdomain'] },
    ]);
    const wrong = configIssues(fields, { subdomain: 'evil.com/', region: 'mars' }, 'params');
    expect(wrong.map((issue) => issue.path)).toEqual([
      ['params', 'subdomain'],
      ['params', 'region'],
    ]);
    expect(configIssues(fields, { subdomain: 'acme', region: 'eu' }, 'params')).toEqual([]);
  });
});
