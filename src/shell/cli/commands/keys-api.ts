import type { Command } from 'commander';
import { StartupError } from '../../../base/errors.ts';
import { createApiKeys, findEnvironment } from '../../../features/environments/index.ts';
import { withServerOptions } from '../client.ts';
import { openCliDatabase, type CliDatabase } from '../database.ts';
import type { Output } from '../index.ts';
import { tableText } from '../table.ts';

interface Options {
  environment: string;
  json?: boolean;
}

/** `keys api list|create|delete`: API keys of an environment. */
export function addApiKeyCommands(keys: Command, output: Output): void {
  const api = keys.command('api').description('list, make and delete API keys');

  withServerOptions(api.command('list').description('oldest first, without their secrets')).action((options: Options) =>
    withDatabase(options, async ({ db }, environmentId) => {
      const list = await createApiKeys(db).list(environmentId);
      if (options.json === true) return output.out(`${JSON.stringify(list.map(publicFields), undefined, 2)}\n`);
      if (list.length === 0) return output.out('No API keys. Make one: hawser keys api create <name>\n');
      const rows = list.map((key) => {
        const used = key.lastUsedAt === undefined ? 'never' : key.lastUsedAt.toISOString();
        return [key.id, key.displayName, key.scopes.join(' '), used];
      });
      output.out(tableText(['ID', 'NAME', 'SCOPES', 'LAST USED'], rows));
    }),
  );

  withServerOptions(api.command('create').description('make a key; its secret is shown once'))
    .argument('<name>', 'for people, unique in the environment')
    .option('--scope <scope>', 'what it may do, may repeat; default everything', collect)
    .action((name: string, options: Options & { scope?: string[] }) =>
      withDatabase(options, async ({ db }, environmentId) => {
        const { key, secret } = await createApiKeys(db).create({
          environmentId,
          displayName: name,
          ...(options.scope !== undefined && { scopes: options.scope }),
        });
        if (options.json === true) return output.out(`${JSON.stringify({ ...publicFields(key), secret })}\n`);
        output.err(`Made "${key.displayName}" for the environment ${options.environment}. Shown once:\n`);
        output.out(`${secret}\n`);
      }),
    );

  withServerOptions(api.command('delete').description('every node refuses the key from then on'))
    .argument('<key>', 'its id or its name')
    .action((idOrName: string, options: Options) =>
      withDatabase(options, async ({ db }, environmentId) => {
        const key = await createApiKeys(db).remove(environmentId, idOrName);
        if (options.json === true) return output.out(`${JSON.stringify(publicFields(key))}\n`);
        output.out(`Deleted "${key.displayName}".\n`);
      }),
    );
}

async function withDatabase(
  options: Options,
  work: (database: CliDatabase, environmentId: number) => Promise<void>,
): Promise<void> {
  const database = await openCliDatabase();
  try {
    const environment = await findEnvironment(database.db, options.environment);
    if (environment === undefined) {
      throw new StartupError(`There is no environment "${options.environment}".`, 'Name one with -e: dev, prod.');
    }
    await work(database, environment.id);
  } finally {
    await database.close();
  }
}

function publicFields(key: Awaited<ReturnType<ReturnType<typeof createApiKeys>['remove']>>) {
  return {
    id: key.id,
    display_name: key.displayName,
    scopes: key.scopes,
    created_at: key.createdAt.toISOString(),
    last_used_at: key.lastUsedAt?.toISOString() ?? null,
  };
}

function collect(scope: string, previous: string[] = []): string[] {
  return [...previous, scope];
}
