/** What the app will be told: rows of table `event`. */
import { randomId } from '../../base/ids.ts';
import type { Sql } from '../../platform/postgres/index.ts';
import type { Vault } from '../environments/index.ts';
import { insertEvents } from './store-events.ts';

export interface NewEvent {
  environmentId: number;
  type: string;
  connectionId?: number;
  payload: object;
  /** Headers of a provider that go along; only those the slice `outbound` lists are sent. */
  providerHeaders?: Record<string, string>;
}

/** Kinds of events that hold what a provider sent. */
const PRIVATE_KINDS: readonly string[] = ['forward'];

/** The place an event's payload, and later its body, is sealed in. `uuid`: of the event. */
export function eventPlace(environmentId: number, uuid: string) {
  return { environmentId, table: 'event', row: uuid, column: 'sealed' };
}

/** Writes an event. Those asked of one transaction in the same turn are one statement, in the order of asking. */
export function createEventWriter(vault: Vault): (sql: Sql, event: NewEvent) => Promise<void> {
  const batches = new WeakMap<Sql, { events: NewEvent[]; written: Promise<void> }>();

  async function write(sql: Sql, events: readonly NewEvent[]): Promise<void> {
    const rows = events.map((event) => ({
      ...event,
      uuid: randomId(),
      payload: JSON.stringify(event.payload),
      sealed: undefined as Buffer | undefined,
    }));
    const hidden = rows.filter(({ type }) => PRIVATE_KINDS.includes(type));
    for (const [environmentId, group] of Map.groupBy(hidden, (row) => row.environmentId)) {
      const { row: _row, ...column } = eventPlace(environmentId, '');
      const sealed = await vault.sealMany(
        column,
        group.map(({ uuid, payload }) => ({ row: uuid, plaintext: payload })),
      );
      for (const [index, row] of group.entries()) Object.assign(row, { payload: '{}', sealed: sealed[index] });
    }
    await insertEvents(sql, rows);
  }

  return (sql, event) => {
    // Outside of a transaction callers have nothing in common: the failure of one must not be another's.
    if ('transaction' in sql) return write(sql, [event]);
    const open = batches.get(sql);
    if (open !== undefined) {
      open.events.push(event);
      return open.written;
    }
    const events = [event];
    const written = Promise.resolve().then(() => {
      batches.delete(sql);
      return write(sql, events);
    });
    batches.set(sql, { events, written });
    return written;
  };
}
