/** A proxy whose provider is EVIL, and scripts that note what came. */
import http from 'node:http';
import { createEvil, type Evil, type EvilRequest, type EvilScript } from './evil.ts';
import { aLive, anIntegration, aProvider, callHeaders, startProxy, type TestProxyOptions } from './proxy.ts';
import type { LiveConnection } from '../../src/features/credentials/index.ts';
import type { ProviderSpec } from '../../catalogue/_spec/index.ts';

export interface ProxyOverEvilOptions extends Partial<TestProxyOptions> {
  /** Path of the provider's address. */
  base?: string;
  /** Knobs of the provider's API. */
  api?: Partial<ProviderSpec['api']>;
  connection?: Partial<LiveConnection>;
}

/** Closes what was opened, newest first. */
export function createOpenList() {
  const open: { close(): Promise<void> }[] = [];
  return {
    add<T extends { close(): Promise<void> }>(one: T): T {
      open.push(one);
      return one;
    },
    async close() {
      for (const one of open.splice(0).toReversed()) await one.close();
    },
  };
}

export async function startProxyOverEvil(
  list: ReturnType<typeof createOpenList>,
  script: EvilScript,
  options: ProxyOverEvilOptions = {},
) {
  const evil: Evil = list.add(await createEvil(script));
  const provider = aProvider(`http://${evil.pair}${options.base ?? ''}`, options.api);
  const live = options.live ?? aLive(anIntegration(provider), options.connection);
  const proxy = list.add(await startProxy({ allow: [evil.pair], ...options, live }));
  return { evil, proxy, live, provider };
}

/** Answers the nth request with the nth bytes (the last ones from then on) and keeps every request. */
export function recording(...answers: (string | Buffer)[]): { script: EvilScript; requests: EvilRequest[] } {
  const requests: EvilRequest[] = [];
  return {
    requests,
    async script(connection) {
      for (let request = await connection.request(); request !== undefined; request = await connection.request()) {
        requests.push(request);
        await connection.send(answers[Math.min(requests.length, answers.length) - 1] as string | Buffer);
      }
    },
  };
}

/** The start of a call whose body and reading the test controls itself. */
export function openCall(
  port: number,
  options: { method?: string; path?: string; headers?: Record<string, string> } = {},
) {
  const request = http.request({
    port,
    host: '127.0.0.1',
    agent: false,
    method: options.method ?? 'GET',
    path: options.path ?? '/proxy/x',
    headers: { ...callHeaders, ...options.headers },
  });
  const response = new Promise<http.IncomingMessage>((resolve, reject) => {
    request.on('response', resolve);
    request.on('error', reject);
  });
  // The test looks at the promise when it wants to; a reset before is no unhandled rejection.
  response.catch(() => undefined);
  return { request, response };
}
