/** The authorize page of a derived emulator: takes what the provider file says is sent, and refuses what it says is not. */
import { createHmac } from 'node:crypto';
import type { CallbackSignature, OAuth2Spec, ProviderSpec } from '../../catalogue/_spec/index.ts';
import type { AuthorizeHabit } from '../engine/definition.ts';
import { factOf } from './facts.ts';
import { hasHoles, pathPatterns } from './template.ts';

const STANDARD = [
  'response_type',
  'client_id',
  'redirect_uri',
  'scope',
  'state',
  'code_challenge',
  'code_challenge_method',
] as const;

export function authorizeHabit(
  spec: ProviderSpec,
  oauth2: OAuth2Spec,
  settings: Readonly<Record<string, string>>,
): AuthorizeHabit {
  const { authorize, callback } = oauth2;
  const sendsRedirect = authorize.params?.['redirect_uri'] !== null;
  return {
    paths: pathPatterns(authorize.url, settings).map((pattern) => ({ pattern, page: 'sign-in' })),
    required: [],
    redirectRule: sendsRedirect ? 'exact' : 'registered',
    plainScope: ['Use this account as the application asks'],
    success: ['code', 'state'],
    pkce: oauth2.pkce === 'S256',
    read: (query) => readQuery(oauth2, query),
    readScope: (asked) => readScope(oauth2, asked),
    write(params, account, app) {
      const written = new URLSearchParams();
      for (const [name, value] of params) {
        if (name === 'code') written.append(callback.code ?? 'code', value);
        else if (name === 'state') written.append(callback.state ?? 'state', value);
        else written.append(name, value);
      }
      if (account !== undefined && params.has('code')) {
        for (const key of callback.metadata ?? []) written.append(key, factOf(spec, key, account));
      }
      const { signature } = callback;
      if (signature !== undefined) written.append(signature.param, signatureOf(signature, written, app.liveSecret));
      return written;
    },
  };
}

/** Worked out here by itself, so that it proves something. */
function signatureOf({ unsigned = [] }: CallbackSignature, params: URLSearchParams, secret: string): string {
  const names = [...new Set(params.keys())].filter((name) => !unsigned.includes(name)).toSorted();
  const text = names.map((name) => `${encodeURIComponent(name)}=${encodeURIComponent(params.get(name) ?? '')}`);
  return createHmac('sha256', secret).update(text.join('&')).digest('hex');
}

function readQuery(oauth2: OAuth2Spec, query: URLSearchParams): URLSearchParams | string {
  const { authorize } = oauth2;
  const own = authorize.params ?? {};
  const standard = new URLSearchParams();
  for (const name of STANDARD) {
    const theirs = authorize.rename?.[name] ?? name;
    if (theirs !== name && query.has(name)) return `"${name}" is called "${theirs}" here.`;
    const values = query.getAll(theirs);
    if (values.length > 1) return `"${theirs}" is repeated.`;
    if (own[name] === null && values.length > 0) return `"${theirs}" must not be sent.`;
    if (values[0] !== undefined) standard.set(name, values[0]);
  }
  for (const [name, value] of Object.entries(own)) {
    if (value === null) continue;
    const sent = query.get(authorize.rename?.[name] ?? name);
    if (sent === null) return `The request lacks "${name}".`;
    if (!hasHoles(value) && sent !== value) return `"${name}" must be "${value}".`;
  }
  const inPath = authorize.url.includes('${clientId}');
  for (const name of ['response_type', 'client_id', 'redirect_uri'] as const) {
    const isSent = own[name] !== null && !(name === 'client_id' && inPath);
    if (isSent && !standard.has(name)) return `The request lacks "${authorize.rename?.[name] ?? name}".`;
  }
  if (standard.has('response_type') && standard.get('response_type') !== 'code') return 'Only the code flow is there.';
  return pkceProblem(oauth2, standard) ?? standard;
}

function pkceProblem(oauth2: OAuth2Spec, query: URLSearchParams): string | undefined {
  const challenge = query.get('code_challenge');
  if (oauth2.pkce === 'off') return challenge === null ? undefined : '"code_challenge" must not be sent.';
  if (challenge === null || !/^[A-Za-z0-9_-]{43}$/.test(challenge))
    return 'PKCE is required: the challenge is missing.';
  return query.get('code_challenge_method') === 'S256' ? undefined : 'PKCE is required with method S256.';
}

/** Granted scopes are kept joined by a space, whatever the provider joins them with. */
function readScope(oauth2: OAuth2Spec, asked: string | null): string | undefined {
  const { separator = ' ', allowed, choose, default: usual = [] } = oauth2.scopes ?? {};
  if (asked === null || asked === '') return usual.join(' ');
  // An unencoded plus arrives as a blank.
  const names = asked.split(separator === '+' ? /[+ ]/ : separator);
  const foreign = separator === '+' ? /,/ : separator === ',' ? / / : /,/;
  if (names.some((name) => name === '' || foreign.test(name))) return undefined;
  if (allowed !== undefined && names.some((name) => !allowed.includes(name))) return undefined;
  return choose === 'one' && names.length > 1 ? undefined : names.join(' ');
}
