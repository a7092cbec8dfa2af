/** How a credential gets its next token: with a refresh token, or, for machine modes, from what the customer typed. */
import type { ProviderSpec, Rotation } from '../../../catalogue/_spec/index.ts';
import {
  clientCertificateOf,
  planToken,
  type ClientCertificate,
  type MachineInput,
  type TokenPlan,
  type TokenRequest,
  type Tokens,
} from '../../protocols/machine-token/index.ts';
import { readTokenAnswer, refreshRequest, type HttpAnswer, type TokenAnswer } from '../../protocols/oauth2/index.ts';
import { parseBody } from '../../protocols/oauth2/parse-body.ts';
import { signerOf } from '../../protocols/signing.ts';
import type { Upstream } from '../../platform/upstream/index.ts';
import type { Integration, IntegrationService } from '../integrations/index.ts';
import type { Context } from './context.ts';
import { credentialErrors } from './errors.ts';
import { isMachine, type Credential, type LiveConnection, type MachineCredential } from './model.ts';

/** One step before the request that brings the token. */
const STEP_TIMEOUT_MS = 10_000;

/** Ready to be sent, or already made. */
export type Prepared = { kind: 'local'; tokens: Tokens } | { kind: 'request'; request: TokenRequest };

export interface Renewal {
  rotation: Rotation;
  /** Requests of one lane share a pace: one per token server. */
  lane: string;
  /** Errors: those of templates and keys, `refresh_token_external_error` when an earlier step failed. */
  prepare(nowMs: number): Promise<Prepared>;
  read(answer: HttpAnswer, nowMs: number): TokenAnswer;
}

/** Asking for a machine token again harms nothing: the old one lives on. */
const MACHINE_ROTATION: Rotation = { kind: 'none' };

/** Errors: those of discovery, templates and keys. */
export async function renewalOf(
  context: Pick<Context, 'integrations' | 'upstream' | 'clock'>,
  live: LiveConnection,
  refreshToken: string | undefined,
): Promise<Renewal> {
  const { credential } = live;
  return isMachine(credential) ? machineRenewal(context, live, credential) : refreshing(context, live, refreshToken);
}

async function refreshing(
  context: Pick<Context, 'integrations'>,
  live: LiveConnection,
  refreshToken: string | undefined,
): Promise<Renewal> {
  const { integration, connection, credential, scope } = live;
  const oauth2 = await context.integrations.oauth2Of(integration);
  const client = clientOf(live);
  const secrets = [
    refreshToken,
    credential.type === 'OAUTH2' ? credential.access_token : undefined,
    client.clientSecret,
  ].filter((secret) => secret !== undefined && secret !== '') as string[];
  const { provider, environmentId, id } = integration;
  const own = (provider.oauth2?.token.url ?? '').includes('${integrationConfig.') || oauth2.issuer !== undefined;
  return {
    rotation: oauth2.refresh?.rotation ?? { kind: 'unknown' },
    lane: own ? `${provider.name} ${environmentId}:${id}` : provider.name,
    async prepare() {
      const request = refreshRequest({
        provider,
        integrationConfig: integration.integrationConfig,
        connectionConfig: connection.connectionConfig,
        oauth2,
        client,
        refreshToken: refreshToken ?? '',
        ...(scope === undefined ? {} : { scope }),
      });
      return {
        kind: 'request',
        request: { ...request, url: context.integrations.targetUrl(integration, request.url) },
      };
    },
    read: (answer, nowMs) => readTokenAnswer(oauth2, answer, nowMs, secrets),
  };
}

function machineRenewal(
  context: Pick<Context, 'integrations' | 'upstream' | 'clock'>,
  live: LiveConnection,
  credential: MachineCredential,
): Renewal {
  const { integration, connection } = live;
  const { connectionConfig } = connection;
  const { provider, environmentId, id } = integration;
  const planAt = (nowMs: number) => planFor(integration, connectionConfig, credential, nowMs);
  return {
    rotation: MACHINE_ROTATION,
    // The server is often the customer's own: one slow tenant must not hold up the others.
    lane: `${provider.name} ${environmentId}:${id}`,
    prepare: (nowMs) => prepareToken(context, integration, planAt(nowMs)),
    read(answer, nowMs) {
      const plan = planAt(nowMs);
      if (plan.kind === 'local') throw new Error('a token made here has no answer');
      return plan.read(answer, nowMs);
    },
  };
}

/** Errors: `refresh_token_external_error` where the provider's file no longer has the mode; and those of the plan. */
export function planFor(
  integration: Integration,
  connectionConfig: Record<string, unknown>,
  credential: Pick<MachineCredential, 'type' | 'fields'>,
  nowMs: number,
): TokenPlan {
  const input: MachineInput = {
    provider: integration.provider,
    integrationConfig: integration.integrationConfig,
    connectionConfig,
    fields: credential.fields,
    client: integration.client,
    nowMs,
  };
  const plan = planToken(credential.type, input);
  if (plan === undefined) throw credentialErrors.fail('refresh_token_external_error');
  return plan;
}

/** Sends the earlier steps of a plan; the last one is left to the caller. */
export async function prepareToken(
  deps: { upstream: Pick<Upstream, 'call'>; integrations: Pick<IntegrationService, 'targetUrl'> },
  integration: Integration,
  plan: TokenPlan,
): Promise<Prepared> {
  if (plan.kind === 'local') return plan;
  const aim = ({ sign, ...request }: TokenRequest): TokenRequest => {
    const url = deps.integrations.targetUrl(integration, request.url);
    return { ...request, url, headers: { ...request.headers, ...sign?.(url) } };
  };
  const answers: Record<string, unknown>[] = [];
  for (const step of plan.earlier) {
    const { status, body } = await deps.upstream.call({ ...aim(step(answers)), timeoutMs: STEP_TIMEOUT_MS });
    const parsed = parseBody(body);
    if (status < 200 || status >= 300 || parsed.kind !== 'object') {
      throw credentialErrors.fail('refresh_token_external_error', {
        message: `Step ${answers.length + 1} of the login failed with status ${status}.`,
      });
    }
    answers.push(parsed.value);
  }
  return { kind: 'request', request: aim(plan.last(answers)) };
}

/** True when the integration still has all that a new token of this credential needs. */
export function canRenew(integration: Integration, credential: MachineCredential): boolean {
  switch (credential.type) {
    case 'OAUTH2_CC':
      return integration.provider.clientCredentials !== undefined;
    case 'JWT':
      return integration.provider.jwt !== undefined;
    case 'TWO_STEP':
      return integration.provider.login !== undefined;
    case 'AWS_SIGV4':
      return integration.provider.sigv4 !== undefined && integration.client !== undefined;
    case 'APP':
      return integration.provider.app !== undefined && integration.client !== undefined;
  }
}

/** The credential with its new token. */
export function withTokens(old: Pick<MachineCredential, 'type' | 'fields'>, tokens: Tokens): MachineCredential {
  return {
    type: old.type,
    token: tokens.accessToken,
    expires_at: tokens.expiresAtMs === undefined ? undefined : new Date(tokens.expiresAtMs).toISOString(),
    raw: tokens.raw,
    fields: old.fields,
  };
}

/** The customer's own client where the connection has one, else the integration's. */
export function clientOf(live: Pick<LiveConnection, 'credential' | 'integration'>): {
  clientId: string;
  clientSecret: string;
} {
  const own = live.credential.type === 'OAUTH2' ? live.credential.config_override : undefined;
  return {
    clientId: own?.client_id ?? live.integration.client?.clientId ?? '',
    clientSecret: own?.client_secret ?? live.integration.client?.clientSecret ?? '',
  };
}

/** The TLS client certificate that goes with every call of this credential, where the provider takes one. */
export function tlsOf(provider: ProviderSpec, credential: Credential): ClientCertificate | undefined {
  return isMachine(credential) ? clientCertificateOf(provider, credential.fields) : undefined;
}

/** The signature of one small call of ours, for providers that want it; undefined entries are not sent. */
export function signatureOf(
  live: Pick<LiveConnection, 'credential' | 'integration'> & { connectionConfig: Record<string, unknown> },
  request: { method: string; url: URL; headers: Record<string, string>; body?: string | undefined },
  nowMs: number,
): Record<string, string> {
  const { integration, credential, connectionConfig } = live;
  const { provider, integrationConfig } = integration;
  const signer = signerOf({ provider, integrationConfig, connectionConfig }, credential, integration.client);
  const body = Buffer.from(request.body ?? '', 'utf8');
  return signer?.sign({ ...request, body, streamed: false, nowMs }) ?? {};
}

/** The same as a part of an upstream request. */
export function tlsOption(provider: ProviderSpec, credential: Credential): { tls?: ClientCertificate } {
  const tls = tlsOf(provider, credential);
  return tls === undefined ? {} : { tls };
}
