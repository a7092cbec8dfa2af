/** A whole node on an embedded PostgreSQL in a temporary folder, with one connection per upstream. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLog } from '../../src/base/log.ts';
import { readConfig } from '../../src/config.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { generateKey, keyringFrom, type Keyring } from '../../src/platform/keyring/index.ts';
import { startHawser } from '../../src/shell/node.ts';
import { ensureEnvironments } from '../../src/shell/start/environments.ts';
import { openPlatformDatabase } from '../../src/shell/start/platform.ts';

const upstreams = JSON.parse(process.argv[2] ?? '{}') as Record<string, string>;
const dataDir = await mkdtemp(join(tmpdir(), 'hawser-bench-'));
const config = readConfig('start', {
  HAWSER_PORT: '0',
  HAWSER_DATA_DIR: dataDir,
  HAWSER_RATE_LIMIT_PER_MINUTE: '0',
  HAWSER_EGRESS_ALLOW: Object.values(upstreams)
    .map((url) => new URL(url).host)
    .join(','),
});
const platform = await openPlatformDatabase({
  config,
  log: silentLog,
  clock: systemClock,
  onLost(error) {
    throw error;
  },
});
const hawser = await startHawser({
  config,
  db: platform.db,
  keyring: keyringFrom(generateKey()) as Keyring,
  log: silentLog,
  version: 'bench',
});
const { entries } = await ensureEnvironments(hawser.services.environments, undefined);
const authorization = `Bearer ${entries['dev']?.apiKey}`;
const environment = await hawser.services.environments.byName('dev');
const headers: Record<string, Record<string, string>> = {};
for (const [name, url] of Object.entries(upstreams)) {
  await hawser.services.integrations.create(environment?.id as number, {
    provider: 'private-api-bearer',
    uniqueKey: name,
    integrationConfig: { base_url: url },
  });
  const imported = await fetch(`${hawser.url}/connections`, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json' },
    body: JSON.stringify({
      provider_config_key: name,
      connection_id: name,
      credentials: { type: 'API_KEY', apiKey: 'the-key' },
    }),
  });
  if (!imported.ok) throw new Error(`the connection was not made: ${imported.status} ${await imported.text()}`);
  headers[name] = { authorization, 'provider-config-key': name, 'connection-id': name };
}
process.on('SIGTERM', () => {
  void (async () => {
    await hawser.close();
    await platform.close();
    await rm(dataDir, { recursive: true, force: true });
    process.exit(0);
  })();
});
process.send?.({ url: hawser.url.replace('localhost', '127.0.0.1'), headers });
