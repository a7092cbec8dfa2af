/** The program of the child process. It comes over the pipe: the process may read no file. */
import crypto from 'node:crypto';
import { createDecoder, frameOf, type HostFailure, type ToChild } from '../frames.ts';
import { limitsOf, type SandboxLimits } from '../limits.ts';
import { lockDown } from './lock-down.ts';
import { createRequire } from './modules.ts';
import { compile, consoles, startRun, type Bundle, type Line } from './run-script.ts';
import { currentRun, type RunState } from './run-state.ts';
import { ScriptAbort, ScriptError } from './script-error.ts';
import { installTimers } from './timers.ts';

interface Pipe {
  write(frame: Buffer): boolean;
  on(event: 'data', take: (chunk: Buffer) => void): void;
  on(event: 'close' | 'error', take: () => void): void;
}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** Called by the boot text with the pipe to the host and the evaluated text of zod on demand. */
export function start(
  real: NodeJS.Process,
  net: { Socket: new (options: { fd: number }) => Pipe },
  loadZod: () => unknown,
): void {
  const pipe = new net.Socket({ fd: 3 });
  const exit = real.exit.bind(real);
  const listen = real.on.bind(real);
  const runs = new Map<string, ReturnType<typeof startRun>>();
  const calls = new Map<string, Map<number, Waiting>>();
  /** Calls over the limit of open ones, in order. */
  const held = new Map<string, { send(): void; reject(error: unknown): void }[]>();
  const bundles = new Map<string, Bundle>();
  const require = createRequire(loadZod);
  let limits: SandboxLimits = limitsOf();
  let lastCall = 0;

  const write = (json: string): void => void pipe.write(frameOf(json));

  const line: Line = {
    call(id, method, args) {
      const mine = calls.get(id);
      if (mine === undefined)
        return Promise.reject(new ScriptAbort('script_aborted', 'The function has ended already.'));
      return new Promise((resolve, reject) => {
        const send = (): void => {
          const n = (lastCall += 1);
          mine.set(n, { resolve, reject });
          write(`{"t":"call","id":"${id}","n":${n},"m":"${method}","a":[${args.join(',')}]}`);
        };
        if (mine.size < limits.callsMax) send();
        else heldBack(id).push({ send, reject });
      });
    },
    tell(id, method, args) {
      write(`{"t":"call","id":"${id}","n":0,"m":"${method}","a":[${args.join(',')}]}`);
    },
    done: (id, output) => write(`{"t":"done","id":"${id}"${output === undefined ? '' : `,"out":${output}`}}`),
    fail: (id, error) => write(JSON.stringify({ t: 'fail', id, error })),
  };

  function heldBack(id: string): { send(): void; reject(error: unknown): void }[] {
    const list = held.get(id) ?? [];
    held.set(id, list);
    return list;
  }

  /** Rejects every open and held call of a run. */
  function rejectAll(id: string, error: ScriptAbort): void {
    for (const each of calls.get(id)?.values() ?? []) each.reject(error);
    for (const each of held.get(id) ?? []) each.reject(error);
    held.delete(id);
  }

  function run(order: Extract<ToChild, { t: 'run' }>): void {
    calls.set(order.id, new Map());
    const { code, hash, context } = order;
    const started = startRun(order, limits, line, () => {
      let bundle = bundles.get(hash);
      if (bundle === undefined) {
        bundle = compile(code ?? '', context.name, require);
        bundles.set(hash, bundle);
      }
      return bundle;
    });
    runs.set(order.id, started);
    void forget(order.id, started.ended);
  }

  async function forget(id: string, ended: Promise<void>): Promise<void> {
    await ended;
    runs.delete(id);
    rejectAll(id, new ScriptAbort('script_aborted', 'The function has ended.'));
    calls.delete(id);
  }

  function take(message: ToChild): void {
    if (message.t === 'run') run(message);
    else if (message.t === 'reply') {
      const mine = calls.get(message.id);
      const waiting = mine?.get(message.n);
      mine?.delete(message.n);
      held.get(message.id)?.shift()?.send();
      if ('error' in message) waiting?.reject(errorOf(message.error));
      else waiting?.resolve(message.value);
    } else if (message.t === 'abort') abort(runs.get(message.id), message);
    else if (message.t === 'ping') write(`{"t":"pong","n":${message.n}}`);
    else limits = message.limits;
  }

  function abort(running: RunState | undefined, { code, message }: Extract<ToChild, { t: 'abort' }>): void {
    if (running === undefined) return;
    running.aborted = { code, message };
    running.abort.abort(new ScriptAbort(code, message));
    rejectAll(running.id, new ScriptAbort(code, message));
  }

  /** Blames the run whose code it was; when that cannot be told, the process is of no use any more. */
  function blame(error: unknown): void {
    const culprit = currentRun.getStore();
    if (culprit !== undefined) {
      if (!culprit.isOver) culprit.fail(error);
    } else if (runs.size === 1) for (const only of runs.values()) only.fail(error);
    else if (runs.size > 1) exit(70);
  }
  listen('uncaughtException', blame);
  listen('unhandledRejection', blame);

  const decode = createDecoder(0x7fff_ffff, (json) => take(JSON.parse(json.toString()) as ToChild));
  const level = { debug: 'debug', log: 'info', info: 'info', trace: 'debug', warn: 'warn', error: 'error' } as const;
  const scriptConsole: Record<string, unknown> = {};
  for (const name of ['assert', 'count', 'dir', 'group', 'groupEnd', 'table', 'time', 'timeEnd', 'timeLog']) {
    scriptConsole[name] = () => undefined;
  }
  for (const [name, at] of Object.entries(level)) {
    scriptConsole[name] = (...args: unknown[]) => {
      const running = currentRun.getStore();
      if (running !== undefined) consoles.get(running)?.(at, args);
    };
  }
  installTimers();
  lockDown(real, scriptConsole, crypto, net);
  pipe.on('data', decode);
  // The host is gone: nobody wants the results.
  pipe.on('close', () => exit(0));
  pipe.on('error', () => exit(0));
  write('{"t":"ready"}');
}

function errorOf(failure: HostFailure): Error {
  const { code, message } = failure;
  if (code === 'script_aborted' || code === 'execution_timeout') return new ScriptAbort(code, message);
  return new ScriptError(code, message, failure);
}
