import { LRUCache } from 'lru-cache';
import { HawserError, type Issue } from '../../base/errors.ts';
import { parseWholeUrl } from '../../base/field.ts';
import { checkField } from '../../base/template.ts';
import type { AppSpec, OAuth2Spec, ProviderSpec } from '../../../catalogue/_spec/index.ts';
import { readPrivateKey } from '../../protocols/machine-token/index.ts';
import type { Clock } from '../../base/clock.ts';
import type { Database, Sql } from '../../platform/postgres/index.ts';
import type { Upstream } from '../../platform/upstream/index.ts';
import type { Vault } from '../environments/index.ts';
import type { Providers } from '../providers/index.ts';
import { createEndpoints } from './endpoints.ts';
import { integrationErrors } from './errors.ts';
import type { ClientCredentials, Integration, IntegrationInput, Integrations } from './model.ts';
import {
  countConnections,
  holdLiving,
  insertIntegration,
  markDeleted,
  selectAll,
  selectById,
  selectByKey,
  updateCredentials,
  updateIntegration,
  type IntegrationRow,
  type IntegrationValues,
} from './store.ts';

/** A change elsewhere is seen within this time even when a notification was lost. */
const CACHE_TTL_MS = 60_000;
const CACHED_MAX = 10_000;
const UNIQUE_VIOLATION = '23505';

export interface IntegrationService extends Integrations {
  /** The provider's OAuth 2 facts with the URLs filled by discovery where an issuer is set. Errors: `discovery_failed`. */
  oauth2Of(integration: Integration): Promise<OAuth2Spec>;
  /** Where a provider URL is really called: the emulator when emulated. Errors: `emulator_unavailable`. */
  targetUrl(integration: Integration, url: URL): URL;
  /** The RFC 7009 endpoint; undefined when the server has none. */
  revocationUrl(integration: Integration, connectionConfig?: Record<string, unknown>): Promise<URL | undefined>;
}

export async function createIntegrations(deps: {
  db: Database;
  vault: Vault;
  providers: Providers;
  upstream: Upstream;
  clock: Clock;
  /** Base of the emulators, without trailing slash; undefined when none run. */
  emulatorUrl: () => string | undefined;
  /** Told before an emulator is called for this integration, so that there is one. */
  onEmulated?: ((integration: Integration) => void) | undefined;
}): Promise<IntegrationService> {
  const { db, vault, providers } = deps;
  const known = new LRUCache<string, Integration>({ max: CACHED_MAX, ttl: CACHE_TTL_MS });
  const endpoints = createEndpoints(deps);
  /** Rises with every change: what was read before one is not kept after it. */
  let changes = 0;
  const forget = (): void => {
    changes += 1;
    known.clear();
  };

  await db.listen('hawser_changed', (payload) => {
    if (payload.startsWith('integration:')) forget();
  });
  // Also when it is back: nobody told of what was changed meanwhile.
  db.onListenState(forget);

  async function open(row: IntegrationRow): Promise<Integration | undefined> {
    const provider = providers.get(row.provider);
    if (provider === undefined) return undefined; // its catalogue file was removed: as if it were not there
    const sealed: SealedParts =
      row.credentials_sealed === null
        ? {}
        : (JSON.parse(await vault.open(placeOf(row), row.credentials_sealed)) as SealedParts);
    return {
      environmentId: row.environment_id,
      id: row.id,
      uniqueKey: row.unique_key,
      provider,
      displayName: row.display_name ?? undefined,
      client: isClient(sealed) ? sealed : undefined,
      webhookSecret: sealed.webhookSecret,
      integrationConfig: row.integration_config,
      custom: row.custom,
      forwardWebhooks: row.forward_webhooks,
      emulated: row.emulated,
      createdAt: row.created_at,
      updatedAt: row.updated_at,
    };
  }

  async function byKey(environmentId: number, uniqueKey: string): Promise<Integration | undefined> {
    const hit = peek(environmentId, uniqueKey);
    if (hit !== undefined) return hit;
    const before = changes;
    const row = await selectByKey(db, environmentId, uniqueKey);
    const integration = row && (await open(row));
    if (integration !== undefined && before === changes) known.set(`${environmentId}:${uniqueKey}`, integration);
    return integration;
  }

  function peek(environmentId: number, uniqueKey: string): Integration | undefined {
    return db.listening ? known.get(`${environmentId}:${uniqueKey}`) : undefined;
  }

  async function sealClient(
    tx: Sql,
    row: IntegrationRow,
    client: ClientCredentials | undefined,
    webhookSecret: string | undefined,
  ): Promise<IntegrationRow> {
    const parts: SealedParts = { ...client, webhookSecret };
    const isEmpty = client === undefined && webhookSecret === undefined;
    const sealed = isEmpty ? null : await vault.seal(placeOf(row), JSON.stringify(parts));
    await updateCredentials(tx, row.environment_id, row.id, sealed);
    return { ...row, credentials_sealed: sealed };
  }

  return {
    peek,
    byKey,
    oauth2Of: (integration) => endpoints.oauth2Of(integration),
    targetUrl: (integration, url) => endpoints.targetUrl(integration, url),
    revocationUrl: (integration, config) => endpoints.revocationUrl(integration, config),
    async byId(environmentId, id) {
      const row = await selectById(db, environmentId, id);
      return row && open(row);
    },
    holdLiving,
    async list(environmentId) {
      const opened = await Promise.all((await selectAll(db, environmentId)).map(open));
      return opened.filter((integration) => integration !== undefined);
    },
    async create(environmentId, input) {
      const provider = providers.get(input.provider);
      if (provider === undefined) {
        throw invalid('provider', `The catalogue has no provider "${input.provider}". List them with GET /providers.`);
      }
      checkInput(provider, input.client, input.integrationConfig ?? {});
      checkCustom(input.custom);
      const row = await db.transaction(async (tx) => {
        const inserted = await insertIntegration(tx, environmentId, provider.name, valuesOf(input));
        if (inserted === undefined) throw invalid('unique_key', 'This unique_key is taken. Choose another one.');
        return sealClient(tx, inserted, input.client, newWebhookSecret(input) || undefined);
      });
      return (await open(row)) as Integration;
    },
    async update(environmentId, uniqueKey, input) {
      // Also opens the environment's keys: the transaction is not to wait for another connection.
      const found = await selectByKey(db, environmentId, uniqueKey);
      if (found === undefined || (await open(found)) === undefined) throw integrationErrors.fail('not_found');
      try {
        const row = await db.transaction(async (tx) => {
          const old = await selectByKey(tx, environmentId, uniqueKey, { lock: true });
          const before = old && (await open(old));
          if (before === undefined) throw integrationErrors.fail('not_found');
          const merged = mergedInput(before, input);
          checkInput(before.provider, merged.client, merged.integrationConfig ?? {});
          checkCustom(merged.custom);
          if (merged.uniqueKey !== before.uniqueKey && (await countConnections(tx, environmentId, before.id)) > 0) {
            throw invalid('unique_key', 'The key cannot change while the integration has connections.');
          }
          const updated = await updateIntegration(tx, environmentId, before.id, valuesOf(merged));
          if (updated === undefined) throw integrationErrors.fail('not_found');
          const secret = newWebhookSecret(input);
          if (input.client === undefined && secret === undefined) return updated;
          // Empty text takes it away; what does not speak of it leaves it.
          return sealClient(tx, updated, merged.client, (secret ?? before.webhookSecret) || undefined);
        });
        forget();
        endpoints.forget();
        return (await open(row)) as Integration;
      } catch (error) {
        if ((error as { code?: string }).code === UNIQUE_VIOLATION)
          throw invalid('unique_key', 'This unique_key is taken.');
        throw error;
      }
    },
    async remove(environmentId, uniqueKey, beforeDelete) {
      const row = await selectByKey(db, environmentId, uniqueKey);
      const integration = row && (await open(row));
      if (integration === undefined) throw integrationErrors.fail('not_found');
      await db.transaction(async (tx) => {
        // Whoever connects at this moment is done before, and let go of, or finds it gone.
        if ((await selectByKey(tx, environmentId, uniqueKey, { lock: true })) === undefined)
          throw integrationErrors.fail('not_found');
        await beforeDelete?.(tx, integration);
        await markDeleted(tx, environmentId, integration.id);
      });
      forget();
    },
  };
}

/** The integration as it shall be: what is not given stays. */
function mergedInput(before: Integration, input: Partial<Omit<IntegrationInput, 'provider'>>): IntegrationInput {
  return {
    provider: before.provider.name,
    uniqueKey: input.uniqueKey ?? before.uniqueKey,
    displayName: input.displayName ?? before.displayName,
    client: input.client ?? before.client,
    integrationConfig: input.integrationConfig ?? before.integrationConfig,
    custom: input.custom ?? before.custom,
    forwardWebhooks: input.forwardWebhooks ?? before.forwardWebhooks,
  };
}

/** Checks what the developer typed against the provider's field table and mode. Errors: `invalid_body`. */
function checkInput(
  provider: ProviderSpec,
  client: ClientCredentials | undefined,
  config: Record<string, string>,
): void {
  const needsClient = ['OAUTH2', 'OAUTH1', 'AWS_SIGV4', 'APP'].includes(provider.authMode);
  if (needsClient && client?.type !== provider.authMode) {
    throw invalid(
      'credentials',
      `${provider.displayName} needs credentials of type ${provider.authMode} (${provider.authMode === 'APP' ? 'app_id, app_link, private_key' : 'client_id, client_secret'}).`,
    );
  }
  if (!needsClient && client !== undefined) {
    throw invalid('credentials', `${provider.displayName} takes no credentials in the integration.`);
  }
  if (provider.app !== undefined && client !== undefined) checkApp(provider.app, client);
  const fields = provider.integrationConfig ?? {};
  const errors: Issue[] = [];
  for (const [name, value] of Object.entries(config)) {
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    const wrong = field === undefined ? 'This provider has no such setting.' : checkField(field, value);
    if (wrong !== undefined) errors.push({ code: 'custom', message: wrong, path: ['integration_config', name] });
  }
  for (const [name, field] of Object.entries(fields)) {
    if (!field.optional && field.default === undefined && config[name] === undefined) {
      errors.push({ code: 'custom', message: `${field.title} is required.`, path: ['integration_config', name] });
    }
  }
  const allowed = (provider.oauth2 ?? provider.oauth1)?.scopes?.allowed;
  for (const scope of client?.scopes ?? []) {
    if (allowed !== undefined && !allowed.includes(scope)) {
      const message = `${provider.displayName} has no scope "${scope}". It has: ${allowed.join(', ')}.`;
      errors.push({ code: 'custom', message, path: ['credentials', 'scopes'] });
    }
  }
  if (errors.length > 0) throw integrationErrors.fail('invalid_body', { errors });
}

/** Custom settings that mean something to us, and what they may hold. */
const CUSTOM_OPTIONS: Readonly<Record<string, readonly string[]>> = {
  account_policy: ['separate', 'share', 'replace', 'refuse'],
  account_change: ['refuse', 'allow'],
};

/** A misspelt policy would silently be another one. Errors: `invalid_body`. */
function checkCustom(custom: Record<string, string> = {}): void {
  for (const [name, options] of Object.entries(CUSTOM_OPTIONS)) {
    const value = custom[name];
    if (value === undefined || options.includes(value)) continue;
    throw invalid(`custom.${name}`, `"${name}" is one of ${options.join(', ')}.`);
  }
}

/** The key must sign, and the page must be at the provider. Errors: `invalid_body`, `key_not_usable`. */
function checkApp(app: AppSpec, client: ClientCredentials): void {
  const link = parseWholeUrl(client.appLink ?? '');
  const fits = link?.protocol === 'https:' && link.search === '' && app.linkHosts.includes(link.host);
  if (!fits) {
    throw invalid(
      'credentials.app_link',
      `The page of the app must be an https address at ${app.linkHosts.join(' or ')}.`,
    );
  }
  readPrivateKey(client.clientSecret, 'RS256');
}

function invalid(field: string, message: string): HawserError {
  return integrationErrors.fail('invalid_body', {
    message,
    errors: [{ code: 'custom', message, path: field.split('.') }],
  });
}

/** What is sealed of an integration. The webhook secret is there also where the mode has no client. */
type SealedParts = Partial<ClientCredentials>;

function isClient(parts: SealedParts): parts is ClientCredentials {
  return parts.type !== undefined;
}

/** It comes with the client, or in the settings as other products take it (wire contract E). */
function newWebhookSecret({ client, custom }: Pick<IntegrationInput, 'client' | 'custom'>): string | undefined {
  return custom?.['webhookSecret'] ?? client?.webhookSecret;
}

function valuesOf(input: IntegrationInput): IntegrationValues {
  // Sealed with the client instead: custom settings are plain.
  const { webhookSecret: _sealed, ...custom } = input.custom ?? {};
  return {
    uniqueKey: input.uniqueKey,
    displayName: input.displayName,
    integrationConfig: input.integrationConfig ?? {},
    custom,
    forwardWebhooks: input.forwardWebhooks ?? true,
    emulated: custom['emulated'] === 'true',
  };
}

function placeOf(row: IntegrationRow) {
  return { environmentId: row.environment_id, table: 'integration', row: row.id, column: 'credentials_sealed' };
}
