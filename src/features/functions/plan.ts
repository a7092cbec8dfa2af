import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Integration } from '../integrations/index.ts';
import type { DeployedFunction, FunctionDefinition, FunctionInput, Functions } from './model.ts';

export type DeployInput = Parameters<Functions['deploy']>[1];

/** One function of the payload, with what is there already. */
export interface PlannedFunction {
  input: FunctionInput;
  integration: Integration;
  /** SHA-256 of the bundle. */
  hash: string;
  before: DeployedFunction | undefined;
  version: string;
  isChanged: boolean;
}

export interface Plan {
  functions: PlannedFunction[];
  deleted: DeployedFunction[];
}

/** Compares a payload with what is deployed; pure. */
export function planDeploy(
  input: DeployInput,
  deployed: readonly DeployedFunction[],
  integrations: ReadonlyMap<string, Integration>,
): Plan {
  const keyOf = (integrationId: number, kind: string, name: string): string => `${integrationId}:${kind}:${name}`;
  const known = new Map(deployed.map((fn) => [keyOf(fn.integrationId, fn.kind, fn.name), fn]));
  const kept = new Set<string>();
  const functions = input.functions.map((one): PlannedFunction => {
    const integration = integrations.get(one.integrationKey) as Integration;
    const key = keyOf(integration.id, one.kind, one.name);
    kept.add(key);
    const before = known.get(key);
    const hash = createHash('sha256').update(one.code.js).digest('hex');
    const isCodeNew = before?.codeHash !== hash;
    const isDefinitionNew =
      before === undefined || !isDeepStrictEqual(comparable(before.definition), comparable(one.definition));
    const version = one.version ?? (isCodeNew || isDefinitionNew ? nextVersion(before?.version) : before.version);
    return {
      input: one,
      integration,
      hash,
      before,
      version,
      isChanged: isCodeNew || isDefinitionNew || version !== before?.version || before.source !== input.source,
    };
  });
  const { scope } = input;
  const deleted = deployed.filter((fn) => {
    if (scope.mode === 'none' || fn.source !== input.source) return false;
    if (scope.mode === 'integration' && fn.integrationId !== integrations.get(scope.integrationKey)?.id) return false;
    return !kept.has(keyOf(fn.integrationId, fn.kind, fn.name));
  });
  return { functions, deleted };
}

/** As it comes back from the database, without what alone makes no new version. */
function comparable(definition: FunctionDefinition): unknown {
  return JSON.parse(JSON.stringify({ ...definition, sdkVersion: undefined }));
}

/** `1`, `2`, …; `1.2.0` becomes `1.2.1`; other texts start again at `1`. */
export function nextVersion(version: string | undefined): string {
  const match = /^(.*?)(\d{1,15})$/.exec(version ?? '0');
  return match === null ? '1' : `${match[1]}${Number(match[2]) + 1}`;
}
