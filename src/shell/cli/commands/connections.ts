import type { Command } from 'commander';
import { openClient, withServerOptions } from '../client.ts';
import type { Output } from '../index.ts';
import { tableText } from '../table.ts';

interface Options {
  environment: string;
  json?: boolean;
  integration?: string;
  search?: string;
  refresh?: boolean;
  rotate?: boolean;
  graceHours?: string;
}

interface Listed {
  connection_id: string;
  provider_config_key: string;
  state: string;
  state_reason: string | null;
  created: string;
}

/** `connections list|get|delete|webhook-url`. */
export function addConnectionsCommand(program: Command, output: Output): void {
  const connections = program
    .command('connections')
    .description('list, read and delete connections; their webhook URLs');

  withServerOptions(connections.command('list').description('newest first'))
    .option('-i, --integration <key>', 'only of this integration')
    .option('-s, --search <text>', 'part of the id or of the end user’s name or e-mail')
    .action(async (options: Options) => {
      const query = new URLSearchParams();
      if (options.integration !== undefined) query.set('integrationId', options.integration);
      if (options.search !== undefined) query.set('search', options.search);
      const body = (await call(options, 'GET', `/connections?${query}`)) as { connections: Listed[] };
      if (options.json === true) return output.out(`${JSON.stringify(body.connections, undefined, 2)}\n`);
      if (body.connections.length === 0) {
        return output.out('No connections. Open the page that `hawser dev` prints and press the button.\n');
      }
      const rows = body.connections.map((one) => {
        const state = one.state_reason === null ? one.state : `${one.state} (${one.state_reason})`;
        return [one.connection_id, one.provider_config_key, state, one.created];
      });
      output.out(tableText(['CONNECTION', 'INTEGRATION', 'STATE', 'CREATED'], rows));
    });

  withServerOptions(connections.command('get').description('one connection with fresh credentials'))
    .argument('<connection>')
    .requiredOption('-i, --integration <key>', 'its integration')
    .option('--refresh', 'refresh the credential now')
    .action(async (connection: string, options: Options) => {
      const query = new URLSearchParams({ provider_config_key: options.integration as string });
      if (options.refresh === true) query.set('force_refresh', 'true');
      const body = await call(options, 'GET', `/connections/${encodeURIComponent(connection)}?${query}`);
      output.out(`${JSON.stringify(body, undefined, 2)}\n`);
    });

  withServerOptions(connections.command('delete').description('let go of the account, at the provider too'))
    .argument('<connection>')
    .requiredOption('-i, --integration <key>', 'its integration')
    .action(async (connection: string, options: Options) => {
      const query = new URLSearchParams({ provider_config_key: options.integration as string });
      const body = (await call(options, 'DELETE', `/connections/${encodeURIComponent(connection)}?${query}`)) as {
        outcome: string;
        detail?: string;
      };
      if (options.json === true) return output.out(`${JSON.stringify(body)}\n`);
      output.out(`Deleted. At the provider: ${body.outcome}${body.detail === undefined ? '' : ` (${body.detail})`}\n`);
    });

  withServerOptions(connections.command('webhook-url').description('the URL whose webhooks are about this connection'))
    .argument('<connection>')
    .requiredOption('-i, --integration <key>', 'its integration')
    .option('--rotate', 'make another one; the one before is good as well for a while')
    .option('--grace-hours <n>', 'how long, up to 720', '24')
    .action(async (connection: string, options: Options) => {
      const query = new URLSearchParams({ provider_config_key: options.integration as string });
      const path = `/connections/${encodeURIComponent(connection)}/webhook-url`;
      const body = (await (options.rotate === true
        ? call(options, 'POST', `${path}/rotate?${query}`, { grace_hours: Number(options.graceHours) })
        : call(options, 'GET', `${path}?${query}`))) as { webhook_url: string | null; previous_until: string | null };
      if (options.json === true) return output.out(`${JSON.stringify(body)}\n`);
      output.out(`${body.webhook_url ?? 'Rotated; this key may not read the URL.'}\n`);
      if (body.previous_until !== null) output.out(`The one before is good until ${body.previous_until}.\n`);
    });
}

async function call(options: Options, method: string, path: string, sent?: object): Promise<unknown> {
  const client = await openClient(options.environment);
  try {
    return await client.json(method, path, sent);
  } finally {
    await client.close();
  }
}
