/** What others install: the build that `npm ci` makes, seen from outside. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const run = promisify(execFile);

describe('the build', () => {
  it('has what package.json promises', async () => {
    const { default: manifest } = await import('../../package.json', { with: { type: 'json' } });
    const { types, default: entry } = manifest.exports['./emulators'];
    for (const path of [
      types,
      entry,
      manifest.bin.hawser,
      'dist/src/main.js',
      'web/connect/dist',
      'migrations',
      'examples/functions',
    ]) {
      expect(existsSync(`${root}${path}`), path).toBe(true);
    }
  });

  it('`hawser/emulators` starts a fake provider inside somebody’s own test', async () => {
    const script = `
      import { startEmulator } from 'hawser/emulators';
      const checkr = await startEmulator('checkr');
      const app = checkr.registerApp({ name: 'Mine', redirectUri: 'http://localhost:9/callback' });
      const back = new URL(checkr.consent(checkr.url + '/authorize/' + app.clientId + '?state=s1'));
      const answer = await fetch(checkr.url + '/oauth/tokens', {
        method: 'POST',
        headers: { 'user-agent': 'mine' },
        body: new URLSearchParams({ client_id: app.clientId, client_secret: app.liveSecret, code: back.searchParams.get('code') }),
      });
      const token = (await answer.json()).access_token;
      const account = await fetch(checkr.url + '/v1/account', {
        headers: { authorization: 'Basic ' + btoa(token + ':'), 'user-agent': 'mine' },
      });
      console.log(back.searchParams.get('state'), account.status);
      await checkr.close();`;
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], { cwd: root });
    expect(stdout.trim()).toBe('s1 200');
  });

  it('the built program runs', async () => {
    const { stdout } = await run(process.execPath, [`${root}dist/src/main.js`, '--version']);
    expect(stdout.trim()).toMatch(/^\d+\.\d+\.\d+$/);
  });
});
