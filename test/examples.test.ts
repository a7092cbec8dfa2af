/** Every program in `examples/` runs and does what it says. */
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { connectAndCall } from '../examples/connect-and-call.ts';
import { startTestApp } from './support/app.ts';
import { beginFlow, finishFlow } from './support/connect.ts';

const EXAMPLES = fileURLToPath(new URL('../examples/', import.meta.url));

it('knows all of them', () => {
  // The functions have tests of their own: test/flows/examples-functions.test.ts
  expect(readdirSync(EXAMPLES).toSorted()).toEqual(['connect-and-call.ts', 'emulator-in-a-test.ts', 'functions']);
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
