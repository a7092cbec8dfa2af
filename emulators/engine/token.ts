/**
 * @module emulators/engine/token
 *
 * The token endpoint: code exchange and refresh. The code is spent and the tokens are kept before the answer goes out,
 * so an answer that gets lost leaves a spent code behind, as in life.
 */
import { createHash } from 'node:crypto';
import type { Mount } from './mount.ts';
import { BodyMalformed, bodyFormat, type HttpReply, type HttpRequest, isObject, jsonReply, parseJson } from './http.ts';
import { issueTokens, openGrant, refreshGrant } from './grants.ts';
import type { Code } from './state.ts';
import type { App, Grant, JsonObject } from './types.ts';

/** A refusal of the token endpoint. */
class TokenProblem extends Error {
  readonly status: number;
  readonly code: string;
  /** What `{error: …}` says when the provider has sentences instead of codes. */
  readonly plain: string | undefined;
  readonly after: (() => Promise<void>) | undefined;

  constructor(
    status: number,
    code: string,
    description: string,
    extra: { plain?: string; after?: () => Promise<void> } = {},
  ) {
    super(description);
    this.status = status;
    this.code = code;
    this.plain = extra.plain;
    this.after = extra.after;
  }
}

/** Source: RFC 6749 section 5.1; seen in recorded replies of one provider, harmless for the others. */
const NO_STORE = { 'Cache-Control': 'no-store', Pragma: 'no-cache' };

/** Answers a token request. `revokeFirst`: the fault that ends the grant before the call is read. */
export async function answerToken(mount: Mount, request: HttpRequest, revokeFirst = false): Promise<HttpReply> {
  mount.recorder.countTokenRequest();
  const { method = 'POST' } = mount.definition.token;
  try {
    if (request.method !== method) throw new TokenProblem(405, 'invalid_request', `Use ${method}.`);
    if (mount.knobs.flag('requireUserAgent') && (request.headers['user-agent'] ?? '') === '') {
      return jsonReply(403, { error: 'Request blocked' });
    }
    const fields = readFields(mount, request);
    const grantType = fields.grant_type ?? '';
    if (mount.definition.token.style === 'rfc6749') {
      demand(fields, ['grant_type']);
      if (grantType === 'refresh_token' && mount.definition.token.refresh) {
        return await refresh(mount, request, fields, revokeFirst);
      }
      if (grantType !== 'authorization_code') {
        throw new TokenProblem(400, 'unsupported_grant_type', 'The grant type is not supported.');
      }
    }
    return await exchange(mount, request, fields, revokeFirst);
  } catch (error) {
    if (!(error instanceof TokenProblem)) throw error;
    const reply = tokenFailure(mount, error.status, error.code, error.message, error.plain, request);
    return error.after === undefined ? reply : { ...reply, after: error.after };
  }
}

/** A refusal in the provider's own shape, or the one that knob `tokenErrorShape` names. */
export function tokenFailure(
  mount: Mount,
  status: number,
  code: string,
  description: string,
  plain = code,
  request?: HttpRequest,
): HttpReply {
  const { refuse } = mount.definition.token;
  if (refuse !== undefined) {
    const refusal = refuse({ status, code, description });
    return write(mount, request, refusal.status, refusal.body);
  }
  const bodies: Record<string, JsonObject> = {
    error: { error: plain },
    errors: { errors: [description] },
    message: { message: description },
    oauth2: { error: code, error_description: description },
  };
  return jsonReply(status, bodies[mount.knobs.text('tokenErrorShape')] ?? { error: code }, NO_STORE);
}

function write(mount: Mount, request: HttpRequest | undefined, status: number, body: JsonObject): HttpReply {
  const own = mount.definition.token.write;
  const reply = own === undefined || request === undefined ? jsonReply(status, body) : own(request, status, body);
  return { ...reply, headers: { ...reply.headers, ...NO_STORE } };
}

async function exchange(
  mount: Mount,
  request: HttpRequest,
  fields: Record<string, string>,
  revokeFirst: boolean,
): Promise<HttpReply> {
  const { token } = mount.definition;
  demand(fields, ['client_id', ...(token.publicClient === true ? [] : ['client_secret']), 'code', ...token.required]);
  const { app, mode } = authenticate(mount, fields);
  const code = mount.state.codes.get(fields.code ?? '');
  const invalid = new TokenProblem(400, 'invalid_grant', 'The code is not valid, has expired or was used before.');
  if (code === undefined || code.usedAtMs !== null || code.clientId !== app.clientId) throw invalid;
  if (revokeFirst) {
    code.usedAtMs = mount.clock.now();
    mount.changed();
    throw invalid;
  }
  if (code.codeChallenge !== undefined && code.codeChallenge !== challengeOf(fields.code_verifier ?? '')) throw invalid;
  if (mount.clock.now() - code.createdAtMs >= mount.knobs.number('codeTtlSec', 0) * 1_000) throw invalid;
  if (token.required.includes('redirect_uri') && fields.redirect_uri !== code.redirectUri) throw invalid;
  if (token.required.includes('scope') && fields.scope !== code.scope) {
    throw new TokenProblem(400, 'invalid_scope', 'The scope is not the one the customer allowed.');
  }
  return await grantCode(mount, request, app, code, mode);
}

/** Source: RFC 7636 section 4.6. */
function challengeOf(verifier: string): string {
  return createHash('sha256').update(verifier, 'ascii').digest('base64url');
}

async function grantCode(
  mount: Mount,
  request: HttpRequest,
  app: App,
  code: Code,
  mode: 'live' | 'test',
): Promise<HttpReply> {
  const account = mount.state.accounts.get(code.accountId);
  if (account === undefined) throw new TokenProblem(400, 'invalid_grant', 'The account is gone.');
  code.usedAtMs = mount.clock.now();
  const reconnected = mount.state.grantsOf(account.id).some((grant) => grant.clientId === app.clientId);
  if (reconnected && mount.knobs.flag('rotateAccountIdOnReconnect')) mount.renumberAccount(account);
  const grant = openGrant(mount, { ...code, accountId: account.id }, mode);
  const reply = tokenReply(mount, request, app, grant, issueTokens(mount, grant), false);
  if (!mount.definition.readiness.announced) return reply;

  switch (mount.knobs.text('credentialing')) {
    case 'early-event':
      // Seen with pre-credentialed accounts: the event overtakes the token, which the partner has not stored yet.
      if (!(await mount.makeReady(account))) await mount.announceReady(app, account);
      return reply;
    case 'already':
      account.ready = true;
      return { ...reply, after: () => mount.announceReady(app, account) };
    case 'never':
      account.ready = false;
      return reply;
    case 'after':
      if (account.ready) break;
      mount.makeReadyLater(account, mount.knobs.number('credentialAfterSec', 0) * 1_000);
      return reply;
    default:
      break;
  }
  return account.ready ? { ...reply, after: () => mount.announceReady(app, account) } : reply;
}

async function refresh(
  mount: Mount,
  request: HttpRequest,
  fields: Record<string, string>,
  revokeFirst: boolean,
): Promise<HttpReply> {
  const isPublic = mount.definition.token.publicClient === true;
  const secretNeeded = !isPublic && (mount.knobs.flag('refreshRequiresSecret') || fields.client_secret !== undefined);
  demand(fields, ['client_id', 'refresh_token', ...(secretNeeded ? ['client_secret'] : [])]);
  const app = secretNeeded ? authenticate(mount, fields).app : mount.state.apps.get(fields.client_id ?? '');
  if (app === undefined) throw new TokenProblem(401, 'invalid_client', 'The client is not known.');

  const presented = fields.refresh_token ?? '';
  if (revokeFirst) {
    const grant = mount.state.grants.get(mount.state.refreshTokens.get(presented)?.grantId ?? '');
    if (grant !== undefined) await mount.revokeGrant(grant, 'customer');
  }
  const outcome = refreshGrant(mount, presented, app.clientId);
  const sentence = 'The refresh token is not valid, has expired or was revoked.';
  switch (outcome.kind) {
    case 'issued':
      return tokenReply(mount, request, app, outcome.grant, outcome.tokens, true);
    case 'invalid':
      throw new TokenProblem(400, 'invalid_grant', sentence);
    case 'reused':
      throw new TokenProblem(400, 'invalid_grant', sentence, { after: outcome.announce });
  }
}

function tokenReply(
  mount: Mount,
  request: HttpRequest,
  app: App,
  grant: Grant,
  tokens: ReturnType<typeof issueTokens>,
  refreshed: boolean,
): HttpReply {
  const account = mount.state.accounts.get(grant.accountId);
  if (account === undefined) throw new TokenProblem(400, 'invalid_grant', 'The account is gone.');
  const nowMs = mount.clock.now();
  const knob = (name: string) => mount.knobs.get(name);
  const body = mount.definition.token.reply({ app, account, grant, ...tokens, refreshed, nowMs, knob });
  return write(mount, request, 200, body);
}

function authenticate(mount: Mount, fields: Record<string, string>): { app: App; mode: 'live' | 'test' } {
  const app = mount.state.apps.get(fields.client_id ?? '');
  if (app !== undefined && mount.definition.token.publicClient === true) return { app, mode: 'live' };
  if (app !== undefined && fields.client_secret === app.liveSecret) return { app, mode: 'live' };
  if (app !== undefined && fields.client_secret === app.testSecret) return { app, mode: 'test' };
  throw new TokenProblem(401, 'invalid_client', 'The client id or secret is wrong.');
}

function demand(fields: Record<string, string>, names: string[]): void {
  for (const name of names) {
    if ((fields[name] ?? '') !== '') continue;
    throw new TokenProblem(400, 'invalid_request', `${name} is missing`, { plain: `${name} is missing` });
  }
}

/** Text fields of the body. A repeated field is refused (RFC 6749 section 3.2). */
function readFields(mount: Mount, request: HttpRequest): Record<string, string> {
  const own = mount.definition.token.read?.(request);
  if (own !== undefined) {
    if ('fields' in own) return own.fields;
    throw new TokenProblem(own.status, own.code, own.description);
  }
  const format = bodyFormat(request.headers);
  const formats = mount.knobs.list('tokenBodyFormats');
  if (!formats.includes(format)) {
    throw new TokenProblem(415, 'invalid_request', `The body must be ${formats.join(' or ')}.`, {
      plain: 'Unsupported content type',
    });
  }
  const fields: Record<string, string> = {};
  if (format === 'form') {
    for (const [name, value] of new URLSearchParams(request.rawBody)) {
      if (Object.hasOwn(fields, name)) throw new TokenProblem(400, 'invalid_request', `${name} is repeated`);
      fields[name] = value;
    }
    return fields;
  }
  const body = readJson(request.rawBody);
  for (const [name, value] of Object.entries(body)) if (typeof value === 'string') fields[name] = value;
  return fields;
}

function readJson(text: string): JsonObject {
  try {
    const body = parseJson(text);
    if (isObject(body)) return body;
  } catch (error) {
    if (!(error instanceof BodyMalformed)) throw error;
  }
  throw new TokenProblem(400, 'invalid_request', 'The body is not a JSON object.', { plain: 'Invalid JSON' });
}
