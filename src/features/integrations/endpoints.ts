import type { OAuth2Spec } from '../../../catalogue/_spec/index.ts';
import type { Clock } from '../../base/clock.ts';
import { isHawserError } from '../../base/errors.ts';
import {
  chosenOAuth2,
  discoveryUrls,
  issuerOf,
  issuerToRead,
  readDiscovery,
  withDiscovery,
  type Discovery,
} from '../../protocols/oauth2/index.ts';
import { urlIfComplete, holesFor, type TemplateInput } from '../../protocols/input.ts';
import type { Upstream } from '../../platform/upstream/index.ts';
import { integrationErrors } from './errors.ts';
import type { Integration } from './model.ts';

/** Server metadata changes rarely; ten minutes bound how long a moved endpoint is missed. */
const DISCOVERY_TTL_MS = 600_000;
const METADATA_BYTES_MAX = 262_144;

interface EndpointDeps {
  upstream: Pick<Upstream, 'call'>;
  clock: Clock;
  emulatorUrl: () => string | undefined;
  onEmulated?: ((integration: Integration) => void) | undefined;
}

/** Where an integration's provider is reached. */
export interface Endpoints {
  oauth2Of(integration: Integration): Promise<OAuth2Spec>;
  targetUrl(integration: Integration, url: URL): URL;
  revocationUrl(integration: Integration, connectionConfig?: Record<string, unknown>): Promise<URL | undefined>;
  /** Drops what was learned from metadata. */
  forget(): void;
}

export function createEndpoints({ upstream, clock, emulatorUrl, onEmulated }: EndpointDeps): Endpoints {
  const known = new Map<string, { discovery: Promise<Discovery>; readAtMs: number }>();

  function discover(issuer: string): Promise<Discovery> {
    const now = clock.monotonicMs();
    const entry = known.get(issuer);
    if (entry !== undefined && now - entry.readAtMs < DISCOVERY_TTL_MS) return entry.discovery;
    const discovery = readMetadata(upstream, issuer);
    known.set(issuer, { discovery, readAtMs: now });
    discovery.catch(() => known.delete(issuer)); // a failure is told to this caller only
    return discovery;
  }

  return {
    async oauth2Of(integration) {
      const input = inputOf(integration);
      const oauth2 = chosenOAuth2(input);
      if (oauth2 === undefined) throw integrationErrors.fail('incomplete_integration');
      const issuer = issuerToRead(oauth2, input);
      return issuer === undefined ? oauth2 : withDiscovery(oauth2, await discover(issuer), input);
    },
    targetUrl(integration, url) {
      if (!integration.emulated) return url;
      const base = emulatorUrl();
      const mount = integration.provider.emulator ?? integration.provider.name;
      if (base === undefined) throw integrationErrors.fail('emulator_unavailable');
      onEmulated?.(integration);
      return new URL(`${base}/${mount}${url.pathname}${url.search}${url.hash}`);
    },
    async revocationUrl(integration, connectionConfig = {}) {
      const { disconnect } = integration.provider;
      if (disconnect.kind !== 'rfc7009') return undefined;
      const input = { ...inputOf(integration), connectionConfig };
      const configured = urlIfComplete(disconnect.url, holesFor(input));
      if (configured !== undefined) return configured;
      const oauth2 = chosenOAuth2(input);
      const issuer = oauth2 && issuerOf(oauth2, input);
      if (issuer === undefined) return undefined;
      const { revocationUrl } = await discover(issuer);
      return revocationUrl === undefined ? undefined : new URL(revocationUrl);
    },
    forget: () => known.clear(),
  };
}

function inputOf(integration: Integration): TemplateInput {
  return {
    provider: integration.provider,
    connectionConfig: {},
    integrationConfig: integration.integrationConfig,
  };
}

/** Tries the well-known places in order. Errors: `discovery_failed`. */
async function readMetadata(upstream: Pick<Upstream, 'call'>, issuer: string): Promise<Discovery> {
  let last: unknown;
  for (const url of discoveryUrls(issuer)) {
    try {
      const answer = await upstream.call({
        method: 'GET',
        url,
        headers: { accept: 'application/json' },
        bodyBytesMax: METADATA_BYTES_MAX,
      });
      if (answer.status === 200) return readDiscovery(issuer, answer.body);
    } catch (error) {
      if (isHawserError(error, 'egress_refused', 'discovery_failed')) throw error;
      last = error; // the next place may answer
    }
  }
  throw integrationErrors.fail('discovery_failed', { cause: last });
}
