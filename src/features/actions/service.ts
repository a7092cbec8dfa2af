import { connectionErrors, type Connection } from '../connections/index.ts';
import { integrationErrors, type Integration } from '../integrations/index.ts';
import type { Run, RunHooks, RunRequest } from '../runs/index.ts';
import { actionErrors } from './errors.ts';
import { createConnectionEvents } from './events.ts';
import type { Actions, ActionsDeps, ActionTarget, TriggerOptions } from './model.ts';
import { createActionSchemas } from './schema.ts';

/** States in which a call of the provider makes sense: the credential is then made ready while the script starts. */
const USABLE: readonly string[] = ['active', 'expiring', 'not_ready'];

/** Registers itself for the runs of actions and of event handlers. */
export function createActions(deps: ActionsDeps): Actions {
  const { runs, functions, integrations, connections, credentials, db } = deps;
  const schemas = createActionSchemas();

  runs.register('action', {
    prepare: async () => ({}),
    checkOutput: ({ fn }, output) => schemas.checkOutput(fn, output),
    // The app asked for it asynchronously, so it hears of the end.
    tells: (run) => run.lane !== undefined,
    finished: tellApp,
  });
  runs.register('on-event', { prepare: async () => ({}) });

  async function tellApp(...[tx, context]: Parameters<NonNullable<RunHooks['finished']>>): Promise<void> {
    const { run, connection, integration } = context;
    await connections.writeEvent(tx, {
      environmentId: run.environmentId,
      type: 'async_action',
      connectionId: connection.id,
      payload: {
        type: 'async_action',
        connectionId: connection.connectionId,
        providerConfigKey: integration.uniqueKey,
        payload: { id: run.uuid, statusUrl: `/action/${run.uuid}` },
      },
    });
  }

  async function connectionOf(environmentId: number, integration: Integration, id: string): Promise<Connection> {
    const live = credentials.peek(environmentId, integration.uniqueKey, id);
    if (live !== undefined) return live.connection;
    const stored = await connections.byPublicId(environmentId, integration.id, id);
    if (stored === undefined) throw connectionErrors.fail('unknown_connection', { status: 400 });
    if (USABLE.includes(stored.state)) {
      credentials.live(environmentId, integration.uniqueKey, id).catch(() => {
        // The script meets the same failure when it calls the provider, and says so.
      });
    }
    return stored;
  }

  function requestOf(target: ActionTarget, input: unknown, options: TriggerOptions): Omit<RunRequest, 'lane'> {
    const { fn, connection, integration } = target;
    schemas.checkInput(fn, input);
    const { idempotencyKey } = options;
    return {
      environmentId: fn.environmentId,
      kind: 'action',
      trigger: options.trigger ?? 'api',
      fn,
      connection,
      known: { connection, integration },
      input,
      ...(idempotencyKey !== undefined && {
        idempotency: {
          key: idempotencyKey,
          request: JSON.stringify([fn.name, integration.uniqueKey, connection.connectionId, input ?? null]),
        },
      }),
    };
  }

  return {
    events: createConnectionEvents(deps),

    async find(environmentId, integrationKey, connectionId, name) {
      const integration =
        integrations.peek(environmentId, integrationKey) ?? (await integrations.byKey(environmentId, integrationKey));
      if (integration === undefined) throw integrationErrors.fail('unknown_provider_config');
      const [connection, fn] = await Promise.all([
        connectionOf(environmentId, integration, connectionId),
        functions.byName(environmentId, integration.id, 'action', name),
      ]);
      if (fn === undefined) throw actionErrors.fail('not_found');
      if (!fn.enabled) throw actionErrors.fail('disabled_resource');
      return { fn, connection, integration };
    },

    async runNow(target, input, options = {}) {
      return runs.execute(requestOf(target, input, options));
    },

    async runLater(target, input, options = {}) {
      const request = requestOf(target, input, options);
      const { retries = 0 } = options;
      const run = await db.transaction((tx) =>
        runs.enqueue(tx, { ...request, retries, lane: `async:${request.environmentId}` }),
      );
      return run as Run;
    },
  };
}
