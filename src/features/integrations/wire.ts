/** Shapes of the integration routes (wire contract A.6, B.3). */
import { z } from 'zod';
import type { ClientCredentials, Integration } from './model.ts';

/** What an integration key may look like. */
export const PROVIDER_CONFIG_KEY = z
  .string()
  .max(255)
  .regex(/^[a-zA-Z0-9~:.@ _-]+$/, 'Letters, digits, space and ~ : . @ _ - only.');

export const keyParams = z.object({ uniqueKey: PROVIDER_CONFIG_KEY });

const SCOPES = /^$|^[0-9a-zA-Z:/_.*-]+(,[0-9a-zA-Z:/_.*-]+)*$/;

/** Longest private key, PEM or base64 of it. */
const KEY_LENGTH_MAX = 20_000;

const appBody = z.strictObject({
  type: z.literal('APP'),
  app_id: z.string().min(1).max(255),
  app_link: z.string().min(1).max(2_048),
  private_key: z.string().min(1).max(KEY_LENGTH_MAX),
});

const oauthBody = z.strictObject({
  // AWS_SIGV4 is ours: access key id and secret access key of the app's own account.
  type: z.enum(['OAUTH2', 'OAUTH1', 'AWS_SIGV4', 'TBA', 'CUSTOM']),
  client_id: z.string().min(1).max(255),
  client_secret: z.string().min(1),
  scopes: z.string().regex(SCOPES, 'A comma-separated list of scopes.').optional(),
  webhook_secret: z.string().max(255).optional(),
});

const clientBody = z.discriminatedUnion('type', [oauthBody, appBody]);

const common = {
  display_name: z.string().min(1).max(255).optional(),
  credentials: clientBody.optional(),
  forward_webhooks: z.boolean().optional(),
  integration_config: z.record(z.string(), z.string()).optional(),
  custom: z.record(z.string(), z.string()).optional(),
};

export const createBody = z.strictObject({
  provider: z.string().regex(/^[a-zA-Z0-9_-]+$/),
  unique_key: PROVIDER_CONFIG_KEY,
  ...common,
});

export const updateBody = z.strictObject({ unique_key: PROVIDER_CONFIG_KEY.optional(), ...common });

/** Reads the wire form; undefined stays undefined. */
export function readClient(body: z.output<typeof clientBody> | undefined): ClientCredentials | undefined {
  if (body === undefined) return undefined;
  if (body.type === 'APP') {
    return {
      type: 'APP',
      clientId: body.app_id,
      clientSecret: readKey(body.private_key),
      appLink: body.app_link,
      scopes: [],
      webhookSecret: undefined,
    };
  }
  return {
    type: body.type === 'OAUTH1' || body.type === 'AWS_SIGV4' ? body.type : 'OAUTH2',
    clientId: body.client_id,
    clientSecret: body.client_secret,
    scopes: (body.scopes ?? '').split(',').filter((scope) => scope !== ''),
    webhookSecret: body.webhook_secret,
  };
}

/** A key comes as PEM, or as we hand it out: base64 of the PEM (wire contract B.3). */
function readKey(text: string): string {
  if (text.includes('-----BEGIN')) return text;
  const decoded = Buffer.from(text, 'base64').toString('utf8');
  return decoded.includes('-----BEGIN') ? decoded : text;
}

export interface WireIntegration {
  unique_key: string;
  provider: string;
  display_name: string;
  logo: string;
  forward_webhooks: boolean;
  created_at: string;
  updated_at: string;
  /** Extension: true when the provider is played by the emulator. */
  emulated: boolean;
  webhook_url?: string | null;
  credentials?: Record<string, string | null> | null;
}

/** Path of the URL that a provider sends the webhooks of an integration to (wire contract E). */
export function webhookPath(environment: { uuid: string }, uniqueKey: string): string {
  return `/webhook/${environment.uuid}/${encodeURIComponent(uniqueKey)}`;
}

export function toWire(integration: Integration, serverUrl: string): WireIntegration {
  return {
    unique_key: integration.uniqueKey,
    provider: integration.provider.name,
    display_name: integration.displayName ?? integration.provider.displayName,
    logo: `${serverUrl}/images/template-logos/${integration.provider.name}.svg`,
    forward_webhooks: integration.forwardWebhooks,
    created_at: integration.createdAt.toISOString(),
    updated_at: integration.updatedAt.toISOString(),
    emulated: integration.emulated,
  };
}

/** The client credentials on the wire; null for modes that have none. */
export function credentialsToWire(integration: Integration): Record<string, string | null> | null {
  const client = integration.client;
  if (client === undefined) return null;
  if (client.type === 'APP') {
    return {
      type: 'APP',
      app_id: client.clientId,
      app_link: client.appLink ?? null,
      private_key: Buffer.from(client.clientSecret, 'utf8').toString('base64'),
    };
  }
  return {
    type: client.type,
    client_id: client.clientId,
    client_secret: client.clientSecret,
    scopes: client.scopes.length > 0 ? client.scopes.join(',') : null,
    webhook_secret: client.webhookSecret ?? null,
  };
}
