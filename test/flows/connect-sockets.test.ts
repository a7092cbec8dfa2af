/** The sockets of waiting browsers, on one node and on two (wire contract C.2). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { startTestApp, type TestApp } from '../support/app.ts';
import { sessionToken } from '../support/connect.ts';
import { answeredFlow, followBack } from './connect-helpers.ts';

let app: TestApp;
let nodeB: { url: string; port: number };
beforeAll(async () => {
  app = await startTestApp();
  nodeB = await app.startNode({ settings: { HAWSER_PUBLIC_URL: app.url } });
});
afterAll(async () => {
  await app?.close();
});

interface Waiting {
  id: string;
  next(): Promise<Record<string, unknown>>;
  socket: WebSocket;
  closed: Promise<number>;
}

/** A browser that waits, as the published client does. */
async function wait(port: number | string, path = '/'): Promise<Waiting> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { origin: 'https://app.example.com' });
  const messages: Record<string, unknown>[] = [];
  let wake: () => void = () => {};
  socket.on('message', (data: Buffer) => {
    messages.push(JSON.parse(data.toString()) as Record<string, unknown>);
    wake();
  });
  const closed = new Promise<number>((resolve) => socket.on('close', resolve));
  const next = async (): Promise<Record<string, unknown>> => {
    while (messages.length === 0) await new Promise<void>((resolve) => (wake = resolve));
    return messages.shift() as Record<string, unknown>;
  };
  await new Promise<void>((resolve, reject) => socket.on('open', resolve).on('error', reject));
  const hello = await next();
  expect(hello).toEqual({
    message_type: 'connection_ack',
    ws_client_id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/),
  });
  return { id: hello['ws_client_id'] as string, next, socket, closed };
}

const own = () => new URL(app.url).port;

describe('a waiting browser', () => {
  it('hears of the success', async () => {
    const browser = await wait(own());
    const flow = await answeredFlow(app, { query: { ws_client_id: browser.id } });
    await followBack(app, flow.back, flow.cookie);
    expect(await browser.next()).toEqual({
      message_type: 'success',
      provider_config_key: 'checkr-partner',
      connection_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      is_pending: false,
    });
    browser.socket.close();
  });

  it('on node B hears of a callback that lands on node A, and the other way round', async () => {
    const atB = await wait(nodeB.port);
    const one = await answeredFlow(app, { query: { ws_client_id: atB.id } });
    await followBack(app, one.back, one.cookie);
    expect(await atB.next()).toMatchObject({ message_type: 'success' });

    const atA = await wait(own(), '/ws');
    const two = await answeredFlow(app, { query: { ws_client_id: atA.id } });
    await followBack({ url: `http://127.0.0.1:${nodeB.port}` }, two.back, two.cookie);
    expect(await atA.next()).toMatchObject({ message_type: 'success' });
    atA.socket.close();
    atB.socket.close();
  });

  it('hears of failures with the contract’s types', async () => {
    const refusedAt = await wait(nodeB.port);
    const refused = await answeredFlow(app, { decision: 'deny', query: { ws_client_id: refusedAt.id } });
    await followBack(app, refused.back, refused.cookie);
    expect(await refusedAt.next()).toEqual({
      message_type: 'error',
      provider_config_key: 'checkr-partner',
      connection_id: expect.any(String),
      error_type: 'callback_err',
      error_desc: expect.stringContaining('refused'),
      provider_error: 'access_denied',
    });
    const faultyAt = await wait(own());
    app.emulators.get('checkr').setFault({ name: 'server-error', on: 'token' });
    const faulty = await answeredFlow(app, { query: { ws_client_id: faultyAt.id } });
    await followBack(app, faulty.back, faulty.cookie);
    expect(await faultyAt.next()).toMatchObject({ message_type: 'error', error_type: 'token_err' });
    const foreignAt = await wait(own());
    const foreign = await answeredFlow(app, { query: { ws_client_id: foreignAt.id } });
    await followBack(app, foreign.back, '');
    expect(await foreignAt.next()).toMatchObject({ message_type: 'error', error_type: 'state_cookie_err' });
    for (const one of [refusedAt, faultyAt, foreignAt]) one.socket.close();
  });

  it('hears when the flow cannot even start', async () => {
    const browser = await wait(own());
    const token = await sessionToken(app, 'xref');
    const search = new URLSearchParams({ connect_session_token: token, ws_client_id: browser.id });
    await fetch(`${app.url}/oauth/connect/nothing?${search}`, { headers: { accept: 'text/html' } });
    expect(await browser.next()).toEqual({
      message_type: 'error',
      provider_config_key: 'nothing',
      connection_id: '',
      error_type: 'unknown_config_key',
      error_desc: expect.any(String),
    });
    browser.socket.close();
  });

  it('that left does not disturb the callback', async () => {
    const browser = await wait(own());
    browser.socket.terminate();
    await browser.closed;
    const flow = await answeredFlow(app, { query: { ws_client_id: browser.id } });
    expect((await followBack(app, flow.back, flow.cookie)).status).toBe(200);
  });
});

describe('a socket', () => {
  it('is heard by nobody, and closed when it says too much', async () => {
    const browser = await wait(own());
    browser.socket.send('{"message_type":"success"}');
    const flow = await answeredFlow(app, { query: { ws_client_id: browser.id } });
    await followBack(app, flow.back, flow.cookie);
    expect(await browser.next()).toMatchObject({ message_type: 'success', provider_config_key: 'checkr-partner' });
    browser.socket.send('x'.repeat(1_025));
    expect(await browser.closed).toBe(1009);
  });

  it.each(['/proxy', '/dashboard', '/ws/x', '//'])('is not opened at %s', async (path) => {
    const socket = new WebSocket(`ws://127.0.0.1:${own()}${path}`);
    const status = await new Promise((resolve) => {
      socket.on('unexpected-response', (_, response) => resolve(response.statusCode));
      socket.on('error', () => {}); // ws reports the refusal a second time as an error
    });
    expect(status).toBe(404);
  });
});
