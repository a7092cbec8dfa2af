import { z } from 'zod';
import type { FieldSpec, Fields, OAuth1Spec, OAuth2Spec, ProviderSpec } from '../../../catalogue/_spec/index.ts';

const fieldShape = z.object({
  type: z.literal('string'),
  title: z.string(),
  description: z.string(),
  example: z.string().optional(),
  pattern: z.string().optional(),
  format: z.enum(['hostname', 'uri']).optional(),
  enum: z.array(z.string()).optional(),
  default_value: z.string().optional(),
  optional: z.boolean().optional(),
  secret: z.boolean().optional(),
  automated: z.boolean().optional(),
  order: z.number().optional(),
});

const fieldsShape = z.record(z.string(), fieldShape);

/** A provider on the wire (wire contract B.2, H): what clients read of a provider file. */
export const wireProviderShape = z.object({
  name: z.string(),
  display_name: z.string(),
  auth_mode: z.string(),
  categories: z.array(z.string()),
  docs: z.string(),
  setup_guide_url: z.string().optional(),
  summary: z.string(),
  logo_url: z.string(),
  authorization_url: z.string().optional(),
  authorization_params: z.record(z.string(), z.string()).optional(),
  token_url: z.string().optional(),
  token_params: z.record(z.string(), z.string()).optional(),
  refresh_url: z.string().optional(),
  refresh_params: z.record(z.string(), z.string()).optional(),
  scope_separator: z.string().optional(),
  default_scopes: z.array(z.string()).optional(),
  allowed_scopes: z.array(z.string()).optional(),
  disable_pkce: z.boolean().optional(),
  body_format: z.string().optional(),
  token_request_auth_method: z.string().optional(),
  request_url: z.string().optional(),
  signature_method: z.string().optional(),
  require_client_certificate: z.boolean().optional(),
  authorization_code_param_in_callback: z.string().optional(),
  token_response_metadata: z.array(z.string()).optional(),
  redirect_uri_metadata: z.array(z.string()).optional(),
  proxy: z.object({
    base_url: z.string(),
    headers: z.record(z.string(), z.string()).optional(),
    query: z.record(z.string(), z.string()).optional(),
    retry: z
      .object({
        at: z.string().optional(),
        after: z.string().optional(),
        remaining: z.string().optional(),
        error_code: z.array(z.string()).optional(),
      })
      .optional(),
    verification: z
      .object({
        method: z.string(),
        endpoints: z.array(z.string()),
        headers: z.record(z.string(), z.string()).optional(),
      })
      .optional(),
  }),
  credentials: fieldsShape.optional(),
  connection_config: fieldsShape.optional(),
  integration_config: fieldsShape.optional(),
});

export type WireProvider = z.output<typeof wireProviderShape>;

/**
 * The wire shape of a provider. `serverUrl`: public address, with or without a trailing slash. Our additions to the
 * contract: `summary`, `allowed_scopes`.
 */
export function wireProvider(spec: ProviderSpec, options: { serverUrl: string }): WireProvider {
  return dropUndefined({
    name: spec.name,
    display_name: spec.displayName,
    auth_mode: spec.authMode,
    categories: spec.categories,
    docs: spec.docsUrl,
    setup_guide_url: spec.setupGuideUrl,
    summary: spec.summary,
    logo_url: `${options.serverUrl.replace(/\/$/, '')}/images/template-logos/${spec.name}.svg`,
    ...(spec.oauth2 === undefined ? {} : wireOAuth2(spec.oauth2)),
    ...wireMachine(spec),
    proxy: wireProxy(spec),
    credentials: wireFields(spec.credentials),
    connection_config: wireFields(spec.connectionConfig),
    integration_config: wireFields(spec.integrationConfig),
  });
}

function wireOAuth2(oauth2: OAuth2Spec): Partial<WireProvider> {
  const { authorize, token, refresh, response, scopes, callback } = oauth2;
  const params = Object.entries(authorize.params ?? {}).filter((entry): entry is [string, string] => entry[1] !== null);
  return {
    authorization_url: authorize.url,
    authorization_params: params.length === 0 ? undefined : Object.fromEntries(params),
    token_url: token.url,
    token_params: token.params,
    refresh_url: refresh?.url,
    refresh_params: refresh?.params,
    scope_separator: scopes?.separator,
    default_scopes: scopes?.default,
    allowed_scopes: scopes?.allowed,
    disable_pkce: oauth2.pkce === 'off' ? true : undefined,
    body_format: token.body === 'form' ? undefined : token.body,
    token_request_auth_method: token.clientAuth === 'basic' ? 'basic' : undefined,
    authorization_code_param_in_callback: callback.code,
    token_response_metadata: response?.metadata === undefined ? undefined : Object.values(response.metadata),
    redirect_uri_metadata: callback.metadata,
  };
}

/** The token endpoint of the modes without a customer's consent (wire contract H.3, H.4). */
function wireMachine({ clientCredentials, login, oauth1 }: ProviderSpec): Partial<WireProvider> {
  if (oauth1 !== undefined) return wireOAuth1(oauth1);
  if (login !== undefined) {
    const { token } = login;
    return { token_url: token.url, token_params: token.params, body_format: token.body };
  }
  if (clientCredentials === undefined) return {};
  const { token, scopes, clientAuth, certificate } = clientCredentials;
  return {
    token_url: token.url,
    token_params: token.params,
    body_format: token.body === 'form' ? undefined : token.body,
    token_request_auth_method: clientAuth === 'basic' || clientAuth === 'private_key_jwt' ? clientAuth : undefined,
    scope_separator: scopes?.separator,
    default_scopes: scopes?.default,
    allowed_scopes: scopes?.allowed,
    require_client_certificate: certificate === 'required' ? true : undefined,
  };
}

function wireOAuth1(oauth1: OAuth1Spec): Partial<WireProvider> {
  return {
    request_url: oauth1.requestToken.url,
    authorization_url: oauth1.authorize.url,
    authorization_params: oauth1.authorize.params,
    token_url: oauth1.accessToken.url,
    signature_method: oauth1.signature,
    scope_separator: oauth1.scopes?.separator,
    default_scopes: oauth1.scopes?.default,
    allowed_scopes: oauth1.scopes?.allowed,
  };
}

function wireProxy(spec: ProviderSpec): WireProvider['proxy'] {
  const { api } = spec;
  const headers = { ...api.headers, ...(api.auth.in === 'header' ? { [api.auth.name]: api.auth.value } : {}) };
  const query = { ...api.query, ...(api.auth.in === 'query' ? { [api.auth.name]: api.auth.value } : {}) };
  return dropUndefined({
    base_url: api.baseUrl,
    headers: Object.keys(headers).length === 0 ? undefined : headers,
    query: Object.keys(query).length === 0 ? undefined : query,
    retry:
      api.retry === undefined
        ? undefined
        : dropUndefined({
            at: api.retry.at?.[0],
            after: api.retry.after?.[0],
            remaining: api.retry.remaining,
            error_code: api.retry.statuses,
          }),
    verification:
      api.verification === undefined
        ? undefined
        : dropUndefined({
            method: api.verification.method,
            endpoints: [api.verification.path],
            headers: api.verification.headers,
          }),
  });
}

/** What a form can check before it sends; the server checks again. */
const PATTERNS: Partial<Record<FieldSpec['kind'], string>> = {
  label: '^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$',
  segment: '^[A-Za-z0-9._~@:+=,-]{1,255}$',
};

function wireFields(fields: Fields | undefined): WireProvider['credentials'] {
  if (fields === undefined) return undefined;
  return Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, wireField(field)]));
}

function wireField(field: FieldSpec): z.output<typeof fieldShape> {
  return dropUndefined({
    type: 'string' as const,
    title: field.title,
    description: field.description,
    example: field.example,
    pattern: PATTERNS[field.kind],
    format: field.kind === 'host' ? ('hostname' as const) : field.kind === 'url' ? ('uri' as const) : undefined,
    enum: field.options,
    default_value: field.default,
    optional: field.optional,
    secret: field.secret,
    automated: field.automated,
    order: field.order,
  });
}

function dropUndefined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as T;
}
