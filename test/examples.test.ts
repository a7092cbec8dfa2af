/** Every program in `examples/` runs and does what it says. */
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { checkrScenario, isUpdate } from '../examples/checkr-scenario.ts';
import { connectAndCall } from '../examples/connect-and-call.ts';
import { seedExampleFunctions } from '../src/shell/dev/example-functions.ts';
import { startTestApp } from './support/app.ts';
import { beginFlow, finishFlow } from './support/connect.ts';
import { freePort } from './support/free-port.ts';

const EXAMPLES = fileURLToPath(new URL('../examples/', import.meta.url));

it('knows all of them', () => {
  // The functions have tests of their own: test/flows/examples-functions.test.ts
  expect(readdirSync(EXAMPLES).toSorted()).toEqual([
    'checkr-scenario.ts',
    'connect-and-call.ts',
    'emulator-in-a-test.ts',
    'functions',
  ]);
});

it('connect-and-call: link, customer, call', async () => {
  const app = await startTestApp();
  try {
    const links: string[] = [];
    const { connectionId, data } = await connectAndCall({
      host: app.url,
      apiKey: app.apiKey,
      integration: 'checkr-partner',
      endpoint: '/v1/account',
      user: { id: 'ada', email: 'ada@example.com' },
      // The customer is quick: opens the link, says yes.
      async show(link) {
        links.push(link);
        const token = new URL(link).searchParams.get('session_token') as string;
        await finishFlow(app, 'checkr-partner', await beginFlow(app.url, 'checkr-partner', token));
      },
    });
    expect(links).toEqual([expect.stringContaining(`${app.url}/connect-ui/?session_token=nango_connect_session_`)]);
    const { body } = await app.api('GET', '/connections');
    expect(body.connections).toMatchObject([
      { connection_id: connectionId, end_user: { id: 'ada', email: 'ada@example.com' } },
    ]);
    const [account] = app.emulators.get('checkr').accounts();
    expect(data).toMatchObject({ object: 'account', id: account?.id });
  } finally {
    await app.close();
  }
});

it('checkr-scenario: from the first click to the goodbye', async () => {
  const port = await freePort();
  const app = await startTestApp({ webhooks: true, settings: { HAWSER_EGRESS_ALLOW: `127.0.0.1:${port}` } });
  try {
    await seedExampleFunctions(app.services);
    const lines: string[] = [];
    const { connectionId, heard } = await checkrScenario({
      host: app.url,
      apiKey: app.apiKey,
      checkr: app.emulators.get('checkr').url,
      port,
      async show(link, { email }) {
        const token = new URL(link).searchParams.get('session_token') as string;
        const flow = await beginFlow(app.url, 'checkr-partner', token);
        await finishFlow(app, 'checkr-partner', flow, { user: email });
      },
      tell: (line) => void lines.push(line),
    });
    expect(lines.map((line) => line.replace(/[0-9a-f]{24}/, '…'))).toEqual([
      expect.stringContaining('1. The customer connects.'),
      '   Account … is not_ready: it can be read, but nothing can be ordered.',
      '   An order was refused.',
      '2. Checkr credentials the account.',
      '   We were told; the account is active.',
      '3. We order a report, and the candidate fills in the form.',
      "   Checkr's webhook has put report … among our records: pending.",
      expect.stringContaining('4. The report is completed at Checkr.'),
      '   Report … is now complete: clear.',
      '5. The customer disconnects this app at Checkr.',
      '   We were told; the connection is revoked_by_provider, and its credential is gone.',
    ]);
    const own = heard.filter((event) => event['connectionId'] === connectionId);
    const count = (type: string) => own.filter((event) => event.type === type).length;
    expect([count('account.ready'), own.filter(isUpdate).length, count('connection.deauthorized')]).toEqual([1, 1, 1]);
    const kept = await app.db.query('SELECT 1 FROM credential');
    expect(kept).toEqual([]);
  } finally {
    await app.close();
  }
});

it('emulator-in-a-test: all its tests pass', async () => {
  const run = promisify(execFile);
  const { stdout } = await run(
    process.execPath,
    ['--test', '--test-reporter=tap', `${EXAMPLES}emulator-in-a-test.ts`],
    {
      // The runner of this test marks its children; the other runner would then stay silent.
      env: { PATH: process.env.PATH },
    },
  );
  expect(stdout).toMatch(/^# tests 4$/m);
  expect(stdout).toMatch(/^# pass 4$/m);
});
