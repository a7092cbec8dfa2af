/** Runs for tests: functions written as plain closures, and a sandbox that calls these. */
import type { Sandbox, SandboxRun } from '../../platform/sandbox/index.ts';
import type { CoreNode } from '../../../test/support/build.ts';
import { HawserError } from '../../base/errors.ts';
import { randomId } from '../../base/ids.ts';
import { silentLog } from '../../base/log.ts';
import { systemClock } from '../../platform/clock.ts';
import { noKillPoints } from '../../platform/kill-points.ts';
import {
  NO_DEFINITION,
  type DeployedFunction,
  type FunctionDefinition,
  type FunctionKind,
  type Functions,
} from '../functions/index.ts';
import type { Integration } from '../integrations/index.ts';
import { createScriptCalls } from '../proxy/index.ts';
import type { RunsDeps } from './index.ts';

export interface ScriptedCall {
  input: unknown;
  context: SandboxRun['context'];
  host: SandboxRun['host'];
  signal: AbortSignal;
}

/** What a function does. Resolves to its output; a HawserError is its failure. */
export type Script = (call: ScriptedCall) => Promise<unknown>;

/** Functions kept in memory, and a sandbox that runs them. */
export class Scripts {
  readonly #scripts = new Map<string, Script>();
  readonly #deployed = new Map<number, DeployedFunction>();

  add(
    integration: Pick<Integration, 'environmentId' | 'id'>,
    kind: FunctionKind,
    name: string,
    script: Script,
    definition: Partial<FunctionDefinition> = {},
  ): DeployedFunction {
    const id = this.#deployed.size + 1;
    const fn: DeployedFunction = {
      environmentId: integration.environmentId,
      id,
      uuid: randomId(),
      integrationId: integration.id,
      kind,
      name,
      version: '1',
      enabled: true,
      source: 'repo',
      codeHash: `hash-${id}`,
      deployedAt: new Date(0),
      definition: {
        ...NO_DEFINITION,
        ...definition,
      },
    };
    this.#deployed.set(id, fn);
    this.#scripts.set(fn.codeHash, script);
    return fn;
  }

  readonly functions: Pick<Functions, 'byName' | 'byId' | 'code' | 'list'> = {
    byName: async (environmentId, integrationId, kind, name) =>
      this.#all(environmentId).find((fn) => fn.integrationId === integrationId && fn.kind === kind && fn.name === name),
    byId: async (environmentId, id) => this.#all(environmentId).find((fn) => fn.id === id),
    code: async (_environmentId, hash) => ({ js: hash, ts: '' }),
    list: async (environmentId, filter = {}) =>
      this.#all(environmentId).filter(
        (fn) =>
          (filter.integrationId === undefined || fn.integrationId === filter.integrationId) &&
          (filter.kind === undefined || fn.kind === filter.kind),
      ),
  };

  readonly sandbox: Pick<Sandbox, 'run'> = {
    run: async ({ bundle, input, context, host, signal }) => {
      const script = this.#scripts.get(bundle.hash) as Script;
      const aborted = signal ?? new AbortController().signal;
      try {
        // As the child does it: values cross as JSON.
        const output = await script({ input: copy(input), context, host: carry(host), signal: aborted });
        return { ok: true, output: copy(output) };
      } catch (error) {
        if (!(error instanceof HawserError)) {
          return { ok: false, error: { code: 'script_internal_error', message: (error as Error).message } };
        }
        const { code, message, payload } = error;
        return { ok: false, error: { code, message, ...(payload !== undefined && { payload }) } };
      }
    },
  };

  #all(environmentId: number): DeployedFunction[] {
    return [...this.#deployed.values()].filter((fn) => fn.environmentId === environmentId);
  }
}

function carry(host: SandboxRun['host']): SandboxRun['host'] {
  return async (method, args) => copy(await host(method, args.map(copy)));
}

function copy(value: unknown): unknown {
  const text = JSON.stringify(value);
  return text === undefined ? undefined : JSON.parse(text);
}

/** A failure as a script throws it. */
export function failWith(code: string, message: string, payload?: unknown): HawserError {
  return new HawserError(code, { status: 500, message }, { payload });
}

/** Everything a node gives to runs. */
export function runsDeps(
  node: Omit<CoreNode, 'disconnect' | 'spoolDir'>,
  scripts: Pick<Scripts, 'functions' | 'sandbox'>,
  more: Partial<RunsDeps> = {},
): RunsDeps {
  const shared = { ...node, clock: systemClock, log: silentLog };
  return {
    ...shared,
    vault: node.environments.vault,
    functions: scripts.functions,
    sandbox: scripts.sandbox,
    calls: createScriptCalls({ ...shared, baseUrlOverride: { allow: [] } }),
    killPoints: noKillPoints,
    nodeId: randomId(),
    syncControl: () => undefined,
    webhookUrl: () => undefined,
    serverUrl: () => 'http://localhost:3003',
    ...more,
  };
}
