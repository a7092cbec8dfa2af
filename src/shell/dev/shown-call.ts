/** The call that the first page of `hawser dev` makes through its own proxy. */
import type { Upstream } from '../../platform/upstream/index.ts';
import type { Services } from '../node.ts';
import type { DevConnection, ProxiedCall } from './page.ts';

/** The harmless call that shows whose account was connected. */
const SHOWN_CALLS: Record<string, { method: string; path: string }> = {
  'checkr-partner': { method: 'GET', path: '/v1/account' },
  xref: { method: 'POST', path: '/auth' },
  checkbook: { method: 'GET', path: '/v3/user' },
};

/** States in which a call may work. */
const CALLABLE: readonly string[] = ['active', 'expiring', 'not_ready'];

/** True for a connection that a call can be shown of. */
export function hasShownCall({ integrationKey, state }: Pick<DevConnection, 'integrationKey' | 'state'>): boolean {
  return SHOWN_CALLS[integrationKey] !== undefined && CALLABLE.includes(state);
}

interface CallDeps {
  services: Pick<Services, 'clock' | 'publicUrl'>;
  apiKey: () => string;
}

export async function proxiedCall(
  deps: CallDeps,
  loopback: Upstream,
  integrationKey: string,
  connectionId: string,
): Promise<ProxiedCall | undefined> {
  const call = SHOWN_CALLS[integrationKey];
  if (call === undefined) return undefined;
  const { clock } = deps.services;
  const startedMs = clock.monotonicMs();
  const answer = await loopback.call({
    method: call.method,
    url: new URL(`/proxy${call.path}`, deps.services.publicUrl()),
    headers: {
      authorization: `Bearer ${deps.apiKey()}`,
      'provider-config-key': integrationKey,
      'connection-id': connectionId,
    },
  });
  const text = answer.body.toString('utf8');
  return {
    ...call,
    status: answer.status,
    durationMs: Math.round(clock.monotonicMs() - startedMs),
    body: pretty(text),
  };
}

function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), undefined, 2);
  } catch {
    return text; // not JSON: shown as it came
  }
}
