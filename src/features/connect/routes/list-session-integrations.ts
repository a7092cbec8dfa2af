import { z } from 'zod';
import type { FieldSpec, Fields } from '../../../../catalogue/_spec/index.ts';
import { isHawserError } from '../../../base/errors.ts';
import { defineRoute } from '../../../base/route.ts';
import type { Integration } from '../../integrations/index.ts';
import type { ConnectDeps } from '../deps.ts';
import { errors } from '../errors.ts';
import type { ConfigDefaults, ConnectSession } from '../model.ts';
import { scopesOf } from '../plan.ts';
import { sessionOf } from '../sessions.ts';

/** A form field as the Connect page draws it. */
export interface WireField {
  name: string;
  title: string;
  description: string;
  kind: FieldSpec['kind'];
  options?: string[] | undefined;
  example?: string | undefined;
  default?: string | undefined;
  optional: boolean;
  secret: boolean;
}

/** An integration the session may connect, with everything its screen needs. */
export interface WireSessionIntegration {
  unique_key: string;
  display_name: string;
  provider: string;
  provider_display_name: string;
  logo: string;
  auth_mode: string;
  /** What connecting lets the app do, in a sentence. */
  summary: string;
  /** Asked of the customer, in the provider's names. */
  scopes: string[];
  emulated: boolean;
  docs: string | null;
  credentials: WireField[];
  /** Values the customer types; those the session fixes are left out. */
  connection_config: WireField[];
  /** What must be done at the provider to let go, when a disconnect here cannot. */
  disconnect_hint: string | null;
  /** When the same end user connected this before; newest. */
  connected_since: string | null;
}

/** Extension of ours: one call gives the Connect page all it shows. */
export function listSessionIntegrationsRoute(deps: ConnectDeps) {
  return defineRoute({
    method: 'GET',
    path: '/connect/session/integrations',
    summary: 'List what the present connect session may connect, with forms, scopes and texts',
    auth: { by: 'session' },
    query: z.strictObject({}),
    errors: ['unknown_connect_session_token'],
    async handle(request) {
      const session = await sessionOf(deps, request.principal);
      if (session === undefined) throw errors.fail('unknown_connect_session_token');
      const all = await deps.integrations.list(session.environmentId);
      const { allowedIntegrations: allowed } = session;
      const visible = all.filter((one) => allowed === undefined || allowed.includes(one.uniqueKey));
      const since = await connectedSince(deps, session);
      const serverUrl = deps.publicUrl().origin;
      return {
        headers: { 'cache-control': 'no-store' },
        body: { data: visible.map((one) => toWire(one, session, since.get(one.uniqueKey), serverUrl)) },
      };
    },
  });
}

/** Newest living connection of the session's end user per integration. */
async function connectedSince(deps: ConnectDeps, session: ConnectSession): Promise<Map<string, Date>> {
  const since = new Map<string, Date>();
  if (session.endUser === undefined) return since;
  const rows = await deps.connections.list({
    environmentId: session.environmentId,
    connectionId: undefined,
    search: undefined,
    endUserId: session.endUser.id,
    organizationId: undefined,
    integrationKeys: session.allowedIntegrations,
    tags: undefined,
    limit: 100,
    page: 0,
  });
  for (const row of rows) if (!since.has(row.integrationKey)) since.set(row.integrationKey, row.createdAt);
  return since;
}

function toWire(
  integration: Integration,
  session: ConnectSession,
  since: Date | undefined,
  serverUrl: string,
): WireSessionIntegration {
  const { provider, uniqueKey } = integration;
  const defaults = session.configDefaults[uniqueKey];
  return {
    unique_key: uniqueKey,
    display_name: integration.displayName ?? provider.displayName,
    provider: provider.name,
    provider_display_name: provider.displayName,
    logo: `${serverUrl}/images/template-logos/${provider.name}.svg`,
    auth_mode: provider.authMode,
    summary: provider.summary,
    scopes: scopesToShow(integration, defaults),
    emulated: integration.emulated,
    docs: session.overrides[uniqueKey]?.docs_connect ?? null,
    credentials: toFields(provider.credentials, {}),
    connection_config: toFields(provider.connectionConfig, defaults?.connection_config ?? {}),
    disconnect_hint: provider.disconnect.kind === 'unsupported' ? provider.disconnect.customerMustDo : null,
    connected_since: since?.toISOString() ?? null,
  };
}

function scopesToShow(integration: Integration, defaults: ConfigDefaults | undefined): string[] {
  try {
    return scopesOf(integration, defaults);
  } catch (error) {
    // A wrong scope is told when the customer presses the button, with its own sentence.
    if (isHawserError(error, 'invalid_scope')) return [];
    throw error;
  }
}

function toFields(fields: Fields | undefined, fixed: Record<string, unknown>): WireField[] {
  return Object.entries(fields ?? {})
    .filter(([name, field]) => !field.automated && fixed[name] === undefined)
    .toSorted(([, one], [, other]) => (one.order ?? 0) - (other.order ?? 0))
    .map(([name, field]) => ({
      name,
      title: field.title,
      description: field.description,
      kind: field.kind,
      options: field.options,
      example: field.example,
      default: field.default,
      optional: field.optional ?? false,
      secret: field.secret ?? false,
    }));
}
