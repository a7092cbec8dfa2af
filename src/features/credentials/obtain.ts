import type { Clock } from '../../base/clock.ts';
import { UpstreamFailure, type Upstream } from '../../platform/upstream/index.ts';
import { holesFor } from '../../protocols/input.ts';
import { customerHoles, type MachineMode, type Tokens } from '../../protocols/machine-token/index.ts';
import type { TokenFailureKind } from '../../protocols/oauth2/index.ts';
import { placeOf } from '../../protocols/sigv4/index.ts';
import type { Integration, IntegrationService } from '../integrations/index.ts';
import { credentialErrors } from './errors.ts';
import type { GrantFacts, MachineCredential } from './model.ts';
import { planFor, prepareToken, withTokens } from './renewal.ts';

/** Why a provider gives no token, in words for the person who typed the credential. */
const WORDS: Record<TokenFailureKind, string> = {
  invalid_grant: 'it does not accept these credentials',
  invalid_client: 'it does not accept these credentials',
  invalid_scope: 'it does not grant the scopes that were asked for',
  refused: 'it does not accept these credentials',
  rate_limited: 'it asks to come back later',
  provider_down: 'it has a problem at the moment',
  malformed: 'its answer could not be understood',
};

const FETCH_ERRORS = {
  OAUTH2_CC: 'client_credentials_fetch_error',
  TWO_STEP: 'two_step_credentials_fetch_error',
  AWS_SIGV4: 'client_credentials_fetch_error',
  APP: 'client_credentials_fetch_error',
  // Signed here: nobody is asked.
  JWT: 'invalid_credentials',
} as const satisfies Record<MachineMode, string>;

/**
 * The first token of a credential that was just typed; proves it at the same time.
 * Errors: the mode's `…_fetch_error`, `key_not_usable`, `certificate_*`, `credential_incomplete`, those of templates.
 */
export async function obtainToken(
  deps: { upstream: Pick<Upstream, 'call'>; integrations: Pick<IntegrationService, 'targetUrl'>; clock: Clock },
  input: {
    integration: Integration;
    connectionConfig: Record<string, unknown>;
    mode: MachineMode;
    fields: Record<string, string>;
  },
): Promise<{ credential: MachineCredential; facts: GrantFacts; metadata: Record<string, string> }> {
  const { mode } = input;
  const fields = { ...input.fields, ...placeFields(input) };
  const tokens = await ask(deps, input);
  const credential = withTokens({ type: mode, fields }, tokens);
  const expiresAt = tokens.expiresAtMs === undefined ? undefined : new Date(tokens.expiresAtMs);
  return { credential, facts: { scope: tokens.scope, expiresAt }, metadata: tokens.metadata };
}

/** The wire form of AWS credentials names the service (B.5). */
function placeFields({
  integration,
  connectionConfig,
  fields,
}: Parameters<typeof obtainToken>[1]): Record<string, string> {
  const { provider, integrationConfig } = integration;
  if (provider.sigv4 === undefined) return {};
  const holes = holesFor({ provider, integrationConfig, connectionConfig }, customerHoles(fields));
  return { service: placeOf(provider.sigv4, holes).service };
}

async function ask(
  deps: Parameters<typeof obtainToken>[0],
  { integration, connectionConfig, mode, fields }: Parameters<typeof obtainToken>[1],
): Promise<Tokens> {
  const name = integration.provider.displayName;
  const plan = planFor(integration, connectionConfig, { type: mode, fields }, deps.clock.now());
  try {
    const prepared = await prepareToken(deps, integration, plan);
    if (prepared.kind === 'local') return prepared.tokens;
    if (plan.kind === 'local') throw new Error('a plan cannot change its kind');
    const answer = plan.read(await deps.upstream.call(prepared.request), deps.clock.now());
    if (answer.ok) return answer;
    const said = [answer.description ?? answer.error, `status ${answer.status}`].filter((part) => part !== undefined);
    throw credentialErrors.fail(FETCH_ERRORS[mode], {
      message: `${name} gave no token: ${WORDS[answer.kind]} (${said.join(', ')}).`,
      payload: { kind: answer.kind, status: answer.status },
    });
  } catch (error) {
    if (!(error instanceof UpstreamFailure)) throw error;
    throw credentialErrors.fail(FETCH_ERRORS[mode], {
      message: `${name} could not be asked: ${error.message}`,
      cause: error,
    });
  }
}
