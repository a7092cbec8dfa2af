import { describe, expect, it } from 'vitest';
import { createSandbox } from './index.ts';
import { systemClock } from '../clock.ts';
import { silentLog } from '../../base/log.ts';
import { aRun, failureOf, notingHost, outputOf, testSandbox } from './sandbox.test-support.ts';

const sandbox = testSandbox();

describe('runs', () => {
  it('gives input in and output back, with the host answering between', async () => {
    const { host, calls } = notingHost({ getConnection: { metadata: { plan: 'gold' } } });
    const code = 'return { given: input, metadata: await nango.getMetadata(), id: nango.connectionId };';
    const output = await outputOf(sandbox, code, { input: { a: [1, 'x'] }, host });
    expect(output).toEqual({ given: { a: [1, 'x'] }, metadata: { plan: 'gold' }, id: 'customer-1' });
    expect(calls).toEqual([{ method: 'getConnection', args: [null, null, {}] }]);
  });

  it('uses a process again for the same function, and never for another environment or function', async () => {
    const mine = testSandbox();
    const code = 'globalThis.seen = (globalThis.seen ?? 0) + 1; return globalThis.seen;';
    expect(await outputOf(mine, code)).toBe(1);
    expect(await outputOf(mine, code)).toBe(2);
    expect(await outputOf(mine, code, { environmentId: 2 })).toBe(1);
    expect(await outputOf(mine, `${code} // other`)).toBe(1);
    expect(await outputOf(mine, code, { alone: true })).toBe(1);
    expect(await outputOf(mine, code)).toBe(3);
  });

  it('evaluates the module anew, so that a run finds nothing of the last one in its variables', async () => {
    const code = 'let count = 0; exports.default = { exec: async () => (count += 1) };';
    expect([await outputOf(sandbox, code), await outputOf(sandbox, code)]).toEqual([1, 1]);
  });

  it('runs many at once in few processes and mixes up nothing', async () => {
    const mine = testSandbox();
    const code =
      'await new Promise((go) => setTimeout(go, 1 + (input.n % 7))); return [input.n, await nango.getMetadata()];';
    const all = Array.from({ length: 200 }, async (_, n) => {
      const output = await outputOf(mine, code, { input: { n }, host: () => ({ metadata: { n } }) });
      expect(output).toEqual([n, { n }]);
    });
    await Promise.all(all);
    expect(mine.stats().processes).toBeLessThanOrEqual(12);
  });

  it('waits for a place when all are taken, and ends idle processes of others for it', async () => {
    const mine = testSandbox({ processesMax: 1 });
    for (let n = 0; n < 3; n += 1) expect(await outputOf(mine, `return ${n};`)).toBe(n);
    expect(mine.stats().processes).toBe(1);
  });

  it('finds a place for a run that others wait for, and leaves some beside those that are alone', async () => {
    const mine = testSandbox({ processesMax: 1, crowdedMs: 100 });
    const inner = 'return "inner";';
    const host = (): Promise<unknown> => outputOf(mine, inner);
    expect(await outputOf(mine, 'return await nango.triggerAction("k", "c", "inner");', { host })).toBe('inner');
    const two = testSandbox({ aloneMax: 1 });
    const code = 'await new Promise((go) => setTimeout(go, input.ms)); return input.ms;';
    const first = outputOf(two, code, { alone: true, input: { ms: 600 } });
    const second = outputOf(two, code, { alone: true, input: { ms: 1 } });
    expect(await Promise.race([second, outputOf(two, code, { input: { ms: 2 } })])).toBe(2);
    expect(await Promise.all([first, second])).toEqual([600, 1]);
  });

  it.each([false, true])('keeps places for others when one environment would take all (alone: %s)', async (alone) => {
    const mine = testSandbox({ processesMax: 4, aloneMax: 4, crowdedMs: 600_000 });
    const endless = [1, 2, 3, 4].map((n) => mine.run(aRun(`await new Promise(() => {}); // ${n}`, { alone })));
    expect(await outputOf(mine, 'return "other";', { environmentId: 2, alone })).toBe('other');
    await mine.close();
    expect(await Promise.all(endless)).toMatchObject(Array(4).fill({ error: { code: 'script_aborted' } }));
  });

  it('lets calls over the limit of open ones wait', async () => {
    const mine = testSandbox({ callsMax: 3 });
    let open = 0;
    let most = 0;
    const host = async (): Promise<unknown> => {
      most = Math.max(most, (open += 1));
      await systemClock.sleep(1);
      open -= 1;
      return 'x';
    };
    const code = 'return (await Promise.all(Array.from({ length: 50 }, () => nango.getWebhookURL()))).length;';
    expect(await outputOf(mine, code, { host })).toBe(50);
    expect(most).toBe(3);
  });

  it('replaces a process after its number of runs', async () => {
    const mine = testSandbox({ runsMax: 2 });
    const code = 'globalThis.seen = (globalThis.seen ?? 0) + 1; return globalThis.seen;';
    const seen: unknown[] = [];
    while (seen.length < 200 && seen.filter((each) => each === 1).length < 2) {
      seen.push(await outputOf(mine, code));
      await systemClock.sleep(10);
    }
    expect(seen.filter((each) => each === 1).length).toBe(2);
  });

  it('understands each way of exporting', async () => {
    const bodies = [
      'exports.default = { type: "action", exec: async () => 1 };',
      'module.exports = { default: { default: { exec: async () => 1 } } };',
      'exports.default = async () => 1;',
      'const nango_1 = require("nango"); exports.default = nango_1.createAction({ exec: async () => 1 });',
      'const { createSync } = require("hawser/functions"); exports.default = createSync({ exec: async () => 1 });',
    ];
    for (const body of bodies) expect(await outputOf(sandbox, body)).toBe(1);
    const failure = await failureOf(sandbox, 'exports.default = { type: "sync" };', { entry: 'onWebhook' });
    expect(failure.message).toContain('exports no function `onWebhook`');
  });

  it('ends what runs when it is closed, as cancelled', async () => {
    const mine = createSandbox({ clock: systemClock, log: silentLog });
    const running = mine.run(aRun('await new Promise(() => {});'));
    while (mine.stats().running === 0) await systemClock.sleep(5);
    await mine.close();
    expect(await running).toMatchObject({ ok: false, error: { code: 'script_aborted' } });
    expect(mine.stats()).toMatchObject({ processes: 0, running: 0 });
    expect(await mine.run(aRun('return 1;'))).toMatchObject({ ok: false, error: { code: 'script_aborted' } });
  });
});
