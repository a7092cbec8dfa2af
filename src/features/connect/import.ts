import { checkField } from '../../base/template.ts';
import type { Issue } from '../../base/errors.ts';
import { connectionErrors, type Connection, type EndUser } from '../connections/index.ts';
import type { Integration } from '../integrations/index.ts';
import type { Credential } from '../credentials/index.ts';
import type { ConnectDeps } from './deps.ts';
import { keepConnection } from './keep.ts';
import { verifyCredential } from './verify.ts';

export interface ImportInput {
  environmentId: number;
  integration: Integration;
  connectionId: string;
  credential: Credential;
  connectionConfig: Record<string, unknown>;
  metadata: Record<string, unknown> | undefined;
  tags: Record<string, string> | undefined;
  endUser: EndUser | undefined;
  webhookUrlOverride: string | undefined;
}

/**
 * Stores a connection that the app brings along. A typed-in credential is proven first, and so is one that would end the
 * grant of other connections. A credential that is refused stays as it is at the provider: it is the app's own.
 *
 * Errors: `invalid_body` when type or config do not fit, `connection_test_failed`, `connection_validation_failed`,
 * `account_already_connected`, `account_changed`.
 */
export async function importConnection(
  deps: ConnectDeps,
  input: ImportInput,
): Promise<{ connection: Connection; credential: Credential }> {
  const { integration, credential } = input;
  if (credential.type !== integration.provider.authMode) {
    const message = `${integration.provider.displayName} takes credentials of type ${integration.provider.authMode}.`;
    throw connectionErrors.fail('invalid_body', {
      message,
      errors: [{ code: 'custom', message, path: ['credentials', 'type'] }],
    });
  }
  assertConfig(integration, input.connectionConfig);
  const accountKey = integration.provider.account?.idFrom;
  const accountId = accountKey === undefined ? undefined : input.connectionConfig[accountKey];
  const arrival = {
    environmentId: input.environmentId,
    integration,
    connectionId: input.connectionId,
    accountId: typeof accountId === 'string' && accountId !== '' ? accountId : undefined,
    isImport: true,
  };
  const takesPlace = await deps.accounts.takesPlace(arrival, credential);
  if (takesPlace || credential.type === 'API_KEY' || credential.type === 'BASIC') {
    await verifyCredential(deps, integration, input.connectionConfig, credential);
  }
  const expiresAt = expiryOf(credential);
  await deps.events?.validate({
    environmentId: input.environmentId,
    integration,
    connectionId: input.connectionId,
    connectionConfig: input.connectionConfig,
    credential,
    facts: { scope: undefined, expiresAt },
    tags: input.tags ?? {},
    existing: await deps.connections.byPublicId(input.environmentId, integration.id, input.connectionId),
  });
  const { connection, operation } = await deps.db.transaction((tx) =>
    keepConnection(deps, tx, {
      arrival,
      credential,
      facts: { scope: undefined, expiresAt },
      // What is known of the account still holds: an import asks nobody.
      values: ({ notReady }) => ({
        connectionConfig: input.connectionConfig,
        metadata: input.metadata,
        tags: input.tags,
        endUser: input.endUser,
        webhookUrlOverride: input.webhookUrlOverride,
        ...(notReady !== undefined && { state: notReady.state, stateReason: notReady.stateReason }),
      }),
    }),
  );
  deps.activity.record({
    environmentId: input.environmentId,
    kind: 'import',
    ok: true,
    connectionId: connection.id,
    integration: integration.uniqueKey,
    summary: operation === 'creation' ? 'Connection imported' : 'Connection overridden by an import',
  });
  return { connection, credential };
}

function expiryOf(credential: Credential): Date | undefined {
  return 'expires_at' in credential && credential.expires_at !== undefined
    ? new Date(credential.expires_at)
    : undefined;
}

/** Typed fields are checked at write, so that no template can be led astray later. Errors: `invalid_body`. */
function assertConfig(integration: Integration, config: Record<string, unknown>): void {
  const errors: Issue[] = [];
  for (const [name, field] of Object.entries(integration.provider.connectionConfig ?? {})) {
    const value = config[name];
    const wrong =
      value === undefined
        ? field.optional || field.automated || field.default !== undefined
          ? undefined
          : `${field.title} is required.`
        : checkField(field, value);
    if (wrong !== undefined) errors.push({ code: 'custom', message: wrong, path: ['connection_config', name] });
  }
  if (errors.length > 0) throw connectionErrors.fail('invalid_body', { errors });
}
