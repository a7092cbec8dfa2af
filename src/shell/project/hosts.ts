/** The host side of the script object on the command line: live against a server, or from a recording. */
import { HawserError } from '../../base/errors.ts';
import { systemClock } from '../../platform/clock.ts';
import { createUpstream } from '../../platform/upstream/index.ts';
import type { HostMethod, ProxyAnswer, ProxyCall } from '../../platform/sandbox/index.ts';
import type { Client } from '../cli/client.ts';
import { partsOf, recordCall, replayCall, type RecordedAnswer, type Recording } from './recording.ts';

export type Host = (method: string, args: readonly unknown[]) => Promise<unknown>;

/** What a dry run would have done; it stores nothing. */
export interface Effects {
  recording: Recording;
  /** Lines for the person: logs, and what would have been called. */
  lines: string[];
}

export interface HostTarget {
  integrationKey: string;
  connectionId: string;
  checkpoint: unknown;
  /** Replaces what the connection has. */
  metadata: Record<string, unknown> | undefined;
}

export type Methods = Partial<Record<HostMethod, (...args: never[]) => unknown>>;
type Row = { id: string | number };

/** What no dry run reaches outside for. Records stay in memory, so that the script reads back what it wrote. */
export function inMemory(effects: Effects, checkpoint: unknown): Methods {
  const { recording, lines } = effects;
  const rows = new Map<string, Map<string, Row>>();
  const locks = new Set<string>();
  let kept: unknown = checkpoint ?? null;
  const modelOf = (model: string): Map<string, Row> => {
    const known = rows.get(model) ?? new Map<string, Row>();
    rows.set(model, known);
    return known;
  };
  const note = (method: string, records: readonly Row[], model: string): void => {
    const byModel = (recording.nango[method] ??= {}) as Record<string, Row[]>;
    (byModel[model] ??= []).push(...records);
  };
  const would = (what: string): null => {
    lines.push(`would ${what}`);
    return null;
  };
  const counts = { added: 0, updated: 0, deleted: 0, unchanged: 0 };
  return {
    getWebhookURL: () => null,
    log: (entries: { level: string; message: string; payload?: unknown }[]) => {
      for (const { level, message, payload } of entries) {
        lines.push(`${level} ${message}${payload === undefined ? '' : ` ${JSON.stringify(payload)}`}`);
      }
      return null;
    },
    setMetadata: (metadata: unknown) => would(`set the metadata to ${JSON.stringify(metadata)}`),
    updateMetadata: (metadata: unknown) => would(`merge into the metadata ${JSON.stringify(metadata)}`),
    triggerSync: (key: string, connection: string, sync: unknown) =>
      would(`trigger the sync ${JSON.stringify(sync)} of ${key}, connection ${connection}`),
    startSync: (key: string, syncs: unknown) => would(`start the syncs ${JSON.stringify(syncs)} of ${key}`),
    tryAcquireLock: ({ key }: { key: string }) => {
      locks.add(key);
      return true;
    },
    releaseLock: ({ key }: { key: string }) => locks.delete(key),
    releaseAllLocks: () => {
      locks.clear();
      return null;
    },
    getCheckpoint: () => kept,
    saveCheckpoint: (value: unknown) => {
      kept = value;
      recording.nango['saveCheckpoint'] = value;
      return null;
    },
    clearCheckpoint: () => {
      kept = null;
      return null;
    },
    batchSave: (records: Row[], model: string) => {
      note('batchSave', records, model);
      for (const record of records) modelOf(model).set(String(record.id), record);
      return { ...counts, added: records.length };
    },
    batchUpdate: (records: Row[], model: string) => {
      note('batchUpdate', records, model);
      for (const record of records) {
        const known = modelOf(model).get(String(record.id));
        if (known !== undefined) modelOf(model).set(String(record.id), { ...known, ...record });
      }
      return { ...counts, updated: records.length };
    },
    batchDelete: (records: Row[], model: string) => {
      note('batchDelete', records, model);
      for (const record of records) modelOf(model).delete(String(record.id));
      return { ...counts, deleted: records.length };
    },
    getRecordsByIds: (ids: (string | number)[], model: string) =>
      ids.flatMap((id) => {
        const record = modelOf(model).get(String(id));
        return record === undefined ? [] : [[String(id), record]];
      }),
    listRecords: (model: string) => ({ records: [...modelOf(model).values()], nextCursor: null }),
    trackDeletesStart: () => null,
    trackDeletesEnd: () => ({ deletedKeys: [] }),
    deleteRecordsFromPreviousExecutions: () => ({ deletedKeys: [] }),
    setMergingStrategy: () => null,
  };
}

/** Errors: `not_implemented` for a method that is not there. */
export function hostOf(methods: Methods): Host {
  return async (method, args) => {
    const known = methods[method as HostMethod] as ((...args: unknown[]) => unknown) | undefined;
    if (known === undefined) throw refused('not_implemented', `${method} does not work in a dry run.`);
    return known(...args);
  };
}

/** Calls providers through the server's proxy, with its key; changes nothing at the server. */
export function liveHost(client: Client, target: HostTarget, effects: Effects): Host {
  const { recording } = effects;
  const keep = <T>(name: string, value: T): T => {
    recording.nango[name] = value;
    return value;
  };
  const queryOf = (key: string): string => `?provider_config_key=${encodeURIComponent(key)}`;
  const connectionPath = (id: string): string => `/connections/${encodeURIComponent(id)}`;
  return hostOf({
    ...inMemory(effects, target.checkpoint),
    proxy: async (call: ProxyCall) => {
      const answer = await throughProxy(client, target, call);
      recordCall(recording, call, answer);
      return answer;
    },
    getConnection: async (key: string | null, id: string | null, options?: { forceRefresh?: boolean } | null) => {
      const force = options?.forceRefresh === true ? '&force_refresh=true' : '';
      const path = `${connectionPath(id ?? target.connectionId)}${queryOf(key ?? target.integrationKey)}${force}`;
      const connection = (await client.json('GET', path)) as Record<string, unknown>;
      if (target.metadata !== undefined) connection['metadata'] = target.metadata;
      // A recording lies in the repository: without the secret.
      keep('getConnection', { ...connection, credentials: withoutSecrets(connection['credentials']) });
      return connection;
    },
    getIntegration: async () => {
      const { data } = (await client.json('GET', `/integrations/${encodeURIComponent(target.integrationKey)}`)) as {
        data: unknown;
      };
      return keep('getIntegration', data);
    },
    getEnvironmentVariables: async () => client.json('GET', '/environment-variables'),
    triggerAction: async (key: string, connection: string, name: string) => {
      effects.lines.push(`would run the action ${name} of ${key}, connection ${connection}`);
      return null;
    },
    uncontrolledFetch: (request: FetchRequest) => fetchOutside(request),
  });
}

/** Answers from a recording; what it does not hold is an error that says so. */
export function replayHost(recording: Recording, effects: Effects): Host {
  const used = new Set<RecordedAnswer>();
  const told = (name: string) => (): unknown => {
    if (name in recording.nango) return recording.nango[name];
    throw refused('not_recorded', `The recording has no nango.${name}. Record it anew: hawser dryrun --save`);
  };
  return hostOf({
    ...inMemory(effects, recording.nango['getCheckpoint']),
    proxy: (call: ProxyCall) => {
      const answer = replayCall(recording, call, used);
      if (answer !== undefined) return answer;
      const { path } = partsOf(call.endpoint);
      throw refused(
        'not_recorded',
        `The recording has no such ${call.method} ${path}. Record it anew: hawser dryrun --save`,
      );
    },
    getConnection: told('getConnection'),
    getIntegration: told('getIntegration'),
    getWebhookURL: () => recording.nango['getWebhookURL'] ?? null,
    getEnvironmentVariables: () => recording.nango['getEnvironmentVariables'] ?? [],
    triggerAction: told('triggerAction'),
  });
}

/**
 * As at the server, a whole address below the provider's own, such as a next page, needs no permission; any other one is
 * an override.
 */
async function throughProxy(client: Client, target: HostTarget, call: ProxyCall): Promise<ProxyAnswer> {
  const absolute = URL.canParse(call.endpoint) ? new URL(call.endpoint) : undefined;
  const path = absolute === undefined ? call.endpoint.replace(/^\/*/, '/') : absolute.pathname + absolute.search;
  const override = call.baseUrlOverride ?? absolute?.origin;
  const headers: Record<string, string> = {
    'provider-config-key': call.providerConfigKey ?? target.integrationKey,
    'connection-id': call.connectionId ?? target.connectionId,
    'nango-is-dry-run': 'true',
    ...(call.retries !== undefined && call.retries > 0 && { retries: String(call.retries) }),
    ...(call.retryOn !== undefined && { 'retry-on': call.retryOn.join(',') }),
  };
  for (const [name, value] of Object.entries(call.headers)) headers[`nango-proxy-${name}`] = value;
  const type = call.headers['content-type'];
  if (type !== undefined) headers['content-type'] = type;
  const body = call.bodyText ?? (call.bodyBase64 === undefined ? undefined : Buffer.from(call.bodyBase64, 'base64'));
  const send = (to: string, more: Record<string, string> = {}) =>
    client.raw({
      method: call.method,
      path: `/proxy${to}`,
      headers: { ...headers, ...more },
      ...(body !== undefined && { body }),
    });
  const whole = override === undefined ? path : `/${override.replace(/\/+$/, '')}${path}`;
  let answer = await send(whole);
  // Refused before it left, so nothing is done twice.
  if (override !== undefined && isElsewhere(answer)) answer = await send(path, { 'base-url-override': override });
  return { status: answer.status, statusText: '', headers: plain(answer.headers), ...bodyOf(answer.body) };
}

/** True for the proxy's own refusal of what is not below the provider's address. */
function isElsewhere({ status, body }: { status: number; body: Buffer }): boolean {
  return (
    status === 400 && /^\{"error":\{"code":"(invalid_endpoint|missing_api_url)"/.test(body.toString('utf8', 0, 60))
  );
}

interface FetchRequest {
  url: string;
  method: string;
  headers: Record<string, string>;
  bodyBase64?: string;
}

/** Largest answer of an uncontrolled call. */
const FETCH_BYTES_MAX = 100 * 1024 * 1024;
const FETCH_TIMEOUT_MS = 60_000;

/** No credential, and no address of this machine or network. */
async function fetchOutside(request: FetchRequest): Promise<unknown> {
  const upstream = createUpstream({ policy: () => ({ allow: [] }), clock: systemClock, userAgent: 'hawser-dryrun' });
  try {
    const { status, headers, body } = await upstream.call({
      method: request.method,
      url: new URL(request.url),
      headers: request.headers,
      ...(request.bodyBase64 !== undefined && { body: Buffer.from(request.bodyBase64, 'base64') }),
      timeoutMs: FETCH_TIMEOUT_MS,
      bodyBytesMax: FETCH_BYTES_MAX,
    });
    return { status, statusText: '', headers: plain(headers), bodyBase64: body.toString('base64') };
  } finally {
    await upstream.close();
  }
}

function plain(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, [value].flat().join(', ')]],
    ),
  );
}

function bodyOf(body: Buffer): { bodyText: string } | { bodyBase64: string } {
  const text = body.toString('utf8');
  return Buffer.from(text, 'utf8').equals(body) ? { bodyText: text } : { bodyBase64: body.toString('base64') };
}

function withoutSecrets(credentials: unknown): unknown {
  if (typeof credentials !== 'object' || credentials === null) return credentials;
  const { type } = credentials as { type?: unknown };
  return { type };
}

function refused(code: string, message: string): HawserError {
  return new HawserError(code, { status: 400, message });
}
