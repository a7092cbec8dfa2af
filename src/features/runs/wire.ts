/** A run as the API tells it. */
import type { Connections } from '../connections/index.ts';
import type { IntegrationService } from '../integrations/index.ts';
import type { Run, RunResult } from './model.ts';

export interface RunNames {
  integrations: Pick<IntegrationService, 'byId'>;
  connections: Pick<Connections, 'byId'>;
}

/** Names are null when what they named is gone. */
export async function runsToWire(names: RunNames, runs: readonly Run[]) {
  const connectionNames = new Map<number, string | null>();
  const integrationKeys = new Map<number, string | null>();
  for (const { environmentId, connectionId, integrationId } of runs) {
    if (connectionId !== 0 && !connectionNames.has(connectionId)) {
      const connection = await names.connections.byId(environmentId, connectionId);
      connectionNames.set(connectionId, connection?.connectionId ?? null);
    }
    if (!integrationKeys.has(integrationId)) {
      const integration = await names.integrations.byId(environmentId, integrationId);
      integrationKeys.set(integrationId, integration?.uniqueKey ?? null);
    }
  }
  return runs.map((run) => ({
    id: run.uuid,
    kind: run.kind,
    trigger: run.trigger,
    state: run.state,
    function_name: run.functionName,
    version: run.version,
    provider_config_key: integrationKeys.get(run.integrationId) ?? null,
    connection_id: connectionNames.get(run.connectionId) ?? null,
    attempts: run.attempts,
    attempts_max: run.attemptsMax,
    cancel_requested: run.cancelRequested,
    counts: run.counts,
    error: run.error === undefined ? null : { code: run.error.code, message: run.error.message },
    queued_at: run.queuedAt.toISOString(),
    started_at: run.startedAt?.toISOString() ?? null,
    finished_at: run.finishedAt?.toISOString() ?? null,
    duration_ms: run.durationMs ?? null,
    /** Give it as `cursor` to read on behind it. */
    cursor: String(run.id),
  }));
}

/** Output or the whole error, beside the rest. */
export function resultToWire(result: RunResult | undefined) {
  if (result === undefined) return {};
  return result.ok ? { output: result.output ?? null } : { error: result.error };
}
