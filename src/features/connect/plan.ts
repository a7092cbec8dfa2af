/**
 * Decides what one connect attempt may use. Pure. The session and the integration are the only source of scopes,
 * authorization parameters of weight and learned values; the browser fills the provider's form and nothing else
 * (threats 2.6, case 10).
 */
import type { Fields, OAuth2Spec, ProviderSpec, ScopeSpec } from '../../../catalogue/_spec/index.ts';
import type { Issue } from '../../base/errors.ts';
import { checkField } from '../../base/template.ts';
import type { Integration } from '../integrations/index.ts';
import { errors } from './errors.ts';
import type { ConfigDefaults } from './model.ts';

/** Keys of `connection_config` that carry meaning for us; a browser may not set them. */
const RESERVED_CONFIG = new Set([
  'oauth_scopes_override',
  'webhook_url',
  'pending',
  'overrideTokenRefresh',
  'installation_id',
  'constructor',
  'prototype',
]);

/** Parameters that protect the flow or say who asks: nobody may replace them, not even the app. */
export const PROTECTED_PARAMS: ReadonlySet<string> = new Set([
  'state',
  'redirect_uri',
  'client_id',
  'client_secret',
  'code_challenge',
  'code_challenge_method',
  'response_type',
  'response_mode',
  'request',
  'request_uri',
]);

/** Names of the scope parameter; scopes are chosen by the session's `oauth_scopes_override` and checked there. */
const SCOPE_PARAMS = ['scope', 'scopes', 'user_scope'];

/** True when an authorization parameter may not be set from outside, under its own or the provider's name for it. */
export function isProtectedParam(oauth2: OAuth2Spec | undefined, name: string): boolean {
  const renamed = Object.values(oauth2?.authorize.rename ?? {});
  return PROTECTED_PARAMS.has(name) || SCOPE_PARAMS.includes(name) || renamed.includes(name);
}

/** What the browser may add to the authorize URL. The session's set, when there is one, replaces it whole. */
export function authorizationParamsOf(
  oauth2: OAuth2Spec,
  defaults: ConfigDefaults | undefined,
  fromBrowser: Record<string, string>,
): Record<string, string> {
  const chosen = defaults?.authorization_params ?? fromBrowser;
  return Object.fromEntries(Object.entries(chosen).filter(([name]) => !isProtectedParam(oauth2, name)));
}

/**
 * The connection config of an attempt: the customer's form under the session's defaults. Values the provider is to
 * tell (`automated`, learned metadata) and reserved keys from the browser are dropped.
 */
export function connectionConfigOf(
  provider: ProviderSpec,
  defaults: ConfigDefaults | undefined,
  fromBrowser: Record<string, string>,
): Record<string, unknown> {
  const config: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(provider.connectionConfig ?? {})) {
    if (field.default !== undefined && !field.automated) config[name] = field.default;
  }
  const learned = learnedKeys(provider);
  for (const [name, value] of Object.entries(fromBrowser)) {
    const typed = value.trim();
    if (!RESERVED_CONFIG.has(name) && !learned.has(name) && typed !== '') config[name] = typed;
  }
  for (const [name, value] of Object.entries(defaults?.connection_config ?? {})) {
    if (name !== 'webhook_url' && name !== 'oauth_scopes_override') config[name] = value;
  }
  return config;
}

/** Keys of the connection config that only the provider's answers may set. */
export function learnedKeys(provider: ProviderSpec): Set<string> {
  const automated = Object.entries(provider.connectionConfig ?? {}).filter(([, field]) => field.automated);
  return new Set([
    ...automated.map(([name]) => name),
    ...Object.keys(provider.oauth2?.response?.metadata ?? {}),
    ...(provider.oauth2?.callback.metadata ?? []),
    ...Object.keys(provider.oauth2?.afterConnect?.metadata ?? {}),
    ...Object.keys(provider.oauth1?.metadata ?? {}),
    ...Object.keys(provider.app?.metadata ?? {}),
  ]);
}

/** Learned values, checked like typed ones: they end in URLs. Errors: `url_param_err`. */
export function learnedValues(provider: ProviderSpec, metadata: Record<string, string>): Record<string, string> {
  const allowed = learnedKeys(provider);
  const learned: Record<string, string> = {};
  for (const [name, value] of Object.entries(metadata)) {
    if (!allowed.has(name)) continue;
    const field = provider.connectionConfig?.[name];
    const wrong = value.includes('\0') ? 'It holds a NUL character.' : field && checkField(field, value);
    if (wrong !== undefined) {
      throw errors.fail('url_param_err', { message: `The answer of the provider is not usable: ${wrong}` });
    }
    learned[name] = value;
  }
  return learned;
}

/**
 * What token answers tell of some grants only: an earlier one of the same connection may have had it. Not what is asked
 * for after a connect, where the app may have chosen one of several.
 */
export function optionallyTold(provider: ProviderSpec): string[] {
  const told = Object.keys(provider.oauth2?.response?.metadata ?? {});
  return told.filter((name) => provider.connectionConfig?.[name]?.optional === true);
}

/** One issue for each declared value that is wrong, and for each required one that is missing. */
export function configIssues(fields: Fields | undefined, config: Record<string, unknown>, path: string): Issue[] {
  const issues: Issue[] = [];
  for (const [name, field] of Object.entries(fields ?? {})) {
    const value = config[name];
    const missing = value === undefined || value === '';
    if (missing && (field.automated || field.optional)) continue;
    const wrong = missing ? `${field.title} is required.` : checkField(field, value);
    if (wrong !== undefined) issues.push({ code: 'custom', message: wrong, path: [path, name] });
  }
  return issues;
}

/** Splits scopes at commas and white space, each once. */
export function splitScopes(text: string): string[] {
  return [...new Set(text.split(/[\s,]+/).filter((scope) => scope !== ''))];
}

/** Says in one sentence what is wrong with a choice of scopes, or undefined. */
export function scopeProblem(spec: ScopeSpec | undefined, scopes: string[], providerName: string): string | undefined {
  const unknown = spec?.allowed === undefined ? undefined : scopes.find((scope) => !spec.allowed?.includes(scope));
  if (unknown !== undefined) {
    return `${providerName} has no scope "${unknown}". It has: ${(spec?.allowed ?? []).join(', ')}.`;
  }
  if (spec?.choose === 'one' && scopes.length > 1) {
    return `${providerName} grants one scope per authorization, not ${scopes.length}. Choose one in \`oauth_scopes_override\`.`;
  }
  return undefined;
}

/** The scopes to ask for: session, else integration, else provider. Errors: `invalid_scope`. */
export function scopesOf(integration: Integration, defaults: ConfigDefaults | undefined): string[] {
  const spec = (integration.provider.oauth2 ?? integration.provider.oauth1)?.scopes;
  const override = defaults?.connection_config?.['oauth_scopes_override'];
  const configured = integration.client?.scopes ?? [];
  const scopes =
    typeof override === 'string' && override !== ''
      ? splitScopes(override)
      : configured.length > 0
        ? configured
        : (spec?.default ?? []);
  const problem = scopeProblem(spec, scopes, integration.provider.displayName);
  if (problem !== undefined) throw errors.fail('invalid_scope', { message: problem });
  return scopes;
}
