import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { capturingLog } from '../../../test/support/build.ts';
import { createSpool } from './spool.ts';
import type { JournalEntry } from './store-journal.ts';

let root: string;
let logged: string[];

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'hawser-spool-'));
  logged = [];
});

afterEach(() => rm(root, { recursive: true, force: true }));

const entry = (epoch: number): JournalEntry => ({
  environmentId: 1,
  connectionId: 42,
  epoch,
  rtUsedHash: Buffer.from([1, 2, 3]),
  replySealed: Buffer.from([0, 255, 128]),
  receivedAtMs: 1_700_000_000_123.5,
});

describe('spool', () => {
  it('keeps answers across processes, private to this user, and forgets what was flushed', async () => {
    const directory = join(root, 'spool');
    const first = createSpool(directory, capturingLog(logged));
    expect(await first.list()).toEqual([]);
    await first.put(entry(1));
    await first.put(entry(1));
    await first.put(entry(2));
    const second = createSpool(directory, capturingLog(logged));
    expect((await second.list()).toSorted((a, b) => a.epoch - b.epoch)).toEqual([entry(1), entry(2)]);
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    for (const name of await readdir(directory)) expect((await stat(join(directory, name))).mode & 0o777).toBe(0o600);
    await second.remove(entry(1));
    await second.remove(entry(1));
    expect(await first.list()).toEqual([entry(2)]);
  });

  it('does not stumble over half-written and foreign files', async () => {
    const spool = createSpool(root, capturingLog(logged));
    await writeFile(join(root, '1-42-7.reply.new'), '{"v":1');
    await writeFile(join(root, '1-42-8.reply'), '{"v":1,"connectionId":');
    await writeFile(join(root, '1-42-9.reply'), '{"v":2,"connectionId":42}');
    await spool.put(entry(10));
    expect(await spool.list()).toEqual([entry(10)]);
    expect((await readdir(root)).filter((name) => name.endsWith('.bad'))).toHaveLength(2);
    expect(logged).toHaveLength(2);
    expect(await spool.list()).toEqual([entry(10)]);
  });
});
