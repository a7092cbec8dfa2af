import { defineRoute, environmentOf, type Route } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import type { DeployedFunction } from '../model.ts';
import { DEPLOY_BYTES_MAX, deployBody, readDeploy } from '../wire.ts';
import { keysOf, type FunctionRouteDeps } from '../find.ts';

const ERRORS = [
  'invalid_body',
  'invalid_cli_version',
  'unknown_provider_config',
  'concurrent_deployment',
  'deploy_script_security_rejected',
];

/** Deploys what a project holds, and says before what that would change. */
export function deployRoutes({ functions, integrations }: FunctionRouteDeps): Route[] {
  const preview = defineRoute({
    method: 'POST',
    path: '/sync/deploy/confirmation',
    summary: 'What a deploy would change',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.deploy },
    body: deployBody,
    bodyBytesMax: DEPLOY_BYTES_MAX,
    errors: ERRORS,
    async handle(request) {
      const { id } = environmentOf(request);
      const change = await functions.preview(id, readDeploy(request.body));
      const keys = await keysOf(integrations, id);
      const updated = change.updated.map(({ after }) => after);
      const remaining = [...change.created, ...updated, ...change.unchanged];
      return {
        body: {
          newSyncs: ofKind(change.created, 'sync', keys),
          updatedSyncs: ofKind(updated, 'sync', keys),
          deletedSyncs: ofKind(change.deleted, 'sync', keys),
          newActions: ofKind(change.created, 'action', keys),
          updatedActions: ofKind(updated, 'action', keys),
          deletedActions: ofKind(change.deleted, 'action', keys),
          deletedModels: modelsGone([...change.deleted, ...change.updated.map(({ before }) => before)], remaining),
          newOnEventScripts: ofKind(change.created, 'on-event', keys),
          updatedOnEventScripts: ofKind(updated, 'on-event', keys),
          deletedOnEventScripts: ofKind(change.deleted, 'on-event', keys),
        },
      };
    },
  });
  const deploy = defineRoute({
    method: 'POST',
    path: '/sync/deploy',
    summary: 'Deploy functions, all or nothing',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.deploy },
    body: deployBody,
    bodyBytesMax: DEPLOY_BYTES_MAX,
    errors: ERRORS,
    async handle(request) {
      const { id } = environmentOf(request);
      const change = await functions.deploy(id, readDeploy(request.body));
      const keys = await keysOf(integrations, id);
      const deployed = [...change.created, ...change.updated.map(({ after }) => after), ...change.unchanged];
      return {
        body: deployed.map((fn) => ({
          name: fn.name,
          version: fn.version,
          providerConfigKey: keys.get(fn.integrationId),
          type: fn.kind,
          models: fn.definition.models,
          id: fn.id,
          ...(fn.definition.runs !== undefined && { runs: fn.definition.runs }),
          ...(fn.definition.input !== undefined && { input: fn.definition.input }),
          last_deployed: fn.deployedAt.toISOString(),
        })),
      };
    },
  });
  return [preview, deploy];
}

function ofKind(
  list: readonly DeployedFunction[],
  kind: DeployedFunction['kind'],
  keys: ReadonlyMap<number, string>,
): Record<string, unknown>[] {
  return list
    .filter((fn) => fn.kind === kind)
    .map((fn) => ({
      ...(fn.id > 0 && { id: fn.id }),
      name: fn.name,
      providerConfigKey: keys.get(fn.integrationId),
      ...(kind === 'sync' && { auto_start: fn.definition.autoStart, enabled: fn.enabled }),
      ...(kind === 'on-event' && { event: fn.definition.event }),
    }));
}

/** Models of syncs that nothing writes any more. */
function modelsGone(before: readonly DeployedFunction[], remaining: readonly DeployedFunction[]): string[] {
  const modelsOf = (list: readonly DeployedFunction[]): string[] =>
    list.filter((fn) => fn.kind === 'sync').flatMap((fn) => fn.definition.models);
  const kept = new Set(modelsOf(remaining));
  return [...new Set(modelsOf(before))].filter((model) => !kept.has(model));
}
