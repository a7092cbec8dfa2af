/** Functions that follow the life of connections. */
import { errorText } from '../../base/log.ts';
import type { Connection } from '../connections/index.ts';
import type { Candidate, ConnectionEvents, LiveConnection } from '../credentials/index.ts';
import type { DeployedFunction, FunctionDefinition } from '../functions/index.ts';
import { actionErrors } from './errors.ts';
import type { ActionsDeps } from './model.ts';

/** The customer's browser waits for it. */
const VALIDATE_TIMEOUT_MS = 30_000;
/** The caller of a delete waits for all of them together. */
const DELETING_TIMEOUT_MS = 20_000;

export function createConnectionEvents(deps: ActionsDeps): ConnectionEvents {
  const { functions, integrations, runs, log, clock } = deps;

  async function handlers(
    environmentId: number,
    integrationId: number,
    event: NonNullable<FunctionDefinition['event']>,
  ): Promise<DeployedFunction[]> {
    const all = await functions.list(environmentId, { integrationId, kind: 'on-event' });
    return all.filter((fn) => fn.enabled && fn.definition.event === event);
  }

  return {
    async validate(candidate) {
      const { environmentId, integration } = candidate;
      const checks = await handlers(environmentId, integration.id, 'validate-connection');
      if (checks.length === 0) return;
      const live = liveOf(candidate, new Date(clock.now()));
      for (const fn of checks) {
        const { run, result } = await runs.execute(
          {
            environmentId,
            kind: 'on-event',
            trigger: 'connect',
            fn,
            connection: live.connection,
            known: { connection: live.connection, integration },
          },
          { candidate: live, timeoutMs: VALIDATE_TIMEOUT_MS },
        );
        if (result.ok) continue;
        const { message, payload } = result.error;
        throw actionErrors.fail('connection_validation_failed', {
          message: textOf(payload) ?? message,
          detail: `${fn.name}: ${result.error.code}, run ${run.uuid}`,
        });
      }
    },

    async created(tx, connection) {
      const { environmentId, integrationId } = connection;
      for (const fn of await handlers(environmentId, integrationId, 'post-connection-creation')) {
        await runs.enqueue(tx, {
          environmentId,
          kind: 'on-event',
          trigger: 'connect',
          fn,
          connection,
          lane: `event:${connection.id}:${fn.id}`,
        });
      }
    },

    async deleted(tx, connection) {
      await runs.cancel(tx, { environmentId: connection.environmentId, connectionId: connection.id });
    },

    async deleting(connection) {
      const { environmentId, integrationId } = connection;
      try {
        const list = await handlers(environmentId, integrationId, 'pre-connection-deletion');
        const integration = list.length === 0 ? undefined : await integrations.byId(environmentId, integrationId);
        if (integration === undefined) return;
        const untilMs = clock.monotonicMs() + DELETING_TIMEOUT_MS;
        for (const fn of list) {
          const timeoutMs = untilMs - clock.monotonicMs();
          if (timeoutMs <= 0) return;
          const { result } = await runs.execute(
            {
              environmentId,
              kind: 'on-event',
              trigger: 'disconnect',
              fn,
              connection,
              known: { connection, integration },
            },
            { timeoutMs },
          );
          if (!result.ok) {
            log.warn('a function failed before a connection was deleted', {
              function: fn.name,
              code: result.error.code,
            });
          }
        }
      } catch (error) {
        // The app wants the connection gone, whatever its own code says.
        log.warn('functions before a deletion could not be run', {
          error: errorText(error),
          connection: connection.id,
        });
      }
    },
  };
}

/** What `throw new Error('…')` and `throw new nango.ActionError({message})` say to the customer. */
function textOf(payload: unknown): string | undefined {
  const message = (payload as { message?: unknown } | null | undefined)?.message;
  return typeof message === 'string' && message !== '' ? message.slice(0, 1_000) : undefined;
}

/** As the script sees it: a row that is not there yet has no id. */
function liveOf(candidate: Candidate, now: Date): LiveConnection {
  const { existing, integration, environmentId, credential, facts } = candidate;
  const connection: Connection = existing ?? {
    environmentId,
    id: 0,
    integrationId: integration.id,
    connectionId: candidate.connectionId,
    state: 'pending',
    stateReason: undefined,
    stateSince: now,
    connectionConfig: {},
    metadata: undefined,
    tags: {},
    endUserId: undefined,
    accountId: undefined,
    grantOf: undefined,
    webhookUrlOverride: undefined,
    lastGoodCallAt: undefined,
    lastFetchedAt: undefined,
    createdAt: now,
    updatedAt: now,
  };
  return {
    connection: {
      ...connection,
      connectionConfig: { ...connection.connectionConfig, ...candidate.connectionConfig },
      tags: { ...connection.tags, ...candidate.tags },
    },
    integration,
    credential,
    generation: 0,
    scope: facts.scope,
    expiresAtMs: facts.expiresAt?.getTime(),
  };
}
