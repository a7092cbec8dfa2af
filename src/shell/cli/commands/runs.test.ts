import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCli } from '../index.ts';

const before = { ...process.env };
const ID = '8f14e45f-ceea-467a-9af5-000000000001';
const run = (id: string, name: string, cursor: number, state: string) => ({
  id,
  kind: 'sync',
  trigger: 'manual',
  state,
  function_name: name,
  provider_config_key: 'crm',
  connection_id: 'acme',
  queued_at: '2026-11-22T00:00:00Z',
  duration_ms: 1,
  counts: {},
  error: null,
  cursor: String(cursor),
});
/** Twenty runs of others, each newer. */
const others = Array.from({ length: 20 }, (_, index) => run(`other-${index}`, 'orders', 30 - index, 'succeeded'));
const pages = [[], [run(ID, 'people', 1, 'running')]];
let looks = 0;

const server: Server = createServer((request, response) => {
  const path = request.url ?? '';
  const answer = path.startsWith('/scripts/config')
    ? [{ providerConfigKey: 'crm', syncs: [{ name: 'people' }], actions: [] }]
    : path.startsWith('/runs?')
      ? { runs: pages.shift() ?? others }
      : path === `/runs/${ID}`
        ? { data: run(ID, 'people', 1, ++looks < 2 ? 'running' : 'succeeded') }
        : { success: true };
  request.resume().on('end', () => response.end(JSON.stringify(answer)));
});
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  Object.assign(process.env, { HAWSER_URL: `http://127.0.0.1:${port}`, HAWSER_API_KEY: ID });
});
afterAll(() => {
  process.env = before;
  server.close();
});

it('run waits for the end of the sync, however many others run meanwhile', async () => {
  let out = '';
  const args = ['run', 'people', 'acme', '-i', 'crm'];
  const code = await runCli(args, { out: (text) => (out += text), err: (text) => (out += text) });
  expect([code, out]).toEqual([0, expect.stringMatching(new RegExp(`^${ID} .* succeeded`))]);
});
