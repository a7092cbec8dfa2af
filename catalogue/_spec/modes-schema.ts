/** The zod forms of `modes.ts`. */
import { z } from 'zod';

const text = z.string().min(1);
const headerName = z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, 'a header name');
const templates = z.record(text, z.string());

const machineClientAuth = z.enum(['body', 'basic', 'private_key_jwt', 'tls']);
const assertionAlgorithm = z.enum(['RS256', 'PS256', 'ES256']);

const holeName = z.string().regex(/^[A-Za-z][A-Za-z0-9_-]*$/, 'a name of letters, digits, _ and -');

export const jwtSchema = z.strictObject({
  algorithm: z.enum(['HS256', 'RS256', 'PS256', 'ES256']),
  key: text,
  keyEncoding: z.enum(['hex', 'utf8', 'base64']).optional(),
  header: templates.optional(),
  claims: templates,
  lifetimeSeconds: z.number().int().positive().max(86_400),
  split: z.strictObject({ field: text, at: text, into: z.tuple([holeName, holeName]) }).optional(),
});

/** `scopes` are those of OAuth 2. */
export function oauth1Schema<S extends z.ZodType>(scopes: S) {
  const step = z.strictObject({ url: text, params: templates.optional() });
  return z.strictObject({
    requestToken: step,
    authorize: step,
    accessToken: step,
    signature: z.enum(['HMAC-SHA1', 'HMAC-SHA256', 'PLAINTEXT']),
    scopes: scopes.optional(),
    metadata: z.record(text, text).optional(),
  });
}

export const sigv4Schema = z.strictObject({
  service: text,
  region: text,
  stsUrl: text,
  externalId: text.optional(),
  unsignedPayload: z.array(text).min(1).optional(),
});

/** `response` is that of OAuth 2. */
export function appSchema<R extends z.ZodType>(response: R) {
  return z.strictObject({
    installUrl: z.string().startsWith('${appLink}/'),
    linkHosts: z.array(text).min(1),
    installationUrl: text,
    changedAt: z.array(text).min(1),
    metadata: z.record(text, text).optional(),
    tokenUrl: text,
    headers: z.record(headerName, z.string()).optional(),
    response: response.optional(),
  });
}

const loginRequest = {
  url: text,
  method: z.enum(['POST', 'PUT', 'GET']).optional(),
  body: z.enum(['json', 'form']).optional(),
  params: templates.optional(),
  headers: z.record(headerName, z.string()).optional(),
  basic: z.strictObject({ username: z.string(), password: z.string() }).optional(),
};

/** `response` is that of OAuth 2. */
export function loginSchema<R extends z.ZodType>(response: R) {
  return z.strictObject({
    steps: z
      .array(z.strictObject({ ...loginRequest, keep: z.record(holeName, text) }))
      .min(1)
      .max(5)
      .optional(),
    token: z.strictObject(loginRequest),
    response: response.optional(),
  });
}

/** `scopes` and `response` are those of OAuth 2. */
export function clientCredentialsSchema<S extends z.ZodType, R extends z.ZodType>(scopes: S, response: R) {
  return z.strictObject({
    token: z.strictObject({
      url: text,
      body: z.enum(['form', 'json']).optional(),
      params: templates.optional(),
      headers: z.record(headerName, z.string()).optional(),
    }),
    clientAuth: machineClientAuth.optional(),
    assertion: z
      .strictObject({
        algorithm: assertionAlgorithm.optional(),
        audience: text.optional(),
        keyId: text.optional(),
        thumbprint: z.boolean().optional(),
        lifetimeSeconds: z.number().int().positive().max(3_600).optional(),
      })
      .optional(),
    certificate: z.enum(['required', 'optional']).optional(),
    scopes: scopes.optional(),
    response: response.optional(),
    choices: z
      .record(
        text,
        z.record(
          text,
          z.strictObject({ clientAuth: machineClientAuth.optional(), algorithm: assertionAlgorithm.optional() }),
        ),
      )
      .optional(),
  });
}
