import { isHawserError } from '../../base/errors.ts';
import { errorText } from '../../base/log.ts';
import { UpstreamFailure } from '../../platform/upstream/index.ts';
import { apiRequest } from '../../protocols/api-auth.ts';
import { atPath } from '../../protocols/oauth2/index.ts';
import type { Credential } from '../credentials/index.ts';
import type { Integration } from '../integrations/index.ts';
import type { AccountsDeps, Readiness } from './model.ts';

/** The customer waits for it, behind the token request. */
const TIMEOUT_MS = 10_000;
const ANSWER_BYTES_MAX = 256 * 1024;

/** A provider that does not say clearly is believed to be ready: its own refusals then speak for themselves. */
export async function askReadiness(
  deps: Pick<AccountsDeps, 'upstream' | 'integrations' | 'log'>,
  integration: Integration,
  connectionConfig: Record<string, unknown>,
  credential: Credential,
): Promise<Readiness> {
  const { provider, integrationConfig } = integration;
  const spec = provider.account?.readiness;
  if (spec === undefined) return { ready: true };
  try {
    const { url, headers } = apiRequest({
      provider,
      integrationConfig,
      connectionConfig,
      credential,
      path: spec.path,
    });
    const answer = await deps.upstream.call({
      method: 'GET',
      url: deps.integrations.targetUrl(integration, url),
      headers: { accept: 'application/json', ...headers },
      timeoutMs: TIMEOUT_MS,
      bodyBytesMax: ANSWER_BYTES_MAX,
    });
    if (answer.status !== 200) return { ready: 'unknown' };
    const told = atPath(JSON.parse(answer.body.toString('utf8')), spec.ready.path);
    if (told === undefined) return { ready: 'unknown' };
    return told === spec.ready.equals ? { ready: true } : { ready: false, reason: spec.reason };
  } catch (error) {
    if (!(error instanceof UpstreamFailure) && !(error instanceof SyntaxError) && !isHawserError(error)) throw error;
    deps.log.warn('a provider did not tell whether an account is ready', {
      integration: integration.uniqueKey,
      error: errorText(error),
    });
    return { ready: 'unknown' };
  }
}
