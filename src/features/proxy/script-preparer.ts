import { isHawserError } from '../../base/errors.ts';
import { baseUrl } from '../../protocols/api-auth.ts';
import type { LiveConnection } from '../credentials/index.ts';
import type { ProxyDeps } from './model.ts';
import { createPreparer, type Preparer } from './prepare.ts';

/** Providers in use at once have few origins; the list starts anew when it is full. */
const PREPARERS_MAX = 500;

/** A preparer for calls of scripts: an override that names the provider's own origin needs no permission. */
export function createScriptPreparer(deps: Pick<ProxyDeps, 'integrations' | 'baseUrlOverride'>): Preparer {
  const { integrations } = deps;
  const preparer = createPreparer(deps);
  const atOrigin = new Map<string, Preparer>();

  /** For pages of a list, which are followed by whole addresses. */
  function preparerAt(origins: readonly string[]): Preparer {
    const key = origins.join(' ');
    let known = atOrigin.get(key);
    if (known === undefined) {
      if (atOrigin.size >= PREPARERS_MAX) atOrigin.clear();
      const allow = [...deps.baseUrlOverride.allow, ...origins];
      known = createPreparer({ integrations, baseUrlOverride: { allow } });
      atOrigin.set(key, known);
    }
    return known;
  }

  return {
    prepare(call, live) {
      const { baseUrlOverride: override, ...rest } = call;
      const origin = override === undefined ? undefined : URL.parse(override)?.origin;
      if (override === undefined || origin === undefined) return preparer.prepare(call, live);
      const own = ownOrigins(live, integrations);
      if (!own.includes(origin)) return preparer.prepare(call, live);
      try {
        const whole = `/${override.replace(/\/+$/, '')}${call.endpoint.path}`;
        const endpoint = { ...call.endpoint, path: whole };
        return preparer.prepare({ ...rest, endpoint, baseUrlOverride: undefined }, live);
      } catch (error) {
        // The same host, but not below the API's path: then it is an override like any other.
        if (!isHawserError(error, 'invalid_endpoint')) throw error;
        return preparerAt(own).prepare(call, live);
      }
    },
  };
}

/** The provider's own origins: as the catalogue says, and where it is really called. */
function ownOrigins(live: LiveConnection, integrations: ProxyDeps['integrations']): string[] {
  const { integration, connection } = live;
  try {
    const own = baseUrl({
      provider: integration.provider,
      connectionConfig: connection.connectionConfig,
      integrationConfig: integration.integrationConfig,
    });
    return [...new Set([own.origin, integrations.targetUrl(integration, own).origin])];
  } catch (error) {
    // No address of its own: then no origin is its own either.
    if (isHawserError(error, 'missing_api_url')) return [];
    throw error;
  }
}
