/** What bodies webhooks may have, how they are kept, and what the API says of them (threats 2.6, case 34). */
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { KEEP_MS } from '../../src/features/inbound/limits.ts';
import { deleteOld } from '../../src/features/inbound/store-work.ts';
import type { TestApp } from '../support/app.ts';
import { need, useInboundStage } from './inbound-stage.ts';

let app: TestApp;
let environmentUuid: string;
const { addConnection, eventOf, forwards, quiet, send, stored } = useInboundStage(async (stage) => {
  ({ app, environmentUuid } = stage);
  const chat = {
    provider: 'slack',
    unique_key: 'chat',
    credentials: { type: 'OAUTH2', client_id: 'i', client_secret: 's' },
    custom: { webhook_trust: 'none' },
  };
  await need(app.api('POST', '/integrations', chat));
  await addConnection('c1', 'acct1');
  await addConnection('c-token', 'acct-token');
  // What the tests of stored events look at.
  for (let reports = 0; reports < 5; reports += 1) await need(send(eventOf('acct1')));
  const data = { object: { access_code: 'token of c-token' } };
  await need(send(eventOf('the partner', { type: 'token.deauthorized', data })));
  await need(send('{"event_id":"Ev1","tenantId":"t1"}', { key: 'chat', headers: {} }));
  await quiet();
});

describe('a body', () => {
  const sendRaw = (head: string[], body: string | Buffer) =>
    new Promise<string>((resolve, reject) => {
      const socket = connect(Number(new URL(app.url).port), 'localhost');
      let answer = '';
      socket.setEncoding('utf8').on('data', (text: string) => {
        answer += text;
      });
      socket.on('close', () => resolve(answer)).on('error', reject);
      socket.write([`POST /webhook/${environmentUuid}/checks HTTP/1.1`, 'host: x', 'connection: close', ...head, '', ''].join('\r\n')); // prettier-ignore
      socket.end(body);
    });

  it('abuse 34: over 1 MiB is refused, of a known and of an unknown length', async () => {
    const big = Buffer.alloc(1_048_577, 'a');
    expect(await sendRaw([`content-length: ${big.length}`], big)).toMatch(/^HTTP\/1\.1 413 /);
    const chunk = Buffer.concat([Buffer.from(`${big.length.toString(16)}\r\n`), big, Buffer.from('\r\n0\r\n\r\n')]);
    expect(await sendRaw(['transfer-encoding: chunked'], chunk)).toMatch(/^HTTP\/1\.1 413 /);
    const most = `"${'a'.repeat(1_048_574)}"`;
    expect((await send(most)).status).toBe(200);
  });

  it.each([
    ['nested 100,000 deep', '['.repeat(100_000) + ']'.repeat(100_000)],
    ['with a key that changes prototypes', '{"__proto__":{"isAdmin":true}}'],
    ['with a constructor’s prototype', '{"constructor":{"prototype":{"x":1}}}'],
    ['with the same key twice', '{"id":"1","id":"2"}'],
    ['with half a million values', `{"a":[${'0,'.repeat(500_000)}0]}`],
    ['that breaks off', '{"id":'],
    ['that says it is JSON', 'no JSON'],
    ['with a NUL', '{"type":"\\u0000"}'],
  ])('abuse 34: %s is refused, proven or not, and nothing is stored', async (_what, body) => {
    const before = await app.db.query('SELECT count(*) FROM inbound_event');
    const answer = await send(body);
    expect([answer.status, JSON.parse(answer.text).code]).toEqual([400, 'webhook_invalid_payload']);
    expect((await send(body, { headers: { 'x-checkr-signature': 'no' } })).status).toBe(401);
    expect(await app.db.query('SELECT count(*) FROM inbound_event')).toEqual(before);
  });

  it('that is no text is refused; without content type, as a form and as text it is kept', async () => {
    await need(app.api('PATCH', '/integrations/chat', { custom: { webhook_trust: 'none' } }));
    const to = (body: string | Uint8Array<ArrayBuffer>, type?: string) =>
      fetch(`${app.url}/webhook/${environmentUuid}/chat`, { method: 'POST', body, headers: type === undefined ? {} : { 'content-type': type } }).then(({ status }) => status); // prettier-ignore
    expect(await to(new Uint8Array([0xff, 0xfe, 0x00]), 'application/octet-stream')).toBe(400);
    expect(await to('command=%2Fx&team_id=T1', 'application/x-www-form-urlencoded')).toBe(200);
    expect(await to('plain words', 'text/plain')).toBe(200);
    expect(await to(new Uint8Array(Buffer.from('{"event_id":"Ev2"}')))).toBe(200);
    const kinds = await app.db.query<{ body_kind: string }>(
      'SELECT body_kind FROM inbound_event ORDER BY id DESC LIMIT 3',
    );
    expect(kinds.map((row) => row.body_kind)).toEqual(['json', 'text', 'form']);
  });
});

describe('the body of a stored event', () => {
  it('is sealed at rest, and goes with the event after 30 days', async () => {
    const rows = await app.db.query<{ text: string }>(
      "SELECT encode(body_sealed, 'escape') AS text FROM inbound_event",
    );
    expect(rows.length).toBeGreaterThan(5);
    expect(rows.filter(({ text }) => /report|token|tenant/.test(text))).toEqual([]);
    const body = eventOf('acct1', { type: 'ancient' });
    await send(body);
    await quiet();
    await app.db.query("UPDATE inbound_event SET received_at = now() - interval '31 days' WHERE type = 'ancient'");
    expect(await deleteOld(app.db, KEEP_MS, 10)).toBe(1);
    expect(await stored(body)).toEqual([]);
  });
});

describe('stored events over the API', () => {
  it('are listed, read without secrets, and replayed', async () => {
    const list = (await app.api('GET', '/inbound-events?provider_config_key=checks&type=token.deauthorized')).body
      .events;
    expect(list).toMatchObject([{ type: 'token.deauthorized', trust: 'signature', state: 'routed', matched: 1 }]);
    const { text, body } = await app.api('GET', `/inbound-events/${list[0].id}`);
    expect(body.data.body.data.object).toEqual({ access_code: '[redacted]' });
    expect(text).not.toContain('token of c-token');
    const before = forwards().length;
    const ago = new Date(Date.now() - 3_600_000).toISOString();
    const answer = await app.api('POST', '/inbound-events/replay', { type: 'report.completed', received_after: ago, limit: 2 }); // prettier-ignore
    await quiet();
    expect(forwards().length).toBe(before + 2);
    const all = (await app.api('GET', '/inbound-events?type=report.completed&after=0')).body.events;
    expect(answer.body).toEqual({ replayed: 2, has_more: true, next_cursor: all[1].cursor });
    const behind = async (after: string) =>
      (await app.api('POST', '/inbound-events/replay', { type: 'report.completed', after })).body;
    expect(await behind(all.at(-2).cursor)).toEqual({ replayed: 1, has_more: false, next_cursor: null });
    expect((await behind(all.at(-1).cursor)).replayed).toBe(0);
    expect((await app.api('POST', '/inbound-events/replay', { after: '1' })).status).toBe(400);
    expect((await app.api('POST', '/inbound-events/replay', { ids: [list[0].id] })).body.replayed).toBe(1);
    await quiet();
    const prod = await fetch(`${app.url}/inbound-events`, { headers: { authorization: `Bearer ${app.prodApiKey}` } });
    expect(await prod.json()).toEqual({ events: [], next_cursor: null });
  });

  it('can be waited for', async () => {
    const [newest] = (await app.api('GET', '/inbound-events?limit=1')).body.events;
    const waiting = app.api('GET', `/inbound-events?after=${newest.cursor}&wait_seconds=20`);
    const body = eventOf('acct1');
    await send(body);
    expect((await waiting).body.events).toMatchObject([{ type: 'report.completed' }]);
  });
});
