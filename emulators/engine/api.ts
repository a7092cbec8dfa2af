/**
 * @module emulators/engine/api
 *
 * A call with a token: who calls, limit, idempotency key, then the REST slice. Deauthorize lives here too, because it is
 * authorised the same way.
 *
 * Order of checks: User-Agent, credential, limit, body, idempotency replay, spent grant, slice.
 */
import { createHash } from 'node:crypto';
import {
  BodyMalformed,
  bodyFormat,
  type HttpReply,
  type HttpRequest,
  jsonReply,
  parseJson,
  parseNestedForm,
} from './http.ts';
import type { Mount } from './mount.ts';
import type { DeauthorizeRead } from './definition.ts';
import type {
  Account,
  Grant,
  IdempotencyHabit,
  Json,
  JsonObject,
  LimitDialect,
  RestReply,
  RestRequest,
  User,
} from './types.ts';

interface Caller {
  account: Account;
  user: User;
  grant: Grant;
}

/** What a fault changes about a call. */
export interface CallTwists {
  revokeFirst: boolean;
  loopingCursor: boolean;
  /** Waits as long as the fault says; between the effect of a call and the end of its idempotency key. */
  hold(): Promise<void>;
}

/** Answers the provider's "disconnect" call: 200 with the token that just ended. Source: providers.md 1.7, 2.2. */
export async function answerDeauthorize(mount: Mount, request: HttpRequest, twists: CallTwists): Promise<HttpReply> {
  const { method = 'POST', read, body } = mount.definition.deauthorize ?? {};
  if (request.method !== method) return restReply(failure(mount, 404, mount.definition.api.notFound));
  if (isBlocked(mount, request)) return blocked();
  if (read !== undefined) return await endFound(mount, () => read(request, mount.state), twists, body ?? {});
  const credential = readCredential(mount, request);
  const grant = credential === undefined ? undefined : grantOfToken(mount, credential.token);
  if (twists.revokeFirst && grant !== undefined) await mount.revokeGrant(grant, 'customer');
  const announce = grant === undefined ? undefined : mount.endGrant(grant, 'app');
  if (credential === undefined || announce === undefined) {
    return restReply(failure(mount, 401, mount.definition.api.unauthorized));
  }
  return { ...jsonReply(200, body ?? { access_token: credential.token }), after: announce };
}

/** Ends the grants that the provider's own reading of the call names. */
async function endFound(
  mount: Mount,
  read: () => DeauthorizeRead,
  twists: CallTwists,
  body: JsonObject,
): Promise<HttpReply> {
  const first = read();
  if (twists.revokeFirst && first.kind === 'grants') {
    for (const grant of first.grants) await mount.revokeGrant(grant, 'customer');
  }
  const found = twists.revokeFirst ? read() : first;
  if (found.kind === 'answer') return jsonReply(found.status, found.body);
  const announcements = found.grants.map((grant) => mount.endGrant(grant, 'app'));
  return {
    ...jsonReply(200, body),
    after: async () => {
      for (const announce of announcements) await announce?.();
    },
  };
}

/** Answers a call of the REST surface. */
export async function answerApi(mount: Mount, request: HttpRequest, twists: CallTwists): Promise<HttpReply> {
  const { api } = mount.definition;
  if (isBlocked(mount, request)) return blocked();
  let caller = findCaller(mount, request);
  if (twists.revokeFirst && caller !== undefined) {
    await mount.revokeGrant(caller.grant, 'customer');
    caller = findCaller(mount, request);
  }
  if (caller === undefined) return restReply(failure(mount, 401, api.unauthorized));
  const lacking = api.demand?.(request);
  if (lacking !== undefined) return restReply(failure(mount, 400, lacking));

  const dialect = limitDialect(mount);
  const key = dialect.scope === 'account' ? caller.account.id : caller.grant.id;
  const verdict = mount.limiter.take(key, dialect, `${request.method} ${request.path}`);
  if (!verdict.allowed) return jsonReply(429, dialect.body, verdict.headers);

  let body: Json | undefined;
  try {
    body = readRestBody(request);
  } catch (error) {
    if (!(error instanceof BodyMalformed)) throw error;
    return restReply(failure(mount, 400, error.message), verdict.headers);
  }
  const reply = await callOnce(mount, request, { ...caller, body }, twists);
  return restReply(reply, verdict.headers);
}

async function callOnce(
  mount: Mount,
  request: HttpRequest,
  call: Caller & { body: Json | undefined },
  twists: CallTwists,
): Promise<RestReply> {
  const key = request.headers['idempotency-key'];
  if (request.method !== 'POST' || key === undefined || key === '')
    return await callSlice(mount, request, call, twists);

  const habit = idempotencyHabit(mount);
  const hash = createHash('sha256').update(`${request.method} ${request.path}\n${request.rawBody}`).digest('hex');
  const scope = call.account.id;
  const verdict = mount.idempotency.begin(scope, key, hash, habit);
  if (verdict.kind === 'replay') return verdict.reply;
  if (verdict.kind === 'in-flight') {
    const message = 'Another request with the same idempotency key is in progress';
    return habit.inFlightBody === undefined ? failure(mount, 409, message) : { status: 409, body: habit.inFlightBody };
  }
  try {
    const reply = await callSlice(mount, request, call, twists);
    await twists.hold();
    mount.idempotency.finish(scope, key, hash, habit, reply);
    return reply;
  } catch (error) {
    mount.idempotency.abandon(scope, key, hash, habit);
    throw error;
  }
}

async function callSlice(
  mount: Mount,
  request: HttpRequest,
  call: Caller & { body: Json | undefined },
  twists: CallTwists,
): Promise<RestReply> {
  const { rest, api } = mount.definition;
  const { account, user, grant, body } = call;
  const readsConsume = mount.knobs.get('singleUseConsumes') === 'any';
  const reads = request.method === 'GET' || request.method === 'HEAD';
  if (grant.state === 'spent' && (readsConsume || !reads)) return failure(mount, 401, api.spent);

  const query = new URLSearchParams(request.query);
  if (twists.loopingCursor) query.set('page', '1');
  const restRequest: RestRequest = {
    method: request.method,
    path: request.path,
    query,
    headers: request.headers,
    body,
    account,
    user,
    grant,
    baseUrl: mount.baseUrl,
    users: mount.state.usersOf(account.id),
  };
  const found = rest.handle(restRequest, mount.restTools);
  if (found === undefined) return failure(mount, 404, api.notFound);
  if (found.changed === true) mount.changedSoon();
  if (found.spendsGrant === true && grant.state === 'active') {
    grant.state = 'spent';
    mount.changed();
  }
  if (found.events !== undefined) void mount.emitResources(account, found.events);
  return twists.loopingCursor ? loopCursor(mount, found, request) : found;
}

/** Makes a list name a next page that never ends: the call's own address, or one more page than was asked for. */
function loopCursor(mount: Mount, reply: RestReply, request: HttpRequest): RestReply {
  const { body } = reply;
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return reply;
  if ('next_href' in body) {
    const own = `${mount.baseUrl}${request.path}${request.search}`;
    return { ...reply, body: { ...body, next_href: own } };
  }
  if (typeof body.page === 'number' && typeof body.pages === 'number') {
    const page = Number(request.query.get('page') ?? '1') || 1;
    return { ...reply, body: { ...body, page, pages: page + 1 } };
  }
  return reply;
}

function findCaller(mount: Mount, request: HttpRequest): Caller | undefined {
  const credential = readCredential(mount, request);
  if (credential === undefined) return undefined;
  const { state } = mount;
  if (credential.open === true) {
    const account = state.accounts.values().next().value;
    const user = account === undefined ? undefined : state.usersOf(account.id)[0];
    return account === undefined || user === undefined
      ? undefined
      : { account, user, grant: keyGrant(mount, account, user) };
  }
  const grant = grantOfToken(mount, credential.token);
  if (grant !== undefined) {
    const account = state.accounts.get(grant.accountId);
    const user = state.users.get(grant.userId);
    return account === undefined || user === undefined ? undefined : { account, user, grant };
  }
  for (const account of state.accounts.values()) {
    const matches =
      credential.key !== undefined &&
      account.apiKey?.secretKey === credential.key.secretKey &&
      (credential.key.publishableKey ?? account.apiKey.publishableKey) === account.apiKey.publishableKey;
    const [user] = state.usersOf(account.id);
    if (matches && user !== undefined) return { account, user, grant: keyGrant(mount, account, user) };
  }
  return undefined;
}

/** An account that calls with its own key needs no consent; the slice still wants to know the scope. */
function keyGrant(mount: Mount, account: Account, user: User): Grant {
  return {
    id: `key-${account.id}`,
    clientId: '',
    accountId: account.id,
    userId: user.id,
    scope: mount.definition.api.keyScope,
    mode: 'live',
    state: 'active',
    createdAt: account.createdAt,
  };
}

interface ReadCredential {
  token: string;
  open?: boolean;
  key?: { publishableKey?: string; secretKey: string };
}

function readCredential(mount: Mount, request: HttpRequest): ReadCredential | undefined {
  const { api } = mount.definition;
  const authorization = request.headers.authorization;
  if (authorization === undefined && api.readRequest === undefined) return undefined;
  const read =
    api.readRequest === undefined
      ? api.readCredential(authorization ?? '', (name) => mount.knobs.get(name))
      : api.readRequest(request, mount);
  switch (read?.kind) {
    case undefined:
      return undefined;
    case 'open':
      return { token: '', open: true };
    case 'token':
      return { token: read.value };
    case 'token-or-key':
      return { token: read.value, key: { secretKey: read.value } };
    case 'key-pair':
      return { token: '', key: { publishableKey: read.publishableKey, secretKey: read.secretKey } };
  }
}

/** The grant of a living token. */
function grantOfToken(mount: Mount, text: string): Grant | undefined {
  const token = mount.state.accessTokens.get(text);
  if (token === undefined || token.dead) return undefined;
  if (token.expiresAtMs !== null && mount.clock.now() >= token.expiresAtMs) return undefined;
  const grant = mount.state.grants.get(token.grantId);
  return grant === undefined || grant.state === 'revoked' ? undefined : grant;
}

/** The provider's limit with the knobs applied. */
export function limitDialect(mount: Mount): LimitDialect {
  const own = mount.definition.rest.limit;
  return {
    ...own,
    perMinute: mount.knobs.number('rateLimit.perMinute', own.perMinute),
    body: mount.knobs.get('rateLimit.body') ?? own.body,
  };
}

function idempotencyHabit(mount: Mount): IdempotencyHabit {
  const own = mount.definition.rest.idempotency;
  return { ...own, windowHours: mount.knobs.number('idempotencyWindow', own.windowHours) };
}

function readRestBody(request: HttpRequest): Json | undefined {
  if (request.rawBody === '') return undefined;
  return bodyFormat(request.headers) === 'json' ? parseJson(request.rawBody) : parseNestedForm(request.rawBody);
}

function isBlocked(mount: Mount, request: HttpRequest): boolean {
  return mount.knobs.flag('requireUserAgent') && (request.headers['user-agent'] ?? '') === '';
}

/** Source: providers.md 1.6, seen at an edge filter. */
function blocked(): HttpReply {
  return jsonReply(403, { error: 'Request blocked' });
}

function failure(mount: Mount, status: number, message: string): RestReply {
  return mount.definition.rest.error(status, message, (name) => mount.knobs.get(name));
}

/** A failure of the REST surface as an HTTP reply. */
export function apiFailure(mount: Mount, status: number, message: string): HttpReply {
  return restReply(failure(mount, status, message));
}

function restReply(reply: RestReply, headers: Record<string, string> = {}): HttpReply {
  return jsonReply(reply.status, reply.body, { ...headers, ...reply.headers });
}
