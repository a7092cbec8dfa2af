/**
 * @module emulators/engine/handle
 *
 * One emulator from inside the process: what a test says to it without HTTP.
 */
import { adoptApp, type AppFields, editApp, ensureApp, registerApp } from './apps.ts';
import { type Decision, decide, readAuthorize } from './authorize.ts';
import type { ActiveFault, Fault } from './faults.ts';
import type { EventListener, Mount } from './mount.ts';
import type { RecordedRequest } from './recorder.ts';
import type { Account, App, Grant, Json, MadeUpEvent, Play, User } from './types.ts';
import type { Webhook } from './webhooks.ts';

export interface EmulatorHandle {
  readonly name: string;
  /** Base URL without trailing slash: use it in place of every host of the provider. */
  readonly url: string;
  /** Registers a partner application with fresh id and secrets. Errors: `AppError` for a bad field. */
  registerApp(fields: AppFields): App;
  /** The application of this name with these fields; id and secrets stay when it exists. Errors: `AppError`. */
  ensureApp(name: string, fields: Omit<AppFields, 'name'>): App;
  /** Registers an application that has its id and secret already. Errors: `AppError`. */
  adoptApp(client: { clientId: string; secret: string }, fields: AppFields): App;
  /** Changes fields of an application. Errors: `AppError`; `Error` for an unknown client id. */
  editApp(clientId: string, fields: Partial<AppFields>): App;
  apps(): App[];
  /** Accounts, the seeded ones first: one that is ready, then one that is not. */
  accounts(): Account[];
  /** People who can sign in, all accounts. */
  users(): User[];
  grants(): Grant[];
  addAccount(fields: {
    name: string;
    ready?: boolean;
    managed?: boolean;
    users: { fullName: string; email: string }[];
  }): Account;
  addUser(fields: { accountId: string; fullName: string; email: string }): User;
  /** Lets an account do everything, and tells the apps that are connected to it. */
  makeReady(accountId: string): Promise<void>;
  /**
   * Decides about an authorize URL as a signed-in user would, without a browser; gives the address the browser would be
   * sent to. `user` is an id or an email, default the first user. Errors: `Error` with the text of the error page.
   */
  consent(authorizeUrl: string, options?: { user?: string; decision?: Decision }): string;
  /** Breaks the next calls. Errors: `FaultError` for an unknown name. */
  setFault(fault: Fault): void;
  clearFaults(): void;
  faults(): ActiveFault[];
  /** Changes a behaviour. Errors: `KnobError` for an unknown name or a wrong value. */
  setKnob(name: string, value: Json): void;
  knobs(): Record<string, Json>;
  /** What the customer does in their own account; resolves when the app has been told. Errors: a managed account. */
  revokeGrant(grantId: string): Promise<void>;
  /** What people at the provider could do next in an account: `complete-report` and the like. */
  plays(accountId: string): Play[];
  /** Does it; resolves when the webhooks have been tried once. Errors: `Error` when it cannot happen (any more). */
  play(accountId: string, play: Pick<Play, 'name' | 'id'>): Promise<void>;
  /** Tells `count` made-up resource events (default 1) at once; nothing happens to any resource. */
  tell(accountId: string, event: MadeUpEvent, count?: number): void;
  /** Webhooks, oldest first: all that wait, and the last that were sent. */
  webhooks(): Webhook[];
  /** Sends a webhook once more, byte for byte; resolves when it was tried. Errors: `Error` for an unknown id. */
  resendWebhook(id: string): Promise<void>;
  /** What was asked so far, oldest first, at most the last 1,000. No values of query parameters. */
  requests(): RecordedRequest[];
  /** Calls to the token endpoint so far, answered or not. */
  tokenRequestCount(): number;
  /** Hears of everything a real provider would announce, until the returned function is called. */
  onEvent(listener: EventListener): () => void;
  /** Forgets everything but the applications; accounts and users are made anew, faults and knobs are gone. */
  reset(): void;
}

export function createHandle(mount: Mount): EmulatorHandle {
  const { state } = mount;
  return {
    name: mount.definition.name,
    url: mount.baseUrl,
    registerApp: (fields) => ({ ...registerApp(mount, fields) }),
    ensureApp: (name, fields) => ({ ...ensureApp(mount, name, fields) }),
    adoptApp: (client, fields) => ({ ...adoptApp(mount, client, fields) }),
    editApp: (clientId, fields) => ({ ...editApp(mount, known(state.apps.get(clientId), 'application'), fields) }),
    apps: () => [...state.apps.values()].map((app) => ({ ...app })),
    accounts: () => structuredClone([...state.accounts.values()]),
    users: () => [...state.users.values()].map((user) => ({ ...user })),
    grants: () => [...state.grants.values()].map((grant) => ({ ...grant })),
    addAccount: (fields) => structuredClone(mount.addAccount({ ready: true, ...fields })),
    addUser: (fields) => {
      known(state.accounts.get(fields.accountId), 'account');
      return { ...mount.addUser(fields) };
    },
    makeReady: async (accountId) => {
      await mount.makeReady(known(state.accounts.get(accountId), 'account'));
    },
    consent: (authorizeUrl, options = {}) => consent(mount, authorizeUrl, options),
    setFault: (fault) => {
      mount.faults.set(fault);
    },
    clearFaults: () => mount.faults.clear(),
    faults: () => mount.faults.list(),
    setKnob: (name, value) => {
      mount.knobs.set({ [name]: value });
      mount.changed();
    },
    knobs: () => mount.knobs.all(),
    revokeGrant: async (grantId) => {
      const grant = known(state.grants.get(grantId), 'grant');
      const refusal = mount.refuseCustomerRevoke(grant);
      if (refusal !== undefined) throw new Error(refusal);
      await mount.revokeGrant(grant, 'customer');
    },
    plays: (accountId) => mount.definition.rest.plays?.(known(state.accounts.get(accountId), 'account')) ?? [],
    play: async (accountId, play) => {
      const done = await mount.play(known(state.accounts.get(accountId), 'account'), play);
      if (!done) throw new Error(`"${play.name}" cannot happen any more.`);
    },
    tell: (accountId, event, count) => mount.burst(known(state.accounts.get(accountId), 'account'), event, count),
    webhooks: () => structuredClone(state.webhooks),
    resendWebhook: async (id) => {
      const webhook = state.webhooks.find((one) => one.id === id);
      await mount.webhooks.resend(known(webhook, 'webhook'));
    },
    requests: () => mount.recorder.list(),
    tokenRequestCount: () => mount.recorder.tokenRequestCount(),
    onEvent: (listener) => mount.onEvent(listener),
    reset: () => mount.reset(),
  };
}

function consent(mount: Mount, authorizeUrl: string, options: { user?: string; decision?: Decision }): string {
  const url = new URL(authorizeUrl);
  const path = url.pathname.startsWith(mount.basePath) ? url.pathname.slice(mount.basePath.length) : url.pathname;
  const read = readAuthorize(mount, path, url.searchParams);
  if (read === undefined) throw new Error('This is not an authorize address of the emulator.');
  if (read.kind === 'refuse') throw new Error(read.message);
  if (read.kind === 'redirect') return read.location;
  const users = [...mount.state.users.values()];
  const user =
    options.user === undefined
      ? users[0]
      : users.find(({ id, email }) => id === options.user || email === options.user);
  return decide(mount, read.ask, known(user, 'user'), options.decision ?? 'allow');
}

function known<T>(found: T | undefined, what: string): T {
  if (found === undefined) throw new Error(`There is no such ${what}.`);
  return found;
}
