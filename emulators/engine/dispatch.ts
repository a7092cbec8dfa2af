/**
 * @module emulators/engine/dispatch
 *
 * One request to one emulator: which endpoint it is, what a fault makes of it, and when its effects are on disk.
 */
import { answerAdmin } from './admin.ts';
import { answerApi, answerDeauthorize, apiFailure, type CallTwists, limitDialect } from './api.ts';
import { answerAuthorize } from './authorize-pages.ts';
import { readAuthorize } from './authorize.ts';
import { answerDeveloper } from './developer.ts';
import { type ActiveFault, type FaultEndpoint, faultDelayMs, replacementReply } from './faults.ts';
import { stylesheet } from './html.ts';
import { type HttpReply, type HttpRequest, matchPath, redirectReply } from './http.ts';
import type { Mount } from './mount.ts';
import { refusalPage } from './pages.ts';
import { answerToken, tokenFailure } from './token.ts';

/** A reply, or what happens to the connection instead. */
export type Outcome =
  | { kind: 'reply'; reply: HttpReply }
  | { kind: 'cut'; after?: () => Promise<void> }
  | { kind: 'truncated'; reply: HttpReply };

/** Answers one request. `settle` resolves when all changes made so far are kept. */
export async function dispatch(mount: Mount, request: HttpRequest, settle: () => Promise<void>): Promise<Outcome> {
  const { path } = request;
  if (path === '/_emulator/style.css') return { kind: 'reply', reply: stylesheet() };
  const inside = (await answerAdmin(mount, request)) ?? (await answerDeveloper(mount, request));
  if (inside !== undefined) {
    await settle();
    return { kind: 'reply', reply: inside };
  }
  const isPage = request.method === 'GET' || request.method === 'HEAD';
  if (isPage && (path === '/' || path === ''))
    return { kind: 'reply', reply: redirectReply(302, `${mount.basePath}/developer`) };
  if (path === '/favicon.ico') return { kind: 'reply', reply: { status: 404 } };

  const endpoint = endpointOf(mount, request);
  const fault = mount.faults.take(endpoint, path);
  if (fault?.name === 'reset') return { kind: 'cut' };
  const replaced = fault === undefined ? undefined : replacementReply(fault, faultTools(mount, endpoint));
  const hold = onceHold(mount, fault);
  const reply = replaced ?? (await answer(mount, endpoint, request, twistsOf(fault, hold)));
  await settle();
  await hold();
  if (fault?.name === 'lost-reply')
    return reply.after === undefined ? { kind: 'cut' } : { kind: 'cut', after: reply.after };
  return { kind: fault?.name === 'truncated' ? 'truncated' : 'reply', reply };
}

function endpointOf(mount: Mount, request: HttpRequest): FaultEndpoint {
  const { token, deauthorize } = mount.definition;
  if (isMachine(mount, request)) return 'token';
  if (token.paths.some((path) => matchPath(path, request.path) !== undefined)) return 'token';
  if (deauthorize !== undefined && matchPath(deauthorize.path, request.path) !== undefined) {
    if (deauthorize.method === undefined || deauthorize.method === request.method) return 'deauthorize';
  }
  return readAuthorize(mount, request.path, request.query) === undefined ? 'api' : 'authorize';
}

function isMachine(mount: Mount, request: HttpRequest): boolean {
  return mount.definition.machine?.paths.some((path) => matchPath(path, request.path) !== undefined) === true;
}

async function answer(
  mount: Mount,
  endpoint: FaultEndpoint,
  request: HttpRequest,
  twists: CallTwists,
): Promise<HttpReply> {
  switch (endpoint) {
    case 'token':
      return isMachine(mount, request)
        ? (mount.definition.machine?.answer(mount, request) ?? { status: 404 })
        : await answerToken(mount, request, twists.revokeFirst);
    case 'deauthorize':
      return await answerDeauthorize(mount, request, twists);
    case 'authorize':
      return answerAuthorize(mount, request) ?? refusalPage(mount, 404, 'There is no such page.');
    case 'api':
      return await answerApi(mount, request, twists);
  }
}

function faultTools(mount: Mount, endpoint: FaultEndpoint) {
  const limit = limitDialect(mount);
  return {
    clock: mount.clock,
    limit,
    limitBody: limit.body,
    signInUrl: `${mount.baseUrl}/login`,
    failure: (status: number) => {
      if (endpoint === 'token') return tokenFailure(mount, status, 'server_error', 'Something went wrong.');
      if (endpoint === 'authorize') return refusalPage(mount, status, 'Something went wrong.');
      return apiFailure(mount, status, 'Something went wrong');
    },
  };
}

/** The fault's wait, at most once per call: the API waits inside its idempotency key, everything else before the reply. */
function onceHold(mount: Mount, fault: ActiveFault | undefined): () => Promise<void> {
  let held = false;
  return async () => {
    const delayMs = fault === undefined ? 0 : faultDelayMs(fault);
    if (held || delayMs === 0) return;
    held = true;
    // Closing the emulator ends the wait; the reply then goes out early, or into a closed connection.
    await mount.clock.sleep(delayMs, mount.closing.signal).catch(() => undefined);
  };
}

function twistsOf(fault: ActiveFault | undefined, hold: () => Promise<void>): CallTwists {
  return { revokeFirst: fault?.name === 'revoked', loopingCursor: fault?.name === 'looping-cursor', hold };
}
