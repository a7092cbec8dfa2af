/**
 * Step 7 of the refresh protocol: an answer is made durable before anybody looks at it. First choice the database, else
 * the spool on disk and memory, retried for ever; `unflushed` counts what is not yet in the database.
 */
import { errorText } from '../../base/log.ts';
import type { HttpAnswer } from '../../protocols/oauth2/index.ts';
import type { CredentialsDeps } from './model.ts';
import { createSpool } from './spool.ts';
import { insertReply, type JournalEntry } from './store-journal.ts';

/** A database that has not answered by then may be behind a dead link: the answer goes to disk meanwhile. */
const SPOOL_AFTER_MS = 2_000;
/** Waits between two tries to reach the database with an answer in hand. */
const RETRY_FIRST_MS = 100;
const RETRY_MAX_MS = 2_000;

/** What of an answer is kept. Other headers carry nothing a token is read from. */
export interface KeptReply {
  /** Its connection may be gone by the time this is read. */
  integrationId: number;
  status: number;
  headers: Record<string, string | string[]>;
  /** Base64. */
  body: string;
}

const KEPT_HEADERS = new Set(['content-type', 'retry-after', 'date', 'www-authenticate']);

export interface Journal {
  readonly unflushed: number;
  /** Resolves once the answer is in the database, however long that takes. */
  keep(entry: JournalEntry): Promise<void>;
  /** Brings answers of an earlier process from disk into the database. Errors: those of the database. */
  flushSpool(): Promise<void>;
  seal(place: { environmentId: number; connectionId: number; epoch: number }, reply: KeptReply): Promise<Buffer>;
  open(entry: { environmentId: number; connectionId: number; epoch: number }, sealed: Buffer): Promise<KeptReply>;
}

export function createJournal(deps: CredentialsDeps): Journal {
  const { db, clock, log, vault, killPoints } = deps;
  const spool = createSpool(deps.spoolDir, log);
  let unflushed = 0;

  async function keep(entry: JournalEntry): Promise<void> {
    let spooled = false;
    let waitMs = RETRY_FIRST_MS;
    unflushed += 1;
    try {
      for (;;) {
        const inserting = insertReply(db, entry);
        try {
          if (!spooled && (await isSlow(inserting))) spooled = await putQuietly(entry);
          await inserting;
          break;
        } catch (error) {
          log.error('a provider answer could not be journalled; it is kept on disk and tried again', {
            connection: entry.connectionId,
            error: errorText(error),
          });
        }
        if (!spooled) spooled = await putQuietly(entry);
        await clock.sleep(waitMs);
        waitMs = Math.min(waitMs * 2, RETRY_MAX_MS);
      }
      if (spooled) {
        killPoints.reach('K11', entry.connectionId);
        await spool.remove(entry);
      }
    } finally {
      unflushed -= 1;
    }
  }

  /** Rejects as the work does. */
  async function isSlow(work: Promise<unknown>): Promise<boolean> {
    const done = new AbortController();
    try {
      return await Promise.race([
        work.then(() => false),
        clock.sleep(SPOOL_AFTER_MS, done.signal).then(
          () => true,
          () => false, // the work was faster
        ),
      ]);
    } finally {
      done.abort();
    }
  }

  /** Without disk the answer still lives in memory and the database is tried on. */
  async function putQuietly(entry: JournalEntry): Promise<boolean> {
    try {
      await spool.put(entry);
      return true;
    } catch (error) {
      log.error('a provider answer could not be spooled; it is in memory only', {
        connection: entry.connectionId,
        error: errorText(error),
      });
      return false;
    }
  }

  return {
    get unflushed() {
      return unflushed;
    },
    keep,
    async flushSpool() {
      for (const entry of await spool.list()) {
        await insertReply(db, entry);
        killPoints.reach('K11', entry.connectionId);
        await spool.remove(entry);
      }
    },
    seal: (place, reply) => vault.seal(placeOf(place), JSON.stringify(reply)),
    async open(place, sealed) {
      return JSON.parse(await vault.open(placeOf(place), sealed)) as KeptReply;
    },
  };
}

function placeOf(place: { environmentId: number; connectionId: number; epoch: number }) {
  const row = `${place.connectionId}:${place.epoch}`;
  return { environmentId: place.environmentId, table: 'refresh_journal', row, column: 'reply_sealed' };
}

export function keptReply(integrationId: number, answer: HttpAnswer): KeptReply {
  return {
    integrationId,
    status: answer.status,
    headers: Object.fromEntries(Object.entries(answer.headers).filter(([name]) => KEPT_HEADERS.has(name))),
    body: answer.body.toString('base64'),
  };
}

/** A kept answer in the shape the protocol code reads. */
export function replyOf(kept: KeptReply): HttpAnswer {
  return { status: kept.status, headers: kept.headers, body: Buffer.from(kept.body, 'base64') };
}
