/** In `hawser dev` every provider can be connected offline: the ones without an emulator get one made from their file. */
import { errorText, type Log } from '../../base/log.ts';
import type { EmulatorHandle, Emulators } from '../../../emulators/index.ts';
import type { Integration } from '../../features/integrations/index.ts';

/**
 * The emulator of an emulated integration, which knows the integration as its app. Undefined, with one line in the log,
 * for a provider that cannot be played.
 */
export function createPlayer(deps: { emulators: Emulators; callbackUrl: () => string; log: Log }) {
  const told = new Set<string>();
  return (integration: Integration): EmulatorHandle | undefined => {
    const { provider, client, integrationConfig, uniqueKey } = integration;
    try {
      const handle = deps.emulators.play(provider, textsOf(integrationConfig));
      if (client?.type === 'OAUTH2') {
        const app = { clientId: client.clientId, secret: client.clientSecret };
        handle.adoptApp(app, { name: uniqueKey, redirectUri: deps.callbackUrl() });
      }
      return handle;
    } catch (error) {
      if (!told.has(uniqueKey)) {
        told.add(uniqueKey);
        deps.log.warn('a provider cannot be played', { integration: uniqueKey, error: errorText(error) });
      }
      return undefined;
    }
  };
}

function textsOf(config: Record<string, unknown>): Record<string, string> {
  const texts = Object.entries(config).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  return Object.fromEntries(texts);
}
