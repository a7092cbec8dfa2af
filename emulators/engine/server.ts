/**
 * @module emulators/engine/server
 *
 * One HTTP server for one or several emulators: `/` is an index, each emulator lives below its name, or alone at the
 * root.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Clock } from '../../src/base/clock.ts';
import { StartupError } from '../../src/base/errors.ts';
import { errorText } from '../../src/base/log.ts';
import { systemClock } from './clock.ts';
import type { EmulatorDefinition } from './definition.ts';
import { dispatch, type Outcome } from './dispatch.ts';
import { html, page, stylesheet } from './html.ts';
import { BodyTooLarge, type HttpReply, type HttpRequest, jsonReply, readBody } from './http.ts';
import { type EmulatorLog, Mount } from './mount.ts';
import { isoSeconds } from './rest-routes.ts';
import { readStateFile, StateFile } from './state-file.ts';

export interface EngineOptions {
  definitions: EmulatorDefinition[];
  /** True mounts the only definition at `/` instead of below its name. */
  alone: boolean;
  /** Default 0: any free port. */
  port?: number;
  /** Default `127.0.0.1`. */
  host?: string;
  /** Address that others see, when it is not `http://host:port`. */
  publicUrl?: string;
  /** Default: the machine's clock. */
  clock?: Clock;
  /** Keeps the state across restarts. Default: memory only. */
  stateFile?: string;
  /** Default: the process's standard error. */
  log?: EmulatorLog;
  /** Told of every request of a provider's own surface, with its body, when it has been answered. */
  onRequest?: (name: string, request: HttpRequest, status: number) => void;
}

export interface Engine {
  /** Address of the server, no trailing slash. */
  url: string;
  mounts: Map<string, Mount>;
  /** Adds an emulator while the server runs, or gives one of this name another definition; its memory stays. */
  open(definition: EmulatorDefinition): Mount;
  close(): Promise<void>;
}

const STDERR_LOG: EmulatorLog = {
  error: (message, fields) => {
    process.stderr.write(`emulator: ${message} ${fields?.error ?? ''}\n`);
  },
};

/** Starts the server. Errors: `StartupError` when the port is taken or the state file is unusable. */
export async function startEngine(options: EngineOptions): Promise<Engine> {
  const { definitions, alone, stateFile, clock = systemClock, log = STDERR_LOG } = options;
  const kept = stateFile === undefined ? undefined : await readStateFile(stateFile);
  const mounts = new Map<string, Mount>();
  const file = new StateFile({
    path: stateFile,
    clock,
    snapshot: () => ({
      ...kept,
      ...Object.fromEntries([...mounts].map(([name, mount]) => [name, mount.toData()])),
    }),
    onError: (err) => log.error('The state of the emulators could not be kept.', { error: errorText(err) }),
  });

  const server = createServer((incoming, outgoing) => {
    serve(incoming, outgoing).catch((error: unknown) => {
      log.error('A request could not be answered.', { error: errorText(error) });
      outgoing.destroy();
    });
  });
  const address = await listen(server, options.port ?? 0, options.host ?? '127.0.0.1');
  const url = (options.publicUrl ?? localUrl(address)).replace(/\/$/, '');
  try {
    for (const definition of definitions) mounts.set(definition.name, openMount(definition));
    await file.settle();
  } catch (error) {
    server.close();
    if (kept === undefined) throw error;
    const hint = 'Move it away: the emulators then start with fresh accounts, and connections must be made again.';
    throw new StartupError(`The emulator state file ${stateFile} cannot be used.`, hint, error);
  }

  function openMount(definition: EmulatorDefinition, data = kept?.[definition.name]): Mount {
    const mount = new Mount({
      definition,
      clock,
      baseUrl: alone ? url : `${url}/${definition.name}`,
      changed: () => file.changed(),
      changedSoon: () => file.changedSoon(),
      log,
    });
    mount.load(data);
    return mount;
  }

  async function serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const target = readTarget(incoming.url ?? '/');
    const mount = findMount(target.pathname);
    const path =
      mount === undefined || alone ? target.pathname : target.pathname.slice(mount.definition.name.length + 1);
    const request = readHead(incoming, path, target);
    let outcome: Outcome;
    try {
      request.rawBody = await readBody(incoming);
      outcome =
        mount === undefined
          ? { kind: 'reply', reply: answerIndex(path) }
          : await dispatch(mount, request, () => file.settle());
    } catch (error) {
      if (!(error instanceof BodyTooLarge)) log.error('An emulator failed to answer.', { error: errorText(error) });
      const status = error instanceof BodyTooLarge ? 413 : 500;
      outcome = {
        kind: 'reply',
        reply: jsonReply(status, { error: status === 413 ? 'Body too large' : 'Emulator failure' }),
      };
    }
    const ofProvider = !path.startsWith('/_emulator/') && path.split('/')[1] !== 'developer';
    if (mount !== undefined && ofProvider) {
      mount.recorder.add({
        method: request.method,
        path,
        queryNames: [...new Set(target.searchParams.keys())],
        status: outcome.kind === 'cut' ? 0 : outcome.reply.status,
        at: isoSeconds(clock.now()),
      });
      options.onRequest?.(mount.definition.name, request, outcome.kind === 'cut' ? 0 : outcome.reply.status);
    }
    await send(outgoing, outcome, request.method === 'HEAD');
    const after = outcome.kind === 'cut' ? outcome.after : outcome.reply.after;
    await after?.();
  }

  function findMount(pathname: string): Mount | undefined {
    if (alone) return mounts.values().next().value;
    return mounts.get(pathname.split('/')[1] ?? '');
  }

  function answerIndex(path: string): HttpReply {
    if (path === '/_emulator/style.css') return stylesheet();
    if (path !== '/') return jsonReply(404, { error: 'There is no such emulator.' });
    const basePath = new URL(url).pathname.replace(/\/$/, '');
    const body = html`<h1>Emulators</h1>
      ${[...mounts.values()].map(
        ({ definition, basePath: below, baseUrl }) =>
          html`<section>
            <h2><a href="${below}/developer">${definition.displayName}</a></h2>
            <p>${definition.summary}</p>
            <p class="soft"><code>${baseUrl}</code></p>
          </section>`,
      )}`;
    const banner = 'None of these is the real provider. Everyone and everything here is made up.';
    return page(200, { title: 'Emulators', displayName: '', banner, basePath, body });
  }

  return {
    url,
    mounts,
    open(definition) {
      const old = mounts.get(definition.name);
      const data = old?.toData();
      old?.close();
      const mount = openMount(definition, data);
      mounts.set(definition.name, mount);
      return mount;
    },
    async close() {
      for (const mount of mounts.values()) mount.close();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
      await file.close();
    },
  };
}

/** Path and query as sent. A path that begins with two slashes is a path, not a host. */
function readTarget(text: string): { pathname: string; search: string; searchParams: URLSearchParams } {
  if (!text.startsWith('/') && URL.canParse(text)) return new URL(text);
  const mark = text.indexOf('?');
  const search = mark === -1 ? '' : text.slice(mark);
  return { pathname: mark === -1 ? text : text.slice(0, mark), search, searchParams: new URLSearchParams(search) };
}

function readHead(incoming: IncomingMessage, path: string, target: ReturnType<typeof readTarget>): HttpRequest {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return {
    method: incoming.method ?? 'GET',
    path,
    query: target.searchParams,
    search: target.search,
    headers,
    rawBody: '',
    remoteAddress: incoming.socket.remoteAddress ?? '',
  };
}

/** Writes the outcome and resolves when it is out, or the client has gone. */
async function send(outgoing: ServerResponse, outcome: Outcome, headOnly: boolean): Promise<void> {
  if (outcome.kind === 'cut') {
    outgoing.destroy();
    return;
  }
  const { status, headers = {}, body = '' } = outcome.reply;
  const bytes = Buffer.from(body, 'utf8');
  const bodiless = status === 204 || status === 304;
  if (!bodiless) headers['Content-Length'] = String(bytes.length);
  const closed = new Promise<void>((resolve) => outgoing.once('close', resolve));
  outgoing.writeHead(status, headers);
  if (outcome.kind === 'truncated') {
    outgoing.write(bytes.subarray(0, Math.floor(bytes.length / 2)), () => outgoing.destroy());
  } else {
    outgoing.end(headOnly || bodiless ? undefined : bytes);
  }
  await closed;
}

async function listen(server: Server, port: number, host: string): Promise<AddressInfo> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const message =
        error.code === 'EADDRINUSE'
          ? `Port ${port} on ${host}, for the emulators, is taken by another program.`
          : `The emulators cannot listen on ${host}:${port} (${error.code ?? 'unknown'}).`;
      const hint = 'Stop that program, or choose another port with HAWSER_EMULATOR_PORT or --port.';
      reject(new StartupError(message, hint, error));
    });
    server.listen(port, host, resolve);
  });
  return server.address() as AddressInfo;
}

function localUrl({ address, family, port }: AddressInfo): string {
  if (address === '0.0.0.0' || address === '::') return `http://127.0.0.1:${port}`;
  return family === 'IPv6' ? `http://[${address}]:${port}` : `http://${address}:${port}`;
}
