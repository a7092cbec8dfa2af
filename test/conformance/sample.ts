/** Values for the fields of any provider file, so that cases can be derived from it. */
import type { FieldSpec, Fields, ProviderSpec } from '../../catalogue/_spec/index.ts';
import type { ApiCredential } from '../../src/protocols/api-auth.ts';
import { chosenOAuth2, type OAuth2Input } from '../../src/protocols/oauth2/index.ts';

export const CLIENT = { clientId: '0123456789abcdef01234567', clientSecret: 'client-secret-canary' };

/** Every secret that a request of these samples may hold. */
export const SECRETS = [
  CLIENT.clientSecret,
  'access-token-canary',
  'refresh-token-canary',
  'api-key-canary',
  'password-canary',
];

export function sampleInput(provider: ProviderSpec): OAuth2Input {
  const input = {
    provider,
    connectionConfig: valuesFor(provider.connectionConfig),
    integrationConfig: valuesFor(provider.integrationConfig),
    client: CLIENT,
  };
  const oauth2 = chosenOAuth2(input);
  if (oauth2 === undefined) throw new Error(`${provider.name} has no OAuth 2`);
  return { ...input, oauth2 };
}

export function valuesFor(fields: Fields | undefined): Record<string, string> {
  return Object.fromEntries(Object.entries(fields ?? {}).map(([name, field]) => [name, valueFor(name, field)]));
}

function valueFor(name: string, field: FieldSpec): string {
  if (field.kind === 'enum') return field.default ?? field.options?.[0] ?? '';
  if (field.hosts !== undefined) return `https://${learnedHost(field.hosts)}`;
  if (field.kind === 'url') return `https://${name.replaceAll('_', '-')}.sample.example/${name}`;
  return field.kind === 'host' ? 'sample.example' : 'sample';
}

/** A host that a learned URL may name: never the first of a list, so that nothing else can have chosen it. */
export function learnedHost(hosts: readonly string[]): string {
  const host = hosts.at(-1) ?? '';
  return host.startsWith('.') ? `sample${host}` : host;
}

export function sampleCredential(provider: ProviderSpec): ApiCredential {
  switch (provider.authMode) {
    case 'OAUTH2':
      return { type: 'OAUTH2', access_token: 'access-token-canary' };
    case 'API_KEY':
      return { type: 'API_KEY', apiKey: 'api-key-canary' };
    case 'BASIC':
      return { type: 'BASIC', username: 'user', password: 'password-canary' };
    case 'NONE':
      return { type: 'NONE' };
    case 'OAUTH1':
      return { type: 'OAUTH1', oauth_token: 'access-token-canary', oauth_token_secret: 'password-canary' };
    case 'OAUTH2_CC':
    case 'JWT':
    case 'TWO_STEP':
    case 'AWS_SIGV4':
    case 'APP':
      return {
        type: provider.authMode,
        token: 'access-token-canary',
        fields: valuesFor(provider.credentials),
        raw: {},
      };
    default:
      throw new Error(`no sample credential for ${provider.authMode}`);
  }
}

/** The forms in which a secret may show up in a text. */
export function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  return [secret, encodeURIComponent(secret), bytes.toString('base64').replace(/=+$/, ''), bytes.toString('hex')];
}
