/** Whom an event is about, by what the catalogue says of it. */
import type { WebhookRoute, WebhooksSpec } from '../../../catalogue/_spec/index.ts';
import type { Sql } from '../../platform/postgres/index.ts';
import { readPlace, withoutSuffix } from '../../protocols/webhook-signature/index.ts';
import type { Vault } from '../environments/index.ts';
import type { Integration } from '../integrations/index.ts';
import type { MatchedConnection } from './model.ts';
import {
  matchAccount,
  matchAll,
  matchConfig,
  matchMetadata,
  matchPublicId,
  matchRows,
  matchToken,
} from './store-match.ts';
import type { DueEvent } from './store-work.ts';

/** A rule and the values that it found. */
export interface Identifiers {
  by: WebhookRoute['by'];
  values: string[];
}

/** What the event says about whom it is for. Undefined: nothing, since no rule is for it. */
export function identifiersOf({ route }: WebhooksSpec, due: DueEvent, body: unknown): Identifiers | undefined {
  if (route === 'all') return undefined;
  const named = route.find((one) => due.type !== undefined && one.events?.includes(due.type));
  const rule = named ?? route.find((one) => one.events === undefined);
  if (rule === undefined) return undefined;
  const values = readPlace(rule.from, due.headers, body).map((value) => withoutSuffix(value, rule.stripSuffix));
  return { by: rule.by, values: [...new Set(values)] };
}

/** Finds the living connections that an event is about. */
export type Matcher = (due: DueEvent, identifiers: Identifiers | undefined) => Promise<MatchedConnection[]>;

export interface MatchDeps {
  vault: Vault;
  recordHolders(sql: Sql, environmentId: number, integrationId: number, externalId: string): Promise<number[]>;
}

/** For the events of one transaction, many of which are about the same connections: each is looked up once. */
export function createMatcher(
  { vault, recordHolders }: MatchDeps,
  tx: Sql,
  { environmentId, id: integrationId }: Integration,
  spec: WebhooksSpec,
): Matcher {
  const place = { environmentId, integrationId };
  const known = new Map<string, Promise<MatchedConnection[]>>();
  const once = (key: string, look: () => Promise<MatchedConnection[]>): Promise<MatchedConnection[]> => {
    const found = known.get(key) ?? look();
    known.set(key, found);
    return found;
  };

  async function lookUp(by: WebhookRoute['by'], value: string): Promise<MatchedConnection[]> {
    switch (by) {
      case 'account':
        return matchAccount(tx, place, value);
      case 'connectionId':
        return matchPublicId(tx, place, value);
      case 'token':
        return matchToken(tx, place, await vault.lookupHash(environmentId, value));
      case 'record':
        return matchRows(tx, place, await recordHolders(tx, environmentId, integrationId, value));
      default: {
        const [group, name = ''] = by.split('.');
        return (group === 'metadata' ? matchMetadata : matchConfig)(tx, place, name, value);
      }
    }
  }

  return async ({ connectionId }, identifiers) => {
    if (connectionId !== undefined) return once(`row ${connectionId}`, () => matchRows(tx, place, [connectionId]));
    if (spec.route === 'all') return once('all', () => matchAll(tx, place));
    // The connections of the first value that has any.
    for (const value of identifiers?.values ?? []) {
      const { by } = identifiers as Identifiers;
      const found = await once(`${by} ${value}`, () => lookUp(by, value));
      if (found.length > 0) return found;
    }
    return [];
  };
}
