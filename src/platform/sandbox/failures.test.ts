import { describe, expect, it } from 'vitest';
import { systemClock } from '../clock.ts';
import { aRun, failureOf, notingHost, outputOf, testSandbox } from './sandbox.test-support.ts';

const sandbox = testSandbox();

function createAbort(): { signal: AbortSignal; abort(): void } {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort() };
}

describe('what a script throws', () => {
  it('is told as the contract says', async () => {
    const action = await failureOf(
      sandbox,
      'throw new nango.ActionError({ type: "no_plan", message: "No plan", left: 2 });',
    );
    expect(action).toMatchObject({
      code: 'action_script_runtime_error',
      message: 'No plan',
      payload: { type: 'no_plan', message: 'No plan', left: 2 },
    });
    const imported =
      'const { ActionError } = require("nango"); exports.default = { exec: async () => { throw new ActionError({ message: "x" }); } };';
    expect(await failureOf(sandbox, imported)).toMatchObject({
      code: 'action_script_runtime_error',
      payload: { message: 'x' },
    });
    const other = await failureOf(sandbox, 'throw new TypeError("bad value");');
    expect(other).toMatchObject({
      code: 'script_internal_error',
      payload: {
        name: 'TypeError',
        message: 'bad value',
        stacktrace: [expect.any(String), expect.stringContaining('function-sample.cjs:1:')],
      },
    });
  });

  it('may be anything', async () => {
    const thrown = [
      '"text"',
      'undefined',
      'null',
      '5',
      'Symbol("x")',
      '{ a: 1 }',
      '(() => { const a = {}; a.a = a; return a; })()',
      '10n',
    ];
    thrown.push('new Proxy({}, { get() { throw 1; }, has() { throw 1; } })', 'Object.create(null)', '() => 1');
    const code = thrown.map((value, n) => `if (input === ${n}) throw ${value};`).join('\n');
    for (const [input, value] of thrown.entries()) {
      const failure = await failureOf(sandbox, code, { input });
      expect(failure.code, value).toBe('script_internal_error');
      expect(failure.message, value).toContain('Throw an Error');
    }
  });

  it('shows the lines of the source by an inline source map', async () => {
    const { transformSync } = await import('esbuild');
    const source =
      'const limit: number = 3;\n\nexport default {\n  async exec(): Promise<void> {\n    if (limit > 2) throw new Error("here");\n  },\n};\n';
    const { code } = transformSync(source, {
      loader: 'ts',
      format: 'cjs',
      sourcemap: 'inline',
      sourcefile: 'contacts.ts',
    });
    const failure = await failureOf(sandbox, code);
    expect(failure.stack).toContain('contacts.ts:5:');
    expect(failure.stack).not.toContain('hawser-runner');
  });

  it('outside of the promise fails its own run only', async () => {
    const both =
      'if (input.n) { await new Promise((go) => setTimeout(go, 300)); return 1; } Promise.reject(new Error("lost"));';
    const neighbour = outputOf(sandbox, both, { input: { n: 1 } });
    expect(await failureOf(sandbox, both)).toMatchObject({ message: 'lost' });
    const timer = 'setTimeout(() => { throw new Error("late"); }, 1); await new Promise(() => {});';
    expect(await failureOf(sandbox, timer)).toMatchObject({ message: 'late' });
    expect(await neighbour).toBe(1);
  });

  it('includes process.exit, a module that is not there, a bundle that does not parse', async () => {
    expect((await failureOf(sandbox, 'process.exit(0);')).message).toContain('process.exit');
    const missing = await failureOf(sandbox, 'require("left-pad");');
    expect(missing).toMatchObject({ code: 'module_not_allowed', message: expect.stringContaining('"left-pad"') });
    expect(missing.message).toContain('Allowed: nango, hawser/functions, zod');
    expect(await failureOf(sandbox, 'exports.default = {;')).toMatchObject({ payload: { name: 'SyntaxError' } });
    expect((await failureOf(sandbox, 'await import("node:fs");')).code).toBe('module_not_allowed');
  });
});

describe('fault 23: a poison script', () => {
  it('with an output that has no JSON is told why', async () => {
    const outputs: [string, string][] = [
      ['const a = {}; a.a = a; return a;', 'circular'],
      ['let a = []; for (let n = 0; n < 9000; n += 1) a = [a]; return a;', 'nested'],
      ['let a = {}; for (let n = 0; n < 300; n += 1) a = { a }; return a;', 'nested deeper than 200'],
      ['return { big: 1n };', 'BigInt'],
      ['return () => 1;', 'is a function'],
      ['return { toJSON() { throw new Error("no"); } };', 'cannot be written as JSON: no'],
    ];
    const body = outputs.map(([code], n) => `if (input === ${n}) { ${code} }`).join('\n');
    for (const [input, [, text]] of outputs.entries()) {
      const failure = await failureOf(sandbox, body, { input });
      expect(failure).toMatchObject({ code: 'script_internal_error', message: expect.stringContaining(text) });
    }
    const large = await failureOf(sandbox, 'return "x".repeat(3_000_000);');
    expect(large).toMatchObject({ code: 'script_output_too_large', message: expect.stringContaining('2097152') });
    expect(await outputOf(sandbox, 'return "x".repeat(3_000_000).length;')).toBe(3_000_000);
  });

  it('that never ends is killed at its limit, and the next run has a new process', async () => {
    const limits = { timeoutMs: 300 };
    for (const code of [
      'for (;;);',
      'await new Promise(() => {});',
      'const spin = () => Promise.resolve().then(spin); await spin();',
    ]) {
      const failure = await failureOf(sandbox, code, { limits });
      expect(failure).toMatchObject({ code: 'execution_timeout', message: expect.stringContaining('0.3 s') });
    }
    expect(await outputOf(sandbox, 'return 1;')).toBe(1);
  });

  it('that waits forever does not take its neighbour with it', async () => {
    const code = 'await new Promise((go) => setTimeout(go, input.ms)); return input.ms;';
    const neighbour = outputOf(sandbox, code, { input: { ms: 700 } });
    expect((await failureOf(sandbox, code, { input: { ms: 60_000 }, limits: { timeoutMs: 200 } })).code).toBe(
      'execution_timeout',
    );
    expect(await neighbour).toBe(700);
  });

  it('in a loop takes the runs of its process with it, and says to them that it may have been a neighbour', async () => {
    const mine = testSandbox({ pongMs: 200 });
    const code =
      'if (input.loop) { await new Promise((go) => setTimeout(go, 50)); for (;;); } await new Promise(() => {});';
    const neighbour = failureOf(mine, code);
    const elsewhere = outputOf(mine, 'await new Promise((go) => setTimeout(go, 900)); return "well";');
    expect((await failureOf(mine, code, { input: { loop: true }, limits: { timeoutMs: 300 } })).code).toBe(
      'execution_timeout',
    );
    expect(await neighbour).toMatchObject({ code: 'function_runtime_crashed', payload: { neighbour: true } });
    expect(await elsewhere).toBe('well');
  });

  it('that eats memory ends with a sentence, in the heap and outside of it', async () => {
    const mine = testSandbox({ heapMegabytes: 48, dataBytes: 700_000_000 });
    const heap = await failureOf(mine, 'const all = []; for (;;) all.push(new Array(50_000).fill({}));');
    expect(heap).toMatchObject({ code: 'function_runtime_out_of_memory', payload: { neighbour: false } });
    const buffers = await failureOf(mine, 'const all = []; for (;;) all.push(Buffer.alloc(20_000_000, 1));');
    expect(buffers.code).toMatch(/^function_runtime_out_of_memory$|^function_runtime_crashed$|^script_internal_error$/);
  });

  it('that prints without end keeps the first lines and one that says so', async () => {
    const { host, calls } = notingHost();
    const code =
      'for (let n = 0; n < 200_000; n += 1) { console.error("x".repeat(1_000)); process.stdout.write("y".repeat(1_000)); } return "done";';
    expect(await outputOf(sandbox, code, { host })).toBe('done');
    const rows = calls.filter(({ method }) => method === 'log').flatMap(({ args }) => args[0] as { message: string }[]);
    expect(rows.length).toBeLessThanOrEqual(10_000);
    expect(JSON.stringify(rows).length).toBeLessThan(12_000_000);
    expect(rows.at(-1)?.message).toContain('dropped');
  });
});

describe('a cancelled run', () => {
  it('ends at its next call, and hears of it by the signal', async () => {
    const { signal, abort } = createAbort();
    const code =
      'nango.abortSignal.addEventListener("abort", () => nango.setLogger({ level: "off" })); for (;;) { await nango.getMetadata(); await new Promise((go) => setTimeout(go, 5)); }';
    const failing = failureOf(sandbox, code, { signal, host: () => ({ metadata: {} }) });
    while (sandbox.stats().running === 0) await systemClock.sleep(5);
    abort();
    expect(await failing).toMatchObject({ code: 'script_aborted' });
  });

  it('is killed when it does not care', async () => {
    const mine = testSandbox({ abortGraceMs: 100 });
    const { signal, abort } = createAbort();
    const failing = failureOf(mine, 'for (;;);', { signal });
    while (mine.stats().running === 0) await systemClock.sleep(5);
    abort();
    expect(await failing).toMatchObject({ code: 'script_aborted' });
  });

  it('does not begin when it waits', async () => {
    const mine = testSandbox({ processesMax: 1 });
    const { signal, abort } = createAbort();
    const first = mine.run(aRun('await new Promise((go) => setTimeout(go, 500)); return 1;', { alone: true }));
    const second = failureOf(mine, 'return 2;', { signal });
    abort();
    expect(await second).toMatchObject({ code: 'script_aborted', message: expect.stringContaining('before it began') });
    expect(await first).toEqual({ ok: true, output: 1 });
  });
});

describe('what is left of a run', () => {
  it('is nothing: timers end, later calls are refused, writes that were not awaited are done', async () => {
    const { host, calls } = notingHost({ batchSave: () => systemClock.sleep(50) });
    const context = { kind: 'sync' as const };
    const code =
      'nango.batchSave([{ id: 1 }], "Contact"); nango.batchSave([{ id: 2 }], "Contact"); setInterval(() => nango.batchSave([{ id: 3 }], "Contact"), 200);';
    await outputOf(sandbox, code, { host, context });
    expect(calls.map(({ args }) => args)).toEqual([
      [[{ id: 1 }], 'Contact'],
      [[{ id: 2 }], 'Contact'],
    ]);
    await systemClock.sleep(300);
    expect(calls).toHaveLength(2);
  });

  it('fails it when a write that was not awaited fails', async () => {
    const host = (method: string): unknown => {
      if (method === 'batchSave') throw new Error('the disk is full');
      return null;
    };
    const failure = await failureOf(sandbox, 'nango.batchSave([{ id: 1 }], "Contact"); return 1;', {
      host,
      context: { kind: 'sync' },
    });
    expect(failure).toMatchObject({ code: 'server_error', message: expect.not.stringContaining('disk') });
  });
});
