/** OAuth 1.0a of a derived emulator: every signature is checked. Source: RFC 5849 2, 3.4. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { OAuth1Spec, ProviderSpec } from '../../catalogue/_spec/index.ts';
import type { ApiCredential, AuthorizeHabit, MachineHabit } from '../engine/definition.ts';
import { bodyFormat, type HttpReply, type HttpRequest, matchPath } from '../engine/http.ts';
import { hexId } from '../engine/ids.ts';
import type { Mount } from '../engine/mount.ts';
import { factOf } from './facts.ts';
import { issueDirectly, secretBeside } from './issue.ts';
import { escapeStrictly } from './percent.ts';
import { hasHoles, pathPatterns } from './template.ts';

const REQUEST_SECRET = 'request token';
const ACCESS_SECRET = 'access token';
/** Between the app and the rest of a request token. */
const PART = '.';
/** Request tokens that are remembered; the oldest goes first. */
const PENDING_MAX = 1_000;

/** Request token → where the browser is to be sent, by provider. */
const pending = new WeakMap<OAuth1Spec, Map<string, string>>();

function callbacksOf(oauth1: OAuth1Spec): Map<string, string> {
  const known = pending.get(oauth1) ?? new Map<string, string>();
  pending.set(oauth1, known);
  return known;
}

type Settings = Readonly<Record<string, string>>;

/** Request token in, verifier out. */
export function oauth1Authorize(oauth1: OAuth1Spec, settings: Settings): AuthorizeHabit {
  const { scopes } = oauth1;
  return {
    paths: pathPatterns(oauth1.authorize.url, settings).map((pattern) => ({ pattern, page: 'sign-in' })),
    required: [],
    redirectRule: 'same-host',
    plainScope: ['Use this account as the application asks'],
    success: ['code', 'state'],
    read(query) {
      for (const [name, value] of Object.entries(oauth1.authorize.params ?? {})) {
        if (!hasHoles(value) && query.get(name) !== value) return `"${name}" must be "${value}".`;
      }
      const token = query.get('oauth_token') ?? '';
      const callback = callbacksOf(oauth1).get(token);
      if (callback === undefined) return 'This request token is not known.';
      const app = token.split(PART)[0] ?? '';
      const standard = new URLSearchParams({ client_id: app, state: token, redirect_uri: callback });
      const scope = query.get('scope');
      if (scope !== null) standard.set('scope', scope);
      return standard;
    },
    readScope(asked) {
      const names = asked === null ? [] : asked.split(scopes?.separator ?? ',');
      const isKnown = names.every((name) => scopes?.allowed?.includes(name) !== false);
      return isKnown ? names.join(' ') : undefined;
    },
    write(params) {
      const written = new URLSearchParams({ oauth_token: params.get('state') ?? '' });
      const code = params.get('code');
      if (code === null) written.set('oauth_problem', 'user_refused');
      else written.set('oauth_verifier', code);
      return written;
    },
  };
}

/** Both token endpoints. */
export function oauth1Tokens(spec: ProviderSpec, oauth1: OAuth1Spec, settings: Settings): MachineHabit {
  const requestPaths = pathPatterns(oauth1.requestToken.url, settings);
  const accessPaths = pathPatterns(oauth1.accessToken.url, settings);
  return {
    paths: [...requestPaths, ...accessPaths],
    answer(mount, request) {
      const isFirst = requestPaths.some((path) => matchPath(path, request.path) !== undefined);
      const params = headerParams(request);
      const app = mount.state.apps.get(params['oauth_consumer_key'] ?? '');
      if (app === undefined) return refuse('consumer_key_unknown');
      const token = params['oauth_token'] ?? '';
      if (isFirst) {
        if (!isSigned(oauth1, mount, request, app.liveSecret, '')) return refuse('signature_invalid');
        const callback = params['oauth_callback'] ?? '';
        // Values of the app's own may stand behind the registered address.
        if (callback.split('?')[0] !== app.redirectUri) return refuse('callback_wrong');
        const key = `${app.clientId}${PART}${hexId(24)}`;
        const known = callbacksOf(oauth1);
        known.set(key, callback);
        for (const old of known.keys()) if (known.size > PENDING_MAX) known.delete(old);
        const secret = secretBeside(key, REQUEST_SECRET);
        return formReply({ oauth_token: key, oauth_token_secret: secret, oauth_callback_confirmed: 'true' });
      }
      mount.recorder.countTokenRequest();
      if (!isSigned(oauth1, mount, request, app.liveSecret, secretBeside(token, REQUEST_SECRET)))
        return refuse('signature_invalid');
      const code = mount.state.codes.get(params['oauth_verifier'] ?? '');
      const account = mount.state.accounts.get(code?.accountId ?? '');
      const isMine = code?.clientId === app.clientId && token.startsWith(`${app.clientId}${PART}`);
      const isFresh = code !== undefined && code.usedAtMs === null && isMine;
      const ageMs = mount.clock.now() - (code?.createdAtMs ?? 0);
      if (!isFresh || account === undefined || ageMs >= mount.knobs.number('codeTtlSec', 0) * 1_000)
        return refuse('verifier_invalid');
      code.usedAtMs = mount.clock.now();
      const { accessToken } = issueDirectly(mount, account, { clientId: app.clientId, scope: code.scope });
      const facts = Object.entries(oauth1.metadata ?? {}).map(([key, name]) => [name, factOf(spec, key, account)]);
      const secret = secretBeside(accessToken, ACCESS_SECRET);
      return formReply({ oauth_token: accessToken, oauth_token_secret: secret, ...Object.fromEntries(facts) });
    },
  };
}

/** The token of a call that is signed as it must be. */
export function oauth1Credential(oauth1: OAuth1Spec, request: HttpRequest, mount: Mount): ApiCredential | undefined {
  const params = headerParams(request);
  const token = params['oauth_token'] ?? '';
  const app = mount.state.apps.get(params['oauth_consumer_key'] ?? '');
  const grant = mount.state.grants.get(mount.state.accessTokens.get(token)?.grantId ?? '');
  if (app === undefined || grant?.clientId !== app.clientId) return undefined;
  const secret = secretBeside(token, ACCESS_SECRET);
  return isSigned(oauth1, mount, request, app.liveSecret, secret) ? { kind: 'token', value: token } : undefined;
}

/** Nonces of each emulator: one is good for once (RFC 5849 3.3). */
const nonces = new WeakMap<Mount, Set<string>>();

function isSigned(oauth1: OAuth1Spec, mount: Mount, request: HttpRequest, secret: string, tokenSecret: string) {
  const { oauth_signature: signature = '', ...signed } = headerParams(request);
  const seen = nonces.get(mount) ?? new Set();
  nonces.set(mount, seen);
  const nonce = `${signed['oauth_timestamp']}:${signed['oauth_nonce']}`;
  if (signed['oauth_nonce'] === undefined || seen.has(nonce)) return false;
  seen.add(nonce);
  if (signed['oauth_signature_method'] !== oauth1.signature) return false;
  const key = `${escapeStrictly(secret)}&${escapeStrictly(tokenSecret)}`;
  const expected = oauth1.signature === 'PLAINTEXT' ? key : digestOf(oauth1, key, baseText(mount, request, signed));
  const [a, b] = [Buffer.from(expected), Buffer.from(signature)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function digestOf(oauth1: OAuth1Spec, key: string, text: string): string {
  return createHmac(oauth1.signature === 'HMAC-SHA1' ? 'sha1' : 'sha256', key)
    .update(text)
    .digest('base64');
}

function baseText(mount: Mount, request: HttpRequest, signed: Record<string, string>): string {
  const form = bodyFormat(request.headers) === 'form' ? [...new URLSearchParams(request.rawBody)] : [];
  const pairs = [...request.query, ...form, ...Object.entries(signed)]
    .map(([name, value]): [string, string] => [escapeStrictly(name), escapeStrictly(value)])
    .toSorted(([a, x], [b, y]) => (a === b ? (x < y ? -1 : 1) : a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`);
  return [request.method, `${mount.baseUrl}${request.path}`, pairs.join('&')].map(escapeStrictly).join('&');
}

function headerParams(request: HttpRequest): Record<string, string> {
  const header = request.headers['authorization'] ?? '';
  if (!/^OAuth /i.test(header)) return {};
  const pairs = [...header.slice(6).matchAll(/([A-Za-z_]+)="([^"]*)"/g)];
  return Object.fromEntries(pairs.map(([, name = '', value = '']) => [name, decodeURIComponent(value)]));
}

function formReply(fields: Record<string, string>): HttpReply {
  const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };
  return { status: 200, headers, body: new URLSearchParams(fields).toString() };
}

function refuse(problem: string): HttpReply {
  return { status: 401, headers: { 'Content-Type': 'text/plain' }, body: `oauth_problem=${problem}` };
}
