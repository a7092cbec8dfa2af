import { z } from 'zod';
import type { Issue } from '../../base/errors.ts';
import { randomSecret, secretHash } from '../../base/ids.ts';
import type { Environment, Principal } from '../../base/route.ts';
import { checkField } from '../../base/template.ts';
import {
  checkWebhookUrl,
  endUserSchema,
  organizationSchema,
  readEndUser,
  tagsFor,
  tagsSchema,
  webhookOverrideSchema,
  type EndUser,
} from '../connections/index.ts';
import { PROVIDER_CONFIG_KEY, type Integration } from '../integrations/index.ts';
import { findSession, TOKEN_PREFIX } from './access.ts';
import type { ConnectDeps } from './deps.ts';
import { errors } from './errors.ts';
import { SESSION_LIFE_MS, type ConfigDefaults, type ConnectSession } from './model.ts';
import { isProtectedParam, scopeProblem, splitScopes } from './plan.ts';
import { insertSession, selectSessionById } from './store.ts';

/** Enough for any list of integrations a person would look at. */
const ALLOWED_MAX = 250;

const configDefaultsSchema = z.strictObject({
  user_scopes: z.string().max(2_048).optional(),
  authorization_params: z.record(z.string().max(64), z.string().max(2_048)).optional(),
  connection_config: z
    .looseObject({ oauth_scopes_override: z.string().max(2_048).optional() })
    .refine((config) => JSON.stringify(config).length <= 16_384, 'At most 16 KiB.')
    .optional(),
});

const common = {
  end_user: endUserSchema.optional(),
  organization: organizationSchema.optional(),
  tags: tagsSchema.optional(),
  integrations_config_defaults: z.record(PROVIDER_CONFIG_KEY, configDefaultsSchema).optional(),
  overrides: z
    .record(
      PROVIDER_CONFIG_KEY,
      z.strictObject({
        docs_connect: z
          .url({ protocol: /^https?$/ })
          .max(2_048)
          .optional(),
      }),
    )
    .optional(),
  webhook_url_override: webhookOverrideSchema.optional(),
};

/** Body of `POST /connect/sessions`. Source: wire contract B.6. */
export const createSessionSchema = z
  .strictObject({ ...common, allowed_integrations: z.array(PROVIDER_CONFIG_KEY).max(ALLOWED_MAX).optional() })
  .refine((body) => body.end_user !== undefined || body.tags !== undefined, {
    message: 'Give end_user or tags: how else would you know whose connection it is?',
    path: ['tags'],
  });

/** Body of `POST /connect/sessions/reconnect`. Source: wire contract B.6. */
export const reconnectSessionSchema = z.strictObject({
  ...common,
  connection_id: z.string().min(1).max(255),
  integration_id: PROVIDER_CONFIG_KEY,
});

type Common = Partial<Pick<z.output<typeof createSessionSchema>, keyof typeof common>>;

/** A new session as the app gets it; the token is here and nowhere else. */
export interface NewSession {
  token: string;
  connectLink: string;
  expiresAt: Date;
}

/** Starts a session for a new connection. Errors: `invalid_body`. */
export async function createSession(
  deps: ConnectDeps,
  environment: Environment,
  body: z.output<typeof createSessionSchema>,
): Promise<NewSession> {
  const allowed = body.allowed_integrations;
  const known = new Map((await deps.integrations.list(environment.id)).map((one) => [one.uniqueKey, one]));
  const missing = allowed?.findIndex((key) => !known.has(key)) ?? -1;
  if (missing >= 0) throw unknownIntegration(['allowed_integrations', missing]);
  const checked = await checkCommon(deps, body, known);
  const endUser = readEndUser(body.end_user, body.organization);
  return save(deps, {
    ...checked,
    environmentId: environment.id,
    endUser,
    tags: tagsFor(endUser, withOrganization(body)),
    // An empty list allows nothing: an app that computed it so must not get everything instead.
    allowedIntegrations: allowed,
    reconnectId: undefined,
  });
}

/** Starts a session that may repair one connection and do nothing else. Errors: `invalid_body`. */
export async function createReconnectSession(
  deps: ConnectDeps,
  environment: Environment,
  body: z.output<typeof reconnectSessionSchema>,
): Promise<NewSession> {
  const integration = await deps.integrations.byKey(environment.id, body.integration_id);
  if (integration === undefined) throw unknownIntegration(['integration_id']);
  const connection = await deps.connections.byPublicId(environment.id, integration.id, body.connection_id);
  if (connection === undefined) {
    throw invalidBody('There is no connection with this id at this integration.', ['connection_id']);
  }
  const known = new Map((await deps.integrations.list(environment.id)).map((one) => [one.uniqueKey, one]));
  const checked = await checkCommon(deps, body, known);
  return save(deps, {
    ...checked,
    environmentId: environment.id,
    endUser: readEndUser(body.end_user, body.organization),
    // Only tags the app gives now; the connection keeps its own otherwise.
    tags: body.tags ?? {},
    allowedIntegrations: [integration.uniqueKey],
    reconnectId: connection.id,
  });
}

/** The caller behind a session token, for the HTTP shell; undefined when the session is over. */
export async function sessionByToken(deps: ConnectDeps, token: string): Promise<Principal | undefined> {
  const session = await findSession(deps, token);
  const environment = session && (await deps.environments.byId(session.environmentId));
  if (session === undefined || environment === undefined) return undefined;
  const { id, allowedIntegrations, reconnectId } = session;
  return { kind: 'session', environment, session: { id, allowedIntegrations, reconnectId } };
}

/** The whole session behind a session principal; undefined when it ended meanwhile. */
export async function sessionOf(deps: ConnectDeps, principal: Principal): Promise<ConnectSession | undefined> {
  if (principal.kind !== 'session') return undefined;
  const session = await selectSessionById(deps.db, principal.environment.id, principal.session.id);
  return session === undefined || session.used ? undefined : session;
}

async function save(deps: ConnectDeps, session: Omit<ConnectSession, 'id' | 'expiresAt'>): Promise<NewSession> {
  const token = `${TOKEN_PREFIX}${randomSecret()}`;
  const expiresAt = new Date(deps.clock.now() + SESSION_LIFE_MS);
  await insertSession(deps.db, { ...session, tokenHash: secretHash(token), expiresAt });
  const link = new URL('/connect-ui/', deps.publicUrl());
  link.searchParams.set('session_token', token);
  return { token, connectLink: link.href, expiresAt };
}

async function checkCommon(
  deps: ConnectDeps,
  body: Common,
  known: Map<string, Integration>,
): Promise<Pick<ConnectSession, 'configDefaults' | 'overrides' | 'webhookUrlOverride'>> {
  const defaults = body.integrations_config_defaults ?? {};
  const overrides = body.overrides ?? {};
  for (const [name, table] of Object.entries({ integrations_config_defaults: defaults, overrides })) {
    const missing = Object.keys(table).find((key) => !known.has(key));
    if (missing !== undefined) throw unknownIntegration([name, missing]);
  }
  let webhookUrl = body.webhook_url_override;
  let webhookPath: Issue['path'] = ['webhook_url_override'];
  const kept: Record<string, ConfigDefaults> = {};
  for (const [key, values] of Object.entries(defaults)) {
    const path = ['integrations_config_defaults', key];
    checkDefaults(known.get(key) as Integration, values, path);
    // Deprecated place of the override (wire contract B.6).
    const { webhook_url: moved, ...config } = values.connection_config ?? {};
    if (typeof moved === 'string' && webhookUrl === undefined) {
      webhookUrl = moved;
      webhookPath = [...path, 'connection_config', 'webhook_url'];
    }
    kept[key] = { ...values, ...(values.connection_config && { connection_config: config }) };
  }
  await checkWebhookUrl(deps, webhookUrl, webhookPath);
  return { configDefaults: kept, overrides, webhookUrlOverride: webhookUrl === '' ? undefined : webhookUrl };
}

/** Errors: `invalid_body` when a default could never work or would undo a protection. */
function checkDefaults(integration: Integration, values: ConfigDefaults, path: string[]): void {
  const { provider } = integration;
  const blocked = Object.keys(values.authorization_params ?? {}).find((name) =>
    isProtectedParam(provider.oauth2, name),
  );
  if (blocked !== undefined) {
    const hint = blocked.includes('scope') ? ' Use connection_config.oauth_scopes_override or user_scopes.' : '';
    throw invalidBody(`"${blocked}" is set by Hawser and cannot be replaced.${hint}`, [
      ...path,
      'authorization_params',
      blocked,
    ]);
  }
  const config = values.connection_config ?? {};
  for (const [name, field] of Object.entries(provider.connectionConfig ?? {})) {
    const wrong = config[name] === undefined ? undefined : checkField(field, config[name]);
    if (wrong !== undefined) throw invalidBody(wrong, [...path, 'connection_config', name]);
  }
  const override = config['oauth_scopes_override'];
  if (typeof override === 'string' && override !== '') {
    const wrong = scopeProblem(provider.oauth2?.scopes, splitScopes(override), provider.displayName);
    if (wrong !== undefined) throw invalidBody(wrong, [...path, 'connection_config', 'oauth_scopes_override']);
  }
}

/** Organization tags also when there is no end user to carry them. */
function withOrganization(body: {
  end_user?: unknown;
  organization?: z.output<typeof organizationSchema> | undefined;
  tags?: Record<string, string> | undefined;
}): Record<string, string> | undefined {
  if (body.end_user !== undefined || body.organization === undefined) return body.tags;
  const carrier: EndUser = {
    id: '',
    email: undefined,
    displayName: undefined,
    tags: {},
    organization: { id: body.organization.id, displayName: body.organization.display_name },
  };
  return tagsFor(carrier, body.tags);
}

function unknownIntegration(path: Issue['path']) {
  return invalidBody('There is no integration with this key in this environment.', path);
}

function invalidBody(message: string, path: Issue['path']) {
  return errors.fail('invalid_body', { errors: [{ code: 'custom', message, path }] });
}
