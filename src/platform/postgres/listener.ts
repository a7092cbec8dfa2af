import { Client, escapeIdentifier } from 'pg';
import { errorText, type Log } from '../../base/log.ts';
import type { Clock } from '../../base/clock.ts';
import { clientConfig, cutSocket } from './client.ts';
import { errors } from './errors.ts';
import type { Sql } from './model.ts';
import { serialSql } from './statement.ts';

/** A dead link is noticed within two of these: fault 25 wants readiness to flip within 10 s. */
const KEEPALIVE_MS = 4_000;
/** First and longest wait between two tries to connect again. */
const BACKOFF_FIRST_MS = 100;
const BACKOFF_MAX_MS = 2_000;
/** How long `listen` waits for a lost session to come back. */
const SUBSCRIBE_TIMEOUT_MS = 10_000;

type Handler = (payload: string) => void;

/**
 * The listening session. Down → (connect, LISTEN every channel) → up → (error, end, unanswered keepalive) → down.
 * Everybody is told of each change, because what was notified in between is lost.
 */
export class Listener {
  #url: string;
  #log: Log;
  #clock: Clock;
  #channels = new Map<string, Set<Handler>>();
  #watchers = new Set<(healthy: boolean) => void>();
  #client: Client | undefined;
  #sql: Sql | undefined;
  #up = false;
  #loop: Promise<void> | undefined;
  #stop = new AbortController();
  #waiting = new Set<() => void>();

  constructor(options: { url: string; log: Log; clock: Clock }) {
    this.#url = options.url;
    this.#log = options.log;
    this.#clock = options.clock;
  }

  get up(): boolean {
    return this.#up;
  }

  onState(fn: (healthy: boolean) => void): () => void {
    this.#watchers.add(fn);
    return () => this.#watchers.delete(fn);
  }

  async listen(channel: string, handler: Handler): Promise<() => Promise<void>> {
    if (this.#stop.signal.aborted) throw errors.fail('database_unavailable', { detail: 'the database is closed' });
    const handlers = this.#channels.get(channel) ?? new Set();
    this.#channels.set(channel, handlers);
    // A wrapper, so that the same function may be subscribed twice.
    const own: Handler = (payload) => handler(payload);
    handlers.add(own);
    try {
      if (this.#up) await this.#command(`LISTEN ${escapeIdentifier(channel)}`);
      this.#loop ??= this.#run();
      if (!this.#up) await this.#whenUp();
    } catch (error) {
      await this.#forget(channel, own);
      throw error;
    }
    return () => this.#forget(channel, own);
  }

  /** True when the listening session answers within `timeoutMs`. */
  async ping(timeoutMs: number): Promise<boolean> {
    if (this.#sql === undefined || !this.#up) return false;
    return answers(this.#sql, timeoutMs, this.#clock);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    for (const wake of this.#waiting) wake();
    if (this.#client !== undefined) cutSocket(this.#client);
    await this.#loop;
  }

  async #forget(channel: string, handler: Handler): Promise<void> {
    const handlers = this.#channels.get(channel);
    if (handlers === undefined || !handlers.delete(handler) || handlers.size > 0) return;
    this.#channels.delete(channel);
    if (!this.#up) return;
    await this.#command(`UNLISTEN ${escapeIdentifier(channel)}`).catch((error: unknown) => {
      this.#log.debug('unlisten failed; the next session starts without the channel', {
        error: errorText(error),
        channel,
      });
    });
  }

  async #command(text: string): Promise<void> {
    if (this.#sql === undefined) throw errors.fail('database_unavailable', { detail: 'no listening session' });
    await this.#sql.query(text);
  }

  async #whenUp(): Promise<void> {
    const stopWaiting = new AbortController();
    const { promise: woken, resolve: wake } = Promise.withResolvers<void>();
    this.#waiting.add(wake);
    const late = this.#clock.sleep(SUBSCRIBE_TIMEOUT_MS, stopWaiting.signal).catch(() => {
      // Aborted: the session came up first.
    });
    await Promise.race([woken, late]);
    stopWaiting.abort();
    this.#waiting.delete(wake);
    if (!this.#up) throw errors.fail('database_unavailable', { detail: 'could not subscribe in time' });
  }

  async #run(): Promise<void> {
    let waitMs = BACKOFF_FIRST_MS;
    while (!this.#stop.signal.aborted) {
      if (await this.#serve()) waitMs = BACKOFF_FIRST_MS;
      if (this.#stop.signal.aborted) return;
      try {
        await this.#clock.sleep(waitMs, this.#stop.signal);
      } catch {
        return; // aborted by close()
      }
      waitMs = Math.min(waitMs * 2, BACKOFF_MAX_MS);
    }
  }

  /** Lives one session from connect to loss; resolves to whether it ever was up. */
  async #serve(): Promise<boolean> {
    const client = new Client({ ...clientConfig(this.#url), application_name: 'hawser listen' });
    const sql = serialSql(client).sql;
    const { promise: lost, resolve: markLost } = Promise.withResolvers<void>();
    let reached = false;
    client.on('error', (error) => {
      this.#log.debug('listening session failed', { error: errorText(error) });
      this.#setUp(client, false);
      markLost();
    });
    client.on('end', () => {
      this.#setUp(client, false);
      markLost();
    });
    client.on('notification', ({ channel, payload }) => this.#dispatch(channel, payload ?? ''));
    this.#client = client;
    this.#sql = sql;
    try {
      await client.connect();
      await this.#subscribeAll(sql);
      if (this.#stop.signal.aborted) return false;
      reached = true;
      this.#setUp(client, true);
      const stopKeepalive = this.#clock.every(KEEPALIVE_MS, () => void this.#keepAlive(client, sql));
      await lost;
      stopKeepalive();
      if (!this.#stop.signal.aborted) this.#log.warn('listening session lost; caches are bypassed until it is back');
    } catch (error) {
      if (this.#stop.signal.aborted) return false;
      this.#log.warn('could not open the listening session; trying again', { error: errorText(error) });
    } finally {
      this.#setUp(client, false);
      this.#client = undefined;
      this.#sql = undefined;
      cutSocket(client);
    }
    return reached;
  }

  async #subscribeAll(sql: Sql): Promise<void> {
    const done = new Set<string>();
    // A channel may be added while we wait, so look again until none is new.
    for (;;) {
      const missing = [...this.#channels.keys()].filter((channel) => !done.has(channel));
      if (missing.length === 0) return;
      await sql.query(missing.map((channel) => `LISTEN ${escapeIdentifier(channel)}`).join(';'));
      for (const channel of missing) done.add(channel);
    }
  }

  async #keepAlive(client: Client, sql: Sql): Promise<void> {
    if (await answers(sql, KEEPALIVE_MS, this.#clock)) return;
    this.#log.warn('listening session does not answer');
    this.#setUp(client, false);
    cutSocket(client);
  }

  #setUp(client: Client, up: boolean): void {
    if (this.#client !== client || this.#up === up) return;
    this.#up = up;
    if (up) for (const wake of this.#waiting) wake();
    for (const watcher of this.#watchers) {
      try {
        watcher(up);
      } catch (error) {
        this.#log.error('a watcher of the listening session failed', { error: errorText(error) });
      }
    }
  }

  #dispatch(channel: string, payload: string): void {
    for (const handler of this.#channels.get(channel) ?? []) {
      try {
        handler(payload);
      } catch (error) {
        this.#log.error('a notification handler failed', { error: errorText(error), channel });
      }
    }
  }
}

/** True when the connection answers a trivial statement in time; never throws. */
export async function answers(sql: Sql, timeoutMs: number, clock: Clock): Promise<boolean> {
  const answered = new AbortController();
  const late = clock.sleep(timeoutMs, answered.signal).then(
    () => false,
    () => false, // aborted below: the answer was first
  );
  const answer = sql.query('SELECT 1').then(
    () => true,
    () => false, // the reason is on the client's 'error' event
  );
  const result = await Promise.race([answer, late]);
  answered.abort();
  return result;
}
