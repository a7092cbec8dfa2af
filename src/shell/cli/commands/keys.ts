import type { Command } from 'commander';
import { StartupError } from '../../../base/errors.ts';
import { hasKeyTables, readKeysStatus, rotateKeys } from '../../../features/environments/index.ts';
import { systemClock } from '../../../platform/clock.ts';
import { generateKey } from '../../../platform/keyring/index.ts';
import { armKillPoint, noKillPoints } from '../../../platform/kill-points.ts';
import { loadKeyring, readKeyring } from '../../start/data-dir.ts';
import { openCliDatabase, type CliDatabase } from '../database.ts';
import type { Output } from '../index.ts';
import { createProgressBar } from '../progress.ts';
import { addApiKeyCommands } from './keys-api.ts';
import { rotateText, statusText } from './keys-text.ts';

/** `keys status|rotate|generate` and `keys api`. */
export function addKeysCommand(program: Command, output: Output, done: (exitCode: number) => void): void {
  const keys = program.command('keys').description('rotate encryption keys; manage API keys');
  keys
    .command('status')
    .description('which key seals what, and what is left to do')
    .option('--json', 'print JSON')
    .action((options: { json?: boolean }) => showStatus(output, options.json === true));
  keys
    .command('rotate')
    .description('wrap all data keys under the active encryption key, while nodes run')
    .option('--data-keys', 'make new data keys too, and seal every stored value anew')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nMay be killed at any point: the same command goes on. See docs/guide/keys.md')
    .action(async (options: { dataKeys?: boolean; json?: boolean }) => {
      if (!(await rotate(output, options.dataKeys === true, options.json === true))) done(1);
    });
  keys
    .command('generate')
    .description('print a new encryption key; stores nothing')
    .action(() => output.out(`${generateKey()}\n`));
  addApiKeyCommands(keys, output);
}

async function showStatus(output: Output, json: boolean): Promise<void> {
  const database = await openCliDatabase();
  try {
    await assertKeyTables(database);
    const status = await readKeysStatus(database.db, await readKeyring(database.config));
    output.out(json ? `${JSON.stringify(status, undefined, 2)}\n` : statusText(status));
  } finally {
    await database.close();
  }
}

/** Resolves to true when nothing is left to do. Ctrl-C ends it after the batch under way. */
async function rotate(output: Output, dataKeys: boolean, json: boolean): Promise<boolean> {
  const database = await openCliDatabase();
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  const bar = createProgressBar(output, systemClock);
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  try {
    await assertKeyTables(database);
    const { config, db } = database;
    const { keyring } = await loadKeyring({ ...config, mayGenerate: false });
    const killPoints = config.killAt === undefined ? noKillPoints : armKillPoint(config.killAt);
    const result = await rotateKeys(
      { db, keyring, clock: systemClock, killPoints },
      {
        dataKeys,
        signal: stop.signal,
        onProgress: ({ phase, done, total }) => bar.update(LABELS[phase], done, total),
      },
    ).finally(() => bar.end());
    output.out(json ? `${JSON.stringify(result)}\n` : rotateText(result, { dataKeys }));
    return result.unfinished === undefined && result.unreadable.length === 0;
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
    await database.close();
  }
}

const LABELS = { wrap: 'Wrapping', seal: 'Sealing', wait: 'Nodes' } as const;

async function assertKeyTables({ db }: CliDatabase): Promise<void> {
  if (await hasKeyTables(db)) return;
  throw new StartupError(
    'The database is older than this version of Hawser, or is not one of Hawser at all.',
    'Bring it up to date with `hawser migrate`, or start a node.',
  );
}
