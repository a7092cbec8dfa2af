import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { createManualClock, EMULATOR_NAMES, type EmulatorName, startEmulator, startEmulators } from './emulators.ts';

describe('hawser/emulators', () => {
  it('runs the example of its own documentation', async () => {
    const checkr = await startEmulator('checkr');
    const app = checkr.registerApp({ name: 'My app', redirectUri: 'https://my.app/callback' });
    const back = new URL(checkr.consent(`${checkr.url}/authorize/${app.clientId}?state=abc`));
    expect(back.searchParams.get('state')).toBe('abc');
    const reply = await fetch(`${checkr.url}/oauth/tokens`, {
      method: 'POST',
      body: new URLSearchParams({
        client_id: app.clientId,
        client_secret: app.liveSecret,
        code: back.searchParams.get('code') ?? '',
      }),
    });
    const { access_token: token } = (await reply.json()) as { access_token: string };
    const headers = { authorization: `Basic ${btoa(`${token}:`)}` };
    expect((await fetch(`${checkr.url}/v1/account`, { headers })).status).toBe(200);
    checkr.setFault({ name: 'rate-limited', on: 'api' });
    expect((await fetch(`${checkr.url}/v1/account`, { headers })).status).toBe(429);
    await checkr.close();
    await expect(fetch(`${checkr.url}/v1/account`, { headers })).rejects.toThrow();
  });

  it('decides as any user, by id or email, and reports refusals', async () => {
    await using checkr = await startEmulator('checkr');
    const app = checkr.registerApp({ name: 'My app', redirectUri: 'https://my.app/callback' });
    const url = `${checkr.url}/authorize/${app.clientId}`;
    const [first] = checkr.users();
    expect(checkr.consent(url, { user: first?.email, decision: 'deny' })).toBe(
      'https://my.app/callback?error=access_denied',
    );
    expect(() => checkr.consent(url, { user: 'nobody' })).toThrow('no such user');
    expect(() => checkr.consent(`${checkr.url}/authorize/unknown`)).toThrow('No application');
    expect(() => checkr.consent(`${checkr.url}/elsewhere`)).toThrow('not an authorize address');
  });

  it.each(EMULATOR_NAMES)('starts %s alone, seeded, with knobs of its own', async (name) => {
    await using emulator = await startEmulator(name);
    expect(emulator.name).toBe(name);
    expect(emulator.accounts().map((account) => account.ready)).toEqual([true, false]);
    expect(emulator.users()).toHaveLength(3);
    expect(emulator.knobs()).toMatchObject({ echoState: true });
    expect((await fetch(`${emulator.url}/developer`)).status).toBe(200);
  });

  it('says what is wrong with a taken port and an unknown name', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => void taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as { port: number };
    await expect(startEmulator('xref', { port })).rejects.toThrow(`Port ${port} on 127.0.0.1`);
    await new Promise((resolve) => taken.close(resolve));
    await expect(startEmulator('nobody' as EmulatorName)).rejects.toThrow('no emulator "nobody"');
  });

  it('uses the given clock and public address', async () => {
    const clock = createManualClock(Date.UTC(2030, 0, 1));
    const emulators = await startEmulators({ clock, publicUrl: 'https://emulators.example/below/' });
    const checkr = emulators.get('checkr');
    expect(checkr.url).toBe('https://emulators.example/below/checkr');
    expect(checkr.registerApp({ name: 'A', redirectUri: 'https://a.example' }).createdAt).toBe('2030-01-01T00:00:00Z');
    await emulators.close();
  });
});
