/** A provider made for tests of one knob. */
import type { OAuth2Spec, ProviderSpec, TokenResponseSpec } from '../../../catalogue/_spec/index.ts';
import type { OAuth2Input } from './request.ts';
import { readTokenAnswer, type TokenAnswer } from './token-answer.ts';

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

/** When answers are read. */
export const NOW = Date.parse('2026-11-21T12:00:00Z');

/** Reads a body as an answer of {@link SPEC}: 200 and no headers unless said otherwise. */
export function readAnswer(
  body: unknown,
  options: {
    status?: number;
    headers?: Record<string, string | string[]>;
    response?: TokenResponseSpec;
    secrets?: string[];
  } = {},
): TokenAnswer {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  const spec = options.response === undefined ? SPEC : { ...SPEC, response: options.response };
  return readTokenAnswer(
    spec,
    { status: options.status ?? 200, headers: options.headers ?? {}, body: bytes },
    NOW,
    options.secrets,
  );
}

/** An answer that must be a success. */
export function good(answer: TokenAnswer) {
  if (!answer.ok) throw new Error(`${answer.kind} ${answer.error ?? ''}`);
  return answer;
}
