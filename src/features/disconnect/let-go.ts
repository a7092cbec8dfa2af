/** One grant, one provider: the call that means "let go", and what its answer means. */
import { isHawserError } from '../../base/errors.ts';
import { disconnectRequest, readDisconnectAnswer } from '../../protocols/disconnect.ts';
import { chosenOAuth2, revocationRequest, type HttpRequest } from '../../protocols/oauth2/index.ts';
import { UpstreamFailure } from '../../platform/upstream/index.ts';
import { clientOf, signatureOf, tlsOption, type Credential } from '../credentials/index.ts';
import type { Integration } from '../integrations/index.ts';
import type { DisconnectDeps } from './model.ts';

/** Over all calls of one try: a provider that needs longer is asked again later. */
const PROVIDER_DEADLINE_MS = 10_000;
const ANSWER_BYTES_MAX = 64 * 1024;

export type LetGo =
  | { outcome: 'revoked' | 'unsupported'; detail?: string | undefined }
  /** Not now: `detail` says why, for people. */
  | { outcome: 'retry'; detail: string };

/** Asks the provider to let go of one grant. Never throws for what the provider or the network does. */
export async function letGo(
  deps: Pick<DisconnectDeps, 'upstream' | 'integrations' | 'clock'>,
  integration: Integration,
  connectionConfig: Record<string, unknown>,
  grant: Credential,
): Promise<LetGo> {
  const { disconnect } = integration.provider;
  const startedAtMs = deps.clock.monotonicMs();
  const send = async (request: Pick<HttpRequest, 'method' | 'url' | 'headers' | 'body'>) => {
    const leftMs = PROVIDER_DEADLINE_MS - (deps.clock.monotonicMs() - startedAtMs);
    const url = deps.integrations.targetUrl(integration, request.url);
    const answer = await deps.upstream.call({
      method: request.method,
      url,
      headers: {
        ...request.headers,
        ...signatureOf({ integration, credential: grant, connectionConfig }, { ...request, url }, deps.clock.now()),
      },
      ...(request.body === undefined ? {} : { body: request.body }),
      timeoutMs: Math.max(1, leftMs),
      bodyBytesMax: ANSWER_BYTES_MAX,
      ...tlsOption(integration.provider, grant),
      fresh: true,
    });
    return answer;
  };
  try {
    switch (disconnect.kind) {
      case 'nothing':
        return { outcome: 'revoked', detail: 'Nothing was granted at the provider.' };
      case 'unsupported':
        return { outcome: 'unsupported', detail: disconnect.customerMustDo };
      case 'call': {
        const input = inputOf(integration, connectionConfig);
        const oauth2 = grant.type === 'OAUTH2' ? grant : undefined;
        const request = disconnectRequest({
          ...input,
          disconnect,
          credential: grant,
          refreshToken: oauth2?.refresh_token,
          client: oauth2 && clientOf({ credential: oauth2, integration }),
        });
        const answer = await send(request);
        const verdict = readDisconnectAnswer(disconnect, answer);
        if (verdict === 'revoked') return { outcome: 'revoked' };
        // The token is dead already: revoked by the customer, or by our own earlier try whose answer was lost.
        if (verdict === 'gone') return { outcome: 'revoked', detail: 'The provider had let go before.' };
        return { outcome: 'retry', detail: `The provider answered ${answer.status}.` };
      }
      case 'rfc7009':
        return await revokeTokens(deps, integration, connectionConfig, grant, send);
    }
  } catch (error) {
    if (error instanceof UpstreamFailure || isHawserError(error)) return { outcome: 'retry', detail: error.message };
    throw error;
  }
}

/** Refresh token first: it ends the grant; then the access token, where the server keeps it alive. RFC 7009 2.1, 2.2. */
async function revokeTokens(
  deps: Pick<DisconnectDeps, 'integrations'>,
  integration: Integration,
  connectionConfig: Record<string, unknown>,
  grant: Credential,
  send: (request: HttpRequest) => Promise<{ status: number; body: Buffer }>,
): Promise<LetGo> {
  if (grant.type !== 'OAUTH2') return { outcome: 'revoked', detail: 'Nothing was granted at the provider.' };
  const url = await deps.integrations.revocationUrl(integration, connectionConfig);
  if (url === undefined) {
    return { outcome: 'unsupported', detail: 'The authorization server has no revocation endpoint.' };
  }
  const clientAuth = chosenOAuth2(inputOf(integration, connectionConfig))?.token.clientAuth ?? 'body';
  const tokens = [
    { token: grant.refresh_token, hint: 'refresh_token' as const },
    { token: grant.access_token, hint: 'access_token' as const },
  ];
  for (const { token, hint } of tokens) {
    if (token === undefined || token === '') continue;
    const client = clientOf({ credential: grant, integration });
    const { status, body } = await send(revocationRequest({ url, client, token, hint, clientAuth }));
    const done = (status >= 200 && status < 300) || (status === 400 && isUnsupportedType(body));
    if (!done) return { outcome: 'retry', detail: `The revocation endpoint answered ${status}.` };
  }
  return { outcome: 'revoked' };
}

/** RFC 7009 2.2.1: this server does not revoke tokens of that kind, so nothing more can be asked of it. */
function isUnsupportedType(body: Buffer): boolean {
  try {
    return (JSON.parse(body.toString('utf8')) as { error?: unknown } | null)?.error === 'unsupported_token_type';
  } catch {
    return false; // not JSON: some other refusal
  }
}

function inputOf(integration: Integration, connectionConfig: Record<string, unknown>) {
  return { provider: integration.provider, integrationConfig: integration.integrationConfig, connectionConfig };
}
