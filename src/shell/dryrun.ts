/** Tries code that came over the API for one connection. Provider calls are real; nothing is stored here. */
import type { Connections } from '../features/connections/index.ts';
import { connectionToWire, credentialToWire, type Credentials } from '../features/credentials/index.ts';
import type { Environments } from '../features/environments/index.ts';
import { functionErrors, type Dryrun, type DryrunRequest } from '../features/functions/index.ts';
import { integrationToWire, type Integration } from '../features/integrations/index.ts';
import type { ScriptCalls } from '../features/proxy/index.ts';
import type { Runs } from '../features/runs/index.ts';
import { randomId } from '../base/ids.ts';
import type { ProxyCall, Sandbox, SandboxResult } from '../platform/sandbox/index.ts';
import { runChecked } from './project/checked.ts';
import { hostOf, inMemory, type Effects } from './project/hosts.ts';

/** As long as an action may take. */
const DRYRUN_TIMEOUT_MS = 15 * 60_000;

export interface DryrunDeps {
  sandbox: Pick<Sandbox, 'run'>;
  calls: ScriptCalls;
  connections: Pick<Connections, 'byPublicId'>;
  credentials: Pick<Credentials, 'live'>;
  environments: Pick<Environments, 'byId'>;
  runs: Pick<Runs, 'variables'>;
  serverUrl: () => string;
}

export function createDryrun(deps: DryrunDeps): Dryrun {
  return async (environmentId, integration, connectionId) => {
    const connection = await deps.connections.byPublicId(environmentId, integration.id, connectionId);
    if (connection === undefined) return undefined;
    return (request) => perform(deps, environmentId, integration, { id: connection.id, connectionId }, request);
  };
}

async function perform(
  { sandbox, calls, credentials, environments, runs, serverUrl }: DryrunDeps,
  environmentId: number,
  integration: Integration,
  { id, connectionId }: { id: number; connectionId: string },
  request: DryrunRequest,
): Promise<Record<string, unknown>> {
  const { fn } = request;
  const effects: Effects = { recording: { nango: {}, api: {} }, lines: [] };
  const host = hostOf({
    ...inMemory(effects, request.checkpoint),
    proxy: (call: ProxyCall) =>
      calls.call({ environmentId, integrationKey: integration.uniqueKey, connectionId, call }),
    getConnection: async (key: string | null, other: string | null, options?: { forceRefresh?: boolean } | null) => {
      const force = options?.forceRefresh === true;
      const live = await credentials.live(environmentId, key ?? integration.uniqueKey, other ?? connectionId, {
        force,
      });
      const wire = connectionToWire({
        connection: live.connection,
        integration: live.integration,
        endUser: undefined,
        credentials: credentialToWire(live.credential),
        dates: 'offset',
        withRefreshToken: false,
      });
      return request.metadata === undefined ? wire : { ...wire, metadata: request.metadata };
    },
    getIntegration: () => integrationToWire(integration, serverUrl()),
    getEnvironmentVariables: () => runs.variables.list(environmentId),
    triggerAction: (key: string, other: string, name: string) => {
      effects.lines.push(`would run the action ${name} of ${key}, connection ${other}`);
      return null;
    },
  });
  const environment = await environments.byId(environmentId);
  const { paginate } = integration.provider.api;
  const work = (): Promise<SandboxResult> =>
    sandbox.run({
      environmentId,
      bundle: { hash: `dryrun-${randomId()}`, code: fn.code.js },
      entry: 'exec',
      input: request.input ?? null,
      context: {
        kind: fn.kind,
        name: fn.name,
        connectionId,
        providerConfigKey: integration.uniqueKey,
        provider: integration.provider.name,
        environmentName: environment?.name ?? '',
        environmentId,
        nangoConnectionId: id,
        runId: 'dryrun',
        isCLI: true,
        loggerLevel: 'debug',
        attributes: fn.definition.attributes,
        ...(paginate !== undefined && { paginate: { ...paginate } }),
        ...(fn.kind === 'sync' && {
          syncId: 'dryrun',
          variant: 'base',
          models: fn.definition.models,
          trackDeletes: fn.definition.trackDeletes,
        }),
        ...(request.lastSyncDate !== undefined && { lastSyncDate: request.lastSyncDate }),
      },
      limits: { timeoutMs: DRYRUN_TIMEOUT_MS },
      host,
      alone: true,
    });
  const result = await runChecked(fn, request.input, work);
  if (!result.ok) {
    const { code, message, payload, upstream } = result.error;
    throw functionErrors.fail('dryrun_error', { message, payload: { code, payload, upstream, log: effects.lines } });
  }
  const { batchSave, batchUpdate, batchDelete, saveCheckpoint } = effects.recording.nango;
  return {
    output: effects.lines.join('\n'),
    result: fn.kind === 'action' ? result.output : { batchSave, batchUpdate, batchDelete, saveCheckpoint },
  };
}
