import { isHawserError } from '../../base/errors.ts';
import { UpstreamFailure } from '../../platform/upstream/index.ts';
import { apiRequest } from '../../protocols/api-auth.ts';
import { hiddenRefusal } from '../../protocols/refusal.ts';
import type { Context } from './context.ts';
import type { LiveConnection } from './model.ts';
import { signatureOf, tlsOption } from './renewal.ts';

/** The caller waits for this beside its own 401. */
const VERIFY_TIMEOUT_MS = 5_000;

/**
 * Asks the provider's harmless call whether it still knows the credential. Resolves to `refused` on 401, and on what
 * the provider file says is one;
 * `unknown` when the provider has no such call or does not answer it clearly.
 */
export async function verifyLive(context: Context, live: LiveConnection): Promise<'accepted' | 'refused' | 'unknown'> {
  const { integration, connection } = live;
  const { provider, integrationConfig } = integration;
  const { verification } = provider.api;
  if (verification === undefined) return 'unknown';
  try {
    const { url, headers } = apiRequest({
      provider,
      integrationConfig,
      connectionConfig: connection.connectionConfig,
      credential: live.credential,
      path: verification.path,
    });
    const request = {
      method: verification.method,
      url: context.integrations.targetUrl(integration, url),
      headers: { accept: 'application/json', ...verification.headers, ...headers },
      ...(verification.body !== undefined && { body: verification.body }),
    };
    Object.assign(
      request.headers,
      signatureOf({ ...live, connectionConfig: connection.connectionConfig }, request, context.clock.now()),
    );
    const answer = await context.upstream.call({
      ...request,
      timeoutMs: VERIFY_TIMEOUT_MS,
      ...tlsOption(provider, live.credential),
    });
    const hidden = hiddenRefusal(provider.api.refusal, answer);
    if (answer.status === 401 || hidden === 'unauthorized') return 'refused';
    return answer.status < 400 && hidden === undefined ? 'accepted' : 'unknown';
  } catch (error) {
    if (error instanceof UpstreamFailure || isHawserError(error)) return 'unknown';
    throw error;
  }
}
