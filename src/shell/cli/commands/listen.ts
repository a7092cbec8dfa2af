import type { Readable } from 'node:stream';
import { InvalidArgumentError, type Command } from 'commander';
import { systemClock } from '../../../platform/clock.ts';
import { createUpstream, UpstreamFailure } from '../../../platform/upstream/index.ts';
import { packageVersion } from '../../start/run.ts';
import { openClient, RefusedError, UnreachableError, withServerOptions, type Client } from '../client.ts';
import type { Output } from '../index.ts';
import { lineOf, type WireEvent } from './inbound.ts';

interface Options {
  environment: string;
  json?: boolean;
  integration?: string;
  type?: string;
  quiet?: boolean;
  count?: number;
}

/** The server answers earlier when something comes. */
const WAIT_SECONDS = 20;
/** Rows become visible a little out of order: so many before the newest are looked at again. */
const OVERLAP = 50;
const PAGE = 100;
/** What one can go back to with the keys. */
const KEPT_MAX = 200;
/** After the server could not be reached. */
const AGAIN_MS = 2_000;

const KEYS = 'j/k select · r send again · d details · o open · ? help · q quit';
const HELP = `  j, ↓   the next webhook        k, ↑   the one before
  r      send it again           d      show its body and headers
  o      open Hawser's first page in the browser
  i      where webhooks come from and go to
  q, ^C  quit
New webhooks come below, and the newest is selected until you move.`;

interface Seen {
  event: WireEvent;
  /** What the program answered: a status, or why there was none. */
  answer: string;
}

/** `listen`: each webhook that comes is sent to a program on this machine, too. */
export function addListenCommand(program: Command, output: Output, done: (exitCode: number) => void): void {
  withServerOptions(program.command('listen').description('send each webhook to a program on this machine, too'))
    .argument('<url>', 'where the program listens: http://localhost:3000/hooks', readTarget)
    .option('-i, --integration <key>', 'only of this integration')
    .option('-t, --type <type>', 'only of this type')
    .option('--quiet', 'print only what the program did not take')
    .option('--count <n>', 'end after so many', readCount)
    .action(async (target: URL, options: Options) => {
      const client = await openClient(options.environment);
      try {
        await listen({ client, target, options, output, done });
      } finally {
        await client.close();
      }
    });
}

interface Job {
  client: Client;
  target: URL;
  options: Options;
  output: Output;
  done(exitCode: number): void;
}

async function listen({ client, target, options, output, done }: Job): Promise<void> {
  const ended = new AbortController();
  const forward = createForward(client, target);
  const kept: Seen[] = [];
  let selected = -1;
  const isLive = output.isTerminal === true && options.json !== true;
  const status = (): void => {
    if (!isLive) return;
    const one = kept[selected];
    const which = one === undefined ? 'nothing yet' : `${selected + 1}/${kept.length} ${one.event.type ?? one.event.id} → ${one.answer}`; // prettier-ignore
    output.err(`\r\u001b[K${which}  ·  ${KEYS}`);
  };
  const print = (text: string): void => {
    if (isLive) output.err('\r\u001b[K');
    output.out(`${text}\n`);
  };
  const show = ({ event, answer }: Seen, again = false): void => {
    const isTaken = /^2\d\d$/.test(answer);
    if (options.quiet === true && isTaken) return;
    if (options.json === true) print(JSON.stringify({ ...event, answer }));
    else print(`${lineOf(event)}  → ${answer}${again ? ' (again)' : ''}`);
  };
  const press = async (key: string): Promise<void> => {
    if (key === 'q' || key === '\u0003') return ended.abort();
    if (key === 'k' || key === '\u001b[A') selected = Math.max(0, selected - 1);
    if (key === 'j' || key === '\u001b[B') selected = Math.min(kept.length - 1, selected + 1);
    const one = kept[selected];
    if (key === '?') print(HELP);
    if (key === 'o') await openPage(client, output, print);
    if (key === 'i') print(`From ${client.url} to ${target.href}; ${kept.length} webhooks so far.`);
    if (one !== undefined && key === 'd') print(JSON.stringify(await read(client, one.event.id), undefined, 2));
    if (one !== undefined && key === 'r') {
      one.answer = await forward.send(one.event);
      show(one, true);
    }
    status();
  };
  const restore = isLive ? readKeys(process.stdin, (key) => void press(key).catch((error: unknown) => print(String(error)))) : () => undefined; // prettier-ignore
  try {
    if (options.json !== true) output.err(`Webhooks go from ${client.url} to ${target.href}.\n`);
    let left = options.count ?? Infinity;
    for await (const event of newEvents(client, options, ended.signal)) {
      const one = { event, answer: await forward.send(event) };
      const follows = selected === kept.length - 1;
      kept.push(one);
      if (kept.length > KEPT_MAX) {
        kept.shift();
        selected = Math.max(0, selected - 1);
      }
      if (follows) selected = kept.length - 1;
      show(one);
      status();
      if (!/^2\d\d$/.test(one.answer)) done(1);
      left -= 1;
      if (left <= 0) return;
    }
  } finally {
    restore();
    if (isLive) output.err('\n');
    await forward.close();
  }
}

/** What comes from now on, each once. */
async function* newEvents(client: Client, options: Options, signal: AbortSignal): AsyncGenerator<WireEvent> {
  const filter = {
    ...(options.integration !== undefined && { provider_config_key: options.integration }),
    ...(options.type !== undefined && { type: options.type }),
  };
  const page = async (more: Record<string, string>): Promise<WireEvent[]> => {
    const query = new URLSearchParams({ ...filter, limit: String(PAGE), ...more });
    const answer = await client.json('GET', `/inbound-events?${query}`, undefined, undefined, signal);
    return (answer as { events: WireEvent[] }).events;
  };
  const [newest] = await page({ limit: '1' });
  let cursor = Number(newest?.cursor ?? 0);
  const seen = new Set((await page({ after: String(Math.max(0, cursor - OVERLAP)) })).map(({ id }) => id));
  while (!signal.aborted) {
    let events: WireEvent[];
    try {
      const come = await page({ after: String(cursor), wait_seconds: String(WAIT_SECONDS) });
      if (come.length === 0) continue;
      events = [...(await page({ after: String(Math.max(0, cursor - OVERLAP)) })), ...come];
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof UnreachableError)) throw error;
      await systemClock.sleep(AGAIN_MS, signal).catch(() => undefined); // ended meanwhile
      continue;
    }
    for (const event of events.toSorted((one, other) => Number(one.cursor) - Number(other.cursor))) {
      cursor = Math.max(cursor, Number(event.cursor));
      if (seen.has(event.id)) continue;
      seen.add(event.id);
      yield event;
    }
  }
}

async function read(client: Client, id: string): Promise<{ body: unknown; headers: Record<string, string> }> {
  return ((await client.json('GET', `/inbound-events/${id}`)) as { data: { body: unknown; headers: Record<string, string> } }).data; // prettier-ignore
}

/** Sends events to the program, as the provider did but for the proof: body, type and id. */
function createForward(client: Client, target: URL) {
  const pair = `${target.hostname}:${target.port || (target.protocol === 'https:' ? 443 : 80)}`;
  const upstream = createUpstream({
    policy: () => ({ allow: [pair] }),
    clock: systemClock,
    userAgent: `hawser-listen/${packageVersion()}`,
  });
  return {
    async send(event: WireEvent): Promise<string> {
      try {
        const { body, headers } = await read(client, event.id);
        const contentType = headers['content-type'] ?? 'application/json';
        const isForm = contentType.startsWith('application/x-www-form-urlencoded');
        const text = typeof body === 'string' ? body : isForm ? formOf(body as Form) : JSON.stringify(body);
        const { 'user-agent': _agent, ...kept } = headers;
        const answer = await upstream.call({
          method: 'POST',
          url: target,
          headers: {
            ...kept,
            'content-type': contentType,
            'x-hawser-event-id': event.id,
            'x-hawser-integration': event.provider_config_key,
            'x-hawser-trust': event.trust,
          },
          body: text,
        });
        return String(answer.status);
      } catch (error) {
        if (error instanceof UpstreamFailure) return `no answer (${error.code})`;
        // The next one may be read, and this one can be sent again by its key.
        if (error instanceof UnreachableError || error instanceof RefusedError) return `not read (${error.message})`;
        throw error;
      }
    },
    close: () => upstream.close(),
  };
}

type Form = Record<string, string | string[]>;

function formOf(fields: Form): string {
  const pairs = Object.entries(fields).flatMap(([name, value]) => [value].flat().map((one) => [name, one]));
  return new URLSearchParams(pairs as [string, string][]).toString();
}

async function openPage(client: Client, output: Output, print: (text: string) => void): Promise<void> {
  const url = new URL('/', client.url);
  const isOpen = (await output.open?.(url)) === true;
  print(isOpen ? `Opened ${url.href}` : `No browser can be opened from here: open ${url.href} yourself.`);
}

/** Calls `press` for each key; what it returns gives the terminal back as it was. */
function readKeys(stdin: Readable & { setRawMode?(raw: boolean): unknown }, press: (key: string) => void): () => void {
  if (stdin.setRawMode === undefined) return () => undefined;
  const onData = (data: Buffer | string): void => press(String(data));
  stdin.setRawMode(true);
  stdin.on('data', onData).resume();
  return () => {
    stdin.off('data', onData).pause();
    stdin.setRawMode?.(false);
  };
}

function readCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1) throw new InvalidArgumentError('A whole number from 1.');
  return count;
}

function readTarget(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new InvalidArgumentError('Write it like http://localhost:3000/hooks.');
  }
  return url;
}
