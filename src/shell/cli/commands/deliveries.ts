import type { Command } from 'commander';
import { withServerOptions } from '../client.ts';
import type { Output } from '../index.ts';
import { tableText } from '../table.ts';
import { using } from './runs.ts';

interface Options {
  environment: string;
  json?: boolean;
  kinds?: string;
  description?: string;
  graceHours?: string;
  failed?: boolean;
  endpoint?: string;
  kind?: string;
  connection?: string;
  state?: string;
  since?: string;
  until?: string;
  limit?: string;
}

interface WireEndpoint {
  id: string;
  role: string;
  url: string;
  kinds: string[] | null;
  state: string;
  disabled_reason: string | null;
  failing_since: string | null;
  oldest_due_at?: string | null;
  secret?: string;
}

interface WireDelivery {
  id: string;
  kind: string;
  url: string;
  connection_id: string | null;
  state: string;
  attempts: number;
  last_status: number | null;
  last_error: string | null;
  occurred_at: string;
  next_attempt_at: string | null;
}

interface WireTry {
  at: string;
  duration_ms: number;
  status: number | null;
  error: string | null;
  answer: string;
}

/** `endpoints list|add|enable|disable|remove|rotate|test`: where the app is told of things. */
export function addEndpointCommands(program: Command, output: Output): void {
  const endpoints = program.command('endpoints').description('where events are sent: list, add, rotate, test');

  withServerOptions(endpoints.command('list').description('with how they fare')).action((options: Options) =>
    using(options, async (client) => {
      const { endpoints: list } = (await client.json('GET', '/endpoints')) as { endpoints: WireEndpoint[] };
      if (options.json === true) return output.out(json(list));
      if (list.length === 0) return output.out('No endpoints. Add one with `hawser endpoints add <url>`.\n');
      const rows = list.map((one) => [
        one.id,
        one.role,
        stateOf(one),
        one.oldest_due_at ?? '-',
        one.kinds?.join(',') ?? 'all',
        one.url,
      ]);
      output.out(tableText(['ID', 'ROLE', 'STATE', 'WAITS SINCE', 'KINDS', 'URL'], rows));
    }),
  );

  withServerOptions(endpoints.command('add').description('send events to this URL; prints its secret'))
    .argument('<url>')
    .option('--kinds <kinds>', 'only these kinds of events, separated by commas')
    .option('--description <text>', 'what it is for')
    .action((url: string, options: Options) =>
      using(options, async (client) => {
        const { data } = (await client.json('POST', '/endpoints', {
          url,
          ...(options.kinds !== undefined && { kinds: options.kinds.split(',') }),
          ...(options.description !== undefined && { description: options.description }),
        })) as { data: WireEndpoint };
        output.out(options.json === true ? json(data) : `${data.id} gets events.\nIts secret: ${data.secret}\n`);
      }),
    );

  for (const enabled of [true, false]) {
    const [name, about] = enabled
      ? ['enable', 'send again, beginning with what has waited']
      : ['disable', 'send nothing; what is meant for it waits'];
    withServerOptions(endpoints.command(name).description(about))
      .argument('<endpoint>')
      .action((id: string, options: Options) =>
        using(options, async (client) => {
          await client.json('PATCH', pathOf(id), { enabled });
          output.out(`${id} is ${name}d.\n`);
        }),
      );
  }

  withServerOptions(endpoints.command('remove').description('with what waits for it and the record of what it got'))
    .argument('<endpoint>')
    .action((id: string, options: Options) =>
      using(options, async (client) => {
        await client.json('DELETE', pathOf(id));
        output.out(`${id} is removed.\n`);
      }),
    );

  withServerOptions(endpoints.command('rotate').description('a new secret; the one before signs as well for a while'))
    .argument('<endpoint>')
    .option('--grace-hours <n>', 'how long, up to 720', '24')
    .action((id: string, options: Options) =>
      using(options, async (client) => {
        const body = { grace_hours: Number(options.graceHours) };
        const { data } = (await client.json('POST', `${pathOf(id)}/rotate`, body)) as { data: WireEndpoint };
        output.out(options.json === true ? json(data) : `Its secret now: ${data.secret}\n`);
      }),
    );

  withServerOptions(endpoints.command('test').description('send it an event of the kind endpoint.test'))
    .argument('<endpoint>')
    .action((id: string, options: Options) =>
      using(options, async (client) => {
        await client.json('POST', `${pathOf(id)}/test`);
        output.out('Sent. `hawser deliveries` shows what became of it.\n');
      }),
    );
}

/** `deliveries`, `deliveries show`, `deliveries replay`: what became of events. */
export function addDeliveryCommands(program: Command, output: Output): void {
  const deliveries = withFilter(
    withServerOptions(program.command('deliveries').description('events sent, newest first')),
  )
    .option('--failed', 'only those that were tried without success')
    .option('-n, --limit <n>', 'at most so many, up to 100', '20')
    .action((options: Options) =>
      using(options, async (client) => {
        const query = new URLSearchParams({ ...filterOf(options), limit: options.limit ?? '20' });
        if (options.failed === true) query.set('failing', 'true');
        const { deliveries: list } = (await client.json('GET', `/deliveries?${query}`)) as {
          deliveries: WireDelivery[];
        };
        if (options.json === true) return output.out(json(list));
        if (list.length === 0) return output.out('No deliveries.\n');
        output.out(tableText(['ID', 'HAPPENED', 'KIND', 'CONNECTION', 'STATE', 'NEXT TRY', 'URL'], list.map(cellsOf)));
      }),
    );

  withServerOptions(deliveries.command('show').description('the body, and every try with its answer'))
    .argument('<delivery>')
    .action((id: string, _options: Options, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      return using(options, async (client) => {
        const { data } = (await client.json('GET', `/deliveries/${encodeURIComponent(id)}`)) as {
          data: WireDelivery & { body: string | null; tries: WireTry[] };
        };
        if (options.json === true) return output.out(json(data));
        output.out(`${lineOf(data)}\n${data.body ?? '(no body)'}\n`);
        for (const one of data.tries) {
          const result = one.status ?? one.error ?? '';
          output.out(`${one.at}  ${result}  ${one.duration_ms} ms  ${one.answer.slice(0, 200)}\n`);
        }
      });
    });

  withFilter(withServerOptions(deliveries.command('replay').description('send again: one, or what the options name')))
    .argument('[delivery]')
    .action((id: string | undefined, _options: Options, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      return using(options, async (client) => {
        if (id !== undefined) {
          await client.json('POST', `/deliveries/${encodeURIComponent(id)}/replay`);
          return output.out('Sent again.\n');
        }
        const body = (await client.json('POST', '/deliveries/replay', filterOf(options))) as { replayed: number };
        output.out(options.json === true ? json(body) : `Sent again: ${body.replayed}.\n`);
      });
    });
}

function withFilter(command: Command): Command {
  return command
    .option('--endpoint <id>', 'only to this endpoint')
    .option('--kind <kind>', 'only of this kind')
    .option('-c, --connection <id>', 'only of this connection')
    .option('-s, --state <state>', 'pending, delivered, failed or parked')
    .option('--since <time>', 'events from then on: 2026-11-22T00:00:00Z')
    .option('--until <time>', 'events before then');
}

function filterOf(options: Options): Record<string, string> {
  const given: [string, string | undefined][] = [
    ['endpoint_id', options.endpoint],
    ['kind', options.kind],
    ['connection_id', options.connection],
    ['state', options.state],
    ['since', options.since],
    ['until', options.until],
  ];
  return Object.fromEntries(given.filter((pair): pair is [string, string] => pair[1] !== undefined));
}

function pathOf(id: string): string {
  return `/endpoints/${encodeURIComponent(id)}`;
}

function stateOf({ state, disabled_reason: reason, failing_since: since }: WireEndpoint): string {
  if (state === 'disabled') return `disabled (${reason})`;
  return since === null ? state : `failing since ${since}`;
}

function lineOf(one: WireDelivery): string {
  const next = one.next_attempt_at === null ? '' : `next ${one.next_attempt_at}`;
  return cellsOf(one).with(5, next).filter((cell) => cell !== '').join('  '); // prettier-ignore
}

function cellsOf(one: WireDelivery): string[] {
  const result = one.last_status ?? one.last_error?.split(':')[0] ?? '';
  const state = `${one.state} ${result} after ${one.attempts}`.replace('  ', ' ');
  return [one.id, one.occurred_at, one.kind, one.connection_id ?? '-', state, one.next_attempt_at ?? '-', one.url];
}

const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`;
