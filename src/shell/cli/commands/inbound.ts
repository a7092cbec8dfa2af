import type { Command } from 'commander';
import { withServerOptions } from '../client.ts';
import type { Output } from '../index.ts';
import { tableText } from '../table.ts';
import { using } from './runs.ts';

/** An inbound event as the API tells it. */
export interface WireEvent {
  id: string;
  provider_config_key: string;
  connection_id: string | null;
  type: string | null;
  trust: string;
  state: string;
  reason: string | null;
  matched: number;
  headers: Record<string, string>;
  received_at: string;
  cursor: string;
}

interface Options {
  environment: string;
  json?: boolean;
  integration?: string;
  state?: string;
  type?: string;
  after?: string;
  before?: string;
  limit?: string;
}

/** `inbound list|show|replay`: webhooks of providers as received. */
export function addInboundCommand(program: Command, output: Output): void {
  const inbound = program.command('inbound').description('webhooks of providers as received: list, show, replay');

  filtered(withServerOptions(inbound.command('list').description('newest first')))
    .option('-n, --limit <n>', 'at most so many, up to 100', '20')
    .action((options: Options) =>
      using(options, async (client) => {
        const query = new URLSearchParams({ ...filterOf(options), limit: options.limit ?? '20' });
        const { events } = (await client.json('GET', `/inbound-events?${query}`)) as { events: WireEvent[] };
        if (options.json === true) return output.out(`${JSON.stringify(events, undefined, 2)}\n`);
        if (events.length === 0) return output.out('No webhooks have come, or none like this.\n');
        const rows = events.map((event) => [event.id, ...cellsOf(event)]);
        output.out(tableText(['ID', 'RECEIVED', 'INTEGRATION', 'TYPE', 'STATE', 'TRUST'], rows));
      }),
    );

  withServerOptions(inbound.command('show').description('one with its body, without the secrets in it'))
    .argument('<id>')
    .action((id: string, options: Options) =>
      using(options, async (client) => {
        const { data } = (await client.json('GET', `/inbound-events/${encodeURIComponent(id)}`)) as { data: unknown };
        output.out(`${JSON.stringify(data, undefined, 2)}\n`);
      }),
    );

  filtered(
    withServerOptions(inbound.command('replay').description('handle stored ones again, as if they had just come')),
  )
    .argument('[ids...]', 'these; without ids, those of the filter')
    .action((ids: string[], options: Options) =>
      using(options, async (client) => {
        const which = { ...filterOf(options), ...(ids.length > 0 && { ids }) };
        let replayed = 0;
        for (let after: { after: string } | undefined | null; after !== null;) {
          const page = (await client.json('POST', '/inbound-events/replay', { ...which, ...after })) as {
            replayed: number;
            next_cursor: string | null;
          };
          replayed += page.replayed;
          after = page.next_cursor === null ? null : { after: page.next_cursor };
        }
        output.out(options.json === true ? `${JSON.stringify({ replayed })}\n` : `Handled again: ${replayed}.\n`);
      }),
    );
}

/** When, whose, what and how it stands, in one line. */
export function lineOf(event: WireEvent): string {
  const cells = cellsOf(event);
  return `${cells.slice(0, 4).join('  ')}${event.trust === 'signature' ? '' : `  trust: ${event.trust}`}`;
}

function cellsOf(event: WireEvent): string[] {
  const state = event.reason === null ? event.state : `${event.state} (${event.reason})`;
  return [event.received_at, event.provider_config_key, event.type ?? '-', state, event.trust];
}

function filtered(command: Command): Command {
  return command
    .option('-i, --integration <key>', 'only of this integration')
    .option('-s, --state <state>', 'received, routed or parked')
    .option('-t, --type <type>', 'only of this type')
    .option('--after <time>', 'received at or after: 2026-01-31T12:00:00Z')
    .option('--before <time>', 'received before');
}

function filterOf({ integration, state, type, after, before }: Options): Record<string, string> {
  const filter = { provider_config_key: integration, state, type, received_after: after, received_before: before };
  return Object.fromEntries(
    Object.entries(filter).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}
