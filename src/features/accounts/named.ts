/** Whom an event names that carries no token: by account or by a field of the connection, and by lists within it. */
import type { ProviderSpec, WebhookNameList } from '../../../catalogue/_spec/index.ts';
import { textsAt } from '../../protocols/webhook-signature/index.ts';
import type { Connection } from '../connections/index.ts';
import type { ProviderEvent } from './model.ts';

export interface Names {
  /** Field of `connectionConfig` that holds one of the values. Undefined: they are ids of accounts. */
  config: string | undefined;
  values: readonly string[];
  /** The ids in each list of the event; undefined: it has none. */
  lists: { list: WebhookNameList; ids: readonly string[] }[] | undefined;
  echoesEach: boolean;
}

/** Undefined: the event names nobody in a way that may end something. */
export function namesOf({ webhooks }: ProviderSpec, { type, about, body }: ProviderEvent): Names | undefined {
  if (about === undefined || type === undefined) return undefined;
  const [group, config] = about.by.split('.');
  if (group !== 'account' && group !== 'connectionConfig') return undefined;
  const given = webhooks?.meanings?.[type];
  const rule = typeof given === 'object' ? given : undefined;
  return {
    config,
    values: about.values,
    lists: rule?.lists?.map((list) => ({ list, ids: textsAt(body, list.path) })),
    echoesEach: rule?.echoesEach === true,
  };
}

/** False where the URL of a connection found one that the event is not about, or a list leaves it out. */
export function isNamed(names: Names, connection: Pick<Connection, 'accountId' | 'connectionConfig'>): boolean {
  const { config, values } = names;
  const value = config === undefined ? connection.accountId : textOf(connection.connectionConfig[config]);
  return value !== undefined && values.includes(value) && isListed(names, connection);
}

/** True when a list of the event has the connection, or the event has no lists. */
export function isListed({ lists }: Names, { connectionConfig }: Pick<Connection, 'connectionConfig'>): boolean {
  if (lists === undefined) return true;
  return lists.some(({ list, ids }) => {
    const id = textOf(connectionConfig[list.config]);
    const isOther = list.unless !== undefined && textOf(connectionConfig[list.unless]) !== undefined;
    return id !== undefined && !isOther && ids.includes(id);
  });
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
}
