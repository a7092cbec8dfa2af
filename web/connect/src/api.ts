/** The few calls of the page. The API is always our own origin: an address from outside would get the token. */

/** Where each mode's form goes. */
const PATHS = {
  API_KEY: '/api-auth/api-key/',
  BASIC: '/api-auth/basic/',
  NONE: '/auth/unauthenticated/',
  OAUTH2_CC: '/oauth2/auth/',
  JWT: '/auth/jwt/',
  TWO_STEP: '/auth/two-step/',
  AWS_SIGV4: '/auth/aws-sigv4/',
};

/** Modes in which the customer types a credential. */
export type FormMode = keyof typeof PATHS;

/** True for a mode whose form is sent from here; the others go to the provider's own page. */
export function isFormMode(mode: string): mode is FormMode {
  return Object.hasOwn(PATHS, mode);
}

export interface Field {
  name: string;
  title: string;
  description: string;
  kind: 'label' | 'host' | 'segment' | 'url' | 'enum' | 'text';
  options?: string[];
  example?: string;
  default?: string;
  optional: boolean;
  secret: boolean;
}

export interface Integration {
  unique_key: string;
  display_name: string;
  provider: string;
  provider_display_name: string;
  logo: string;
  auth_mode: 'OAUTH2' | 'OAUTH1' | 'APP' | FormMode;
  summary: string;
  scopes: string[];
  emulated: boolean;
  docs: string | null;
  credentials: Field[];
  connection_config: Field[];
  disconnect_hint: string | null;
  connected_since: string | null;
}

export interface Session {
  isReconnecting?: boolean;
  websocketsPath?: string;
}

/** What a connect attempt ends with. */
export interface Connected {
  providerConfigKey: string;
  connectionId: string;
}

/** A failure with the type that decides what the person is told. */
export class ConnectError extends Error {
  readonly type: string;
  constructor(type: string, message: string) {
    super(message);
    this.type = type;
  }
}

async function call<T>(path: string, init: RequestInit): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, { ...init, credentials: 'omit', cache: 'no-store', referrerPolicy: 'no-referrer' });
  } catch {
    throw new ConnectError('network', ''); // the browser does not say more than "failed"
  }
  const body = (await response.json().catch(() => ({}))) as T & { error?: { code?: string; message?: string } };
  if (response.ok) return body;
  throw new ConnectError(body.error?.code ?? 'unknown_err', body.error?.message ?? '');
}

export async function readSession(token: string): Promise<{ session: Session; integrations: Integration[] }> {
  const headers = { authorization: `Bearer ${token}` };
  const [session, integrations] = await Promise.all([
    call<{ data: Session }>('/connect/session', { headers }),
    call<{ data: Integration[] }>('/connect/session/integrations', { headers }),
  ]);
  return { session: session.data, integrations: integrations.data };
}

/** Sends typed credentials; they are tried with the provider before they are stored. */
export function sendCredentials(
  token: string,
  integration: Integration & { auth_mode: FormMode },
  credentials: Record<string, string>,
  params: Record<string, string>,
): Promise<Connected> {
  const query = attemptQuery(token, params);
  const hasBody = integration.auth_mode !== 'NONE';
  return call(`${PATHS[integration.auth_mode]}${encodeURIComponent(integration.unique_key)}?${query}`, {
    method: 'POST',
    ...(hasBody && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(credentials) }),
  });
}

/** The query every attempt carries. */
export function attemptQuery(token: string, params: Record<string, string>, more: Record<string, string> = {}): string {
  const query = new URLSearchParams({ connect_session_token: token, ...more });
  for (const [name, value] of Object.entries(params)) query.set(`params[${name}]`, value);
  return query.toString();
}
