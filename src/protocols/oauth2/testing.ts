/** A provider made for tests of one knob. */
import type { OAuth2Spec, ProviderSpec } from '../../../catalogue/_spec/index.ts';
import type { OAuth2Input } from './request.ts';

export const SPEC: OAuth2Spec = {
  authorize: { url: 'https://login.example.com/oauth/authorize' },
  callback: { stateEcho: 'always' },
  pkce: 'S256',
  token: { url: 'https://login.example.com/oauth/token' },
  refresh: { rotation: { kind: 'unknown' } },
};

export const PROVIDER: ProviderSpec = {
  name: 'sample',
  displayName: 'Sample',
  categories: ['other'],
  authMode: 'OAUTH2',
  docsUrl: 'https://example.com',
  summary: 'Sample.',
  oauth2: SPEC,
  connectionConfig: {
    shop: { title: 'Shop', description: 'Shop.', kind: 'label' },
    region: { title: 'Region', description: 'Region.', kind: 'enum', options: ['eu', 'us'], optional: true },
    note: { title: 'Note', description: 'Note.', kind: 'text', optional: true },
  },
  integrationConfig: {
    issuer: { title: 'Issuer', description: 'Issuer.', kind: 'url', optional: true },
    audience: { title: 'Audience', description: 'Audience.', kind: 'text' },
    token_url: { title: 'Token URL', description: 'Token URL.', kind: 'url', optional: true },
  },
  api: {
    baseUrl: 'https://api.example.com',
    auth: { in: 'header', name: 'Authorization', value: 'Bearer ${accessToken}' },
  },
  disconnect: { kind: 'unsupported', customerMustDo: 'Nothing.' },
  gotchas: [],
  sources: ['https://example.com (read 2026-11)'],
};

/** The input of a request with parts of the spec replaced. */
export function inputWith(
  part: Partial<OAuth2Spec> = {},
  more: Partial<Omit<OAuth2Input, 'oauth2'>> = {},
): OAuth2Input {
  const oauth2 = { ...SPEC, ...part };
  return {
    provider: { ...PROVIDER, oauth2 },
    oauth2,
    client: { clientId: 'client-1', clientSecret: 'shh-1' },
    connectionConfig: {},
    integrationConfig: {},
    ...more,
  };
}

/** The query of a URL as plain pairs. */
export function pairs(url: URL): Record<string, string> {
  return Object.fromEntries(url.searchParams);
}
