import { rmSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StartupError } from '../../../base/errors.ts';
import { silentLog } from '../../../base/log.ts';
import { systemClock } from '../../clock.ts';
import { ownIdentity, processStart, type ProcessIdentity } from './identity.ts';
import { takeLock } from './lock.ts';

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hawser-lock-'));
  path = join(folder, 'hawser.lock');
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

/** What takes seconds takes tenths. */
const hurriedClock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() * 10 };

function take(): Promise<() => Promise<void>> {
  return takeLock({ path, what: 'the data directory here', log: silentLog, clock: hurriedClock });
}

async function leave(change: Partial<ProcessIdentity>): Promise<void> {
  await mkdir(path, { recursive: true });
  await writeFile(join(path, '7'), JSON.stringify({ ...(await ownIdentity()), ...change }));
}

/** A pid that no process has. */
async function deadPid(): Promise<number> {
  let pid = 4_000_000;
  while ((await processStart(pid)) !== undefined) pid -= 1;
  return pid;
}

describe('takeLock', () => {
  it('refuses a second holder, naming the first, until it is given back', async () => {
    const release = await take();
    const error = await take().catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(StartupError);
    expect((error as StartupError).message).toContain(`Another Hawser (pid ${process.pid}`);
    await release();
    await (
      await take()
    )();
    expect(await readdir(path)).toEqual(['2']);
  });

  it('takes over from a process that is gone', async () => {
    await leave({ pid: await deadPid(), startedAt: '1' });
    await (
      await take()
    )();
  });

  it('takes over when the pid has gone to another process', async () => {
    await leave({ startedAt: '1' });
    await (
      await take()
    )();
  });

  it('takes over after a reboot of the same machine', async () => {
    await leave({ bootId: 'earlier' });
    await (
      await take()
    )();
  });

  it('lets exactly one of many take over', async () => {
    for (let round = 0; round < 20; round += 1) {
      await rm(path, { recursive: true, force: true });
      await leave({ pid: await deadPid(), startedAt: '1' });
      const results = await Promise.allSettled(Array.from({ length: 12 }, take));
      const holders = results.filter((result) => result.status === 'fulfilled');
      expect(holders).toHaveLength(1);
      for (const result of results) {
        if (result.status === 'rejected') expect(result.reason).toBeInstanceOf(StartupError);
      }
      await holders[0]!.value();
    }
  });

  it('withdraws when it was so slow that the claim it judged is history', async () => {
    await leave({ pid: await deadPid(), startedAt: '1' });
    const living = JSON.stringify(await ownIdentity());
    // The log call comes between judging the old claim and making the new one.
    const log = {
      ...silentLog,
      info() {
        rmSync(join(path, '7'));
        writeFileSync(join(path, '9'), living);
      },
    };
    const late = takeLock({ path, what: 'the data directory here', log, clock: hurriedClock });
    await expect(late).rejects.toThrow(`pid ${process.pid}`);
    expect(await readdir(path)).toEqual(['9']);
  });

  it('judges a holder in another container by whether it touches the file', async () => {
    await leave({ pidNamespace: 'pid:[1]', pid: await deadPid() });
    let second = 0;
    const heartbeat = setInterval(() => void utimes(join(path, '7'), new Date(0), new Date((second += 1_000))), 10);
    await expect(take()).rejects.toBeInstanceOf(StartupError);
    clearInterval(heartbeat);
    await (
      await take()
    )();
  });

  it('takes over a file that a power loss has emptied', async () => {
    await mkdir(path);
    await writeFile(join(path, '7'), '');
    await (
      await take()
    )();
  });

  it('never hands it to two at once while it is taken and given back all the time', async () => {
    let holders = 0;
    let taken = 0;
    const worker = async () => {
      for (let round = 0; round < 40; round += 1) {
        const release = await take().catch((error: unknown) => {
          expect(error).toBeInstanceOf(StartupError);
        });
        if (release === undefined) continue;
        taken += 1;
        holders += 1;
        expect(holders).toBe(1);
        await systemClock.sleep(0);
        expect(holders).toBe(1);
        holders -= 1;
        await release();
      }
    };
    await Promise.all(Array.from({ length: 8 }, worker));
    expect(taken).toBeGreaterThan(1);
    await (
      await take()
    )();
    expect(await readdir(path)).toHaveLength(1);
  });
});
