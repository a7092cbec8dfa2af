import type { Clock } from '../../base/clock.ts';
import { environmentOf, type Principal } from '../../base/route.ts';
import type { Integration, Integrations } from '../integrations/index.ts';
import { functionErrors } from './errors.ts';
import type { Sandbox } from '../../platform/sandbox/index.ts';
import type { DeployedFunction, FunctionInput, FunctionKind, Functions } from './model.ts';
import type { FunctionTasks } from './tasks.ts';

export interface FunctionRouteDeps {
  functions: Functions;
  integrations: Integrations;
  /** What it takes to compile and try code at the server. */
  remote: {
    sandbox: Pick<Sandbox, 'run'>;
    tasks: FunctionTasks;
    clock: Clock;
    dryrun: Dryrun;
  };
}

/** Code that is tried and not kept. */
export interface DryrunRequest {
  fn: FunctionInput;
  input: unknown;
  /** Instead of the connection's. */
  metadata: Record<string, unknown> | undefined;
  checkpoint: Record<string, unknown> | undefined;
  lastSyncDate: string | undefined;
}

/**
 * Looks for the connection, and resolves to what runs code for it and stores nothing; undefined without such a
 * connection. What that resolves to is shown to the caller: `output`, `result`.
 */
export type Dryrun = (
  environmentId: number,
  integration: Integration,
  connectionId: string,
) => Promise<((request: DryrunRequest) => Promise<Record<string, unknown>>) | undefined>;

/** Unique keys of all integrations by row id. */
export async function keysOf(integrations: Integrations, environmentId: number): Promise<Map<number, string>> {
  return new Map((await integrations.list(environmentId)).map((one) => [one.id, one.uniqueKey]));
}

/** Errors: `not_found`. */
export async function integrationOf(
  integrations: Integrations,
  request: { principal: Principal },
  uniqueKey: string,
): Promise<Integration> {
  const integration = await integrations.byKey(environmentOf(request).id, uniqueKey);
  if (integration === undefined) {
    throw functionErrors.fail('not_found', { message: 'No integration has this key in this environment.' });
  }
  return integration;
}

/** The function a route names. Errors: `not_found`, `ambiguous_function`. */
export async function functionOf(
  { functions, integrations }: Pick<FunctionRouteDeps, 'functions' | 'integrations'>,
  request: { principal: Principal; params: { uniqueKey: string; name: string } },
  kind: FunctionKind | undefined,
): Promise<DeployedFunction> {
  const { uniqueKey, name } = request.params;
  const integration = await integrationOf(integrations, request, uniqueKey);
  const all = await functions.list(environmentOf(request).id, { integrationId: integration.id, kind });
  const [found, ...others] = all.filter((fn) => fn.name === name);
  if (found === undefined) throw functionErrors.fail('not_found');
  if (others.length > 0) {
    const matches = [found, ...others].map((fn) => ({ type: fn.kind, name: fn.name }));
    throw functionErrors.fail('ambiguous_function', { payload: { matches } });
  }
  return found;
}
