/** One function asks for another: actions at once and in this process, syncs by their schedule. */
import { HawserError } from '../../../base/errors.ts';
import { runErrors } from '../errors.ts';
import type { SyncControl } from '../model.ts';
import { findTarget } from './connection.ts';
import { asText } from './args.ts';
import type { HostDeps, HostMethods, HostRun } from './model.ts';

export function triggerMethods(deps: HostDeps, host: HostRun): HostMethods {
  const { environmentId } = host.run;

  return {
    async triggerAction(key: unknown, connectionId: unknown, name: unknown, input: unknown) {
      const target = await findTarget(
        deps,
        environmentId,
        asText(key, 'The integration'),
        asText(connectionId, 'The connection'),
      );
      const actionName = asText(name, 'The action');
      const fn = await deps.functions.byName(environmentId, target.integration.id, 'action', actionName);
      if (fn === undefined || !fn.enabled) {
        const message = `The integration ${target.integration.uniqueKey} has no action ${actionName.slice(0, 100)}.`;
        throw runErrors.fail('not_found', { message });
      }
      const { result } = await deps.execute(
        { environmentId, kind: 'action', trigger: 'script', fn, connection: target.connection, known: target, input },
        { depth: host.depth + 1, signal: host.signal },
      );
      if (result.ok) return result.output ?? null;
      const { code, message, payload, upstream } = result.error;
      const details = upstream === undefined ? payload : { payload, upstream };
      throw new HawserError(code, { status: 500, message }, { payload: details });
    },

    async triggerSync(key: unknown, connectionId: unknown, sync: unknown, options: unknown) {
      const target = await findTarget(
        deps,
        environmentId,
        asText(key, 'The integration'),
        asText(connectionId, 'The connection'),
      );
      await control(deps).trigger({ environmentId, ...target }, readSync(sync), options);
      return null;
    },

    async startSync(key: unknown, syncs: unknown, connectionId: unknown) {
      const integrationKey = asText(key, 'The integration');
      const id = connectionId === undefined || connectionId === null ? host.connection.connectionId : connectionId;
      const target = await findTarget(deps, environmentId, integrationKey, asText(id, 'The connection'));
      if (!Array.isArray(syncs)) throw runErrors.fail('invalid_script_call', { message: 'syncs must be a list.' });
      await control(deps).start({ environmentId, ...target }, (syncs as unknown[]).map(readSync));
      return null;
    },
  };
}

function control(deps: HostDeps): SyncControl {
  const bound = deps.syncControl();
  if (bound === undefined) throw runErrors.fail('sync_control_unavailable');
  return bound;
}

/** `name`, `name::variant` or `{name, variant}`. */
function readSync(sync: unknown): { name: string; variant: string } {
  if (typeof sync === 'string' && sync !== '') {
    const at = sync.indexOf('::');
    return at === -1 ? { name: sync, variant: 'base' } : { name: sync.slice(0, at), variant: sync.slice(at + 2) };
  }
  const { name, variant } = (sync ?? {}) as Record<string, unknown>;
  return { name: asText(name, 'The sync'), variant: variant === undefined ? 'base' : asText(variant, 'The variant') };
}
