/**
 * @module features/providers
 *
 * The catalogue as the rest of the product and the API see it. Owns no table.
 * Invariants: entries never change while the program runs; nothing here is specific to one provider.
 */
export type { Providers, ProviderSpec } from './model.ts';
export { createProviders } from './service.ts';
export { wireProvider, wireProviderShape, type WireProvider } from './wire.ts';
export { initialsSvg } from './logo.ts';
export { providerErrors } from './errors.ts';
export { providerRoutes } from './routes/index.ts';
