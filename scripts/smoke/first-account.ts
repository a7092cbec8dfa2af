import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';

/** Generous: the examples are compiled at the first start of a clone. */
const SYNC_TIMEOUT_MS = 60_000;

export interface FirstConnection {
  integration: string;
  id: string;
  /** HTML of the first page after it. */
  page: string;
}

/** Presses the first button of the first page that connects, and follows it as a browser without scripts would. */
export async function connectFirstAccount(url: string): Promise<FirstConnection> {
  const first = await (await fetch(`${url}/`)).text();
  const form = first.split('<form ').find((part) => part.includes('action="/dev/connect"'));
  const action = /action="([^"]+)"/.exec(form ?? '')?.[1];
  const integration = /name="integration" value="([^"]+)"/.exec(form ?? '')?.[1];
  assert.ok(action !== undefined && integration !== undefined, 'the first page has no button');

  const cookies = new Map<string, Map<string, string>>();
  let target = new URL(action, url);
  let response = await send(target, cookies, {
    method: 'POST',
    headers: { origin: new URL(url).origin },
    body: new URLSearchParams({ integration }),
  });
  for (let hops = 0; response.status >= 300 && response.status < 400; hops += 1) {
    assert.ok(hops < 10, 'the button leads in circles');
    target = new URL(response.headers.get('location') as string, target);
    response = await send(target, cookies, {});
  }
  const page = await response.text();
  assert.equal(response.status, 200, `${target.origin}${target.pathname} answered ${response.status}: ${page}`);
  assert.equal(target.origin, new URL(url).origin, 'the button does not lead back');
  const id = target.searchParams.get('connection_id');
  assert.ok(id !== null, `no connection: ${target.search}`);
  return { integration, id, page };
}

/** The account behind the connection, by a proxied call with the API key. */
export async function proxiedAccount(
  url: string,
  apiKey: string,
  connection: FirstConnection,
): Promise<Record<string, unknown>> {
  const response = await fetch(`${url}/proxy/v1/account`, {
    headers: {
      authorization: `Bearer ${apiKey}`,
      'provider-config-key': connection.integration,
      'connection-id': connection.id,
    },
  });
  assert.equal(response.status, 200, `the proxied call answered ${response.status}`);
  const account = (await response.json()) as Record<string, unknown>;
  assert.equal(account['object'], 'account');
  return account;
}

/** Waits until the first page shows records of the example syncs; resolves to how many of one model there are. */
export async function syncedRecords(url: string): Promise<number> {
  for (const end = Date.now() + SYNC_TIMEOUT_MS; Date.now() < end; await delay(50)) {
    const page = await (await fetch(`${url}/`)).text();
    const total = /<h2 id="records">The \w+ \d+ of (\d+)/.exec(page)?.[1];
    if (total !== undefined && total !== '0') return Number(total);
  }
  return assert.fail(`no record is on the first page after ${SYNC_TIMEOUT_MS} ms`);
}

type Jar = Map<string, Map<string, string>>;

async function send(url: URL, jar: Jar, init: RequestInit & { headers?: Record<string, string> }): Promise<Response> {
  const cookie = [...(jar.get(url.host) ?? [])].map(([name, value]) => `${name}=${value}`).join('; ');
  const headers = { ...init.headers, ...(cookie !== '' && { cookie }) };
  const response = await fetch(url, { ...init, headers, redirect: 'manual' });
  for (const line of response.headers.getSetCookie()) {
    const [, name, value] = /^([^=]+)=([^;]*)/.exec(line) as unknown as [string, string, string];
    jar.set(url.host, (jar.get(url.host) ?? new Map<string, string>()).set(name, value));
  }
  return response;
}
