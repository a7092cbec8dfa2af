import { z } from 'zod';
import { randomId } from '../../../base/ids.ts';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import {
  checkWebhookUrl,
  CONNECTION_ID,
  connectionErrors,
  endUserSchema,
  readEndUser,
  tagsFor,
  tagsSchema,
  webhookOverrideSchema,
} from '../../connections/index.ts';
import { connectionToWire, credentialToWire, type Credential } from '../../credentials/index.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { PROVIDER_CONFIG_KEY } from '../../integrations/index.ts';
import { importConnection } from '../import.ts';
import type { ConnectDeps } from '../deps.ts';
import { expiresAtSchema } from '../wire.ts';

/** Wire contract B.5: longest token text. */
const TOKEN_CHARACTERS_MAX = 16_384;
const token = z.string().min(1).max(TOKEN_CHARACTERS_MAX);

const override = z
  .strictObject({ client_id: z.string().max(255).optional(), client_secret: z.string().max(2_048).optional() })
  .optional();

const credentialsBody = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('OAUTH2'),
    access_token: token,
    refresh_token: token.optional(),
    expires_at: expiresAtSchema.optional(),
    config_override: override,
  }),
  z.strictObject({ type: z.literal('API_KEY'), apiKey: z.string().min(1).max(1_024) }),
  z.strictObject({ type: z.literal('BASIC'), username: z.string().max(1_024), password: z.string().max(1_024) }),
  z.strictObject({ type: z.literal('NONE') }),
  z.strictObject({
    type: z.literal('OAUTH1'),
    oauth_token: z.string().min(1).max(2_048),
    oauth_token_secret: z.string().min(1).max(2_048),
  }),
  z.strictObject({
    type: z.literal('APP'),
    app_id: z.string().min(1).max(255),
    installation_id: z.string().regex(/^[1-9][0-9]{0,19}$/, 'The number of an installation.'),
  }),
  z.strictObject({
    type: z.literal('OAUTH2_CC'),
    token: z.string().min(1).max(4_096),
    expires_at: expiresAtSchema.optional(),
    client_id: z.string().min(1).max(255),
    client_secret: z.string().max(2_048).optional(),
    client_certificate: z.string().max(10_000).optional(),
    client_private_key: z.string().max(10_000).optional(),
  }),
]);

/** The wire form as we keep it. */
function toCredential(body: z.output<typeof credentialsBody>): Credential {
  switch (body.type) {
    case 'OAUTH2':
    case 'OAUTH1':
      return { ...body, raw: {} };
    case 'APP':
      // Without a token: the first use asks for one.
      return {
        type: body.type,
        token: '',
        expires_at: new Date(0).toISOString(),
        raw: {},
        fields: { installation_id: body.installation_id },
      };
    case 'OAUTH2_CC': {
      const { type, token: value, expires_at, ...form } = body;
      return { type, token: value, expires_at, raw: {}, fields: given(form) };
    }
    case 'API_KEY':
    case 'BASIC':
    case 'NONE':
      return body;
  }
}

/** Without what was not given. */
function given(form: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(Object.entries(form).filter((entry): entry is [string, string] => !!entry[1]));
}

/** Brings a connection in from elsewhere; the same id again overrides. Answers 201. */
export function importConnectionRoute(deps: ConnectDeps) {
  return defineRoute({
    method: 'POST',
    path: '/connections',
    summary: 'Import a connection with its credentials',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.connectionsCreate },
    query: z.strictObject({}),
    body: z.strictObject({
      provider_config_key: PROVIDER_CONFIG_KEY,
      credentials: credentialsBody,
      connection_id: CONNECTION_ID.optional(),
      metadata: z.record(z.string(), z.unknown()).optional(),
      connection_config: z.record(z.string(), z.unknown()).optional(),
      webhook_url_override: webhookOverrideSchema.optional(),
      end_user: endUserSchema.optional(),
      tags: tagsSchema.optional(),
    }),
    errors: [
      'not_found',
      'invalid_body',
      'connection_test_failed',
      'connection_validation_failed',
      'account_already_connected',
      'account_changed',
    ],
    async handle(request) {
      const { body } = request;
      const environment = environmentOf(request);
      const integration = await deps.integrations.byKey(environment.id, body.provider_config_key);
      if (integration === undefined) {
        throw connectionErrors.fail('not_found', { message: 'No integration has this provider_config_key.' });
      }
      if (body.credentials.type === 'APP' && body.credentials.app_id !== integration.client?.clientId) {
        const message = 'This is not the app of the integration.';
        throw connectionErrors.fail('invalid_body', {
          message,
          errors: [{ code: 'custom', message, path: ['credentials', 'app_id'] }],
        });
      }
      await checkWebhookUrl(deps, body.webhook_url_override, ['webhook_url_override']);
      const endUser = readEndUser(body.end_user);
      const imported = await importConnection(deps, {
        environmentId: environment.id,
        integration,
        connectionId: body.connection_id ?? randomId(),
        credential: toCredential(body.credentials),
        connectionConfig: {
          ...body.connection_config,
          ...(body.credentials.type === 'APP' && { installation_id: body.credentials.installation_id }),
        },
        metadata: body.metadata,
        // An override that names neither is about the credential: the labels stay, as the end user does.
        tags: endUser === undefined && body.tags === undefined ? undefined : tagsFor(endUser, body.tags),
        endUser,
        webhookUrlOverride: body.webhook_url_override || undefined,
      });
      const { endUserId } = imported.connection;
      return {
        status: 201,
        body: connectionToWire({
          connection: imported.connection,
          integration,
          endUser: endUserId === undefined ? undefined : await deps.connections.endUser(environment.id, endUserId),
          credentials: credentialToWire(imported.credential),
          dates: 'zulu',
          withRefreshToken: false,
        }),
      };
    },
  });
}
