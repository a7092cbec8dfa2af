/** Installed apps of a derived emulator. Assumption: the link of the app ends with the id of the app. */
import { createHash, createPublicKey } from 'node:crypto';
import type { AppSpec, ProviderSpec } from '../../catalogue/_spec/index.ts';
import type { AuthorizeHabit, MachineHabit } from '../engine/definition.ts';
import { type HttpReply, type HttpRequest, jsonReply, matchPath } from '../engine/http.ts';
import type { Mount } from '../engine/mount.ts';
import type { Account, App, Json, JsonObject } from '../engine/types.ts';
import { factOf } from './facts.ts';
import { issueDirectly, LIFE_SECONDS } from './issue.ts';
import { readJwt } from './jwt.ts';
import { setAt } from './template.ts';
import { replyOf } from './token.ts';

/** The longest life of an app's own JWT. */
const JWT_SECONDS_MAX = 600;

/** One per account, a number as text. */
function installationOf(account: Account): string {
  const digits = Number.parseInt(createHash('sha256').update(account.id).digest('hex').slice(0, 8), 16);
  return String(digits + 1);
}

/** The install page: whoever says yes comes back with the id of the installation. */
export function installPage(app: AppSpec): AuthorizeHabit {
  const below = app.installUrl.replace('${appLink}', '');
  return {
    paths: [{ pattern: `/apps/:client_id${below}`, page: 'sign-in' }],
    required: [],
    redirectRule: 'registered',
    plainScope: ['Install the application on this account'],
    success: ['code', 'state'],
    readScope: () => '',
    write(params, account) {
      const written = new URLSearchParams(params);
      if (account === undefined || !params.has('code')) return written;
      written.delete('code');
      written.set('installation_id', installationOf(account));
      written.set('setup_action', 'install');
      return written;
    },
  };
}

/** What the app asks with its own key: what an installation is, and a token for it. */
export function installations(spec: ProviderSpec, app: AppSpec): MachineHabit {
  const ofTemplate = (url: string) =>
    new URL(url.replace('${connectionConfig.installation_id}', ':id')).pathname.replace('%3Aid', ':id');
  const [about, tokens] = [ofTemplate(app.installationUrl), ofTemplate(app.tokenUrl)];
  return {
    paths: [about, tokens],
    answer(mount, request) {
      const caller = callerOf(mount, request);
      if (caller === undefined) return jsonReply(401, { message: 'Bad credentials' });
      const lacking = Object.keys(app.headers ?? {}).find((name) => request.headers[name.toLowerCase()] === undefined);
      if (lacking !== undefined) return jsonReply(400, { message: `The header ${lacking} is missing.` });
      const isToken = matchPath(tokens, request.path) !== undefined;
      const id = (matchPath(tokens, request.path) ?? matchPath(about, request.path))?.['id'];
      const found = installedOf(mount, caller, id ?? '');
      if (found === undefined || request.method !== (isToken ? 'POST' : 'GET'))
        return jsonReply(404, { message: 'Not Found' });
      return isToken ? tokenOf(spec, app, mount, found.account, caller) : aboutOf(spec, app, found);
    },
  };
}

interface Installed {
  account: Account;
  atMs: number;
}

/** The account whose installation this is, and when somebody last said yes to it. */
function installedOf(mount: Mount, caller: App, id: string): Installed | undefined {
  const account = [...mount.state.accounts.values()].find((one) => installationOf(one) === id);
  if (account === undefined) return undefined;
  const mine = [...mount.state.codes.values()].filter(
    (code) => code.accountId === account.id && code.clientId === caller.clientId,
  );
  if (mine.length === 0) return undefined;
  return { account, atMs: Math.max(...mine.map(({ createdAtMs }) => createdAtMs)) };
}

function aboutOf(spec: ProviderSpec, app: AppSpec, { account, atMs }: Installed): HttpReply {
  const body: JsonObject = { id: Number(installationOf(account)) };
  for (const path of app.changedAt) setAt<Json>(body, path, new Date(atMs).toISOString());
  for (const [key, path] of Object.entries(app.metadata ?? {})) setAt<Json>(body, path, factOf(spec, key, account));
  return jsonReply(200, body);
}

function tokenOf(spec: ProviderSpec, app: AppSpec, mount: Mount, account: Account, caller: App): HttpReply {
  mount.recorder.countTokenRequest();
  const issued = issueDirectly(mount, account, { clientId: caller.clientId, lifeSeconds: LIFE_SECONDS });
  const facts = {
    ...issued,
    account,
    expiresInSeconds: LIFE_SECONDS,
    refreshed: false,
    nowMs: mount.clock.now(),
    knob: (name: string) => mount.knobs.get(name),
  };
  return jsonReply(201, replyOf(spec, { ...(app.response && { response: app.response }) }, facts));
}

/** The app whose key has signed the call; its secret here is that key. */
function callerOf(mount: Mount, request: HttpRequest): App | undefined {
  const jwt = /^Bearer (.+)$/i.exec(request.headers['authorization'] ?? '')?.[1] ?? '';
  return [...mount.state.apps.values()].find((one) => {
    if (!one.liveSecret.includes('PRIVATE KEY')) return false;
    const rule = { algorithm: 'RS256', key: createPublicKey(one.liveSecret), nowMs: mount.clock.now() };
    return readJwt(jwt, { ...rule, lifetimeSecondsMax: JWT_SECONDS_MAX })?.claims['iss'] === one.clientId;
  });
}
