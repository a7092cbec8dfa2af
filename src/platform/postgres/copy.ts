/** One connection of its own for moving whole tables: COPY in both directions, with back-pressure. */
import type { Duplex } from 'node:stream';
import type { ClientBase, Connection, Submittable } from 'pg';
import type { Clock } from '../../base/clock.ts';
import { errorText, type Log } from '../../base/log.ts';
import { connectFirst } from './client.ts';
import { translate } from './errors.ts';
import type { Sql } from './model.ts';
import { run } from './statement.ts';

export interface CopyClient extends Sql {
  /** Sends a script of several statements, without values. */
  script(text: string): Promise<void>;
  /**
   * Runs `COPY … TO STDOUT`; `onChunk` is waited for before much more is read. Resolves to the rows. Errors: as `query`,
   * and those of `onChunk`.
   */
  copyOut(statement: string, onChunk: (chunk: Buffer) => Promise<void> | void): Promise<number>;
  /** Runs `COPY … FROM STDIN` with the bytes of `chunks`. Resolves to the rows. Errors: as `query`, those of `chunks`. */
  copyIn(statement: string, chunks: AsyncIterable<Buffer>): Promise<number>;
  /** Rolls back what is not committed. Safe to call twice. */
  close(): Promise<void>;
}

/** What the driver's typings leave out of its connection. Source: pg, lib/connection.js. */
interface Wire {
  stream: Duplex;
  query(text: string): void;
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
  sendCopyFail(message: string): void;
}

/** The database sends row by row; this many bytes make one piece. */
const PIECE_BYTES = 65_536;

function wireOf(connection: Connection): Wire {
  return connection as unknown as Wire;
}

/** Errors: StartupError, as of the first connection of a start. No statement of it has a time limit. */
export async function openCopyClient(options: { url: string; log: Log; clock: Clock }): Promise<CopyClient> {
  const client = await connectFirst(options);
  let lost: Error | undefined;
  const onLost: ((error: Error) => void)[] = [];
  const lose = (error: Error): void => {
    lost ??= error;
    for (const tell of onLost.splice(0)) tell(error);
  };
  client.on('error', lose);
  client.on('end', () => lose(new Error('the connection to the database ended')));
  await client.query('SET statement_timeout = 0');
  await client.query('SET idle_in_transaction_session_timeout = 0');

  async function submit(copy: Copy): Promise<number> {
    if (lost !== undefined) throw translate(lost);
    onLost.push((error) => copy.handleError(error));
    client.query(copy);
    try {
      return await copy.done;
    } catch (error) {
      throw translate(error);
    } finally {
      onLost.length = 0;
    }
  }

  let closed: Promise<void> | undefined;
  return {
    async query<R extends object>(text: string, values?: readonly unknown[]) {
      try {
        return await run<R>(client as ClientBase, text, values);
      } catch (error) {
        throw translate(error);
      }
    },
    async script(text) {
      try {
        await client.query(text);
      } catch (error) {
        throw translate(error);
      }
    },
    copyOut: (statement, onChunk) => submit(new CopyOut(statement, onChunk)),
    copyIn: (statement, chunks) => submit(new CopyIn(statement, chunks)),
    close() {
      closed ??= client.end().catch((error: unknown) =>
        // It is gone already, which is what was wanted.
        options.log.debug('closing a database connection', { error: errorText(error) }),
      );
      return closed;
    },
  };
}

/** What the driver calls while it runs one COPY. Source: pg, lib/client.js. */
class Copy implements Submittable {
  readonly done: Promise<number>;
  protected readonly statement: string;
  protected failure: Error | undefined;
  #rows = 0;
  #settle: { resolve(rows: number): void; reject(error: unknown): void };

  constructor(statement: string) {
    this.statement = statement;
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.done = promise;
    this.#settle = { resolve, reject };
  }

  submit(connection: Connection): void {
    wireOf(connection).query(this.statement);
  }

  handleCommandComplete({ text }: { text: string }): void {
    // `COPY 17`
    this.#rows = Number(text.split(' ')[1] ?? 0);
  }

  handleError(error: Error): void {
    this.#settle.reject(this.failure ?? error);
  }

  handleReadyForQuery(): void {
    if (this.failure === undefined) this.#settle.resolve(this.#rows);
    else this.#settle.reject(this.failure);
  }

  // A COPY has no rows, no parameters and no portal; the driver may still announce them.
  handleRowDescription(): void {}
  handleDataRow(): void {}
  handlePortalSuspended(): void {}
  handleEmptyQuery(): void {}
}

class CopyOut extends Copy {
  #onChunk: (chunk: Buffer) => Promise<void> | void;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #handing: Promise<void> = Promise.resolve();
  #pieces = 0;
  #stream: Duplex | undefined;

  constructor(statement: string, onChunk: (chunk: Buffer) => Promise<void> | void) {
    super(statement);
    this.#onChunk = onChunk;
  }

  handleCopyData({ chunk }: { chunk: Buffer }, connection: Connection): void {
    this.#stream = wireOf(connection).stream;
    // The parser reuses its buffer.
    this.#held.push(Buffer.from(chunk));
    this.#heldBytes += chunk.length;
    if (this.#heldBytes >= PIECE_BYTES) this.#hand();
  }

  #hand(): void {
    if (this.#held.length === 0) return;
    const piece = Buffer.concat(this.#held);
    this.#held = [];
    this.#heldBytes = 0;
    this.#pieces += 1;
    this.#stream?.pause();
    this.#handing = this.#handing
      .then(() => (this.failure === undefined ? this.#onChunk(piece) : undefined))
      .catch((error: unknown) => {
        this.failure ??= error as Error;
      })
      .then(() => {
        this.#pieces -= 1;
        if (this.#pieces === 0) this.#stream?.resume();
      });
  }

  override handleReadyForQuery(): void {
    this.#hand();
    void this.#handing.then(() => super.handleReadyForQuery());
  }
}

class CopyIn extends Copy {
  #chunks: AsyncIterable<Buffer>;

  constructor(statement: string, chunks: AsyncIterable<Buffer>) {
    super(statement);
    this.#chunks = chunks;
  }

  handleCopyInResponse(connection: Connection): void {
    void this.#send(wireOf(connection));
  }

  async #send(connection: Wire): Promise<void> {
    let ended = false;
    this.done.then(
      () => (ended = true),
      () => (ended = true), // reported by the caller's own wait
    );
    try {
      for await (const chunk of this.#chunks) {
        if (ended) return;
        connection.sendCopyFromChunk(chunk);
        if (connection.stream.writableNeedDrain) await drained(connection.stream, this.done);
      }
      if (!ended) connection.endCopyFrom();
    } catch (error) {
      this.failure ??= error as Error;
      if (!ended) connection.sendCopyFail('the source of the data failed');
    }
  }
}

/** Resolves when the socket takes more, or the command is over. */
async function drained(stream: Wire['stream'], done: Promise<unknown>): Promise<void> {
  const free = Promise.withResolvers<void>();
  stream.once('drain', free.resolve);
  const over = done.then(
    () => undefined,
    () => undefined, // the caller of the command hears of it
  );
  await Promise.race([free.promise, over]);
  stream.off('drain', free.resolve);
}
