import { isHawserError } from '../../base/errors.ts';
import { UpstreamFailure } from '../../platform/upstream/index.ts';
import { apiRequest } from '../../protocols/api-auth.ts';
import { hiddenRefusal, type HiddenRefusal } from '../../protocols/refusal.ts';
import { signatureOf, tlsOption, type Credential } from '../credentials/index.ts';
import type { Integration } from '../integrations/index.ts';
import type { ConnectDeps } from './deps.ts';
import { errors } from './errors.ts';

/** A form must not hang on a slow provider. */
const VERIFY_TIMEOUT_MS = 10_000;

/**
 * Tries a credential with the provider's harmless call. A provider without one, or without a base URL in this
 * integration, is believed unseen (wire contract C.4).
 *
 * Errors: `connection_test_failed` with a sentence the customer can act on.
 */
export async function verifyCredential(
  deps: Pick<ConnectDeps, 'upstream' | 'clock'> & { integrations: Pick<ConnectDeps['integrations'], 'targetUrl'> },
  integration: Integration,
  connectionConfig: Record<string, unknown>,
  credential: Credential,
): Promise<void> {
  const { provider, integrationConfig } = integration;
  const { verification } = provider.api;
  if (verification === undefined) return;
  const name = provider.displayName;
  let status: number;
  let hidden: HiddenRefusal | undefined;
  try {
    const { url, headers } = apiRequest({
      provider,
      connectionConfig,
      integrationConfig,
      credential,
      path: verification.path,
    });
    const request = {
      method: verification.method,
      url: deps.integrations.targetUrl(integration, url),
      headers: { accept: 'application/json', ...verification.headers, ...headers },
      ...(verification.body !== undefined && { body: verification.body }),
    };
    Object.assign(
      request.headers,
      signatureOf({ integration, credential, connectionConfig }, request, deps.clock.now()),
    );
    const response = await deps.upstream.call({
      ...request,
      timeoutMs: VERIFY_TIMEOUT_MS,
      ...tlsOption(provider, credential),
    });
    status = response.status;
    hidden = hiddenRefusal(provider.api.refusal, response);
  } catch (error) {
    if (isHawserError(error, 'missing_api_url')) return;
    if (error instanceof UpstreamFailure) {
      throw errors.fail('connection_test_failed', {
        message: `${name} could not be asked: ${error.message}`,
        cause: error,
      });
    }
    throw error;
  }
  const problem = hidden === undefined ? problemOf(name, status) : hiddenProblem(name, hidden);
  if (problem !== undefined) throw errors.fail('connection_test_failed', { message: problem, payload: { status } });
}

/** The same of a provider that says no with a good status. */
function hiddenProblem(name: string, refusal: HiddenRefusal): string {
  if (refusal === 'unauthorized') return `${name} did not accept these credentials. Check them for typing errors.`;
  return `${name} refused the check.`;
}

/** What a status says about the credential; undefined when all is well. */
function problemOf(name: string, status: number): string | undefined {
  if (status >= 200 && status < 300) return undefined;
  if (status === 401) return `${name} did not accept these credentials (401). Check them for typing errors.`;
  if (status === 403) return `${name} knows these credentials but refuses them access (403). Check their permissions.`;
  if (status === 404) return `${name} has nothing at this address (404). Check the account details.`;
  if (status === 429) return `${name} asks to wait (429). Try again in a minute.`;
  if (status >= 500) return `${name} has a problem at the moment (${status}). Try again later.`;
  return `${name} answered the check with status ${status}.`;
}
