import type { AfterConnectSpec, ProviderSpec } from '../../../catalogue/_spec/index.ts';
import { afterConnectRequest, readAfterConnect } from '../../protocols/oauth2/index.ts';
import type { Credential } from '../credentials/index.ts';
import type { Integration } from '../integrations/index.ts';
import type { ConnectDeps } from './deps.ts';
import { errors } from './errors.ts';
import { learnedValues } from './plan.ts';

/** The customer waits for it, behind the token request. */
const TIMEOUT_MS = 10_000;
const ANSWER_BYTES_MAX = 256 * 1024;

/**
 * Asks the provider what the new token belongs to, where its file says so.
 * Errors: `callback_err` when it does not tell what the API calls need, `url_param_err`, those of the upstream.
 */
export async function askAfterConnect(
  deps: Pick<ConnectDeps, 'upstream' | 'integrations'>,
  integration: Integration,
  connectionConfig: Record<string, unknown>,
  credential: Credential,
): Promise<Record<string, string>> {
  const { provider, integrationConfig } = integration;
  const spec = provider.oauth2?.afterConnect;
  if (spec === undefined) return {};
  const request = afterConnectRequest(spec, { provider, integrationConfig, connectionConfig, credential });
  const answer = await deps.upstream.call({
    ...request,
    url: deps.integrations.targetUrl(integration, request.url),
    timeoutMs: TIMEOUT_MS,
    bodyBytesMax: ANSWER_BYTES_MAX,
  });
  const told = readAfterConnect(spec, answer);
  const missing = missingField(provider, spec, told ?? {});
  if (missing !== undefined) {
    const why = told === undefined ? `status ${answer.status}` : 'the account of this login is not clear';
    const message = `${provider.displayName} gave a token, but did not tell its ${missing} (${why}).`;
    throw errors.fail('callback_err', { message });
  }
  return learnedValues(provider, told ?? {});
}

/** Title of the first value that must be there and is not. */
function missingField(provider: ProviderSpec, spec: AfterConnectSpec, told: Record<string, string>) {
  const name = Object.keys(spec.metadata).find(
    (key) => told[key] === undefined && provider.connectionConfig?.[key]?.optional !== true,
  );
  return name === undefined ? undefined : (provider.connectionConfig?.[name]?.title ?? name);
}
