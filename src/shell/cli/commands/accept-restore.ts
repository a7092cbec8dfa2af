import type { Command } from 'commander';
import { doubtRefreshTokens } from '../../../features/credentials/index.ts';
import { acceptRestore } from '../../../features/recovery/index.ts';
import { openCliDatabase } from '../database.ts';
import type { Output } from '../index.ts';

export function addAcceptRestoreCommand(program: Command, output: Output): void {
  program
    .command('accept-restore')
    .summary('end the quarantine of a restored database')
    .description('end the quarantine of a restored database: this copy is the one that goes on')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nOnly when no other copy runs: two that refresh the same tokens end each other’s connections.\n' +
        'See docs/guide/backup.md',
    )
    .action((options: { json?: boolean }) => accept(output, options.json === true));
}

async function accept(output: Output, json: boolean): Promise<void> {
  const database = await openCliDatabase();
  const { db, log, config } = database;
  try {
    let doubtful = 0;
    const ended = await acceptRestore({
      db,
      log,
      dataDir: config.dataDir,
      ownsDatabase: config.databaseUrl === undefined,
      onAccept: async (tx, before) => {
        doubtful = await doubtRefreshTokens(tx, before);
      },
    });
    if (json) {
      output.out(`${JSON.stringify({ accepted: ended !== undefined, ...ended, doubtful })}\n`);
      return;
    }
    if (ended === undefined) {
      output.out('The database is not in quarantine. Nothing was changed.\n');
      return;
    }
    output.out(
      `Accepted. It was in quarantine since ${ended.since.toISOString()} (${ended.reason}).\n` +
        `${doubtful} refresh tokens may have been replaced since the copy was made; each is tried once. ` +
        'Connections whose provider refuses it get the state needs_reauth, with one event each.\n',
    );
  } finally {
    await database.close();
  }
}
