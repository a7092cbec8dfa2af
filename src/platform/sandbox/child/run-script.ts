import vm from 'node:vm';
import type { ToChild } from '../frames.ts';
import type { SandboxLimits } from '../limits.ts';
import { failureOf, stackMapper } from './failure.ts';
import { jsonOf } from './json.ts';
import { currentRun, type RunState } from './run-state.ts';
import { createScriptObject } from './script.ts';
import { ScriptError } from './script-error.ts';

/** A bundle, compiled once and evaluated for every run: nothing of a run's module is left for the next. */
export interface Bundle {
  evaluate(): unknown;
  mapStack(stack: string): string;
}

/** Errors: SyntaxError of the bundle. */
export function compile(code: string, name: string, require: (name: unknown) => unknown): Bundle {
  const file = `function-${name.replaceAll(/[^\w.-]/g, '_')}.cjs`;
  // A function has no source of its own to print: an uncaught error shows the line.
  const run = vm.compileFunction(code, ['exports', 'require', 'module', '__filename', '__dirname'], { filename: file });
  return {
    evaluate() {
      const module = { exports: {} as unknown, id: file, loaded: true, children: [], paths: [] };
      run.call(module.exports, module.exports, require, module, file, '/');
      return module.exports;
    },
    mapStack: stackMapper(file, code),
  };
}

type Order = Extract<ToChild, { t: 'run' }>;
type Entry = (nango: unknown, input: unknown) => unknown;

/** Everything a run may say to the host. */
export interface Line {
  call(run: string, method: string, args: readonly string[]): Promise<unknown>;
  tell(run: string, method: string, args: readonly string[]): void;
  /** JSON text of the output; undefined when there is none. */
  done(run: string, output: string | undefined): void;
  fail(run: string, failure: ReturnType<typeof failureOf>): void;
}

/** Runs a function to its end; resolves when nothing of it is left. Never rejects. */
export function startRun(
  order: Order,
  limits: SandboxLimits,
  line: Line,
  bundleOf: () => Bundle,
): RunState & { ended: Promise<void> } {
  // prettier-ignore
  let failed: { error: unknown } | undefined;
  let wake = (): void => undefined;
  const fails = new Promise<void>((resolve) => (wake = resolve));
  const run: RunState = {
    id: order.id,
    context: order.context,
    limits,
    abort: new AbortController(),
    softEndsAtMs: performance.now() + order.softTimeoutMs,
    aborted: undefined,
    isOver: false,
    timers: new Set(),
    fail(error) {
      failed ??= { error };
      wake();
    },
    call: (method, args) => line.call(order.id, method, args),
    tell: (method, args) => line.tell(order.id, method, args),
  };
  let mapStack = (stack: string): string => stack;

  async function execute(): Promise<unknown> {
    const bundle = bundleOf();
    mapStack = bundle.mapStack;
    const entry = entryOf(bundle.evaluate(), order.entry);
    const { nango, calls, log } = createScriptObject(run);
    consoles.set(run, log.write);
    try {
      const output = await entry(nango, order.input);
      await calls.settled();
      return output;
    } finally {
      log.flush();
    }
  }

  async function toEnd(): Promise<void> {
    try {
      const work = execute();
      // Whoever loses the race has been heard through the other.
      work.catch(() => undefined);
      const output = await Promise.race([work, fails]);
      // Rejections that nobody handles are told after the microtasks of this turn.
      await new Promise((resolve) => realSoon(resolve));
      if (failed !== undefined) throw failed.error;
      const json = output === undefined ? undefined : outputJson(output, order, limits);
      run.isOver = true;
      line.done(order.id, json);
    } catch (error) {
      run.isOver = true;
      line.fail(order.id, failureOf(error, mapStack));
    } finally {
      consoles.delete(run);
      for (const timer of run.timers) timer.stop();
      if (!run.abort.signal.aborted) run.abort.abort(new ScriptError('script_aborted', 'The function has ended.'));
    }
  }
  return Object.assign(run, { ended: currentRun.run(run, toEnd) });
}

const realSoon = setImmediate;
/** Where `console` of a run writes. */
export const consoles = new WeakMap<RunState, (level: 'debug' | 'info' | 'warn' | 'error', args: unknown[]) => void>();

function outputJson(output: unknown, order: Order, limits: SandboxLimits): string {
  const json = jsonOf(output, 'The output', 'script_internal_error', { bytesMax: limits.messageBytesMax, depthMax: limits.depthMax }); // prettier-ignore
  const bytes = Buffer.byteLength(json);
  if (bytes > order.outputBytesMax) {
    const text = `The output has ${bytes} bytes of JSON; the limit is ${order.outputBytesMax}. Return less, or save records with a sync.`; // prettier-ignore
    throw new ScriptError('script_output_too_large', text);
  }
  return json;
}

/** The function to call: of a definition (also under `default.default`), or the default export itself. */
function entryOf(exported: unknown, name: 'exec' | 'onWebhook'): Entry {
  let definition = exported;
  for (let depth = 0; depth < 2; depth += 1) {
    if (typeof definition === 'object' && definition !== null && 'default' in definition)
      definition = definition.default;
  }
  if (typeof definition === 'function' && name === 'exec') return definition as Entry;
  const entry =
    typeof definition === 'object' && definition !== null ? (definition as Record<string, unknown>)[name] : undefined;
  if (typeof entry === 'function') return (nango, input) => (entry as Entry).call(definition, nango, input);
  throw new ScriptError(
    'script_internal_error',
    `The bundle exports no function \`${name}\`. Its default export is what createSync, createAction or createOnEvent returns.`,
  );
}
