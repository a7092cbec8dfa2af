/** The parent's half of the script object: what a script asks for is answered here, where the credentials are. */
import type { ProxyCall } from '../../../platform/sandbox/index.ts';
import { runErrors } from '../errors.ts';
import { asObject } from './args.ts';
import { connectionMethods } from './connection.ts';
import { fetchMethods } from './fetch.ts';
import type { HostDeps, HostMethods, HostRun } from './model.ts';
import { stateMethods } from './state.ts';
import { triggerMethods } from './trigger.ts';

export type { HostDeps, HostMethods, HostRun } from './model.ts';

/** Answers the methods of {@link HOST_METHODS} that every kind of function has, and `more`. */
export function createHost(
  deps: HostDeps,
  run: HostRun,
  more: HostMethods = {},
): (method: string, args: readonly unknown[]) => Promise<unknown> {
  const methods: HostMethods = Object.assign(Object.create(null) as HostMethods, {
    proxy: async (call: ProxyCall) => {
      const answer = await deps.calls.call({
        environmentId: run.run.environmentId,
        integrationKey: run.integration.uniqueKey,
        connectionId: run.connection.connectionId,
        call: asObject(call) as unknown as ProxyCall,
        candidate: run.candidate,
        onLive: (live) => run.redactor.learn(live),
        signal: run.signal,
      });
      deps.killPoints.reach('S1');
      return answer;
    },
    log: async (lines: unknown) => {
      run.log.add(lines);
      return null;
    },
    ...connectionMethods(deps, run),
    ...stateMethods(deps, run),
    ...triggerMethods(deps, run),
    ...fetchMethods(deps, run),
    ...more,
  });
  return async (method, args) => {
    const answer = methods[method];
    if (answer === undefined) {
      const message = `The script object of this kind of function has no method ${method.slice(0, 50)}.`;
      throw runErrors.fail('unknown_script_method', { message });
    }
    deps.killPoints.reach('A2');
    return answer(...(args as never[]));
  };
}
