/** The zod form of {@link ProviderSpec}; `check.ts` adds the rules that a schema cannot say. */
import { z } from 'zod';
import type { ProviderSpec } from './index.ts';
import {
  appSchema,
  clientCredentialsSchema,
  jwtSchema,
  loginSchema,
  oauth1Schema,
  sigv4Schema,
} from './modes-schema.ts';
import { webhooksSchema } from './webhooks-schema.ts';

const name = z.string().regex(/^[a-z0-9-]+$/, 'a slug: small letters, digits, dashes');
const text = z.string().min(1);
const httpsUrl = z.string().regex(/^https:\/\/[^\s]+$/, 'an https URL');
const headerName = z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, 'a header name');
const path = z.string().regex(/^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/, 'a dotted path');
const statuses = z.string().regex(/^[1-5](?:xx|[0-9]{2}(?:-[1-5][0-9]{2})?)$/, '429, 5xx or 500-502');
const templates = z.record(text, z.string());
const hostRule = z.string().regex(/^\.?[a-z0-9-]+(?:\.[a-z0-9-]+)+$/, 'a host name, or a dot and a domain');
const predicate = z.strictObject({ path, equals: z.union([z.string(), z.number(), z.boolean()]) });

const field = z.strictObject({
  title: text,
  description: text,
  kind: z.enum(['label', 'host', 'segment', 'url', 'enum', 'text']),
  options: z.array(text).min(1).optional(),
  hosts: z.array(hostRule).min(1).optional(),
  example: text.optional(),
  default: text.optional(),
  optional: z.boolean().optional(),
  secret: z.boolean().optional(),
  automated: z.boolean().optional(),
  order: z.number().int().optional(),
});

const fields = z.record(z.string().regex(/^[A-Za-z][A-Za-z0-9_-]*$/), field);

const rotation = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('none') }),
  z.strictObject({ kind: z.literal('overlap'), graceSeconds: z.number().int().positive() }),
  z.strictObject({ kind: z.literal('strict') }),
  z.strictObject({ kind: z.literal('unknown') }),
]);

const pkce = z.enum(['S256', 'off']);
const clientAuth = z.enum(['body', 'basic', 'none']);
const separator = z.enum([' ', ',', '+']);

const oauth2 = z.strictObject({
  authorize: z.strictObject({
    url: text,
    params: z.record(text, z.string().nullable()).optional(),
    rename: z.record(text, text).optional(),
    paramsIn: z.enum(['query', 'fragment']).optional(),
    skipEmpty: z.boolean().optional(),
    decoded: z.boolean().optional(),
  }),
  callback: z.strictObject({
    code: text.optional(),
    state: text.optional(),
    stateEcho: z.enum(['always', 'may-drop']),
    metadata: z.array(text).optional(),
    signature: z.strictObject({ param: text, unsigned: z.array(text).min(1).optional() }).optional(),
  }),
  scopes: z
    .strictObject({
      default: z.array(text).optional(),
      allowed: z.array(text).optional(),
      separator: separator.optional(),
      choose: z.enum(['one', 'many']).optional(),
      encode: z.boolean().optional(),
    })
    .optional(),
  pkce,
  pkceOffReason: text.optional(),
  token: z.strictObject({
    url: text,
    method: z.enum(['POST', 'GET']).optional(),
    body: z.enum(['form', 'json', 'query']).optional(),
    clientAuth: clientAuth.optional(),
    omit: z.array(z.enum(['grant_type', 'redirect_uri', 'code_verifier'])).optional(),
    rename: z.record(text, text).optional(),
    sendScope: z.boolean().optional(),
    params: templates.optional(),
    headers: z.record(headerName, z.string()).optional(),
  }),
  response: z
    .strictObject({
      accessToken: z.array(path).min(1).optional(),
      refreshToken: path.optional(),
      expiry: z
        .union([
          z.strictObject({ path, kind: z.enum(['in', 'at']), unit: z.enum(['seconds', 'milliseconds']).optional() }),
          z.strictObject({ kind: z.literal('none') }),
        ])
        .optional(),
      lifetimeSeconds: z.number().int().positive().optional(),
      metadata: z.record(text, path).optional(),
      success: predicate.optional(),
      scope: path.optional(),
      errorKinds: z.record(text, z.enum(['invalid_grant', 'invalid_client', 'invalid_scope'])).optional(),
      errorStatus: z.number().int().min(200).max(499).optional(),
    })
    .optional(),
  refresh: z
    .strictObject({
      url: text.optional(),
      rotation,
      params: templates.optional(),
      sendScope: z.boolean().optional(),
    })
    .optional(),
  issuer: text.optional(),
  issRequired: z.boolean().optional(),
  choices: z
    .record(
      text,
      z.record(
        text,
        z.strictObject({
          pkce: pkce.optional(),
          pkceOffReason: text.optional(),
          clientAuth: clientAuth.optional(),
          scopeSeparator: separator.optional(),
          rotation: rotation.optional(),
        }),
      ),
    )
    .optional(),
  afterConnect: z
    .strictObject({
      url: text,
      list: z.union([z.literal('.'), path]).optional(),
      where: predicate.optional(),
      newestBy: path.optional(),
      metadata: z.record(text, path),
    })
    .optional(),
});

const ends = z.enum(['grant', 'account']).optional();
const clientCredentials = clientCredentialsSchema(oauth2.shape.scopes.unwrap(), oauth2.shape.response.unwrap());

const apiAuth = z.discriminatedUnion('in', [
  z.strictObject({ in: z.literal('header'), name: headerName, value: text }),
  z.strictObject({ in: z.literal('basic'), username: z.string(), password: z.string() }),
  z.strictObject({ in: z.literal('query'), name: text, value: text }),
  z.strictObject({ in: z.literal('signature') }),
  z.strictObject({ in: z.literal('none') }),
]);

const pages = {
  limit_name_in_request: text.optional(),
  response_path: path.optional(),
  in_body: z.boolean().optional(),
};
const paginate = z.union([
  z.strictObject({
    type: z.literal('cursor'),
    cursor_name_in_request: text,
    cursor_path_in_response: path,
    ...pages,
  }),
  z.strictObject({ type: z.literal('link'), link_rel_in_response_header: text, ...pages }),
  z.strictObject({ type: z.literal('link'), link_path_in_response_body: path, ...pages }),
  z.strictObject({
    type: z.literal('offset'),
    offset_name_in_request: text,
    offset_start_value: z.number().int().min(0).optional(),
    offset_calculation_method: z.enum(['by-response-size', 'per-page']).optional(),
    ...pages,
  }),
]);

const api = z.strictObject({
  baseUrl: text,
  auth: apiAuth,
  headers: z.record(headerName, z.string()).optional(),
  query: templates.optional(),
  verification: z
    .strictObject({
      method: z.enum(['GET', 'POST']),
      path: z.string().startsWith('/'),
      headers: z.record(headerName, z.string()).optional(),
      body: z.string().optional(),
    })
    .optional(),
  retry: z
    .strictObject({
      at: z.array(headerName).min(1).optional(),
      after: z.array(headerName).min(1).optional(),
      remaining: headerName.optional(),
      statuses: z.array(statuses).min(1).optional(),
    })
    .optional(),
  paginate: paginate.optional(),
  refusal: z.strictObject({ success: predicate, code: path, unauthorized: z.array(text).min(1) }).optional(),
  idempotencyHeader: headerName.optional(),
  spentAfterWriteWithScope: text.optional(),
});

const disconnect = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('call'),
    method: z.enum(['POST', 'DELETE']),
    url: text,
    auth: apiAuth.optional(),
    body: z.strictObject({ format: z.enum(['form', 'json']), params: templates }).optional(),
    success: predicate.optional(),
    goneErrors: z.array(text).min(1).optional(),
    goneStatuses: z.array(z.number().int().min(400).max(499)).min(1).optional(),
    endsReplaced: z.literal(true).optional(),
    ends,
  }),
  z.strictObject({ kind: z.literal('rfc7009'), url: text, optional: z.boolean().optional(), ends }),
  z.strictObject({ kind: z.literal('unsupported'), customerMustDo: text }),
  z.strictObject({ kind: z.literal('nothing') }),
]);

export const providerSchema = z.strictObject({
  name,
  displayName: text,
  categories: z.array(name).min(1),
  authMode: z.enum([
    'OAUTH2',
    'API_KEY',
    'BASIC',
    'NONE',
    'OAUTH2_CC',
    'JWT',
    'TWO_STEP',
    'OAUTH1',
    'AWS_SIGV4',
    'APP',
  ]),
  docsUrl: httpsUrl,
  setupGuideUrl: httpsUrl.optional(),
  summary: text,
  oauth2: oauth2.optional(),
  clientCredentials: clientCredentials.optional(),
  jwt: jwtSchema.optional(),
  sigv4: sigv4Schema.optional(),
  app: appSchema(oauth2.shape.response.unwrap()).optional(),
  oauth1: oauth1Schema(oauth2.shape.scopes.unwrap()).optional(),
  login: loginSchema(oauth2.shape.response.unwrap()).optional(),
  credentials: fields.optional(),
  connectionConfig: fields.optional(),
  integrationConfig: fields.optional(),
  api,
  disconnect,
  account: z
    .strictObject({
      idFrom: text,
      suggestedPolicy: z.enum(['separate', 'share', 'replace', 'refuse']).optional(),
      idMayChange: z.literal(true).optional(),
      readiness: z
        .strictObject({
          path: z.string().regex(/^\/\S*$/),
          ready: predicate,
          reason: name,
          refuses: z
            .array(
              z.strictObject({
                method: z.enum(['POST', 'PUT', 'PATCH', 'DELETE']),
                path: z.string().regex(/^\/\S*$/),
              }),
            )
            .min(1),
        })
        .optional(),
    })
    .optional(),
  webhooks: webhooksSchema.optional(),
  emulator: name.optional(),
  gotchas: z.array(text),
  sources: z.array(text).min(1),
});

type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;
/** Does not compile when the schema and the type say different things. */
const schemaFitsType: Same<z.output<typeof providerSchema>, ProviderSpec> = true;
void schemaFitsType;

/** JSON Schema (draft 2020-12) of a provider file; kept beside this file as `provider.schema.json`. */
export function providerJsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(providerSchema, { target: 'draft-2020-12' });
  return { $id: 'provider.schema.json', title: 'Hawser provider', ...schema };
}
