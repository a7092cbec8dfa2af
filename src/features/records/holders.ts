/** Which connections have a record of a certain id: row ids are made of place and id, so no index is needed for it. */
import type { Sql } from '../../platform/postgres/index.ts';
import { rowIds } from './place.ts';
import { selectModelsOf, selectPresent } from './store-read.ts';

/** Row ids of the connections of an integration that hold a living record with this id, in any model. */
export async function findHolders(
  sql: Sql,
  environmentId: number,
  integrationId: number,
  externalId: string,
): Promise<number[]> {
  const models = await selectModelsOf(sql, environmentId, integrationId);
  const holderOf = new Map(
    models.map(({ connection_id: connectionId, model }) => [
      rowIds({ environmentId, connectionId, model })(externalId),
      connectionId,
    ]),
  );
  const present = await selectPresent(sql, environmentId, [...holderOf.keys()]);
  return [...new Set(present.map((id) => holderOf.get(id) as number))].toSorted((one, other) => one - other);
}
