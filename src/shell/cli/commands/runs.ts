import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { StartupError } from '../../../base/errors.ts';
import { systemClock } from '../../../platform/clock.ts';
import { openClient, RefusedError, withServerOptions, type Client } from '../client.ts';
import type { Output } from '../index.ts';
import { tableText } from '../table.ts';
import { readJson } from './dryrun.ts';

interface Options {
  environment: string;
  json?: boolean;
  integration?: string;
  connection?: string;
  input?: unknown;
  async?: boolean;
  state?: string;
  limit?: string;
  cancel?: boolean;
}

interface WireRun {
  id: string;
  kind: string;
  trigger: string;
  state: string;
  function_name: string;
  provider_config_key: string | null;
  connection_id: string | null;
  queued_at: string;
  duration_ms: number | null;
  counts: Record<string, { added: number; updated: number; deleted: number }>;
  error: { code: string; message: string } | null;
  cursor: string;
}

interface Line {
  id: number;
  at: string;
  level: string;
  message: string;
  payload?: unknown;
}

/** How often a run is looked at while the command waits for it. */
const POLL_MS = 300;
const ENDED: readonly string[] = ['succeeded', 'failed', 'cancelled'];

/** `run`, `runs`, `logs`: functions by hand, and what became of them. */
export function addRunCommands(program: Command, output: Output, done: (exitCode: number) => void): void {
  withServerOptions(program.command('run').description('run an action or a sync now'))
    .argument('<function>', 'name of the action or sync')
    .argument('<connection>')
    .option('-i, --integration <key>', 'its integration; found by the connection when there is only one')
    .option('--input <json>', 'input of an action: JSON, or @file', readJson)
    .option('--async', 'queue an action and print its id')
    .action((name: string, connection: string, options: Options) =>
      using(options, async (client) => {
        const { input } = options;
        const key = options.integration ?? (await integrationOf(client, connection));
        const kind = await kindOf(client, key, name);
        if (kind === 'action') await runAction(client, { name, connection, key, input, options, output, done });
        else await runSync(client, { name, connection, key, options, output, done });
      }),
    );

  withServerOptions(program.command('runs').description('runs of functions, newest first'))
    .option('-i, --integration <key>', 'together with --connection')
    .option('-c, --connection <id>', 'only of this connection')
    .option('-s, --state <state>', 'queued, running, succeeded, failed or cancelled')
    .option('-n, --limit <n>', 'at most so many, up to 100', '20')
    .action((options: Options) =>
      using(options, async (client) => {
        const query = new URLSearchParams({ limit: options.limit ?? '20' });
        if (options.connection !== undefined) {
          query.set('connection_id', options.connection);
          query.set('provider_config_key', options.integration ?? (await integrationOf(client, options.connection)));
        }
        if (options.state !== undefined) query.set('state', options.state);
        const { runs } = (await client.json('GET', `/runs?${query}`)) as { runs: WireRun[] };
        if (options.json === true) return output.out(`${JSON.stringify(runs, undefined, 2)}\n`);
        if (runs.length === 0) return output.out('No runs. Start one with `hawser run <function> <connection>`.\n');
        output.out(
          tableText(['RUN', 'QUEUED', 'FUNCTION', 'CONNECTION', 'STATE', 'TOOK', 'RESULT'], runs.map(cellsOf)),
        );
      }),
    );

  withServerOptions(program.command('logs').description('what a run said, and how it ended'))
    .argument('<run>', 'id of the run')
    .option('--cancel', 'cancel the run')
    .action((id: string, options: Options) =>
      using(options, async (client) => {
        const path = `/runs/${encodeURIComponent(id)}`;
        if (options.cancel === true) await client.json('POST', `${path}/cancel`);
        const { data } = (await client.json('GET', path)) as { data: WireRun };
        const lines: Line[] = [];
        for (;;) {
          const after = lines.at(-1)?.id ?? 0;
          const page = (await client.json('GET', `${path}/logs?after=${after}`)) as { logs: Line[] };
          if (page.logs.length === 0) break;
          lines.push(...page.logs);
        }
        if (options.json === true) return output.out(`${JSON.stringify({ run: data, logs: lines }, undefined, 2)}\n`);
        output.out(`${lineOf(data)}\n`);
        for (const line of lines) {
          const more = line.payload === undefined ? '' : ` ${JSON.stringify(line.payload)}`;
          output.out(`${line.at}  ${line.level.padEnd(5)}  ${line.message}${more}\n`);
        }
      }),
    );
}

/** `variables list|set|remove`: values that the app gives to its functions. */
export function addVariablesCommand(program: Command, output: Output): void {
  const variables = program.command('variables').description('list, set and remove variables of functions');

  withServerOptions(variables.command('list').description('names and values')).action((options: Options) =>
    using(options, async (client) => {
      const list = (await client.json('GET', '/environment-variables')) as { name: string; value: string }[];
      if (options.json === true) return output.out(`${JSON.stringify(list, undefined, 2)}\n`);
      if (list.length === 0) return output.out('No variables. Set one with `hawser variables set NAME value`.\n');
      for (const { name, value } of list) output.out(`${name}=${value}\n`);
    }),
  );

  withServerOptions(variables.command('set').description('add or replace one'))
    .argument('<name>')
    .argument('<value>', 'the value, or @file')
    .action((name: string, value: string, options: Options) =>
      using(options, async (client) => {
        const text = await readValue(value);
        await client.json('PUT', `/environment-variables/${encodeURIComponent(name)}`, { value: text });
        output.out(options.json === true ? '{"success":true}\n' : `${name} is set.\n`);
      }),
    );

  withServerOptions(variables.command('remove').description('remove one'))
    .argument('<name>')
    .action((name: string, options: Options) =>
      using(options, async (client) => {
        await client.json('DELETE', `/environment-variables/${encodeURIComponent(name)}`);
        output.out(options.json === true ? '{"success":true}\n' : `${name} is gone.\n`);
      }),
    );
}

interface Job {
  name: string;
  connection: string;
  key: string;
  options: Options;
  output: Output;
  done: (exitCode: number) => void;
}

async function runAction(client: Client, job: Job & { input: unknown }): Promise<void> {
  const { options, output } = job;
  const answer = await client.raw({
    method: 'POST',
    path: '/action/trigger',
    headers: {
      'content-type': 'application/json',
      'provider-config-key': job.key,
      'connection-id': job.connection,
      ...(options.async === true && { 'x-async': 'true' }),
    },
    body: JSON.stringify({ action_name: job.name, ...(job.input !== undefined && { input: job.input }) }),
  });
  const text = answer.body.toString('utf8');
  if (answer.status >= 400) {
    output.err(`${text}\n`);
    const id = answer.headers['x-hawser-run-id'];
    if (typeof id === 'string') output.err(`See what it said: hawser logs ${id}\n`);
    return job.done(4);
  }
  if (options.async === true && options.json !== true) {
    const { id } = JSON.parse(text) as { id: string };
    return output.out(`${id}\n`);
  }
  output.out(options.json === true ? `${text}\n` : `${JSON.stringify(JSON.parse(text), undefined, 2)}\n`);
}

async function runSync(client: Client, job: Job): Promise<void> {
  const { options, output } = job;
  const query = new URLSearchParams({ provider_config_key: job.key, connection_id: job.connection, limit: '20' });
  const runs = async (): Promise<WireRun[]> => {
    const page = (await client.json('GET', `/runs?${query}`)) as { runs: WireRun[] };
    return page.runs.filter((run) => run.function_name === job.name && run.kind === 'sync');
  };
  const before = await runs();
  // A run that is queued or going on already is the one that the trigger means (wire contract J.4).
  const open = before.find((run) => !ENDED.includes(run.state));
  const newest = Number(before[0]?.cursor ?? 0);
  await client.json('POST', '/sync/trigger', {
    syncs: [job.name],
    provider_config_key: job.key,
    connection_id: job.connection,
  });
  let id = open?.id;
  for (;;) {
    id ??= (await runs()).find((one) => Number(one.cursor) > newest)?.id;
    // By its id: meanwhile other runs may have pushed it off the page.
    const run = id === undefined ? undefined : ((await client.json('GET', `/runs/${id}`)) as { data: WireRun }).data;
    if (run !== undefined && ENDED.includes(run.state)) {
      output.out(options.json === true ? `${JSON.stringify(run, undefined, 2)}\n` : `${lineOf(run)}\n`);
      if (run.state !== 'succeeded') {
        output.err(`See what it said: hawser logs ${run.id}\n`);
        job.done(4);
      }
      return;
    }
    await systemClock.sleep(POLL_MS);
  }
}

function lineOf(run: WireRun): string {
  return cellsOf(run)
    .filter((cell) => cell !== '')
    .join('  ');
}

function cellsOf(run: WireRun): string[] {
  const where = `${run.provider_config_key ?? '(gone)'}/${run.connection_id ?? '(gone)'}`;
  const took = run.duration_ms === null ? '' : `${run.duration_ms} ms`;
  const counts = Object.entries(run.counts).map(
    ([model, { added, updated, deleted }]) => `${model} +${added} ~${updated} -${deleted}`,
  );
  const error = run.error === null ? [] : [`${run.error.code}: ${run.error.message}`];
  const result = [...counts, ...error].join('  ');
  return [run.id, run.queued_at, `${run.kind} ${run.function_name}`, where, run.state, took, result];
}

/** Errors: {@link RefusedError} when the name alone does not say which connection is meant. */
export async function integrationOf(client: Client, connection: string): Promise<string> {
  const query = new URLSearchParams({ connectionId: connection });
  const { connections } = (await client.json('GET', `/connections?${query}`)) as {
    connections: { provider_config_key: string }[];
  };
  if (connections.length === 1) return (connections[0] as { provider_config_key: string }).provider_config_key;
  throw new RefusedError(
    connections.length === 0
      ? `No connection has the id ${connection}. List them with \`hawser connections list\`.`
      : `Several integrations have a connection ${connection}: say which with --integration.`,
  );
}

/** Errors: {@link RefusedError} when the integration has no such function. */
async function kindOf(client: Client, key: string, name: string): Promise<'action' | 'sync'> {
  const config = (await client.json('GET', '/scripts/config')) as {
    providerConfigKey: string;
    syncs: { name: string }[];
    actions: { name: string }[];
  }[];
  const own = config.find((one) => one.providerConfigKey === key);
  if (own?.actions.some((action) => action.name === name) === true) return 'action';
  if (own?.syncs.some((sync) => sync.name === name) === true) return 'sync';
  const names = [...(own?.actions ?? []), ...(own?.syncs ?? [])].map((one) => one.name);
  const known = names.length === 0 ? 'It has none: deploy some with `hawser deploy`.' : `It has: ${names.join(', ')}.`;
  throw new RefusedError(`The integration ${key} has no action or sync ${name}. ${known}`);
}

/** A value, or with @ before it the file that holds it. Errors: {@link StartupError} for a file that cannot be read. */
async function readValue(text: string): Promise<string> {
  if (!text.startsWith('@')) return text;
  const path = text.slice(1);
  return readFile(path, 'utf8').catch((cause: unknown) => {
    const code = (cause as { code?: string }).code ?? 'error';
    throw new StartupError(`The file ${path} cannot be read (${code}).`, 'Name one that you may read.', cause);
  });
}

/** Opens a client for the work, and closes it. */
export async function using(
  options: Pick<Options, 'environment'>,
  work: (client: Client) => Promise<void>,
): Promise<void> {
  const client = await openClient(options.environment);
  try {
    await work(client);
  } finally {
    await client.close();
  }
}
