/** How calls name syncs and where they aim (wire contract B.8). */
import { z } from 'zod';
import type { HawserError } from '../../base/errors.ts';
import { CONNECTION_ID, connectionErrors, type Connection } from '../connections/index.ts';
import { integrationErrors } from '../integrations/index.ts';
import { syncErrors } from './errors.ts';
import { BASE_VARIANT, type SyncName, type SyncTarget } from './model.ts';
import type { SyncRouteDeps } from './routes/index.ts';

/** Wire contract J.2. */
export const SYNCS_MAX = 256;

const name = z.string().min(1).max(255);
const named = z.strictObject({ name, variant: name });

/** `"name"`, `"name::variant"` or `{name, variant}`. */
export const syncNameSchema = z.union([name, named]).transform(readName);
export const syncNamesSchema = z.array(syncNameSchema).max(SYNCS_MAX);

function readName(value: string | SyncName): SyncName {
  if (typeof value !== 'string') return value;
  const [first = '', ...rest] = value.split('::');
  return rest.length === 0 ? { name: first, variant: BASE_VARIANT } : { name: first, variant: rest.join('::') };
}

/** Headers that older clients send instead of body fields. */
export const targetHeaders = z.object({
  'provider-config-key': z.string().max(255).optional(),
  'connection-id': CONNECTION_ID.optional(),
});

/** A named copy of a sync of one connection. */
export const variantParams = z.object({ name: z.string().min(1).max(255), variant: z.string().min(1).max(255) });
export const variantBody = z.strictObject({
  provider_config_key: z.string().min(1).max(255),
  connection_id: CONNECTION_ID,
});

/** Errors: `missing_provider_config_key`, `unknown_provider_config`, `unknown_connection` (404, or what is given). */
export async function targetOf(
  deps: SyncRouteDeps,
  environmentId: number,
  key: string | undefined,
  connectionId: string | undefined,
  unknownConnection: () => HawserError = () => connectionErrors.fail('unknown_connection'),
): Promise<SyncTarget> {
  if (key === undefined) throw syncErrors.fail('missing_provider_config_key');
  const integration = await deps.integrations.byKey(environmentId, key);
  if (integration === undefined) throw integrationErrors.fail('unknown_provider_config');
  if (connectionId === undefined) return { environmentId, integration, connection: undefined };
  const connection = await deps.connections.byPublicId(environmentId, integration.id, connectionId);
  if (connection === undefined) throw unknownConnection();
  return { environmentId, integration, connection };
}

/** The same for calls about one connection: unknown is 400 there. */
export async function connectionTargetOf(
  deps: SyncRouteDeps,
  environmentId: number,
  key: string,
  connectionId: string,
): Promise<SyncTarget & { connection: Connection }> {
  const target = await targetOf(deps, environmentId, key, connectionId, () =>
    connectionErrors.fail('unknown_connection', { status: 400 }),
  );
  return { ...target, connection: target.connection as Connection };
}
