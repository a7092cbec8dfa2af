import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openBrowser } from './open-browser.ts';

it('hands the address to the program as one argument, and says when there is none', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hawser-test-'));
  const file = join(folder, 'told');
  const url = new URL('http://localhost:3003/?a=1&b=$(touch x)');
  // The name appears with the whole text in it.
  const script = `printf %s "$1" > '${file}.new' && mv '${file}.new' '${file}'`;
  expect(await openBrowser(url, ['sh', '-c', script, 'sh'])).toBe(true);
  await expect.poll(() => readFile(file, 'utf8').catch(() => ''), { timeout: 10_000 }).toBe(url.href);
  expect(await openBrowser(url, [join(folder, 'no such program')])).toBe(false);
  await rm(folder, { recursive: true });
});
