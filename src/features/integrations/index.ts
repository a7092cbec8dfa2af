/**
 * @module features/integrations
 *
 * A provider set up in an environment with the app's own client id and secret. Owns table `integration`.
 * Invariants: the client secret is sealed at rest; a key names one integration per environment; every URL of a
 * provider passes {@link Integrations.targetUrl}, which maps it to the emulator when the integration is emulated.
 */
export type { ClientCredentials, Integration, IntegrationInput, Integrations } from './model.ts';
export { createIntegrations, type IntegrationService } from './service.ts';
export { integrationErrors } from './errors.ts';
export { integrationRoutes } from './routes/index.ts';
export { credentialsToWire, PROVIDER_CONFIG_KEY, toWire as integrationToWire, webhookPath } from './wire.ts';
