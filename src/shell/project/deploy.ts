/** Compares a compiled project with the server, and deploys it. */
import { deployToWire, type Compiled } from '../../features/functions/index.ts';
import { packageVersion } from '../start/run.ts';
import type { Client } from '../cli/client.ts';

export interface DeployChoice {
  sync?: string | undefined;
  action?: string | undefined;
  onEvent?: string | undefined;
  integration?: string | undefined;
  version?: string | undefined;
}

/** One line of a plan: `+ sync crm/people`. */
export interface PlannedChange {
  sign: '+' | '~' | '-';
  type: string;
  integration: string;
  name: string;
}

interface WirePlan {
  [list: string]: { name: string; providerConfigKey: string }[];
}

const LISTS = [
  ['+', 'sync', 'newSyncs'],
  ['+', 'action', 'newActions'],
  ['+', 'on-event', 'newOnEventScripts'],
  ['~', 'sync', 'updatedSyncs'],
  ['~', 'action', 'updatedActions'],
  ['~', 'on-event', 'updatedOnEventScripts'],
  ['-', 'sync', 'deletedSyncs'],
  ['-', 'action', 'deletedActions'],
  ['-', 'on-event', 'deletedOnEventScripts'],
] as const;

export interface DeployPlan {
  changes: PlannedChange[];
  /** Models whose records go. */
  deletedModels: string[];
  body: Record<string, unknown>;
}

/** The functions a choice names. */
export function chosen(functions: Compiled['functions'], choice: DeployChoice): Compiled['functions'] {
  const isSingle = choice.sync !== undefined || choice.action !== undefined || choice.onEvent !== undefined;
  return functions
    .filter((fn) => choice.integration === undefined || fn.integrationKey === choice.integration)
    .filter(
      (fn) =>
        !isSingle ||
        (fn.kind === 'sync' && fn.name === choice.sync) ||
        (fn.kind === 'action' && fn.name === choice.action) ||
        (fn.kind === 'on-event' && fn.name === choice.onEvent),
    )
    .map((fn) => (choice.version === undefined ? fn : { ...fn, version: choice.version }));
}

/** Asks the server what a deploy would change. */
export async function planProject(
  client: Client,
  functions: Compiled['functions'],
  choice: DeployChoice = {},
): Promise<DeployPlan> {
  const isSingle = choice.sync !== undefined || choice.action !== undefined || choice.onEvent !== undefined;
  const deployMode = isSingle ? 'single' : choice.integration === undefined ? 'all' : 'integration';
  const body = deployToWire(chosen(functions, choice), {
    deployMode,
    reconcile: true,
    sdkVersion: `${packageVersion()}-zero`,
  });
  const plan = (await client.json('POST', '/sync/deploy/confirmation', { ...body, reconcile: false })) as WirePlan;
  const changes = LISTS.flatMap(([sign, type, list]) =>
    (plan[list] ?? []).map((one) => ({ sign, type, integration: one.providerConfigKey, name: one.name })),
  );
  return { changes, deletedModels: (plan['deletedModels'] ?? []) as unknown as string[], body };
}

/** Does what the plan says. Resolves to name and version of what is deployed now. */
export async function applyPlan(client: Client, plan: DeployPlan): Promise<{ name: string; version: string }[]> {
  return (await client.json('POST', '/sync/deploy', plan.body)) as { name: string; version: string }[];
}

/** `+ sync crm/people`, one a line. */
export function planText(plan: DeployPlan): string {
  const lines = plan.changes.map(({ sign, type, integration, name }) => `  ${sign} ${type} ${integration}/${name}\n`);
  const gone = plan.deletedModels.length === 0 ? '' : `  - the records of ${plan.deletedModels.join(', ')}\n`;
  return lines.join('') + gone;
}
