import { createHash } from 'node:crypto';
import type { Sandbox } from '../../../platform/sandbox/index.ts';
import { describeDefinition } from './describe-inside.ts';

/** What a bundle's default export says about itself; JSON. */
export type Described =
  | { ok: true; definition: RawDefinition }
  /** `message` is what its code threw when it was loaded, or what is wrong with its export. */
  | { ok: false; message: string };

export interface RawDefinition {
  type: string;
  description?: unknown;
  version?: unknown;
  frequency?: unknown;
  autoStart?: unknown;
  scopes?: unknown;
  endpoints?: unknown;
  endpoint?: unknown;
  syncType?: unknown;
  trackDeletes?: unknown;
  webhookSubscriptions?: unknown;
  event?: unknown;
  hasExec: boolean;
  hasOnWebhook: boolean;
  /** JSON Schemas, draft 7. */
  models?: Record<string, unknown>;
  input?: unknown;
  output?: unknown;
  metadata?: unknown;
  checkpoint?: unknown;
  /** Schemas that have no JSON Schema, and why. */
  problems: { field: string; message: string }[];
}

/** Loading code that only defines a function takes milliseconds. */
const DESCRIBE_TIMEOUT_MS = 30_000;
/** JSON Schemas of a whole project. */
const DESCRIBED_BYTES_MAX = 64 * 1024 * 1024;

/**
 * Loads bundles in the sandbox, where they reach nothing, and reads what they export. Resolves in their order. Errors:
 * `sandbox_unavailable`.
 */
export async function describeBundles(
  sandbox: Pick<Sandbox, 'run'>,
  environmentId: number,
  bundles: readonly { name: string; js: string }[],
): Promise<Described[]> {
  if (bundles.length === 0) return [];
  const code = loaderOf(bundles);
  const result = await sandbox.run({
    environmentId,
    bundle: { hash: createHash('sha256').update(code).digest('hex'), code },
    entry: 'exec',
    input: null,
    context: {
      kind: 'action',
      name: 'describe',
      connectionId: '',
      providerConfigKey: '',
      provider: '',
      environmentName: '',
      environmentId,
      nangoConnectionId: 0,
      runId: '',
    },
    limits: { timeoutMs: DESCRIBE_TIMEOUT_MS, outputBytesMax: DESCRIBED_BYTES_MAX },
    host: () => Promise.reject(new Error('Code outside of exec cannot use the script object.')),
  });
  if (result.ok) return result.output as Described[];
  if (bundles.length === 1)
    return [{ ok: false, message: `The code fails when it is loaded: ${result.error.message}` }];
  // One of them ended the process: each alone tells which.
  const alone: Described[] = [];
  for (const bundle of bundles) alone.push(...(await describeBundles(sandbox, environmentId, [bundle])));
  return alone;
}

/** A bundle of bundles whose `exec` describes them all. */
function loaderOf(bundles: readonly { name: string; js: string }[]): string {
  const loads = bundles.map(({ js }) => `function (module, exports, require) {\n${js}\n}`);
  return `"use strict";
const describe = ${describeDefinition.toString()};
const bundles = [${loads.join(',\n')}];
exports.default = {
  type: 'action',
  exec: async () => bundles.map((load) => {
    const module = { exports: {} };
    try {
      load(module, module.exports, require);
      return describe(require('zod'), module.exports.default);
    } catch (error) {
      return { ok: false, message: 'The code fails when it is loaded: ' + (error instanceof Error ? error.message : String(error)) };
    }
  }),
};
`;
}
