/** `getConnection`, `getIntegration`, metadata, variables: in the form of the API. */
import { appJwt } from '../../../protocols/machine-token/index.ts';
import { connectionErrors, type Connection } from '../../connections/index.ts';
import { connectionToWire, credentialToWire, type LiveConnection } from '../../credentials/index.ts';
import { credentialsToWire, integrationErrors, integrationToWire, type Integration } from '../../integrations/index.ts';
import { runErrors } from '../errors.ts';
import { asObject } from './args.ts';
import type { HostDeps, HostMethods, HostRun } from './model.ts';

const METADATA_BYTES_MAX = 1024 ** 2;

export function connectionMethods(deps: HostDeps, host: HostRun): HostMethods {
  const { environmentId } = host.run;

  async function liveOf(key: string, id: string, force: boolean): Promise<LiveConnection> {
    const isOwn = key === host.integration.uniqueKey && id === host.connection.connectionId;
    const live =
      (isOwn ? host.candidate : undefined) ??
      (force ? undefined : deps.credentials.peek(environmentId, key, id)) ??
      (await deps.credentials.live(environmentId, key, id, { force }));
    host.redactor.learn(live);
    return live;
  }

  return {
    async getConnection(key: string | null, id: string | null, options: unknown) {
      const given = asObject(options ?? {});
      const { refreshToken, forceRefresh } = given;
      const integrationKey = key ?? host.integration.uniqueKey;
      const live = await liveOf(integrationKey, id ?? host.connection.connectionId, forceRefresh === true);
      const withRefreshToken = refreshToken === true;
      const isCandidate = live === host.candidate;
      // The credential in memory holds no refresh token; it is opened only when asked for.
      const full =
        withRefreshToken && !isCandidate ? (await deps.credentials.open(live.connection))?.credential : undefined;
      if (full !== undefined) host.redactor.learn({ credential: full });
      const values = credentialToWire(full ?? live.credential);
      if (wantsAppToken(given) && live.credential.type === 'APP') {
        values['jwtToken'] = appJwt({ client: live.integration.client, nowMs: deps.clock.now() });
      }
      const stored = isCandidate ? undefined : await deps.connections.byId(environmentId, live.connection.id);
      const connection = stored ?? live.connection;
      const endUser =
        connection.endUserId === undefined
          ? undefined
          : await deps.connections.endUser(environmentId, connection.endUserId);
      return connectionToWire({
        connection,
        integration: live.integration,
        endUser,
        credentials: values,
        dates: 'offset',
        withRefreshToken,
      });
    },

    async getIntegration(options: unknown) {
      const include = [asObject(options ?? {})['include'] ?? []].flat() as unknown[];
      // Read anew: the run may be older than the last change.
      const integration = (await deps.integrations.byId(environmentId, host.integration.id)) ?? host.integration;
      const wire = integrationToWire(integration, deps.serverUrl());
      if (include.includes('webhook')) wire.webhook_url = (await deps.webhookUrl(integration)) ?? null;
      if (include.includes('credentials')) {
        wire.credentials = credentialsToWire(integration);
        const secret = integration.client?.clientSecret;
        if (secret !== undefined) host.redactor.learn({ credential: { type: 'API_KEY', apiKey: secret } });
      }
      return wire;
    },

    setMetadata: (metadata: unknown) => writeMetadata(metadata, false),
    updateMetadata: (metadata: unknown) => writeMetadata(metadata, true),
    getWebhookURL: async () => (await deps.webhookUrl(host.integration)) ?? null,
    getEnvironmentVariables: () => deps.variables.list(environmentId),
  };

  async function writeMetadata(metadata: unknown, merge: boolean): Promise<null> {
    const isObject = typeof metadata === 'object' && metadata !== null && !Array.isArray(metadata);
    if (!isObject || Buffer.byteLength(JSON.stringify(metadata)) > METADATA_BYTES_MAX) {
      throw runErrors.fail('invalid_metadata');
    }
    if (host.candidate !== undefined) throw connectionErrors.fail('unknown_connection');
    const unknown = await deps.connections.setMetadata({
      environmentId,
      integrationId: host.integration.id,
      connectionIds: [host.connection.connectionId],
      metadata,
      merge,
    });
    if (unknown.length > 0) throw connectionErrors.fail('unknown_connection');
    return null;
  }
}

/** The option has a provider's name in it (wire contract F.3); what it asks for is the app's own signed token. */
function wantsAppToken(options: Record<string, unknown>): boolean {
  return Object.entries(options).some(([name, value]) => /^refresh\w*AppJwtToken$/.test(name) && value === true);
}

/** Another connection of the same environment. Errors: `unknown_provider_config`, `unknown_connection`. */
export async function findTarget(
  deps: Pick<HostDeps, 'integrations' | 'connections'>,
  environmentId: number,
  key: string,
  id: string,
): Promise<{ integration: Integration; connection: Connection }> {
  const integration = await deps.integrations.byKey(environmentId, key);
  if (integration === undefined) throw integrationErrors.fail('unknown_provider_config');
  const connection = await deps.connections.byPublicId(environmentId, integration.id, id);
  if (connection === undefined) throw connectionErrors.fail('unknown_connection');
  return { integration, connection };
}
