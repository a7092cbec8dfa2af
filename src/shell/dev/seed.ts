/**
 * What `hawser dev` puts into an empty `dev` environment: the app registered at each emulator, and an ordinary
 * integration for it whose provider is played by the emulator.
 */
import { isHawserError } from '../../base/errors.ts';
import { AppError, type App, type Emulators, type EmulatorName } from '../../../emulators/index.ts';
import type { Services } from '../node.ts';

/** Integration key → catalogue name and the emulator that plays it. */
export const SEEDED: { key: string; provider: string; emulator: EmulatorName; about: string }[] = [
  { key: 'checkr-partner', provider: 'checkr-partner', emulator: 'checkr', about: 'background checks' },
  { key: 'xref', provider: 'xref', emulator: 'xref', about: 'reference checks' },
  { key: 'checkbook', provider: 'checkbook', emulator: 'checkbook', about: 'payments' },
];

const APP_NAME = 'Hawser (dev)';

/**
 * Brings emulators and integrations in line. Safe to repeat: ids, secrets and connections stay; an integration that a
 * developer made real (`custom.emulated` gone) is left alone. `webhooks` false: the emulators tell nothing.
 */
export async function seedDev(
  services: Services,
  emulators: Emulators,
  callbackUrl: string,
  options: { webhooks?: boolean } = {},
): Promise<void> {
  const environment = await services.environments.byName('dev');
  if (environment === undefined) throw new Error('the dev environment is missing');
  for (const { key, provider, emulator } of SEEDED) {
    const app = register(services, emulators, emulator, callbackUrl);
    if (app === undefined) continue;
    const client = {
      type: 'OAUTH2' as const,
      clientId: app.clientId,
      clientSecret: app.liveSecret,
      scopes: [],
      webhookSecret: undefined,
    };
    const existing = await services.integrations.byKey(environment.id, key);
    if (existing === undefined) {
      await services.integrations
        .create(environment.id, { provider, uniqueKey: key, client, custom: { emulated: 'true' } })
        .catch((error: unknown) => {
          if (!isHawserError(error, 'invalid_body')) throw error; // another node seeded it in the meantime
        });
    } else if (existing.emulated && existing.client?.clientId !== app.clientId) {
      await services.integrations.update(environment.id, key, { client });
    }
    if (options.webhooks !== false) await registerWebhook(services, emulators, environment.id, key, emulator);
  }
}

/** Makes the emulator tell what happens, and the integration know its key where that is not the client secret. */
async function registerWebhook(
  services: Services,
  emulators: Emulators,
  environmentId: number,
  key: string,
  name: EmulatorName,
): Promise<void> {
  const integration = await services.integrations.byKey(environmentId, key);
  const { verify } = integration?.provider.webhooks ?? {};
  if (integration === undefined || verify === undefined || !integration.emulated) return;
  const webhookUrl = await services.inbound.webhookUrl(integration);
  const emulator = emulators.get(name);
  const own = emulator.apps().find((app) => app.name === APP_NAME);
  if (own === undefined) return;
  const app = own.webhookUrl === webhookUrl ? own : emulator.editApp(own.clientId, { webhookUrl });
  const signsWithClient = verify.kind === 'hmac' && verify.secrets.includes('client');
  if (signsWithClient || integration.webhookSecret === app.webhookKey || app.webhookKey === undefined) return;
  const custom = { ...integration.custom, webhookSecret: app.webhookKey };
  await services.integrations.update(environmentId, key, { custom });
}

/** The app of the developer gets every event of `dev`, under one URL however often the server starts. */
export async function seedEndpoint({ environments, outbound }: Services, url: string): Promise<void> {
  const environment = await environments.byName('dev');
  if (environment === undefined) throw new Error('the dev environment is missing');
  await outbound.endpoints.changeSettings(environment.id, { primaryUrl: url });
  const endpoints = await outbound.endpoints.list(environment.id);
  const primary = endpoints.find(({ role }) => role === 'primary');
  if (primary !== undefined)
    await outbound.endpoints.change(environment.id, primary.id, { kinds: null, enabled: true });
}

/** The app at the emulator; undefined when the callback address is none that a provider would take. */
function register(services: Services, emulators: Emulators, name: EmulatorName, callbackUrl: string): App | undefined {
  try {
    const url = new URL('/', callbackUrl).href;
    return emulators.get(name).ensureApp(APP_NAME, { url, redirectUri: callbackUrl });
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    services.log.warn('the example integration was not made: its provider refuses the callback address', {
      emulator: name,
      callbackUrl,
    });
    return undefined;
  }
}
