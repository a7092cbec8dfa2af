/** In `hawser dev` every provider can be connected offline: the ones without an emulator get one made from their file. */
import { errorText, type Log } from '../../base/log.ts';
import type { EmulatorHandle, Emulators } from '../../../emulators/index.ts';
import type { Integration } from '../../features/integrations/index.ts';

/** Where providers send people back, and where after the installation of an app. */
const CALLBACK_PATH = '/oauth/callback';
const SETUP_PATH = '/app-auth/connect';

/**
 * The emulator of an emulated integration, which knows the integration as its app. Undefined, with one line in the log,
 * for a provider that cannot be played.
 */
export function createPlayer(deps: { emulators: Emulators; url: () => string; log: Log }) {
  const told = new Set<string>();
  return (integration: Integration): EmulatorHandle | undefined => {
    const { provider, client, integrationConfig, uniqueKey } = integration;
    try {
      const handle = deps.emulators.play(provider, integrationConfig);
      if (client !== undefined) {
        const app = { clientId: client.clientId, secret: client.clientSecret };
        const path = client.type === 'APP' ? SETUP_PATH : CALLBACK_PATH;
        handle.adoptApp(app, { name: uniqueKey, redirectUri: new URL(path, deps.url()).href });
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
