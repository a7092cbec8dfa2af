import type { Command } from 'commander';
import { withServerOptions, type Client } from '../client.ts';
import type { Output } from '../index.ts';
import { tableText } from '../table.ts';
import { integrationOf, using } from './runs.ts';

interface Options {
  environment: string;
  json?: boolean;
  integration?: string;
  variant?: string;
  cursor?: string;
  filter?: string;
  modifiedAfter?: string;
  limit?: string;
}

interface WireSync {
  connection_id: string;
  name: string;
  variant: string;
  status: string;
  finishedAt: string | null;
  nextScheduledSyncAt: string | null;
  frequency: string;
  recordCount: Record<string, number>;
}

interface WireRecord {
  id: string | number;
  _nango_metadata: { last_action: string; last_modified_at: string };
}

/** Longest text of a record in the table; `--json` shows all of it. */
const RECORD_CHARS = 100;

/** `syncs`, `records`: what is fetched on a schedule, and what came of it. */
export function addRecordCommands(program: Command, output: Output): void {
  withServerOptions(program.command('syncs').description('syncs of connections: state, last and next run, records'))
    .argument('[connection]', 'only of this connection')
    .option('-i, --integration <key>', 'only of this integration')
    .action((connection: string | undefined, options: Options) =>
      using(options, async (client) => {
        const syncs = await readSyncs(client, connection, options.integration);
        if (options.json === true) return output.out(`${JSON.stringify(syncs, undefined, 2)}\n`);
        if (syncs.length === 0) {
          return output.out('No syncs. Deploy some with `hawser deploy`, and connect an account.\n');
        }
        const rows = syncs.map((sync) => [
          sync.variant === 'base' ? sync.name : `${sync.name}::${sync.variant}`,
          `${sync.provider_config_key}/${sync.connection_id}`,
          sync.status,
          sync.finishedAt ?? '-',
          sync.nextScheduledSyncAt ?? '-',
          sync.frequency,
          Object.entries(sync.recordCount)
            .map(([model, count]) => `${count} ${model}`)
            .join(', '),
        ]);
        output.out(tableText(['SYNC', 'CONNECTION', 'STATE', 'LAST RUN', 'NEXT', 'EVERY', 'RECORDS'], rows));
      }),
    );

  withServerOptions(program.command('records').description('records of a model, in the order of their modification'))
    .argument('<connection>')
    .argument('<model>')
    .option('-i, --integration <key>', 'its integration; found by the connection when there is only one')
    .option('--variant <name>', 'of this variant of the sync')
    .option('--cursor <cursor>', 'only what comes after it; each page names the next one')
    .option('--filter <actions>', 'added, updated, deleted, or several with commas between')
    .option('--modified-after <time>', 'only what was modified then or later: 2026-01-31T12:00:00Z')
    .option('-n, --limit <n>', 'at most so many, up to 10000', '20')
    .action((connection: string, model: string, options: Options) =>
      using(options, async (client) => {
        const page = await readRecords(client, connection, model, options);
        if (options.json === true) return output.out(`${JSON.stringify(page, undefined, 2)}\n`);
        if (page.records.length === 0) return output.out('No records.\n');
        const rows = page.records.map(({ id, _nango_metadata: metadata, ...fields }) => {
          const text = JSON.stringify(fields);
          return [
            String(id),
            metadata.last_action,
            metadata.last_modified_at,
            text.length > RECORD_CHARS ? `${text.slice(0, RECORD_CHARS - 1)}…` : text,
          ];
        });
        output.out(tableText(['ID', 'ACTION', 'MODIFIED', 'RECORD'], rows));
        if (page.next_cursor !== null) output.err(`There is more: --cursor ${page.next_cursor}\n`);
      }),
    );
}

async function readSyncs(
  client: Client,
  connection: string | undefined,
  integration: string | undefined,
): Promise<(WireSync & { provider_config_key: string })[]> {
  const keys: string[] = [];
  if (integration !== undefined) keys.push(integration);
  else if (connection !== undefined) keys.push(await integrationOf(client, connection));
  else {
    const config = (await client.json('GET', '/scripts/config')) as { providerConfigKey: string; syncs: unknown[] }[];
    keys.push(...config.filter(({ syncs }) => syncs.length > 0).map(({ providerConfigKey }) => providerConfigKey));
  }
  const all: (WireSync & { provider_config_key: string })[] = [];
  for (const key of keys) {
    const query = new URLSearchParams({ syncs: '*', provider_config_key: key });
    if (connection !== undefined) query.set('connection_id', connection);
    const { syncs } = (await client.json('GET', `/sync/status?${query}`)) as { syncs: WireSync[] };
    all.push(...syncs.map((sync) => ({ provider_config_key: key, ...sync })));
  }
  return all;
}

async function readRecords(
  client: Client,
  connection: string,
  model: string,
  options: Options,
): Promise<{ records: (WireRecord & Record<string, unknown>)[]; next_cursor: string | null }> {
  const key = options.integration ?? (await integrationOf(client, connection));
  const query = new URLSearchParams({ model, limit: options.limit ?? '20' });
  const more = { variant: options.variant, cursor: options.cursor, filter: options.filter };
  for (const [name, value] of Object.entries({ ...more, modified_after: options.modifiedAfter })) {
    if (value !== undefined) query.set(name, value);
  }
  return (await client.json('GET', `/records?${query}`, undefined, {
    'provider-config-key': key,
    'connection-id': connection,
  })) as Awaited<ReturnType<typeof readRecords>>;
}
