import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openClient, UnreachableError } from './client.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hawser-client-'));
  const environments = { dev: { apiKey: 'key of this machine' } };
  await writeFile(join(folder, 'hawser.json'), JSON.stringify({ url: 'http://localhost:3003', environments }));
  vi.stubEnv('HAWSER_DATA_DIR', folder);
  vi.stubEnv('HAWSER_URL', '');
  vi.stubEnv('HAWSER_API_KEY', '');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

async function urlOfClient(project?: { url: string; apiKey: string }): Promise<string> {
  const client = await openClient('dev', project);
  await client.close();
  return client.url;
}

describe('which server and key', () => {
  it('those of hawser.json, also when the setting names the same server', async () => {
    expect(await urlOfClient()).toBe('http://localhost:3003');
    for (const same of ['http://localhost:3003', 'http://127.0.0.1:3003', 'http://[::1]:3003']) {
      vi.stubEnv('HAWSER_URL', same);
      expect(await urlOfClient()).toBe(same);
    }
  });

  it.each(['https://connect.example.com', 'http://localhost:3004', 'http://127.example.com:3003'])(
    'never the key of hawser.json for %s',
    async (other) => {
      vi.stubEnv('HAWSER_URL', other);
      await expect(openClient('dev')).rejects.toThrow(
        new UnreachableError(`No API key for the environment "dev" of ${other} is known. Set HAWSER_API_KEY to one.`),
      );
    },
  );

  it('what a project says as a whole, before the settings it was read from', async () => {
    vi.stubEnv('HAWSER_URL', 'https://connect.example.com');
    expect(await urlOfClient({ url: 'https://connect.example.com', apiKey: 'of its .env' })).toBe(
      'https://connect.example.com',
    );
  });

  it('an address without a scheme is told, key or not', async () => {
    vi.stubEnv('HAWSER_URL', 'localhost:3003');
    await expect(openClient('dev')).rejects.toThrow(/not an http\(s\) URL/);
  });

  it('none: says what to start', async () => {
    await rm(join(folder, 'hawser.json'));
    await expect(openClient('dev')).rejects.toThrow(/^No server is known\. Start one with `hawser dev`/);
  });
});
