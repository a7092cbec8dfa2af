import { noKillPoints, type KillPoints } from '../../platform/kill-points.ts';
import type { Database, Sql } from '../../platform/postgres/index.ts';
import type { Log } from '../../base/log.ts';
import { integrationErrors, type Integration, type Integrations } from '../integrations/index.ts';
import { createFunctionCache } from './cache.ts';
import { checkFunctions } from './check.ts';
import { functionErrors } from './errors.ts';
import type { DeployedFunction, FunctionChange, Functions } from './model.ts';
import { planDeploy, type DeployInput, type Plan } from './plan.ts';
import {
  insertCode,
  insertFunction,
  insertVersion,
  markDeleted,
  selectById,
  selectByName,
  selectCode,
  selectFunctions,
  tryDeployLock,
  updateEnabled,
  updateFunction,
} from './store.ts';

type Follower = Parameters<Functions['onChange']>[0];

/** Functions as deployed. Every change tells the followers in its own transaction. */
export async function createFunctions(deps: {
  db: Database;
  integrations: Pick<Integrations, 'byKey'>;
  log: Log;
  /** For tests. Default: none is armed. */
  killPoints?: KillPoints;
}): Promise<Functions> {
  const { db, integrations, log, killPoints = noKillPoints } = deps;
  const cache = await createFunctionCache(db);
  const followers: Follower[] = [];

  async function tell(tx: Sql, environmentId: number, change: FunctionChange): Promise<void> {
    if (change.created.length + change.updated.length + change.deleted.length === 0) return;
    for (const follow of followers) await follow(tx, environmentId, change);
  }

  /** The integrations a payload names. Errors: `unknown_provider_config`. */
  async function integrationsOf(environmentId: number, input: DeployInput): Promise<Map<string, Integration>> {
    const keys = new Set(input.functions.map((fn) => fn.integrationKey));
    if (input.scope.mode === 'integration') keys.add(input.scope.integrationKey);
    const found = new Map<string, Integration>();
    for (const key of keys) {
      const integration = await integrations.byKey(environmentId, key);
      if (integration === undefined) {
        throw integrationErrors.fail('unknown_provider_config', {
          message: `There is no integration "${key}" in this environment. Create it, or rename the folder to an integration that is there (GET /integrations).`,
        });
      }
      found.set(key, integration);
    }
    return found;
  }

  async function apply(
    tx: Sql,
    environmentId: number,
    { functions, deleted }: Plan,
    source: DeployedFunction['source'],
  ): Promise<FunctionChange & { unchanged: DeployedFunction[] }> {
    const change = { created: [], updated: [], deleted: [], unchanged: [] } as FunctionChange & {
      unchanged: DeployedFunction[];
    };
    for (const { input, integration, hash, before, version, isChanged } of functions) {
      if (before !== undefined && !isChanged) {
        change.unchanged.push(before);
        continue;
      }
      await insertCode(tx, environmentId, hash, input.code);
      const { kind, name, definition } = input;
      const values = {
        environmentId,
        integrationId: integration.id,
        kind,
        name,
        version,
        source,
        definition,
        codeHash: hash,
      };
      const after = (before && (await updateFunction(tx, before.id, values))) ?? (await insertFunction(tx, values));
      await insertVersion(tx, after);
      if (before === undefined) change.created.push(after);
      else change.updated.push({ before, after });
    }
    const gone = new Set(
      await markDeleted(
        tx,
        environmentId,
        deleted.map((fn) => fn.id),
      ),
    );
    change.deleted.push(...deleted.filter((fn) => gone.has(fn.id)));
    await tell(tx, environmentId, change);
    return change;
  }

  return {
    byName: (environmentId, integrationId, kind, name) =>
      cache.find(`${environmentId}:${integrationId}:${kind}:${name}`, () =>
        selectByName(db, environmentId, integrationId, kind, name),
      ),
    byId: (environmentId, id) => cache.find(`${environmentId}:#${id}`, () => selectById(db, environmentId, id)),
    list: (environmentId, filter) => selectFunctions(db, environmentId, filter),
    code: (environmentId, codeHash) =>
      cache.code(`${environmentId}:${codeHash}`, async () => {
        const code = await selectCode(db, environmentId, codeHash);
        if (code === undefined)
          throw functionErrors.fail('not_found', { message: 'The code of this function is gone.' });
        return code;
      }),
    async deploy(environmentId, input) {
      checkFunctions(input.functions);
      const known = await integrationsOf(environmentId, input);
      const change = await db.transaction(async (tx) => {
        if (!(await tryDeployLock(tx, environmentId))) throw functionErrors.fail('concurrent_deployment');
        const plan = planDeploy(input, await selectFunctions(tx, environmentId), known);
        const applied = await apply(tx, environmentId, plan, input.source);
        killPoints.reach('F1');
        return applied;
      });
      killPoints.reach('F2');
      cache.clear();
      log.info('functions deployed', {
        environment: environmentId,
        created: change.created.length,
        updated: change.updated.length,
        deleted: change.deleted.length,
        unchanged: change.unchanged.length,
      });
      return change;
    },
    async preview(environmentId, input) {
      checkFunctions(input.functions);
      const known = await integrationsOf(environmentId, input);
      const plan = planDeploy(input, await selectFunctions(db, environmentId), known);
      return previewOf(environmentId, plan, input.source);
    },
    async setEnabled(fn, enabled) {
      const after = await db.transaction(async (tx) => {
        const updated = await updateEnabled(tx, fn.environmentId, fn.id, enabled);
        if (updated === undefined) throw functionErrors.fail('not_found');
        await tell(tx, fn.environmentId, { created: [], updated: [{ before: fn, after: updated }], deleted: [] });
        return updated;
      });
      cache.clear();
      return after;
    },
    async remove(fn) {
      await db.transaction(async (tx) => {
        const gone = await markDeleted(tx, fn.environmentId, [fn.id]);
        if (gone.length === 0) throw functionErrors.fail('not_found');
        await tell(tx, fn.environmentId, { created: [], updated: [], deleted: [fn] });
      });
      cache.clear();
    },
    async removeOfIntegration(tx, environmentId, integrationId) {
      const deleted = await selectFunctions(tx, environmentId, { integrationId });
      await markDeleted(
        tx,
        environmentId,
        deleted.map((fn) => fn.id),
      );
      await tell(tx, environmentId, { created: [], updated: [], deleted });
      cache.clear();
    },
    onChange(follow) {
      followers.push(follow);
    },
  };
}

/** What a deploy would make of it; ids of functions to come are 0 and empty. */
function previewOf(
  environmentId: number,
  { functions, deleted }: Plan,
  source: DeployedFunction['source'],
): FunctionChange & { unchanged: DeployedFunction[] } {
  const change = { created: [], updated: [], deleted, unchanged: [] } as FunctionChange & {
    unchanged: DeployedFunction[];
  };
  for (const { input, integration, hash, before, version, isChanged } of functions) {
    const { kind, name, definition } = input;
    const values = { integrationId: integration.id, kind, name, version, source, definition, codeHash: hash };
    if (before === undefined) {
      change.created.push({ environmentId, id: 0, uuid: '', enabled: true, deployedAt: new Date(0), ...values });
    } else if (isChanged) change.updated.push({ before, after: { ...before, ...values } });
    else change.unchanged.push(before);
  }
  return change;
}
