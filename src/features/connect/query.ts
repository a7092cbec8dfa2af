/** Reads the query of the browser routes (wire contract C.2), where values come as `params[name]=text`. */
import { isUuidV4 } from '../../base/ids.ts';
import type { Issue } from '../../base/errors.ts';
import { errors } from './errors.ts';

export interface BrowserQuery {
  token: string | undefined;
  publicKey: string | undefined;
  params: Record<string, string>;
  authorizationParams: Record<string, string>;
  /** The customer's own OAuth client. */
  clientOverride: { clientId: string; clientSecret: string } | undefined;
  wsClientId: string | undefined;
  returnTo: string | undefined;
}

const PLAIN = new Set([
  'connect_session_token',
  'public_key',
  'connection_id',
  'hmac',
  'user_scope',
  'token_id',
  'token_secret',
  'ws_client_id',
  'return_to',
]);
const GROUPS = ['params', 'authorization_params', 'credentials', 'assertion_option'] as const;
type Group = (typeof GROUPS)[number];

/** Names of values end in templates and in stored JSON; nothing odd belongs there. */
const NAME = /^[A-Za-z][A-Za-z0-9_.-]{0,63}$/;
/** Client secrets and long scopes fit; a book does not. */
const VALUE_LENGTH_MAX = 2048;
/** More values than any provider's form asks for. */
const VALUES_MAX = 40;

/**
 * Reads and checks the query. Errors: `invalid_query_params` with one issue per wrong parameter. A `connection_id` is
 * refused: with a session the id is ours to choose.
 */
export function readBrowserQuery(query: unknown): BrowserQuery {
  const issues: Issue[] = [];
  const plain = new Map<string, string>();
  const groups: Record<Group, Map<string, string>> = {
    params: new Map(),
    authorization_params: new Map(),
    credentials: new Map(),
    assertion_option: new Map(),
  };
  for (const [path, value] of flatten(query)) {
    const [name, key] = path;
    const group = GROUPS.find((candidate) => candidate === name);
    if (typeof value !== 'string') {
      issues.push({ code: 'invalid_type', message: 'Give this parameter once, as text.', path });
    } else if (value.length > VALUE_LENGTH_MAX) {
      issues.push({ code: 'too_big', message: `At most ${VALUE_LENGTH_MAX} characters.`, path });
    } else if (group !== undefined && key !== undefined) {
      if (!NAME.test(key)) issues.push({ code: 'custom', message: 'This name is not allowed.', path });
      // PostgreSQL's text takes none.
      else if (value.includes('\0')) issues.push({ code: 'custom', message: 'This holds a NUL character.', path });
      else groups[group].set(key, value);
    } else if (key === undefined && name !== undefined && PLAIN.has(name)) {
      plain.set(name, value);
    } else {
      issues.push({ code: 'unrecognized_keys', message: 'This parameter is not known here.', path });
    }
  }
  if (GROUPS.some((group) => groups[group].size > VALUES_MAX)) {
    issues.push({ code: 'too_big', message: `At most ${VALUES_MAX} values.`, path: [] });
  }
  if (plain.has('connection_id') && plain.get('connection_id') !== '') {
    const message = 'With a connect session the connection id is chosen by the server. Leave it out.';
    issues.push({ code: 'custom', message, path: ['connection_id'] });
  }
  const wsClientId = plain.get('ws_client_id');
  if (wsClientId !== undefined && !isUuidV4(wsClientId)) {
    issues.push({ code: 'custom', message: 'This is no id of a socket.', path: ['ws_client_id'] });
  }
  if (issues.length > 0) throw errors.fail('invalid_query_params', { errors: issues });
  const clientId = groups.credentials.get('oauth_client_id_override');
  const clientSecret = groups.credentials.get('oauth_client_secret_override');
  return {
    token: plain.get('connect_session_token'),
    publicKey: plain.get('public_key'),
    params: Object.fromEntries(groups.params),
    authorizationParams: Object.fromEntries(groups.authorization_params),
    clientOverride: clientId && clientSecret ? { clientId, clientSecret } : undefined,
    wsClientId,
    returnTo: plain.get('return_to'),
  };
}

/** `{'a[b]': x}` and `{a: {b: x}}` alike become `[['a', 'b'], x]`: HTTP servers differ in how they parse a query. */
function flatten(query: unknown): [string[], unknown][] {
  const flat: [string[], unknown][] = [];
  for (const [name, value] of Object.entries((query ?? {}) as Record<string, unknown>)) {
    const bracket = /^([a-z_]+)\[([^\]]*)\]$/.exec(name);
    if (bracket !== null) flat.push([[bracket[1] as string, bracket[2] as string], value]);
    else if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
      for (const [key, inner] of Object.entries(value)) flat.push([[name, key], inner]);
    } else flat.push([[name], value]);
  }
  return flat;
}
