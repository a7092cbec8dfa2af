import { createHash } from 'node:crypto';
import { afterAll } from 'vitest';
import { silentLog } from '../../base/log.ts';
import { systemClock } from '../clock.ts';
import { createSandbox, type Sandbox, type SandboxLimits, type SandboxResult, type SandboxRun } from './index.ts';

export interface Call {
  method: string;
  args: readonly unknown[];
}

type Host = (method: string, args: readonly unknown[]) => unknown;
type More = Partial<Omit<SandboxRun, 'context' | 'host' | 'limits'>> & {
  context?: Partial<SandboxRun['context']>;
  limits?: Partial<SandboxRun['limits']>;
  host?: Host;
};

/** A sandbox for one file of tests; ended with it. */
export function testSandbox(limits?: Partial<SandboxLimits>): Sandbox {
  const sandbox = createSandbox({ clock: systemClock, log: silentLog, ...(limits && { limits }) });
  afterAll(() => sandbox.close());
  return sandbox;
}

/** A run of a bundle; `code` is the body of `exec(nango, input)` unless it exports something itself. */
export function aRun(code: string, more: More = {}): SandboxRun {
  const isSync = more.context?.kind === 'sync';
  const bundle = /\bexports\b/.test(code) ? code : `exports.default = { exec: async (nango, input) => { ${code}\n } };`;
  return {
    environmentId: 1,
    bundle: { hash: createHash('sha256').update(bundle).digest('hex'), code: bundle },
    entry: 'exec',
    input: {},
    ...more,
    limits: { timeoutMs: 20_000, ...more.limits },
    context: {
      kind: 'action',
      name: 'sample',
      connectionId: 'customer-1',
      providerConfigKey: 'sample-api',
      provider: 'sample',
      environmentName: 'dev',
      environmentId: more.environmentId ?? 1,
      nangoConnectionId: 7,
      runId: 'run-1',
      ...(isSync && { models: ['Contact'], variant: 'base', syncId: 'sync-1' }),
      ...more.context,
    },
    host: async (method, args) => more.host?.(method, args),
  };
}

/** Runs a body and gives the output. Errors: Error with the failure in it. */
export async function outputOf(sandbox: Sandbox, code: string, more?: More): Promise<unknown> {
  const result = await sandbox.run(aRun(code, more));
  if (!result.ok) throw new Error(`${result.error.code}: ${result.error.message}\n${result.error.stack ?? ''}`);
  return result.output;
}

/** Runs a body and gives the failure. */
export async function failureOf(
  sandbox: Sandbox,
  code: string,
  more?: More,
): Promise<(SandboxResult & { ok: false })['error']> {
  const result = await sandbox.run(aRun(code, more));
  if (result.ok) throw new Error(`ended well with ${JSON.stringify(result.output)}`);
  return result.error;
}

/** A host that notes what it is asked; `answers` by method. */
export function notingHost(answers: Record<string, unknown> = {}): { calls: Call[]; host: Host } {
  const calls: Call[] = [];
  return {
    calls,
    async host(method, args) {
      calls.push({ method, args });
      const answer = answers[method];
      return typeof answer === 'function' ? (answer as (...given: unknown[]) => unknown)(...args) : answer;
    },
  };
}
