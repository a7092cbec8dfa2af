/**
 * A test of one's own code against a fake provider: no account, no network, and the provider breaks on demand. In a
 * project that installed the package the import reads `hawser/emulators`.
 *
 * `node_modules/.bin/node --test examples/emulator-in-a-test.ts`
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { startEmulator } from '../sdk/emulators.ts';

const checkr = await startEmulator('checkr');
after(() => checkr.close());
const app = checkr.registerApp({ name: 'Shop', redirectUri: 'https://shop.example/callback' });

/** The code under test: a token for the code that the browser brought back. */
async function exchange(callback: URL): Promise<string> {
  const reply = await fetch(`${checkr.url}/oauth/tokens`, {
    method: 'POST',
    body: new URLSearchParams({
      client_id: app.clientId,
      client_secret: app.liveSecret,
      code: callback.searchParams.get('code') ?? '',
    }),
  });
  if (!reply.ok) throw new Error(`no token: ${reply.status}`);
  return ((await reply.json()) as { access_token: string }).access_token;
}

/** The code under test: how many candidates there are, asked once more after a 429. */
async function countCandidates(token: string): Promise<number> {
  const headers = { authorization: `Basic ${btoa(`${token}:`)}` };
  const ask = (): Promise<Response> => fetch(`${checkr.url}/v1/candidates`, { headers });
  let reply = await ask();
  if (reply.status === 429) reply = await ask(); // a real program waits as long as the headers say
  if (!reply.ok) throw new Error(`no candidates: ${reply.status}`);
  return ((await reply.json()) as { count: number }).count;
}

/** What the customer does in the browser, without a browser. */
function customerSays(decision: 'allow' | 'deny'): URL {
  return new URL(checkr.consent(`${checkr.url}/authorize/${app.clientId}?state=s1`, { decision }));
}

test('the customer says yes', async () => {
  const callback = customerSays('allow');
  assert.equal(callback.searchParams.get('state'), 's1');
  assert.equal(await countCandidates(await exchange(callback)), 30); // the emulator begins with these
});

test('the customer says no', () => {
  assert.equal(customerSays('deny').searchParams.get('error'), 'access_denied');
});

test('a rate limit is waited for once', async () => {
  const token = await exchange(customerSays('allow'));
  checkr.setFault({ name: 'rate-limited', on: 'api', times: 1 });
  assert.equal(await countCandidates(token), 30);
  checkr.setFault({ name: 'rate-limited', on: 'api', times: 2 });
  await assert.rejects(countCandidates(token), /429/);
});

test('the customer takes the access back', async () => {
  const token = await exchange(customerSays('allow'));
  for (const grant of checkr.grants()) await checkr.revokeGrant(grant.id);
  await assert.rejects(countCandidates(token), /401/);
});
