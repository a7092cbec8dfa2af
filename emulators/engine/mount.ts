/**
 * @module emulators/engine/mount
 *
 * One emulator at work: a definition, its memory, knobs, faults and sessions, and the changes that pages, API and
 * handle share. Answers nothing by itself; see `dispatch.ts`.
 */
import type { Clock } from '../../src/base/clock.ts';
import { errorText, type Log } from '../../src/base/log.ts';
import { skewedClock } from './clock.ts';
import type { EmulatorDefinition } from './definition.ts';
import { Faults } from './faults.ts';
import { alphanumericId, hexId } from './ids.ts';
import { createIdempotency, type Idempotency } from './idempotency.ts';
import { knobSpecs } from './knob-table.ts';
import { Knobs } from './knobs.ts';
import { createLimiter, type Limiter } from './limit.ts';
import { Recorder } from './recorder.ts';
import { isoSeconds } from './rest-routes.ts';
import { Sessions } from './sessions.ts';
import { type PendingReadiness, State } from './state.ts';
import type { MountData } from './state-file.ts';
import type { Account, App, EmulatorEvent, Grant, MadeUpEvent, Play, ResourceEvent, RestTools, User } from './types.ts';
import { WebhookSender } from './webhooks.ts';

/** Where the engine reports what it cannot tell a caller. */
export type EmulatorLog = Pick<Log, 'error'>;

/** Who ended a grant. */
export type EndedBy = 'app' | 'customer' | 'provider';

export type EventListener = (event: EmulatorEvent) => void | Promise<void>;

export interface MountOptions {
  definition: EmulatorDefinition;
  clock: Clock;
  /** Absolute, no trailing slash. */
  baseUrl: string;
  /** Announces a change that must be kept before the next reply. */
  changed(): void;
  /** Announces a change that may be kept a little later. */
  changedSoon(): void;
  log: EmulatorLog;
}

/** How often resources that change with time are looked at. */
const ADVANCE_MS = 1_000;

export class Mount {
  readonly definition: EmulatorDefinition;
  readonly state = new State();
  readonly knobs: Knobs;
  readonly faults = new Faults();
  readonly recorder = new Recorder();
  readonly sessions: Sessions;
  /** The emulator's own time: the given clock plus knob `clockSkew`. */
  readonly clock: Clock;
  readonly baseUrl: string;
  /** Path of the base URL without trailing slash; empty when the emulator lives at the root. */
  readonly basePath: string;
  readonly restTools: RestTools;
  readonly webhooks: WebhookSender;
  readonly changed: () => void;
  readonly changedSoon: () => void;
  readonly closing = new AbortController();
  limiter: Limiter;
  idempotency: Idempotency;
  readonly #log: EmulatorLog;
  readonly #listeners = new Set<EventListener>();
  readonly #stopAdvancing: () => void;

  constructor(options: MountOptions) {
    this.definition = options.definition;
    this.knobs = new Knobs(knobSpecs(options.definition));
    this.clock = skewedClock(options.clock, () => this.knobs.number('clockSkew', 0) * 1_000);
    this.baseUrl = options.baseUrl;
    const url = new URL(options.baseUrl);
    this.basePath = url.pathname.replace(/\/$/, '');
    this.sessions = new Sessions({
      name: options.definition.name,
      path: this.basePath,
      secure: url.protocol === 'https:',
    });
    this.limiter = createLimiter(this.clock);
    this.idempotency = createIdempotency(this.clock);
    this.changed = options.changed;
    this.changedSoon = options.changedSoon;
    this.#log = options.log;
    this.restTools = { clock: this.clock, hexId, knob: (name) => this.knobs.get(name) };
    this.webhooks = new WebhookSender({
      habit: options.definition.webhooks,
      clock: this.clock,
      knobs: this.knobs,
      state: this.state,
      closing: this.closing.signal,
      changed: options.changedSoon,
      logError: (error, message) => this.logError(error, message),
    });
    this.#stopAdvancing = options.clock.every(ADVANCE_MS, () => this.#advance());
  }

  /** Current time in ISO 8601, whole seconds. */
  isoNow(): string {
    return isoSeconds(this.clock.now());
  }

  /** Makes the first accounts and users. */
  seed(): void {
    for (const seed of this.definition.accounts) this.addAccount(seed);
  }

  /** Takes over what a state file kept, or seeds. */
  load(data: MountData | undefined): void {
    if (data === undefined) {
      this.seed();
      return;
    }
    this.state.load(data.state);
    // A knob that an older version kept and this one does not know is left out.
    const names = new Set(this.knobs.specs.map((spec) => spec.name));
    this.knobs.set(Object.fromEntries(Object.entries(data.knobs).filter(([name]) => names.has(name))));
    for (const pending of this.state.pending) this.#awaitReadiness(pending);
    for (const app of this.state.apps.values()) app.webhookKey ??= hexId(32);
    this.webhooks.resume();
  }

  toData(): MountData {
    return { state: this.state.toData(), knobs: this.knobs.changed() };
  }

  /** Forgets everything but the registered apps, and starts again with fresh accounts. */
  reset(): void {
    const apps = this.state.apps;
    this.state.load(new State().toData());
    this.state.apps = apps;
    this.knobs.clear();
    this.faults.clear();
    this.sessions.clear();
    this.recorder.clear();
    this.limiter = createLimiter(this.clock);
    this.idempotency = createIdempotency(this.clock);
    this.seed();
    this.changed();
  }

  addAccount(fields: {
    name: string;
    ready: boolean;
    users: { fullName: string; email: string; password?: string }[];
    managed?: boolean;
  }): Account {
    const { ids, rest } = this.definition;
    const account: Account = {
      id: ids.accountId(),
      name: fields.name,
      createdAt: this.isoNow(),
      ready: fields.ready,
      data: {},
      apiKey: ids.apiKey(),
      ...(fields.managed === true ? { managed: true } : {}),
    };
    this.state.accounts.set(account.id, account);
    const users = fields.users.map((user) => this.addUser({ ...user, accountId: account.id }));
    rest.seed(account, users, this.restTools);
    this.changed();
    return account;
  }

  addUser(fields: { accountId: string; fullName: string; email: string; password?: string }): User {
    const user: User = {
      id: this.definition.ids.userId(),
      accountId: fields.accountId,
      email: fields.email,
      fullName: fields.fullName,
      password: fields.password ?? alphanumericId(12),
    };
    this.state.users.set(user.id, user);
    this.changed();
    return user;
  }

  /** Gives the account another id, as a provider does that makes ids per connection (knob rotateAccountIdOnReconnect). */
  renumberAccount(account: Account): void {
    const { state } = this;
    const users = state.usersOf(account.id);
    const grants = state.grantsOf(account.id);
    const pending = state.pending.filter((each) => each.accountId === account.id);
    state.accounts.delete(account.id);
    account.id = this.definition.ids.accountId();
    state.accounts.set(account.id, account);
    for (const owned of [...users, ...grants, ...pending]) owned.accountId = account.id;
    this.changed();
  }

  /** Makes an account ready and tells every app that holds a grant of it. Resolves to false when it was ready before. */
  async makeReady(account: Account): Promise<boolean> {
    if (account.ready) return false;
    account.ready = true;
    this.state.pending = this.state.pending.filter((each) => each.accountId !== account.id);
    this.changed();
    if (!this.definition.readiness.announced) return true;
    const clientIds = new Set(
      this.state
        .grantsOf(account.id)
        .filter((grant) => grant.state === 'active')
        .map((grant) => grant.clientId),
    );
    for (const clientId of clientIds) {
      const app = this.state.apps.get(clientId);
      if (app !== undefined) await this.announceReady(app, account);
    }
    return true;
  }

  async announceReady(app: App, account: Account): Promise<void> {
    await this.emit({ type: 'account.credentialed', emulator: this.definition.name, at: this.isoNow(), app, account });
  }

  /** Makes the account ready after a while, also across a restart. */
  makeReadyLater(account: Account, afterMs: number): void {
    const pending = { accountId: account.id, atMs: this.clock.now() + afterMs };
    this.state.pending.push(pending);
    this.changed();
    this.#awaitReadiness(pending);
  }

  /** Why the customer may not end this grant; undefined when they may. Source: providers.md 1.7, managed accounts. */
  refuseCustomerRevoke(grant: Grant): string | undefined {
    const managed = this.state.accounts.get(grant.accountId)?.managed === true;
    return managed ? 'A managed account cannot be disconnected by its own users.' : undefined;
  }

  /** Ends a grant: its tokens die, one event for each that lived. Resolves to false when it had ended before. */
  async revokeGrant(grant: Grant, by: EndedBy): Promise<boolean> {
    const announce = this.endGrant(grant, by);
    if (announce === undefined) return false;
    await announce();
    return true;
  }

  /** Like {@link revokeGrant}, but leaves the telling to the caller; undefined when the grant had ended before. */
  endGrant(grant: Grant, by: EndedBy): (() => Promise<void>) | undefined {
    if (grant.state === 'revoked') return undefined;
    grant.state = 'revoked';
    const living = this.state.accessTokensOf(grant.id).filter((token) => !token.dead);
    for (const token of living) token.dead = true;
    for (const token of this.state.refreshTokensOf(grant.id)) token.dead = true;
    this.changed();
    return async () => {
      const app = this.state.apps.get(grant.clientId);
      if (app === undefined) return;
      const told = { type: 'token.deauthorized', emulator: this.definition.name, at: this.isoNow(), by } as const;
      for (const { token } of living) await this.emit({ ...told, app, grant, accessToken: token });
    };
  }

  /** Hears of everything a real provider would announce, until the returned function is called. */
  onEvent(listener: EventListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Tells all listeners and the webhooks, and waits for them; a failing one is logged and disturbs nobody. */
  async emit(event: EmulatorEvent): Promise<void> {
    for (const listener of this.#listeners) {
      try {
        await listener(event);
      } catch (error) {
        this.logError(error, `A listener of ${event.type} failed.`);
      }
    }
    await this.webhooks.tell(event);
  }

  logError(error: unknown, message: string): void {
    this.#log.error(message, { error: errorText(error), emulator: this.definition.name });
  }

  close(): void {
    this.closing.abort();
    this.#stopAdvancing();
  }

  #awaitReadiness(pending: PendingReadiness): void {
    this.#waitAndMakeReady(pending).catch((error: unknown) => {
      // Closing ends the wait; the state file keeps what is due.
      if (!this.closing.signal.aborted) this.logError(error, 'An account could not become ready.');
    });
  }

  async #waitAndMakeReady(pending: PendingReadiness): Promise<void> {
    await this.clock.sleep(Math.max(0, pending.atMs - this.clock.now()), this.closing.signal);
    const account = this.state.accounts.get(pending.accountId);
    if (account !== undefined && this.state.pending.includes(pending)) await this.makeReady(account);
  }

  #advance(): void {
    if (this.#listeners.size === 0 && !this.webhooks.hasTargets()) return;
    for (const account of this.state.accounts.values()) {
      const events = this.definition.rest.advance(account, this.restTools);
      if (events.length === 0) continue;
      this.changedSoon();
      void this.emitResources(account, events);
    }
  }

  /** Does what somebody at the provider would do; resolves to false when there is no such thing to do any more. */
  async play(account: Account, play: Pick<Play, 'name' | 'id'>): Promise<boolean> {
    const events = this.definition.rest.play?.(account, play, this.restTools);
    if (events === undefined) return false;
    this.changedSoon();
    await this.emitResources(account, events);
    return true;
  }

  /**
   * Tells `count` events at once, made up: nothing happens to any resource. Without an `object` each has one of its own.
   * Waits for nothing.
   */
  burst(account: Account, { type, object }: MadeUpEvent, count = 1): void {
    const { webhooks } = this.definition;
    for (let each = 0; each < count; each += 1) {
      const shown = object ?? webhooks?.example(type, hexId(32)) ?? {};
      void this.emitResources(account, [{ type, object: shown }]);
    }
  }

  /** Tells what happened to resources of an account. */
  async emitResources(account: Account, resources: ResourceEvent[]): Promise<void> {
    for (const resource of resources) {
      await this.emit({ type: 'resource', emulator: this.definition.name, at: this.isoNow(), account, resource });
    }
  }
}
