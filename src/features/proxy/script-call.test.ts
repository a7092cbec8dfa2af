import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { aConnection, anIntegration, buildCore, type Core } from '../../../test/support/build.ts';
import { silentLog } from '../../base/log.ts';
import { systemClock } from '../../platform/clock.ts';
import type { ProxyAnswer, ProxyCall } from '../../platform/sandbox/index.ts';
import { createScriptCalls, type ScriptCalls } from './index.ts';

interface Seen {
  method: string;
  url: string;
  headers: IncomingMessage['headers'];
  body: string;
}

let core: Core;
let server: Server;
let origin: string;
let calls: ScriptCalls;
let environmentId: number;
const seen: Seen[] = [];
/** Answers in turn; then 200. */
const script: { status: number; headers?: Record<string, string>; body?: Buffer | string; cut?: boolean }[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      seen.push({ method, url, headers, body: Buffer.concat(chunks).toString('utf8') });
      const next = script.shift() ?? { status: 200, body: '{"ok":true}' };
      if (next.cut === true) return void request.socket.destroy();
      response.writeHead(next.status, { 'content-type': 'application/json', ...next.headers });
      response.end(next.body ?? '');
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const pair = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  origin = `http://${pair}`;
  core = await buildCore({ allow: [pair] });
  environmentId = core.environment.id;
  const urls = { url: `${origin}/api`, tokenUrl: `${origin}/token`, revokeUrl: `${origin}/revoke` };
  for (const [key, token] of [
    ['generic', 'token-one'],
    ['second', 'token-two'],
  ] as const) {
    const integration = await anIntegration(core, urls, { key });
    await aConnection(core.node, integration, { type: 'OAUTH2', access_token: token, raw: {} });
  }
  calls = createScriptCalls({
    ...core.node,
    clock: { ...systemClock, sleep: (_ms, signal) => systemClock.sleep(1, signal) },
    log: silentLog,
    baseUrlOverride: { allow: [] },
  });
});

beforeEach(() => {
  seen.length = 0;
  script.length = 0;
});

afterAll(async () => {
  await core.close();
  server.close();
});

function ask(call: Partial<ProxyCall>): Promise<ProxyAnswer> {
  return calls.call({
    environmentId,
    integrationKey: 'generic',
    connectionId: 'customer-1',
    call: { method: 'GET', endpoint: '/things', headers: {}, ...call },
  });
}

describe('a script’s call', () => {
  it('goes out with the credential and comes back whole', async () => {
    const answer = await ask({ endpoint: 'things/ä?q=a b#here', headers: { 'x-own': '1', host: 'evil.test' } });
    expect(answer).toMatchObject({ status: 200, bodyText: '{"ok":true}' });
    expect(seen).toMatchObject([{ url: '/api/things/%C3%A4?q=a%20b', headers: { authorization: 'Bearer token-one', 'x-own': '1' } }]); // prettier-ignore
    expect(seen[0]?.headers.host).toBe(new URL(origin).host);
    script.push({ status: 404, body: Buffer.from([0xff, 0xfe]) });
    expect(await ask({})).toMatchObject({ status: 404, bodyBase64: '//4=' });
    await ask({ method: 'post', bodyText: '{"a":1}', headers: { 'content-type': 'application/json' } });
    expect(seen.at(-1)).toMatchObject({ method: 'POST', body: '{"a":1}' });
    await ask({ providerConfigKey: 'second' });
    expect(seen.at(-1)?.headers.authorization).toBe('Bearer token-two');
  });

  it('is repeated only when that cannot do a thing twice', async () => {
    script.push({ status: 500 }, { status: 429, headers: { 'retry-after': '1' } });
    expect((await ask({ retries: 3 })).status).toBe(200);
    expect(seen).toHaveLength(3);
    script.push({ status: 500 });
    expect((await ask({ method: 'POST', bodyText: '{}', retries: 3 })).status).toBe(500);
    script.push({ status: 418 });
    expect((await ask({ retries: 1, retryOn: ['400-420'] })).status).toBe(200);
    script.push({ status: 500 });
    expect((await ask({})).status).toBe(500);
    expect(seen).toHaveLength(3 + 1 + 2 + 1);
    script.push({ status: 200, cut: true });
    await expect(ask({ method: 'POST', bodyText: '{}', retries: 3 })).rejects.toMatchObject({
      code: 'script_network_error',
    });
    script.push({ status: 200, cut: true });
    expect((await ask({ retries: 1 })).status).toBe(200);
  });

  it('follows whole addresses of its own provider and nobody else’s', async () => {
    await ask({ endpoint: `${origin}/api/things?page=2` });
    await ask({ endpoint: '/api/things?page=3', baseUrlOverride: origin });
    await ask({ endpoint: '/v2/things', baseUrlOverride: `${origin}/` });
    expect(seen.map((one) => one.url)).toEqual(['/api/things?page=2', '/api/things?page=3', '/v2/things']);
    expect(new Set(seen.map((one) => one.headers.authorization))).toEqual(new Set(['Bearer token-one']));
    await expect(ask({ baseUrlOverride: 'https://evil.test' })).rejects.toMatchObject({
      code: 'base_url_override_disabled',
    });
    await expect(ask({ endpoint: 'https://evil.test/x' })).rejects.toMatchObject({ code: 'invalid_endpoint' });
    await expect(ask({ endpoint: '/../admin' })).rejects.toMatchObject({ code: 'invalid_endpoint' });
    await expect(ask({ headers: { 'x-a': 'a\r\nb' } })).rejects.toMatchObject({ code: 'invalid_headers' });
    await expect(ask({ connectionId: 'nobody' })).rejects.toMatchObject({ code: 'unknown_connection' });
    expect(seen).toHaveLength(3);
  });
});
