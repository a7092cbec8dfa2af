import type { Command } from 'commander';
import { StartupError, type Issue } from '../../base/errors.ts';
import { isLoopbackHost, readClientConfig } from '../../config.ts';
import { systemClock } from '../../platform/clock.ts';
import { createUpstream, UpstreamFailure, type CallResponse, type Upstream } from '../../platform/upstream/index.ts';
import { readHawserFile } from '../start/data-dir.ts';
import { packageVersion } from '../start/run.ts';

/** No server answered. */
export class UnreachableError extends Error {}

/** The server answered with an error. */
export class RefusedError extends Error {}

/** Where commands go and with which key. */
export interface Client {
  url: string;
  /** Calls the API and reads its JSON. Errors: {@link UnreachableError}, {@link RefusedError}. */
  json(
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
    signal?: AbortSignal,
  ): Promise<unknown>;
  /** One call as it is, whatever its status. Errors: {@link UnreachableError}. */
  raw(request: {
    method: string;
    path: string;
    headers: Record<string, string>;
    body?: string | Buffer;
    signal?: AbortSignal | undefined;
  }): Promise<CallResponse>;
  close(): Promise<void>;
}

/** Largest answer a command prints. */
const ANSWER_BYTES_MAX = 104_857_600;
/** A proxied call may wait for a slow provider. */
const CALL_TIMEOUT_MS = 120_000;

/** Adds the options every command that talks to a server has. */
export function withServerOptions(command: Command): Command {
  return command
    .option('-e, --environment <name>', 'environment whose key of hawser.json is used', 'dev')
    .option('--json', 'print JSON');
}

/**
 * Finds the running server: settings and what a project says first, then hawser.json of the data folder. A key of
 * hawser.json goes to its own server only. Errors: {@link UnreachableError}.
 */
export async function openClient(
  environment: string,
  project?: { url: string; apiKey: string } | undefined,
): Promise<Client> {
  const config = readClientConfig();
  let { url, apiKey } = project ?? config;
  for (const dataDir of config.dataDirs) {
    if (url !== undefined && apiKey !== undefined) break;
    const file = await readHawserFile(dataDir);
    if (file === undefined || (url !== undefined && !isSameServer(url, file.url))) continue;
    url ??= file.url;
    apiKey ??= file.environments[environment]?.apiKey;
  }
  if (url === undefined) {
    throw new UnreachableError(
      'No server is known. Start one with `hawser dev`, or set HAWSER_URL and HAWSER_API_KEY.',
    );
  }
  checkAddress(url);
  if (apiKey === undefined) {
    throw new UnreachableError(
      `No API key for the environment "${environment}" of ${url} is known. Set HAWSER_API_KEY to one.`,
    );
  }
  return clientFor(url, apiKey);
}

/** True for two ways to write the address of one server. */
function isSameServer(a: string, b: string): boolean {
  if (!URL.canParse(a) || !URL.canParse(b)) return false;
  const [left, right] = [new URL(a), new URL(b)];
  const isHere = isLoopbackHost(left.hostname) && isLoopbackHost(right.hostname);
  return left.origin === right.origin || (isHere && left.port === right.port);
}

/** Errors: {@link StartupError}. */
function checkAddress(url: string): void {
  if (!/^https?:\/\//i.test(url) || !URL.canParse(url)) {
    throw new StartupError(
      'The address of the server is not an http(s) URL.',
      'Set HAWSER_URL (in the .env of a project, NANGO_HOSTPORT) to something like http://localhost:3003.',
    );
  }
}

function clientFor(url: string, apiKey: string): Client {
  const { host, protocol } = new URL(url);
  const pair = /:\d+$/.test(host) ? host : `${host}:${protocol === 'https:' ? 443 : 80}`;
  const upstream: Upstream = createUpstream({
    policy: () => ({ allow: [pair] }),
    clock: systemClock,
    userAgent: `hawser-cli/${packageVersion()}`,
  });
  const raw: Client['raw'] = async ({ method, path, headers, body, signal }) => {
    try {
      return await upstream.call({
        method,
        url: new URL(url + path),
        headers: { authorization: `Bearer ${apiKey}`, ...headers },
        ...(body !== undefined && { body }),
        ...(signal !== undefined && { signal }),
        timeoutMs: CALL_TIMEOUT_MS,
        bodyBytesMax: ANSWER_BYTES_MAX,
      });
    } catch (error) {
      if (error instanceof UpstreamFailure) {
        throw new UnreachableError(
          `${url} does not answer (${error.code}). Is Hawser running? Start it with \`hawser dev\`.`,
        );
      }
      throw error;
    }
  };
  return {
    url,
    raw,
    async json(method, path, body, headers, signal) {
      const answer = await raw({
        method,
        path,
        headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        signal,
      });
      const text = answer.body.toString('utf8');
      if (answer.status >= 400) throw new RefusedError(refusal(answer.status, text));
      return text === '' ? undefined : JSON.parse(text);
    },
    close: () => upstream.close(),
  };
}

function refusal(status: number, text: string): string {
  try {
    const { error } = JSON.parse(text) as { error?: { code?: string; message?: string; errors?: Issue[] } };
    if (error?.message !== undefined) {
      const issues = (error.errors ?? []).map(({ path, message }) => `\n  ${[...path, message].join(': ')}`);
      return `${error.message} (${status} ${error.code ?? ''})${issues.join('')}`;
    }
  } catch {
    // not our envelope: the status says what there is to say
  }
  return `The server answered ${status}.`;
}
