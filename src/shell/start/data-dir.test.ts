import { existsSync } from 'node:fs';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { StartupError } from '../../base/errors.ts';
import { prepareDataDir } from './data-dir.ts';

let base: string;
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'hawser-data-dir-'));
});
afterEach(() => rm(base, { recursive: true }));

it('makes every folder on the way, for its user alone to read', async () => {
  await prepareDataDir(join(base, 'a', 'b'));
  expect((await stat(join(base, 'a', 'b'))).mode & 0o066).toBe(0);
  await prepareDataDir(join(base, 'a', 'b'));
});

it('a file in the way is one sentence', async () => {
  await writeFile(join(base, 'file'), '');
  await expect(prepareDataDir(join(base, 'file'))).rejects.toThrow(StartupError);
  await expect(prepareDataDir(join(base, 'file', 'deep'))).rejects.toThrow(StartupError);
});

it.runIf(existsSync('/proc/self'))('a folder that takes none ends with a sentence, too', async () => {
  await expect(prepareDataDir('/proc/hawser/data')).rejects.toThrow(/ENOENT/);
});
