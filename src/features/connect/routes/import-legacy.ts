import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { CONNECTION_ID, connectionErrors } from '../../connections/index.ts';
import type { Credential } from '../../credentials/index.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { integrationErrors, PROVIDER_CONFIG_KEY } from '../../integrations/index.ts';
import { importConnection } from '../import.ts';
import type { ConnectDeps } from '../deps.ts';
import { expiresAtSchema } from '../wire.ts';

/** A hundred years: what no date can hold must not be a fault of ours. */
const EXPIRES_IN_MAX_SECONDS = 3_155_760_000;

const body = z.strictObject({
  connection_id: CONNECTION_ID,
  provider_config_key: PROVIDER_CONFIG_KEY,
  access_token: z.string().min(1).optional(),
  refresh_token: z.string().min(1).optional(),
  expires_at: expiresAtSchema.optional(),
  expires_in: z.coerce.number().int().positive().max(EXPIRES_IN_MAX_SECONDS).optional(),
  no_expiration: z.boolean().optional(),
  api_key: z.string().min(1).optional(),
  oauth_token: z.string().min(1).max(2_048).optional(),
  oauth_token_secret: z.string().min(1).max(2_048).optional(),
  username: z.string().optional(),
  password: z.string().optional(),
  metadata: z.record(z.string(), z.unknown()).optional(),
  connection_config: z.record(z.string(), z.unknown()).optional(),
});

/** The flat import of old scripts (wire contract B.5). Answers 201 with the body. */
export function importLegacyRoute(deps: ConnectDeps) {
  return defineRoute({
    method: 'POST',
    path: '/connection',
    summary: 'Import a connection (deprecated form)',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.connectionsCreate },
    body,
    errors: [
      'unknown_provider_config',
      'invalid_body',
      'connection_test_failed',
      'connection_validation_failed',
      'account_already_connected',
      'account_changed',
    ],
    documented: false,
    async handle(request) {
      const input = request.body;
      const environmentId = environmentOf(request).id;
      const integration = await deps.integrations.byKey(environmentId, input.provider_config_key);
      if (integration === undefined) throw integrationErrors.fail('unknown_provider_config');
      await importConnection(deps, {
        environmentId,
        integration,
        connectionId: input.connection_id,
        credential: readCredential(input, deps.clock.now()),
        connectionConfig: input.connection_config ?? {},
        metadata: input.metadata,
        tags: undefined,
        endUser: undefined,
        webhookUrlOverride: undefined,
      });
      return { status: 201, body: input };
    },
  });
}

function readCredential(input: z.output<typeof body>, nowMs: number): Credential {
  const { expires_in: expiresIn } = input;
  const expiresAt = expiresIn === undefined ? input.expires_at : new Date(nowMs + expiresIn * 1_000).toISOString();
  if (input.access_token !== undefined) {
    return {
      type: 'OAUTH2',
      access_token: input.access_token,
      refresh_token: input.refresh_token,
      expires_at: input.no_expiration ? undefined : expiresAt,
      raw: {},
    };
  }
  if (input.api_key !== undefined) return { type: 'API_KEY', apiKey: input.api_key };
  if (input.oauth_token !== undefined && input.oauth_token_secret !== undefined) {
    const { oauth_token, oauth_token_secret } = input;
    return { type: 'OAUTH1', oauth_token, oauth_token_secret, raw: {} };
  }
  if (input.username !== undefined) {
    return { type: 'BASIC', username: input.username, password: input.password ?? '' };
  }
  throw connectionErrors.fail('invalid_body', {
    message: 'Give access_token, api_key, oauth_token and oauth_token_secret, or username and password.',
  });
}
