/**
 * @module emulators/engine/authorize
 *
 * The authorize request: reading it, and what a decision leads to. Nothing here makes a page; see
 * `authorize-pages.ts`.
 */
import { isLoopbackHost, matchPath } from './http.ts';
import type { Mount } from './mount.ts';
import type { App, User } from './types.ts';

/** A good authorize request, waiting for the customer. */
export interface Ask {
  app: App;
  /** Where the customer will be sent. */
  redirectUri: string;
  state: string | undefined;
  scope: string;
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
export function readAuthorize(mount: Mount, path: string, query: URLSearchParams): AuthorizeRead | undefined {
  const habit = mount.definition.authorize;
  for (const { pattern, page } of habit.paths) {
    const params = matchPath(pattern, path);
    if (params === undefined) continue;

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
      location: failureLocation(mount, redirectUri, state, error, description),
    });
    if (habit.required.includes('response_type') && query.get('response_type') !== 'code') {
      return fail('unsupported_response_type', 'Only response_type=code is supported.');
    }
    const scope = chooseScope(mount, query.get('scope'));
    if (scope === undefined) return fail('invalid_scope', 'The scope is not known, or more than one was asked for.');
    return { kind: 'ask', ask: { app, redirectUri, state, scope, page } };
  }
  return undefined;
}

/** Records what the customer decided and gives the address to go to. `user` decides for the whole account. */
export function decide(mount: Mount, ask: Ask, user: User, decision: Decision): string {
  if (decision === 'deny') {
    const error = mount.knobs.text('denyErrorCode');
    return failureLocation(mount, ask.redirectUri, ask.state, error, 'The customer denied the request.');
  }
  const code = mount.definition.ids.code();
  mount.state.addCode({
    code,
    clientId: ask.app.clientId,
    accountId: user.accountId,
    userId: user.id,
    scope: ask.scope,
    redirectUri: ask.redirectUri,
    createdAtMs: mount.clock.now(),
    usedAtMs: null,
  });
  mount.changed();

  const url = new URL(ask.redirectUri);
  for (const name of mount.definition.authorize.success) {
    if (name === 'code') url.searchParams.append('code', code);
    if (name === 'scope') url.searchParams.append('scope', ask.scope);
    if (name === 'state') appendState(mount, url, ask.state);
  }
  return url.href;
}

function failureLocation(
  mount: Mount,
  redirectUri: string,
  state: string | undefined,
  error: string,
  description: string,
): string {
  const url = new URL(redirectUri);
  url.searchParams.append('error', error);
  if (mount.knobs.flag('sendErrorDescription')) url.searchParams.append('error_description', description);
  appendState(mount, url, state);
  return url.href;
}

function appendState(mount: Mount, url: URL, state: string | undefined): void {
  if (state !== undefined && mount.knobs.flag('echoState')) url.searchParams.append('state', state);
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
  const { scopes, defaultScope = '' } = mount.definition.authorize;
  if (scopes === undefined) return '';
  const scope = asked === null || asked === '' ? defaultScope : asked;
  return Object.hasOwn(scopes, scope) ? scope : undefined;
}
