import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createManualClock, type EmulatorHandle, type Emulators, startEmulators } from '../index.ts';

const REDIRECT = 'https://app.example/callback';

let directory: string;
let stateFile: string;
let emulators: Emulators;
const opened: Emulators[] = [];

async function start(clock = createManualClock()): Promise<Emulators> {
  emulators = await startEmulators({ stateFile, clock });
  opened.push(emulators);
  return emulators;
}

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'emulators-'));
  stateFile = join(directory, 'nested', 'emulators.json');
});
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
  await rm(directory, { recursive: true });
});

function authorizeUrl(checkbook: EmulatorHandle): string {
  const app = checkbook.ensureApp('Payday', { redirectUri: REDIRECT });
  const query = { client_id: app.clientId, response_type: 'code', scope: 'check', redirect_uri: REDIRECT };
  return `${checkbook.url}/oauth/authorize?${new URLSearchParams(query).toString()}`;
}

async function exchange(checkbook: EmulatorHandle, code: string) {
  const app = checkbook.ensureApp('Payday', { redirectUri: REDIRECT });
  const body = { client_id: app.clientId, client_secret: app.liveSecret, code, scope: 'check', redirect_uri: REDIRECT };
  const response = await fetch(`${checkbook.url}/web/v1/auth/oauth/token`, {
    method: 'POST',
    body: new URLSearchParams({ ...body, grant_type: 'authorization_code' }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, string> };
}

const call = async (checkbook: EmulatorHandle, token: string | undefined, init: RequestInit = {}, path = '/v3/user') =>
  await fetch(`${checkbook.url}${path}`, {
    ...init,
    headers: { authorization: `bearer ${token}`, 'content-type': 'application/json' },
  });

describe('state file', () => {
  it('has a token on disk before the answer to the exchange arrives', async () => {
    const checkbook = (await start()).get('checkbook');
    const code = new URL(checkbook.consent(authorizeUrl(checkbook))).searchParams.get('code') ?? '';
    const { body } = await exchange(checkbook, code);
    const text = await readFile(stateFile, 'utf8');
    expect(text).toContain(body.access_token);
    expect(text).toContain(body.refresh_token);
    expect((await stat(stateFile)).mode & 0o777).toBe(0o600);
  });

  it('continues after a crash: apps, people, tokens, used codes, knobs', async () => {
    const before = (await start()).get('checkbook');
    const url = authorizeUrl(before);
    const code = new URL(before.consent(url)).searchParams.get('code') ?? '';
    const { body } = await exchange(before, code);
    before.setKnob('echoState', false);
    before.setFault({ name: 'server-error', on: 'token' });
    // Any request waits until earlier changes are on disk.
    await fetch(`${before.url}/_emulator/knobs`);

    // No close: the first server is left as it is, as after a crash.
    const after = (await start()).get('checkbook');
    expect(after.apps()).toEqual(before.apps());
    expect(after.users()).toEqual(before.users());
    expect(after.accounts()).toEqual(before.accounts());
    expect(after.knobs().echoState).toBe(false);
    expect(after.faults()).toEqual([]);
    expect((await call(after, body.access_token)).status).toBe(200);
    expect((await exchange(after, code)).body.error).toBe('invalid_grant');
  });

  it('keeps resources when it is closed in order', async () => {
    const before = (await start()).get('checkbook');
    const code = new URL(before.consent(authorizeUrl(before))).searchParams.get('code') ?? '';
    const { body } = await exchange(before, code);
    const order = JSON.stringify({ recipient: 'payee@example.com', name: 'Payee', amount: 5 });
    const made = (await (
      await call(before, body.access_token, { method: 'POST', body: order }, '/v3/check/digital')
    ).json()) as {
      id: string;
    };
    await emulators.close();
    const after = (await start()).get('checkbook');
    expect((await call(after, body.access_token, {}, `/v3/check/${made.id}`)).status).toBe(200);
  });

  it('writes resources and calls from inside the process after a moment', async () => {
    const clock = createManualClock();
    const checkr = (await start(clock)).get('checkr');
    const app = checkr.registerApp({ name: 'Late', redirectUri: REDIRECT });
    await expect
      .poll(async () => {
        clock.advance(200);
        return await readFile(stateFile, 'utf8');
      })
      .toContain(app.clientId);
  });

  it('continues to wait for an account that is about to be credentialed', async () => {
    const clock = createManualClock();
    const before = (await start(clock)).get('checkr');
    before.setKnob('credentialing', 'after');
    before.setKnob('credentialAfterSec', 60);
    const app = before.registerApp({ name: 'Shiftly', redirectUri: REDIRECT });
    const rosa = before.users()[2]?.id;
    const code = new URL(before.consent(`${before.url}/authorize/${app.clientId}`, { user: rosa })).searchParams.get(
      'code',
    );
    const body = new URLSearchParams({ client_id: app.clientId, client_secret: app.liveSecret, code: code ?? '' });
    await fetch(`${before.url}/oauth/tokens`, { method: 'POST', body });
    await emulators.close();

    const after = (await start(clock)).get('checkr');
    expect(after.accounts()[1]?.ready).toBe(false);
    const told = new Promise((resolve) => void after.onEvent((event) => resolve(event.type)));
    clock.advance(60_000);
    expect(await told).toBe('account.credentialed');
    expect(after.accounts()[1]?.ready).toBe(true);
  });

  it('keeps what it knows of emulators that are not started this time', async () => {
    const app = (await start()).get('xref').registerApp({ name: 'Shiftly', redirectUri: REDIRECT });
    await emulators.close();
    const alone = await startEmulators({ only: 'checkr', stateFile });
    alone.get('checkr').registerApp({ name: 'Other', redirectUri: REDIRECT });
    await alone.close();
    expect((await start()).get('xref').apps()).toEqual([app]);
  });

  it.each([
    ['{"version":1', 'damaged'],
    ['{"version":9,"mounts":{}}', 'another version'],
    ['{"version":1,"mounts":{"xref":{"state":{},"knobs":{}}}}', 'cannot be used'],
  ])('refuses to start on %s', async (text, reason) => {
    stateFile = join(directory, 'state.json');
    await writeFile(stateFile, text);
    await expect(start()).rejects.toThrow(reason);
    expect(await readFile(stateFile, 'utf8')).toBe(text);
  });

  it('makes other secrets and passwords at every fresh start', async () => {
    const passwords = new Set<string>();
    for (let count = 0; count < 2; count += 1) {
      const fresh = await startEmulators({ only: 'checkr' });
      for (const user of fresh.get('checkr').users()) passwords.add(user.password);
      await fresh.close();
    }
    expect(passwords.size).toBe(6);
  });
});
