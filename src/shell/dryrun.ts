/** Tries code that came over the API for one connection. Provider calls are real; nothing is stored here. */
import type { Connections } from '../features/connections/index.ts';
import { connectionToWire, credentialToWire, type Credentials } from '../features/credentials/index.ts';
import { functionErrors, type Dryrun, type DryrunRequest } from '../features/functions/index.ts';
import type { Integration } from '../features/integrations/index.ts';
import type { ScriptCalls } from '../features/proxy/index.ts';
import { randomId } from '../base/ids.ts';
import type { ProxyCall, Sandbox } from '../platform/sandbox/index.ts';
import { hostOf, inMemory, type Effects } from './project/hosts.ts';

/** As long as an action may take. */
const DRYRUN_TIMEOUT_MS = 15 * 60_000;

export interface DryrunDeps {
  sandbox: Pick<Sandbox, 'run'>;
  calls: ScriptCalls;
  connections: Pick<Connections, 'byPublicId'>;
  credentials: Pick<Credentials, 'live'>;
}

export function createDryrun(deps: DryrunDeps): Dryrun {
  return async (environmentId, integration, connectionId) => {
    const connection = await deps.connections.byPublicId(environmentId, integration.id, connectionId);
    if (connection === undefined) return undefined;
    return (request) => perform(deps, environmentId, integration, { id: connection.id, connectionId }, request);
  };
}

async function perform(
  { sandbox, calls, credentials }: DryrunDeps,
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
    getIntegration: () => ({ unique_key: integration.uniqueKey, provider: integration.provider.name }),
    getEnvironmentVariables: () => [],
    triggerAction: (key: string, other: string, name: string) => {
      effects.lines.push(`would run the action ${name} of ${key}, connection ${other}`);
      return null;
    },
  });
  const result = await sandbox.run({
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
      environmentName: '',
      environmentId,
      nangoConnectionId: id,
      runId: 'dryrun',
      isCLI: true,
      loggerLevel: 'debug',
      ...(fn.kind === 'sync' && { syncId: 'dryrun', variant: 'base', models: fn.definition.models }),
      ...(request.lastSyncDate !== undefined && { lastSyncDate: request.lastSyncDate }),
    },
    limits: { timeoutMs: DRYRUN_TIMEOUT_MS },
    host,
    alone: true,
  });
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
