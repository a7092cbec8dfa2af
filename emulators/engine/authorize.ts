/**
 * @module emulators/engine/authorize
 *
 * The authorize request: reading it, and what a decision leads to. Nothing here makes a page; see
 * `authorize-pages.ts`.
 */
import { isLoopbackHost, matchPath } from './http.ts';
import type { Mount } from './mount.ts';
import type { Account, App, User } from './types.ts';

/** A good authorize request, waiting for the customer. */
export interface Ask {
  app: App;
  /** Where the customer will be sent. */
  redirectUri: string;
  state: string | undefined;
  scope: string;
  /** S256 challenge of RFC 7636, where the provider looks at it. */
  codeChallenge: string | undefined;
  page: 'sign-in' | 'sign-up';
}

export type AuthorizeRead =
  | { kind: 'ask'; ask: Ask }
  /** The app hears of the failure. */
  | { kind: 'redirect'; location: string }
  /** Nobody may be redirected: the redirect URI itself is in doubt. */
  | { kind: 'refuse'; status: 400 | 404; message: string };

export type Decision = 'allow' | 'deny';

/** Reads an authorize request; undefined when the path is not one. Unknown parameters are ignored (assumption). */
export function readAuthorize(mount: Mount, path: string, sent: URLSearchParams): AuthorizeRead | undefined {
  const habit = mount.definition.authorize;
  for (const { pattern, page } of habit.paths) {
    const params = matchPath(pattern, path);
    if (params === undefined) continue;

    const query = habit.read?.(sent) ?? sent;
    if (typeof query === 'string') return { kind: 'refuse', status: 400, message: query };
    const missing = habit.required.filter((name) => (query.get(name) ?? '') === '');
    if (missing.length > 0) {
      return {
        kind: 'refuse',
        status: 400,
        message: `The request lacks ${missing.map((name) => `"${name}"`).join(', ')}.`,
      };
    }
    const app = mount.state.apps.get(params.client_id ?? query.get('client_id') ?? '');
    if (app === undefined) return { kind: 'refuse', status: 404, message: 'No application has this client id.' };

    const redirectUri = chooseRedirect(mount, app, query.get('redirect_uri'));
    if (redirectUri === undefined) {
      return {
        kind: 'refuse',
        status: 400,
        message: 'The redirect address is not the one registered for this application.',
      };
    }
    const state = query.get('state') ?? undefined;
    const fail = (error: string, description: string): AuthorizeRead => ({
      kind: 'redirect',
      location: failureLocation(mount, app, redirectUri, state, error, description),
    });
    if (habit.required.includes('response_type') && query.get('response_type') !== 'code') {
      return fail('unsupported_response_type', 'Only response_type=code is supported.');
    }
    const scope = chooseScope(mount, query.get('scope'));
    if (scope === undefined) return fail('invalid_scope', 'The scope is not known, or more than one was asked for.');
    const codeChallenge = habit.pkce === true ? (query.get('code_challenge') ?? undefined) : undefined;
    return { kind: 'ask', ask: { app, redirectUri, state, scope, codeChallenge, page } };
  }
  return undefined;
}

/** Records what the customer decided and gives the address to go to. `user` decides for the whole account. */
export function decide(mount: Mount, ask: Ask, user: User, decision: Decision): string {
  if (decision === 'deny') {
    const error = mount.knobs.text('denyErrorCode');
    return failureLocation(mount, ask.app, ask.redirectUri, ask.state, error, 'The customer denied the request.');
  }
  const code = mount.definition.ids.code();
  mount.state.addCode({
    code,
    clientId: ask.app.clientId,
    accountId: user.accountId,
    userId: user.id,
    scope: ask.scope,
    redirectUri: ask.redirectUri,
    ...(ask.codeChallenge === undefined ? {} : { codeChallenge: ask.codeChallenge }),
    createdAtMs: mount.clock.now(),
    usedAtMs: null,
  });
  mount.changed();

  const params = new URLSearchParams();
  for (const name of mount.definition.authorize.success) {
    if (name === 'code') params.append('code', code);
    if (name === 'scope') params.append('scope', ask.scope);
    if (name === 'state') appendState(mount, params, ask.state);
  }
  return locationOf(mount, ask.app, ask.redirectUri, params, mount.state.accounts.get(user.accountId));
}

function locationOf(mount: Mount, app: App, redirectUri: string, params: URLSearchParams, account?: Account): string {
  const url = new URL(redirectUri);
  const written = mount.definition.authorize.write?.(params, account, app) ?? params;
  for (const [name, value] of written) url.searchParams.append(name, value);
  return url.href;
}

function failureLocation(
  mount: Mount,
  app: App,
  redirectUri: string,
  state: string | undefined,
  error: string,
  description: string,
): string {
  const params = new URLSearchParams({ error });
  if (mount.knobs.flag('sendErrorDescription')) params.append('error_description', description);
  appendState(mount, params, state);
  return locationOf(mount, app, redirectUri, params);
}

function appendState(mount: Mount, params: URLSearchParams, state: string | undefined): void {
  if (state !== undefined && mount.knobs.flag('echoState')) params.append('state', state);
}

function chooseRedirect(mount: Mount, app: App, asked: string | null): string | undefined {
  switch (mount.definition.authorize.redirectRule) {
    case 'registered':
      return app.redirectUri;
    case 'exact':
      return asked === app.redirectUri ? asked : undefined;
    case 'same-host': {
      if (asked === null || asked === '') return app.redirectUri;
      if (!URL.canParse(asked)) return undefined;
      const url = new URL(asked);
      const safe = url.protocol === 'https:' || (url.protocol === 'http:' && isLoopbackHost(url.hostname));
      return safe && url.hostname === new URL(app.redirectUri).hostname ? asked : undefined;
    }
  }
}

function chooseScope(mount: Mount, asked: string | null): string | undefined {
  const { scopes, defaultScope = '', readScope } = mount.definition.authorize;
  if (readScope !== undefined) return readScope(asked);
  if (scopes === undefined) return '';
  const scope = asked === null || asked === '' ? defaultScope : asked;
  return Object.hasOwn(scopes, scope) ? scope : undefined;
}
