/**
 * @module emulators/engine/webhooks
 *
 * Sends what happened to the applications: one message per target, tried again by the provider's schedule.
 *
 * A webhook is `waiting` (its next try has a time, or is under way) → `delivered` (2xx) | `given-up` (schedule over).
 * All copies and tries of an event carry the same body. Waiting ones survive a restart.
 */
import type { Clock } from '../../src/base/clock.ts';
import { hexId } from './ids.ts';
import type { Knobs } from './knobs.ts';
import { post, type PostResult } from './post.ts';
import { isoSeconds } from './rest-routes.ts';
import type { State } from './state.ts';
import type { Account, App, EmulatorEvent } from './types.ts';
import type { WebhookHabit, WebhookTarget } from './webhook-habit.ts';

export interface WebhookAttempt {
  /** ISO 8601. */
  at: string;
  /** Absent when there was no answer. */
  status?: number;
  error?: string;
}

/** One message to one address. */
export interface Webhook {
  id: string;
  type: string;
  url: string;
  /** Signs; null: the account has no key. Kept, because a try may come after a restart. */
  key: string | null;
  body: string;
  createdAt: string;
  state: 'waiting' | 'delivered' | 'given-up';
  /** Wall time in ms of the next try; null when there is none. */
  dueMs: number | null;
  attempts: WebhookAttempt[];
}

/** Sockets to receivers at one time. */
const SENDING_MAX = 8;
/** Finished messages that are remembered. */
const KEPT_MAX = 500;
const REORDER_WAIT_MS = 1_000;
/** Events of one burst. */
const BURST_MAX = 10_000;

/** The number of events that somebody asks for, as far as it is one; else 1. */
export function burstSize(asked: unknown): number {
  return typeof asked === 'number' && asked >= 1 ? Math.min(Math.floor(asked), BURST_MAX) : 1;
}

export interface WebhookSenderOptions {
  /** Undefined: the provider sends nothing. */
  habit: WebhookHabit | undefined;
  clock: Clock;
  knobs: Knobs;
  state: State;
  closing: AbortSignal;
  /** Announces that messages changed. */
  changed(): void;
  logError(error: unknown, message: string): void;
}

export class WebhookSender {
  readonly #options: WebhookSenderOptions;
  readonly #queue: { webhook: Webhook; done: () => void }[] = [];
  readonly #sending = new Set<Webhook>();
  #running = 0;
  #count = 0;
  #wakeAtMs: number | undefined;

  constructor(options: WebhookSenderOptions) {
    this.#options = options;
  }

  /** Sends an event to everybody who wants it. Resolves when each message that is not held back was tried once. */
  async tell(event: EmulatorEvent): Promise<void> {
    const { habit, knobs, clock, state, changed } = this.#options;
    if (habit === undefined) return;
    const id = hexId(32);
    const at = isoSeconds(clock.now());
    const made: Webhook[] = [];
    for (const { target, app } of this.#targetsOf(habit, event)) {
      const body = habit.write(event, { id, target, app, at, knob: (name) => knobs.get(name) });
      if (body === undefined) continue;
      const type = event.type === 'resource' ? event.resource.type : event.type;
      const copies = 1 + Math.floor(knobs.number('webhookDuplicates', 0));
      for (let copy = 0; copy < copies; copy += 1) {
        made.push({
          id: hexId(16),
          type,
          url: target.url,
          key: target.key,
          body,
          createdAt: at,
          ...FRESH,
          attempts: [],
        });
      }
    }
    if (made.length === 0) return;
    for (const webhook of made) {
      webhook.dueMs = clock.now() + this.#heldBackMs();
      state.webhooks.push(webhook);
    }
    this.#forgetSome();
    changed();
    const now = clock.now();
    const first = made.filter((webhook) => (webhook.dueMs ?? 0) <= now).map((webhook) => this.#try(webhook));
    this.#wakeNext();
    await Promise.all(first);
  }

  /** True when an event of some account would go anywhere. */
  hasTargets(): boolean {
    const { habit, state } = this.#options;
    if (habit === undefined) return false;
    if ([...state.apps.values()].some((app) => app.webhookUrl !== '')) return true;
    const knob = (name: string) => this.#options.knobs.get(name);
    return [...state.accounts.values()].some((account) => (habit.accountTargets?.(account, knob) ?? []).length > 0);
  }

  /** Sends a message once more, whatever became of it. Resolves when it was tried. */
  async resend(webhook: Webhook): Promise<void> {
    webhook.state = 'waiting';
    await this.#try(webhook);
  }

  /** Goes on with what an earlier process left waiting. */
  resume(): void {
    for (const webhook of this.#options.state.webhooks) {
      if (webhook.state === 'waiting') webhook.dueMs ??= this.#options.clock.now();
    }
    this.#wakeNext();
  }

  #targetsOf(habit: WebhookHabit, event: EmulatorEvent): { target: WebhookTarget; app: App | undefined }[] {
    const { state, knobs } = this.#options;
    const knob = (name: string) => knobs.get(name);
    const account = 'account' in event ? event.account : state.accounts.get(event.grant.accountId);
    const ofApp = (app: App) => ({
      target: { url: app.webhookUrl, key: habit.appKey(app, account, knob), whole: true },
      app,
    });
    if (event.type !== 'resource') return event.app.webhookUrl === '' ? [] : [ofApp(event.app)];
    const apps = connectedApps(state, event.account).filter((app) => app.webhookUrl !== '');
    const own = (habit.accountTargets?.(event.account, knob) ?? []).map((target) => ({ target, app: undefined }));
    return [...apps.map(ofApp), ...own];
  }

  #heldBackMs(): number {
    this.#count += 1;
    return this.#options.knobs.flag('webhookReorder') && this.#count % 2 === 1 ? this.#scaled(REORDER_WAIT_MS) : 0;
  }

  #scaled(ms: number): number {
    return ms / Math.max(this.#options.knobs.number('webhookTimeScale', 1), 1e-6);
  }

  /** Tries one message, as soon as a socket is free. */
  #try(webhook: Webhook): Promise<void> {
    if (this.#sending.has(webhook)) return Promise.resolve();
    this.#sending.add(webhook);
    webhook.dueMs = null;
    return new Promise((resolve) => {
      this.#queue.push({ webhook, done: resolve });
      this.#pump();
    });
  }

  #pump(): void {
    while (this.#running < SENDING_MAX) {
      const next = this.#queue.shift();
      if (next === undefined) return;
      this.#running += 1;
      this.#send(next.webhook)
        .catch((error: unknown) => this.#options.logError(error, 'A webhook could not be sent.'))
        .finally(() => {
          this.#running -= 1;
          this.#sending.delete(next.webhook);
          next.done();
          this.#wakeNext();
          this.#pump();
        });
    }
  }

  async #send(webhook: Webhook): Promise<void> {
    const { habit, clock, knobs, closing, changed } = this.#options;
    if (habit === undefined) return;
    const over = new AbortController();
    const answered = new AbortController();
    clock.sleep(knobs.number('webhookTimeoutMs', 10_000), answered.signal).then(
      () => over.abort(),
      () => undefined,
    ); // answered in time
    const at = isoSeconds(clock.now());
    const result = await post(
      webhook.url,
      { 'Content-Type': 'application/json', 'User-Agent': habit.userAgent, ...this.#signature(habit, webhook) },
      webhook.body,
      AbortSignal.any([over.signal, closing]),
    );
    answered.abort();
    if (closing.aborted) {
      webhook.dueMs = clock.now();
      return;
    }
    webhook.attempts.push({ at, ...(over.signal.aborted ? { error: 'timeout' } : result) });
    this.#settle(habit, webhook, result);
    changed();
  }

  #settle(habit: WebhookHabit, webhook: Webhook, result: PostResult): void {
    const delivered = 'status' in result && result.status >= 200 && result.status < 300;
    const waitSeconds = habit.retryAfterSeconds[webhook.attempts.length - 1];
    if (delivered || waitSeconds === undefined) {
      webhook.state = delivered ? 'delivered' : 'given-up';
      webhook.dueMs = null;
      return;
    }
    webhook.dueMs = this.#options.clock.now() + this.#scaled(waitSeconds * 1_000);
  }

  #signature(habit: WebhookHabit, webhook: Webhook): Record<string, string> {
    const { clock, knobs } = this.#options;
    const form = knobs.text('webhookSignature');
    const nonce = String(Math.floor(clock.now() / 1_000));
    const { signatureHeader: name, sentence } = habit;
    if (form === 'missing') return {};
    if (form === 'sentence' || webhook.key === null) return { [name]: sentence };
    const value = habit.sign(webhook.body, form === 'wrong' ? `not-${webhook.key}` : webhook.key, nonce);
    const upper = value.replace(/[0-9a-f]{64}/, (digest) => digest.toUpperCase());
    return { [name]: form === 'upper-case' ? upper : value };
  }

  /** Sleeps until the earliest try that nobody waits for. */
  #wakeNext(): void {
    const { state, closing } = this.#options;
    let dueMs: number | undefined;
    for (const webhook of state.webhooks) {
      if (webhook.dueMs !== null && (dueMs === undefined || webhook.dueMs < dueMs)) dueMs = webhook.dueMs;
    }
    if (dueMs === undefined || closing.aborted) return;
    if (this.#wakeAtMs !== undefined && this.#wakeAtMs <= dueMs) return;
    this.#wakeAtMs = dueMs;
    // Closing ends the sleep; the state file keeps what is due.
    this.#wakeAt(dueMs).catch(() => undefined);
  }

  async #wakeAt(wakeAtMs: number): Promise<void> {
    const { clock, closing } = this.#options;
    await clock.sleep(Math.max(0, wakeAtMs - clock.now()), closing);
    if (this.#wakeAtMs === wakeAtMs) this.#wakeAtMs = undefined;
    this.#tryDue();
  }

  #tryDue(): void {
    const now = this.#options.clock.now();
    for (const webhook of this.#options.state.webhooks) {
      if (webhook.dueMs !== null && webhook.dueMs <= now) void this.#try(webhook);
    }
    this.#wakeNext();
  }

  #forgetSome(): void {
    const { state } = this.#options;
    const finished = state.webhooks.filter((webhook) => webhook.state !== 'waiting');
    if (finished.length < 2 * KEPT_MAX) return;
    const gone = new Set(finished.slice(0, -KEPT_MAX));
    state.webhooks = state.webhooks.filter((webhook) => !gone.has(webhook));
  }
}

const FRESH = { state: 'waiting', dueMs: null } as const;

/** Applications that hold a grant of the account. */
function connectedApps(state: State, account: Account): App[] {
  const living = state.grantsOf(account.id).filter((grant) => grant.state !== 'revoked');
  return [...new Set(living.map((grant) => grant.clientId))]
    .map((clientId) => state.apps.get(clientId))
    .filter((app) => app !== undefined);
}
