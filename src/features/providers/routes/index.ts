import type { Route } from '../../../base/route.ts';
import type { Providers } from '../model.ts';
import { getLogo } from './get-logo.ts';
import { getProvider } from './get-provider.ts';
import { listProviders } from './list-providers.ts';

/** Routes of the slice. `serverUrl`: the public address, for `logo_url`. */
export function providerRoutes(deps: { providers: Providers; serverUrl: () => string }): Route[] {
  return [listProviders(deps), getProvider(deps), getLogo(deps)];
}
