import { createRequire } from 'node:module';
import vm from 'node:vm';
import type { Sandbox } from '../../../platform/sandbox/index.ts';

/** Runs bundles of tests in this process: for tests that are not about the sandbox. */
export const plainSandbox: Pick<Sandbox, 'run'> = {
  async run({ bundle, input }) {
    const module = { exports: {} as { default?: { exec: (...args: unknown[]) => Promise<unknown> } } };
    const nango = {
      createSync: (definition: object) => ({ type: 'sync', ...definition }),
      createAction: (definition: object) => ({ type: 'action', ...definition }),
      createOnEvent: (definition: object) => ({ type: 'onEvent', ...definition }),
      ActionError: Error,
    };
    const own = createRequire(import.meta.url);
    const load = (name: string): unknown => (['nango', 'hawser/functions'].includes(name) ? nango : own(name));
    try {
      vm.compileFunction(bundle.code, ['module', 'exports', 'require'])(module, module.exports, load);
      const output = await module.exports.default?.exec({}, input);
      return { ok: true, output: JSON.parse(JSON.stringify(output ?? null)) as unknown };
    } catch (error) {
      return { ok: false, error: { code: 'script_internal_error', message: (error as Error).message } };
    }
  },
};
