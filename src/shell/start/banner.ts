import { EMULATOR_NAMES } from '../../../emulators/index.ts';
import type { Running } from './run.ts';

/** The table a person sees when everything is up: addresses, what was made, three things to try. */
export function banner(running: Running, startedMs: number): string {
  const { hawser, file, config, generated } = running;
  const isDev = config.mode === 'dev';
  const rows: [string, string][] = [
    ['Open', `${hawser.url}/`],
    ['API', hawser.url],
    ['OAuth callback', `${hawser.url}/oauth/callback`],
  ];
  if (file.emulatorUrl !== undefined) {
    rows.push(['Emulators', `${file.emulatorUrl}/  (${EMULATOR_NAMES.join(', ')})`]);
  }
  rows.push(['Database', running.embeddedDatabase ? `embedded PostgreSQL in ${config.dataDir}` : 'DATABASE_URL']);
  rows.push(['Keys', `${config.dataDir}/hawser.json (only you can read it)`]);
  const { quarantine } = hawser.services.recovery;
  if (quarantine !== undefined) {
    rows.push(['QUARANTINE', 'this database is a copy: nothing is refreshed until `hawser accept-restore`']);
  }
  const lines = [`Hawser is ready after ${(startedMs / 1000).toFixed(1)} s.`, '', ...table(rows)];
  if (generated.apiKeys || generated.encryptionKey || generated.password) {
    const made: [string, string][] = Object.entries(file.environments).map(([name, entry]) => [
      `API key ${name}`,
      entry.apiKey,
    ]);
    if (generated.password) made.push(['Dashboard password', file.dashboardPassword]);
    if (generated.encryptionKey) made.push(['Encryption key', `in ${config.dataDir}/encryption.key: back it up`]);
    lines.push('', 'Made now, shown once:', ...table(made));
  }
  if (isDev) {
    lines.push(
      '',
      'Try next:',
      `  1  open ${hawser.url}/ and press the button`,
      '  2  npm run hawser -- connections list',
      '  3  npm run hawser -- syncs',
      '  4  npm run hawser -- call GET /v1/account --integration checkr-partner --connection <id>',
    );
  }
  lines.push('', 'Ctrl-C stops everything.', '');
  return lines.join('\n');
}

function table(rows: [string, string][]): string[] {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`);
}
