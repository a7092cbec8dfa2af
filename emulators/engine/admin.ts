/**
 * @module emulators/engine/admin
 *
 * JSON API for tests and tools, under `/_emulator/`: the same as the developer page does. This machine only.
 */
import { AppError, appToWire, type AppFields, editApp, readAppFields, registerApp } from './apps.ts';
import { FaultError } from './faults.ts';
import { refuseOutsider } from './guard.ts';
import { BodyMalformed, type HttpReply, type HttpRequest, isObject, jsonReply, matchPath, parseJson } from './http.ts';
import { KnobError } from './knobs.ts';
import type { Mount } from './mount.ts';
import type { Json, JsonObject } from './types.ts';
import { burstSize, type Webhook } from './webhooks.ts';

/** One call of the API. */
interface Call {
  mount: Mount;
  params: Record<string, string>;
  body: JsonObject;
}

type Handler = (call: Call) => HttpReply | Promise<HttpReply>;

/** Thrown by a handler for input it cannot take. */
class AdminError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const ROUTES: [method: string, pattern: string, handler: Handler][] = [
  ['GET', '/apps', ({ mount }) => list([...mount.state.apps.values()].map((app) => appToWire(mount, app)))],
  ['POST', '/apps', ({ mount, body }) => jsonReply(201, appToWire(mount, registerApp(mount, allFields(mount, body))))],
  [
    'PATCH',
    '/apps/:clientId',
    ({ mount, params, body }) => {
      const app = known(mount.state.apps.get(params.clientId ?? ''), 'application');
      return jsonReply(200, appToWire(mount, editApp(mount, app, readAppFields(mount, body))));
    },
  ],
  [
    'GET',
    '/accounts',
    ({ mount }) => list([...mount.state.accounts.values()].map((account) => accountToWire(mount, account.id))),
  ],
  [
    'POST',
    '/accounts',
    ({ mount, body }) => {
      const account = mount.addAccount({
        name: text(body, 'name'),
        ready: body.ready !== false,
        managed: body.managed === true,
        users: [{ fullName: text(body, 'full_name'), email: text(body, 'email') }],
      });
      return jsonReply(201, accountToWire(mount, account.id));
    },
  ],
  [
    'POST',
    '/accounts/:id/ready',
    async ({ mount, params }) => {
      const account = known(mount.state.accounts.get(params.id ?? ''), 'account');
      await mount.makeReady(account);
      return jsonReply(200, accountToWire(mount, account.id));
    },
  ],
  [
    'POST',
    '/users',
    ({ mount, body }) => {
      const account = known(mount.state.accounts.get(text(body, 'account_id')), 'account');
      const user = mount.addUser({
        accountId: account.id,
        fullName: text(body, 'full_name'),
        email: text(body, 'email'),
      });
      return jsonReply(201, {
        id: user.id,
        account_id: account.id,
        full_name: user.fullName,
        email: user.email,
        password: user.password,
      });
    },
  ],
  ['GET', '/grants', ({ mount }) => list([...mount.state.grants.values()].map((grant) => ({ ...grant })))],
  [
    'POST',
    '/grants/:id/revoke',
    async ({ mount, params }) => {
      const grant = known(mount.state.grants.get(params.id ?? ''), 'grant');
      const refusal = mount.refuseCustomerRevoke(grant);
      if (refusal !== undefined) throw new AdminError(409, refusal);
      await mount.revokeGrant(grant, 'customer');
      return jsonReply(200, { ...grant });
    },
  ],
  [
    'POST',
    '/play',
    async ({ mount, body }) => {
      const account = known(mount.state.accounts.get(text(body, 'account_id')), 'account');
      const done = await mount.play(account, { name: text(body, 'name'), id: text(body, 'id') });
      if (!done) throw new AdminError(409, 'This cannot happen any more.');
      return { status: 204 };
    },
  ],
  ['GET', '/webhooks', ({ mount }) => list(mount.state.webhooks.map(webhookToWire))],
  [
    'POST',
    '/webhooks/:id/resend',
    async ({ mount, params }) => {
      const webhook = known(
        mount.state.webhooks.find(({ id }) => id === params.id),
        'webhook',
      );
      await mount.webhooks.resend(webhook);
      return jsonReply(200, webhookToWire(webhook));
    },
  ],
  [
    'POST',
    '/events',
    ({ mount, body }) => {
      const account = known(mount.state.accounts.get(text(body, 'account_id')), 'account');
      const event = { type: text(body, 'type'), ...(isObject(body.object) && { object: body.object }) };
      mount.burst(account, event, burstSize(body.count));
      return { status: 202 };
    },
  ],
  ['GET', '/faults', ({ mount }) => list(mount.faults.list().map((fault) => ({ ...fault })))],
  ['POST', '/faults', ({ mount, body }) => jsonReply(201, { ...mount.faults.set(body) })],
  [
    'DELETE',
    '/faults',
    ({ mount }) => {
      mount.faults.clear();
      return { status: 204 };
    },
  ],
  ['GET', '/knobs', ({ mount }) => jsonReply(200, mount.knobs.all())],
  [
    'PATCH',
    '/knobs',
    ({ mount, body }) => {
      mount.knobs.set(body);
      mount.changed();
      return jsonReply(200, mount.knobs.all());
    },
  ],
  [
    'GET',
    '/requests',
    ({ mount }) =>
      jsonReply(200, {
        data: mount.recorder.list().map((request) => ({ ...request })),
        token_request_count: mount.recorder.tokenRequestCount(),
      }),
  ],
  [
    'POST',
    '/reset',
    ({ mount }) => {
      mount.reset();
      return { status: 204 };
    },
  ],
];

/** Answers a call below `/_emulator/`; undefined for other paths. */
export async function answerAdmin(mount: Mount, request: HttpRequest): Promise<HttpReply | undefined> {
  if (!request.path.startsWith('/_emulator/')) return undefined;
  const refusal = refuseOutsider(request);
  if (refusal !== undefined) return jsonReply(403, { error: refusal });
  const path = request.path.slice('/_emulator'.length);
  for (const [method, pattern, handler] of ROUTES) {
    const params = method === request.method ? matchPath(pattern, path) : undefined;
    if (params === undefined) continue;
    try {
      return await handler({ mount, params, body: readBody(request) });
    } catch (error) {
      const status = adminStatus(error);
      if (status === undefined) throw error;
      return jsonReply(status, { error: (error as Error).message });
    }
  }
  return jsonReply(404, { error: 'There is no such call.' });
}

function adminStatus(error: unknown): number | undefined {
  if (error instanceof AdminError) return error.status;
  const wrongInput = [AppError, FaultError, KnobError, BodyMalformed].some((kind) => error instanceof kind);
  return wrongInput ? 400 : undefined;
}

function readBody(request: HttpRequest): JsonObject {
  if (request.rawBody === '') return {};
  const body = parseJson(request.rawBody);
  if (!isObject(body)) throw new AdminError(400, 'The body is a JSON object.');
  return body;
}

function allFields(mount: Mount, body: JsonObject): AppFields {
  return { name: '', redirectUri: '', ...readAppFields(mount, body) };
}

function accountToWire(mount: Mount, accountId: string): JsonObject {
  const account = known(mount.state.accounts.get(accountId), 'account');
  const users = mount.state
    .usersOf(account.id)
    .map((user): JsonObject => ({ id: user.id, full_name: user.fullName, email: user.email, password: user.password }));
  return {
    id: account.id,
    name: account.name,
    ready: account.ready,
    managed: account.managed === true,
    created_at: account.createdAt,
    api_key:
      account.apiKey === undefined
        ? null
        : { publishable_key: account.apiKey.publishableKey, secret_key: account.apiKey.secretKey },
    users,
  };
}

function webhookToWire(webhook: Webhook): JsonObject {
  return {
    id: webhook.id,
    type: webhook.type,
    url: webhook.url,
    body: webhook.body,
    state: webhook.state,
    created_at: webhook.createdAt,
    attempts: webhook.attempts.map((attempt): JsonObject => ({ ...attempt })),
  };
}

function known<T>(found: T | undefined, what: string): T {
  if (found === undefined) throw new AdminError(404, `There is no such ${what}.`);
  return found;
}

function text(body: JsonObject, name: string): string {
  const value = body[name];
  if (typeof value !== 'string' || value.trim() === '') throw new AdminError(400, `"${name}" is a text.`);
  return value.trim();
}

function list(data: JsonObject[]): HttpReply {
  return jsonReply(200, { data: data as Json[] });
}
