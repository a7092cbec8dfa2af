/** A proxy whose provider is EVIL, and scripts that note what came. */
import { createEvil, type Evil, type EvilRequest, type EvilScript } from './evil.ts';
import { aLive, anIntegration, aProvider, startProxy, type TestProxyOptions } from './proxy.ts';
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
