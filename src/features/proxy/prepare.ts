/** What every call on one live connection shares: address, injected headers, injected query. */
import { isHawserError } from '../../base/errors.ts';
import { apiHeaders, baseUrl } from '../../protocols/api-auth.ts';
import { validHeader } from '../../protocols/http.ts';
import type { ClientCertificate } from '../../protocols/machine-token/index.ts';
import { signerOf, type Signer } from '../../protocols/signing.ts';
import { tlsOf, type LiveConnection } from '../credentials/index.ts';
import { joinEndpoint, type Target } from './endpoint.ts';
import { proxyErrors } from './errors.ts';
import type { ProxyDeps } from './model.ts';
import type { Call } from './read-call.ts';

/** A host that no call reaches: stands in for the address while only the query is wanted. */
const NOWHERE = 'https://hawser.invalid/';

/** Sent unless caller or provider file say otherwise, as every plain HTTP client does. */
const DEFAULT_ACCEPT = '*/*';

interface Prepared {
  /** Undefined: the integration has no address of its own. */
  base: URL | undefined;
  /** Addresses that a whole URL in the path may begin with. */
  aliases: URL[];
  headers: [string, string][];
  /** Injected query, encoded; empty when there is none. */
  query: string;
  queryNames: string[];
  /** Headers and query parameters that carry the credential. */
  secretHeaders: string[];
  secretQuery: string[];
  signer: Signer | undefined;
  /** The connection's own TLS client certificate. */
  tls: ClientCertificate | undefined;
}

export interface Dispatchable {
  target: Target;
  headers: [string, string][];
  /** True when the provider is asked with our credential at its own address, so that a 401 speaks about it. */
  usesCredential: boolean;
  /** Signs each try of the request, for providers that want that. */
  signer: Signer | undefined;
  /** Presented to the provider at its own address only. */
  tls: ClientCertificate | undefined;
}

export interface Preparer {
  /**
   * The request for this call. Errors: `missing_api_url`, `base_url_override_*`, `invalid_endpoint`,
   * `missing_signing_key`, and those of templates.
   */
  prepare(call: Call, live: LiveConnection): Dispatchable;
}

export function createPreparer(deps: Pick<ProxyDeps, 'integrations' | 'baseUrlOverride'>): Preparer {
  const { integrations } = deps;
  const allowed = new Set(deps.baseUrlOverride.allow.map(normalizeOrigin));
  // A live connection lives for a minute at most and is replaced when anything about it changes.
  const known = new WeakMap<LiveConnection, Prepared>();

  function preparedFor(live: LiveConnection): Prepared {
    let prepared = known.get(live);
    if (prepared === undefined) {
      prepared = readConnection(live);
      known.set(live, prepared);
    }
    return prepared;
  }

  function readConnection(live: LiveConnection): Prepared {
    const { integration, connection, credential } = live;
    const input = {
      provider: integration.provider,
      connectionConfig: connection.connectionConfig,
      integrationConfig: integration.integrationConfig,
    };
    const own = ownBase(() => baseUrl(input));
    const scratch = new URL(NOWHERE);
    const { headers, secretHeaders, secretQuery } = apiHeaders({ ...input, credential }, scratch);
    const pairs = Object.entries(headers);
    for (const [name, value] of pairs) {
      // Template values are checked at write; a row from an older version may still hold anything.
      if (!validHeader(name, value)) {
        throw proxyErrors.fail('invalid_headers', { message: `The header ${name} of this connection is not valid.` });
      }
    }
    const base = own && integrations.targetUrl(integration, own);
    return {
      base,
      aliases: own === undefined || base === undefined ? [] : own.href === base.href ? [base] : [own, base],
      headers: pairs,
      query: scratch.search.slice(1),
      queryNames: [...scratch.searchParams.keys()],
      secretHeaders,
      secretQuery,
      signer: signerOf(input, credential, integration.client),
      tls: tlsOf(integration.provider, credential),
    };
  }

  function overrideBase(override: string, live: LiveConnection, provider: URL | undefined): { own: URL; base: URL } {
    if (allowed.size === 0) throw proxyErrors.fail('base_url_override_disabled');
    const own = URL.parse(override);
    const plain =
      own !== null &&
      (own.protocol === 'https:' || own.protocol === 'http:') &&
      own.username === '' &&
      own.password === '' &&
      own.search === '' &&
      own.hash === '' &&
      !override.includes('\\');
    if (!plain || !(allowed.has('*') || allowed.has(own.origin))) {
      throw proxyErrors.fail('base_url_override_not_allowed');
    }
    // Only the provider's own host is played by an emulator.
    const isProvider = own.origin === provider?.origin;
    return { own, base: isProvider ? integrations.targetUrl(live.integration, own) : own };
  }

  return {
    prepare(call, live) {
      const prepared = preparedFor(live);
      let { base, aliases } = prepared;
      if (call.baseUrlOverride !== undefined) {
        const override = overrideBase(call.baseUrlOverride, live, prepared.aliases[0]);
        base = override.base;
        aliases = [override.own, override.base];
      }
      if (base === undefined) throw proxyErrors.fail('missing_api_url');
      const target = joinEndpoint(base, call.endpoint, aliases, addedQuery(call, prepared));
      const headers: [string, string][] = [];
      for (const pair of prepared.headers) if (!call.headers.has(pair[0])) headers.push(pair);
      for (const pair of call.headers) headers.push(pair);
      if (!call.headers.has('accept') && !headers.some(([name]) => name === 'accept')) {
        headers.push(['accept', DEFAULT_ACCEPT]);
      }
      const atHome = call.baseUrlOverride === undefined;
      if (atHome && live.connection.state === 'not_ready') assertReady(call.method, target.path, live);
      const own = bringsOwn(call, prepared);
      const isSigned = live.integration.provider.api.auth.in === 'signature';
      if (isSigned && !own && prepared.signer === undefined) throw proxyErrors.fail('missing_signing_key');
      return {
        target,
        headers,
        usesCredential: atHome && !own,
        // A signature is made for one host: it is worth nothing elsewhere.
        signer: own ? undefined : prepared.signer,
        tls: atHome ? prepared.tls : undefined,
      };
    },
  };
}

/** What the provider refuses until the account is ready is refused here, with the reason. Errors: `account_not_ready`. */
function assertReady(method: string, path: string, { connection, integration }: LiveConnection): void {
  const spec = integration.provider.account?.readiness;
  const plain = path.replace(/\/$/, '');
  if (!spec?.refuses.some((call) => call.method === method && plain.endsWith(call.path))) return;
  const reason = connection.stateReason ?? spec.reason;
  throw proxyErrors.fail('account_not_ready', {
    message: `${proxyErrors.rows.account_not_ready.message} Waiting for: ${reason}.`,
  });
}

/** True when the caller has put a credential of its own where ours would be. */
function bringsOwn(call: Call, { secretHeaders, secretQuery }: Prepared): boolean {
  if (secretHeaders.some((name) => call.headers.has(name))) return true;
  if (secretQuery.length === 0 || call.endpoint.query === undefined) return false;
  const own = new URLSearchParams(call.endpoint.query);
  return secretQuery.some((name) => own.has(name));
}

/** Injected parameters that the caller has not set itself: like a header, its own value wins. */
function addedQuery(call: Call, prepared: Prepared): string {
  if (prepared.query === '') return '';
  const own = new URLSearchParams(call.endpoint.query ?? '');
  if (!prepared.queryNames.some((name) => own.has(name))) return prepared.query;
  return prepared.query
    .split('&')
    .filter((_, index) => !own.has(prepared.queryNames[index] as string))
    .join('&');
}

function ownBase(read: () => URL): URL | undefined {
  try {
    return read();
  } catch (error) {
    // An address may still come from the caller's override; without one the call is refused by this slice.
    if (isHawserError(error, 'missing_api_url')) return undefined;
    throw error;
  }
}

function normalizeOrigin(entry: string): string {
  return entry === '*' ? '*' : (URL.parse(entry)?.origin ?? entry);
}
