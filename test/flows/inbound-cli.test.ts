/** Webhooks on the command line: listed, replayed, and sent to a program on the developer's machine. */
import { createHmac } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { runCli } from '../../src/shell/cli/index.ts';
import { startTestApp, type TestApp } from '../support/app.ts';

const SECRET = 'the client secret';
let app: TestApp;
let environmentUuid: string;
let program: Server;
const got: { headers: Record<string, unknown>; body: string }[] = [];
const before = { ...process.env };

beforeAll(async () => {
  app = await startTestApp();
  environmentUuid = (await app.services.environments.byName('dev'))?.uuid as string;
  await app.api('POST', '/integrations', { provider: 'checkr-partner', unique_key: 'checks', credentials: { type: 'OAUTH2', client_id: 'id', client_secret: SECRET } }); // prettier-ignore
  program = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => {
      body += text;
    });
    request.on('end', () => {
      got.push({ headers: request.headers, body });
      response.writeHead(body.includes('refuse') ? 500 : 200).end();
    });
  });
  await new Promise<void>((resolve) => program.listen(0, '127.0.0.1', resolve));
  Object.assign(process.env, { HAWSER_URL: app.url, HAWSER_API_KEY: app.apiKey });
});
afterAll(async () => {
  process.env = before;
  program?.close();
  await app?.close();
});

async function send(type: string, id: string): Promise<void> {
  const body = JSON.stringify({ id, object: 'event', type, account_id: 'nobody', data: { object: { access_code: 'a secret' } } }); // prettier-ignore
  const response = await fetch(`${app.url}/webhook/${environmentUuid}/checks`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-checkr-signature': createHmac('sha256', SECRET).update(body).digest('hex') }, // prettier-ignore
    body,
  });
  expect(response.status).toBe(200);
}

async function hawser(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = '';
  let err = '';
  const code = await runCli(args, { out: (text) => (out += text), err: (text) => (err += text) });
  return { code, out, err };
}

describe('webhooks on the command line', () => {
  it('are sent to a program on this machine as they come, without the secrets in them', async () => {
    await send('before', 'e0');
    const { port } = program.address() as AddressInfo;
    const listening = hawser('listen', `http://127.0.0.1:${port}/hooks`, '--count', '2');
    // It listens once it has asked for new ones: what came before is not sent.
    await expect.poll(async () => {
      await send('token.deauthorized', `e${crypto.randomUUID()}`);
      return got.length;
    }, { interval: 300, timeout: 10_000 }).toBeGreaterThan(0); // prettier-ignore
    await send('token.deauthorized', 'e2');
    const { code, out } = await listening;
    expect(code).toBe(0);
    expect(out.split('\n').filter((line) => line !== '')).toHaveLength(2);
    expect(out).toContain('checks  token.deauthorized');
    expect(out).toContain('→ 200');
    expect(JSON.parse(got[0]?.body as string)).toMatchObject({ type: 'token.deauthorized', data: { object: { access_code: '[redacted]' } } }); // prettier-ignore
    expect(got[0]?.headers).toMatchObject({ 'x-hawser-integration': 'checks', 'x-hawser-trust': 'signature' });
    expect(got[0]?.headers).not.toHaveProperty('x-checkr-signature');
    expect(got.map(({ body }) => body).join()).not.toContain('"before"');
  });

  it('that the program does not take are told by the exit code', async () => {
    const { port } = program.address() as AddressInfo;
    const listening = hawser('listen', `http://127.0.0.1:${port}/hooks`, '--count', '1', '-t', 'refuse');
    await expect.poll(async () => {
      await send('refuse', `r${crypto.randomUUID()}`);
      return got.some(({ body }) => body.includes('refuse'));
    }, { interval: 300, timeout: 10_000 }).toBe(true); // prettier-ignore
    const { code, out } = await listening;
    expect([code, out]).toEqual([1, expect.stringContaining('→ 500')]);
  });

  it('in a terminal: keys choose one, show it, send it again and end', async () => {
    // What a terminal gives, and gets back in the end.
    const raw: boolean[] = [];
    const stdin = Object.assign(process.stdin, { setRawMode: (on: boolean) => (raw.push(on), process.stdin) });
    let out = '';
    let err = '';
    const { port } = program.address() as AddressInfo;
    const args = ['listen', `http://127.0.0.1:${port}/hooks`, '-t', 'keys'];
    const opened: string[] = [];
    const listening = runCli(args, {
      out: (text) => (out += text),
      err: (text) => (err += text),
      isTerminal: true,
      open: async ({ href }) => opened.push(href) === 1,
    });
    const press = async (key: string, stream: () => string, wanted: string | RegExp) => {
      stdin.emit('data', key);
      await expect.poll(stream, { timeout: 10_000 }).toMatch(wanted);
    };
    await expect.poll(async () => {
      await send('keys', `k${crypto.randomUUID()}`);
      return out;
    }, { interval: 300, timeout: 10_000 }).toContain('→ 200'); // prettier-ignore
    await send('keys', 'k-last');
    const told = () => got.filter(({ body }) => body.includes('"keys"'));
    await expect.poll(() => told().map(({ body }) => (JSON.parse(body) as { id: string }).id), { timeout: 10_000 }).toContain('k-last'); // prettier-ignore
    const lines = () => out.split('\n').filter((line) => line.includes('→')).length;
    await expect.poll(lines, { timeout: 10_000 }).toBe(told().length);
    await expect
      .poll(() => err)
      .toMatch(/(\d+)\/\1 keys → 200 {2}· {2}j\/k select · r send again · d details · o open · \? help · q quit$/);
    const [printed, count] = [lines(), told().length];
    await press('d', () => out, /"id": "k-last"/);
    await press('r', () => out, /→ 200 \(again\)/);
    expect([lines(), told().length]).toEqual([printed + 1, count + 1]);
    await press('\u001b[A', () => err, new RegExp(`${count - 1}/${count} keys → 200[^\r]*$`));
    await press('j', () => err, new RegExp(`${count}/${count} keys → 200[^\r]*$`));
    await press('i', () => out, `${count} webhooks so far.`);
    await press('?', () => out, /o {6}open Hawser's first page in the browser/);
    await press('o', () => out, `Opened ${app.url}/`);
    await press('o', () => out, `open ${app.url}/ yourself`);
    expect(opened).toEqual([`${app.url}/`, `${app.url}/`]);
    expect(raw).toEqual([true]);
    stdin.emit('data', 'q');
    expect(await listening).toBe(0);
    expect(raw).toEqual([true, false]);
  });

  it('that cannot be read are told as such, and do not end it', async () => {
    const { port } = program.address() as AddressInfo;
    const read = vi.spyOn(app.services.inbound, 'read').mockRejectedValueOnce(new Error('away'));
    const listening = hawser('listen', `http://127.0.0.1:${port}/hooks`, '--count', '2', '-t', 'away');
    await expect.poll(async () => {
      await send('away', `a${crypto.randomUUID()}`);
      return got.filter(({ body }) => body.includes('"away"')).length;
    }, { interval: 300, timeout: 10_000 }).toBe(1); // prettier-ignore
    const { code, out } = await listening;
    expect([code, out]).toEqual([1, expect.stringMatching(/→ not read \(.*500.*\)\n.*→ 200\n$/)]);
    read.mockRestore();
  });

  it('are listed, shown and replayed', async () => {
    const list = JSON.parse((await hawser('inbound', 'list', '-t', 'before', '--json')).out) as { id: string }[];
    expect(list).toMatchObject([{ type: 'before', provider_config_key: 'checks' }]);
    const [event] = list as [{ id: string }];
    expect((await hawser('inbound', 'list', '-t', 'before')).out).toMatch(
      new RegExp(`^ID +RECEIVED[^]*\n${event.id} `),
    );
    expect(JSON.parse((await hawser('inbound', 'show', event.id)).out)).toMatchObject({ body: { id: 'e0' } });
    expect((await hawser('inbound', 'replay', event.id)).out).toBe('Handled again: 1.\n');
    expect((await hawser('inbound', 'replay')).code).toBe(4);
    // More than one call takes: it goes on where the last one ended.
    const replay = vi.spyOn(app.services.inbound, 'replay').mockResolvedValueOnce({ count: 10_000, last: 0 });
    expect((await hawser('inbound', 'replay', '-t', 'before')).out).toBe('Handled again: 10001.\n');
    expect(replay.mock.calls.map(([, { after }]) => after)).toEqual([undefined, 0]);
    replay.mockRestore();
    expect((await hawser('listen', 'nowhere')).code).toBe(2);
  });

  it('have a URL for each connection, which can be rotated', async () => {
    await app.api('POST', '/connections', { provider_config_key: 'checks', connection_id: 'c 1', credentials: { type: 'OAUTH2', access_token: 'token' } }); // prettier-ignore
    const url = (...more: string[]) => hawser('connections', 'webhook-url', 'c 1', '-i', 'checks', ...more);
    const first = (await url()).out;
    expect(first).toMatch(/\/webhook\/[0-9a-f-]{36}\/checks\/\d+-[0-9a-f]{40}\n$/);
    const { webhook_url: second } = JSON.parse((await url('--rotate', '--json')).out) as { webhook_url: string };
    expect((await url()).out).toMatch(new RegExp(`^${second}\nThe one before is good until \\d{4}-.*Z.\n$`));
    const third = await url('--rotate', '--grace-hours', '0');
    expect(third.out).not.toBe(`${second}\n`);
    expect(third.out.split('\n')).toHaveLength(2);
  });
});

describe('what is wrong with a command', () => {
  it.each([
    [['listen', 'http://127.0.0.1:1/', '--count', 'many'], 2, '--count'],
    [['listen', 'http://127.0.0.1:1/', '--count', '0'], 2, '--count'],
    [['run', 'a-function', 'a-connection', '--input', '{'], 2, '--input'],
    [['inbound', 'list', '--limit', 'many'], 4, 'limit: '],
    [['variables', 'set', 'NAME', '@no/such/file'], 1, 'no/such/file cannot be read (ENOENT)'],
  ])('%j ends with code %i and says so', async (args, code, said) => {
    const ended = await hawser(...args);
    expect([ended.code, ended.err]).toEqual([code, expect.stringContaining(said)]);
    expect(ended.err).not.toContain('unexpected');
  });

  it.each(['localhost:3003', 'the server', 'ftp://localhost'])('HAWSER_URL=%s: says what it should be', async (url) => {
    process.env['HAWSER_URL'] = url;
    const { code, err } = await hawser('connections', 'list');
    process.env['HAWSER_URL'] = app.url;
    expect(code).toBe(1);
    expect(err).toMatch(/not an http\(s\) URL\.\n.*HAWSER_URL.*http:\/\/localhost:3003/);
  });
});
