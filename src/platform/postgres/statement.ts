import type { ClientBase, QueryResult } from 'pg';
import { errors, isConnectionLoss, translate } from './errors.ts';
import type { Sql } from './model.ts';

/** Runs one statement; of several in one text the last one's rows count. Errors: the driver's own. */
export async function run<R extends object>(
  client: ClientBase,
  text: string,
  values?: readonly unknown[],
  name?: string,
): Promise<R[]> {
  // Typed for one statement, but several give an array of results.
  const result = (await client.query<R>({ text, values: values as unknown[] | undefined, name })) as
    QueryResult<R> | QueryResult<R>[];
  return Array.isArray(result) ? (result.at(-1)?.rows ?? []) : result.rows;
}

/**
 * Commits, and tells apart the three outcomes the driver blurs: done, rolled back by the server because an earlier
 * statement had failed (which COMMIT reports as a success), and unknown.
 */
export async function commit(client: ClientBase, earlierFailure: unknown): Promise<void> {
  let tag: string;
  try {
    tag = (await client.query('COMMIT')).command;
  } catch (error) {
    if (isConnectionLoss(error)) throw errors.fail('database_commit_unknown', { cause: error });
    throw error;
  }
  if (tag !== 'COMMIT') {
    throw earlierFailure ?? new Error('the transaction was rolled back: one of its statements had failed');
  }
}

export interface SerialSql {
  sql: Sql;
  /** The first statement's error, whether or not anybody saw it. */
  failure(): unknown;
  /** Waits for what still runs and refuses everything after. */
  end(): Promise<void>;
}

/** One statement after the other on one connection, as the protocol wants it, also when the caller asks in parallel. */
export function serialSql(client: ClientBase, onLoss: () => void = () => {}): SerialSql {
  let tail: Promise<unknown> = Promise.resolve();
  let failure: unknown;
  let ended = false;
  return {
    sql: {
      query<R extends object>(text: string, values?: readonly unknown[], name?: string): Promise<R[]> {
        if (ended) return Promise.reject(new Error('this transaction or session is over'));
        const answer = tail.then(() => run<R>(client, text, values, name));
        tail = answer.catch((error: unknown) => {
          failure ??= translate(error);
          if (isConnectionLoss(error)) onLoss();
        });
        return answer.catch((error: unknown) => {
          throw translate(error);
        });
      },
    },
    failure: () => failure,
    async end() {
      ended = true;
      await tail;
    },
  };
}
