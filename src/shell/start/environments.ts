import type { Environments } from '../../features/environments/index.ts';
import { isHawserError } from '../../base/errors.ts';
import { randomId } from '../../base/ids.ts';
import type { HawserFile } from './data-dir.ts';

/** The environments every installation begins with (wire contract A.3). */
const FIRST_ENVIRONMENTS = [
  { name: 'dev', isProduction: false },
  { name: 'prod', isProduction: true },
];

/**
 * Makes `dev` and `prod` on a new database and a key for each that this data folder does not know. Two nodes may do it
 * at once. Resolves to what `hawser.json` shall hold.
 */
export async function ensureEnvironments(
  environments: Environments,
  known: HawserFile | undefined,
): Promise<{ entries: HawserFile['environments']; created: boolean }> {
  const entries: HawserFile['environments'] = {};
  let created = false;
  for (const wanted of FIRST_ENVIRONMENTS) {
    const environment =
      (await environments.byName(wanted.name)) ??
      (await environments.create(wanted).catch(async (error: unknown) => {
        if (!isHawserError(error, 'conflict')) throw error;
        return environments.byName(wanted.name); // the other node was faster
      }));
    if (environment === undefined) throw new Error(`environment ${wanted.name} is missing`);
    const old = known?.environments[wanted.name]?.apiKey;
    const principal = old === undefined ? undefined : await environments.byKey(old);
    let apiKey = old;
    if (apiKey === undefined || principal?.environment.id !== environment.id) {
      const first = await environments
        .createKey({ environmentId: environment.id, displayName: 'default' })
        .catch((error: unknown) => {
          if (!isHawserError(error, 'conflict')) throw error;
          // Another data folder holds the first key; this one gets its own.
          const displayName = `start ${randomId().slice(0, 8)}`;
          return environments.createKey({ environmentId: environment.id, displayName });
        });
      apiKey = first.secret;
      created = true;
    }
    entries[wanted.name] = { apiKey, webhookSigningKey: await environments.webhookSigningKey(environment.id) };
  }
  return { entries, created };
}
