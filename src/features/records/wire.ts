/** How calls name a place (wire contract B.7): two headers for the connection, `model` and `variant`. */
import { z } from 'zod';
import { CONNECTION_ID, connectionErrors } from '../connections/index.ts';
import { integrationErrors, PROVIDER_CONFIG_KEY } from '../integrations/index.ts';
import type { RecordPlace } from './model.ts';
import type { RecordRouteDeps } from './routes/index.ts';

export const connectionHeaders = z.object({
  'connection-id': CONNECTION_ID,
  'provider-config-key': PROVIDER_CONFIG_KEY,
});

const NAME_CHARS_MAX = 255;
export const modelSchema = z.string().min(1).max(NAME_CHARS_MAX);
export const variantSchema = z.string().max(NAME_CHARS_MAX).optional();

/** The model as it is stored: a named copy of a sync has its own. */
export function storedModel(model: string, variant: string | undefined): string {
  return variant === undefined || variant === '' || variant === 'base' ? model : `${model}::${variant}`;
}

/** Errors: `unknown_provider_config`, `unknown_connection`, both 400 here. */
export async function placeOf(
  { integrations, connections }: RecordRouteDeps,
  environmentId: number,
  headers: z.output<typeof connectionHeaders>,
  named: { model: string; variant?: string | undefined },
): Promise<RecordPlace> {
  const integration = await integrations.byKey(environmentId, headers['provider-config-key']);
  if (integration === undefined) throw integrationErrors.fail('unknown_provider_config');
  const connection = await connections.byPublicId(environmentId, integration.id, headers['connection-id']);
  if (connection === undefined) throw connectionErrors.fail('unknown_connection', { status: 400 });
  return { environmentId, connectionId: connection.id, model: storedModel(named.model, named.variant) };
}
