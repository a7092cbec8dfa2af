import type { Sql } from '../../platform/postgres/index.ts';
import type { Accounts } from '../accounts/index.ts';
import type { Connection, UpsertInput } from '../connections/index.ts';
import type { Credential, GrantFacts } from '../credentials/index.ts';
import type { ConnectDeps } from './deps.ts';
import { errors } from './errors.ts';

type Arrival = Parameters<Accounts['admit']>[1];
type Admission = Awaited<ReturnType<Accounts['admit']>>;

/** What is stored beside what an arrival names. */
type Kept = Omit<UpsertInput, 'environmentId' | 'integrationId' | 'connectionId' | 'accountId'>;

export interface KeptConnection {
  connection: Connection;
  operation: 'creation' | 'override';
}

/**
 * The way of every credential into the database, whoever brings it: policy, row, grant, event for the app.
 * Errors: `unknown_provider_config` (the integration was deleted meanwhile), `account_already_connected`,
 * `account_changed` (the integration's policy about accounts).
 */
export async function keepConnection(
  deps: Pick<ConnectDeps, 'integrations' | 'accounts' | 'connections' | 'credentials' | 'events'>,
  tx: Sql,
  input: {
    arrival: Arrival;
    credential: Credential;
    facts: GrantFacts;
    values: (admission: Admission) => Kept;
    /** What the app is told beside how it went. Default: nothing. */
    payload?: (connection: Connection) => object;
  },
): Promise<KeptConnection> {
  const { arrival, credential, facts } = input;
  const { environmentId, integration, connectionId, accountId } = arrival;
  // Its deletion lets go of the connections it finds: this one would be refreshed for ever, and nobody could end it.
  if (!(await deps.integrations.holdLiving(tx, environmentId, integration.id))) {
    throw errors.fail('unknown_provider_config');
  }
  const admission = await deps.accounts.admit(tx, arrival);
  const { connection, operation } = await deps.connections.upsert(tx, {
    ...input.values(admission),
    environmentId,
    integrationId: integration.id,
    connectionId,
    accountId,
  });
  await deps.accounts.settle(tx, {
    connection,
    integration,
    admission,
    credential,
    write: (settled) => deps.credentials.write(tx, { connection: settled, credential, facts }),
  });
  await deps.connections.writeEvent(tx, {
    environmentId,
    type: 'auth',
    connectionId: connection.id,
    payload: {
      ...input.payload?.(connection),
      operation,
      success: true,
      ...(admission.note !== undefined && { accountNote: admission.note }),
    },
  });
  if (operation === 'creation') await deps.events?.created(tx, connection);
  return { connection, operation };
}
