import type { ProxyAnswer } from '../model.ts';
import { createCalls, type Calls } from './calls.ts';
import { createScriptLog, type ScriptLog } from './log.ts';
import { paginate } from './paginate.ts';
import { networkError, proxyCallOf, responseOf, type ProxyConfig, type ScriptResponse } from './proxy-call.ts';
import { checkGoing, type RunState } from './run-state.ts';
import { ActionError, ScriptAbort, ScriptError } from './script-error.ts';
import { syncMethods } from './sync-script.ts';

const CONNECTION_MEMO_MS = 60_000;
const INTEGRATION_MEMO_MS = 10 * 60_000;
const LOCK_KEY_CHARS_MAX = 255;

interface ConnectionView {
  credentials?: { type?: string; access_token?: unknown; oauth_token?: unknown; oauth_token_secret?: unknown };
  metadata?: Record<string, unknown> | null;
}
/** `refreshToken`, `forceRefresh` and the like: any of them passes over the memo. */
type ConnectionOptions = Record<string, boolean | undefined>;

/** The object that a function gets as its first argument, and what the runner needs of it. */
export function createScriptObject(run: RunState): {
  nango: Record<string, unknown>;
  calls: Calls;
  log: ScriptLog;
} {
  const { context } = run;
  const calls = createCalls(run);
  const log = createScriptLog(run);
  const isSync = context.kind === 'sync';

  const nango: Record<string, unknown> = {
    ActionError,
    connectionId: context.connectionId,
    providerConfigKey: context.providerConfigKey,
    provider: context.provider,
    environmentId: context.environmentId,
    environmentName: context.environmentName,
    accountId: context.accountId ?? context.environmentId,
    nangoConnectionId: context.nangoConnectionId,
    activityLogId: context.runId,
    syncId: context.syncId,
    syncJobId: context.syncJobId,
    isCLI: context.isCLI ?? false,
    scriptType: context.kind,
    telemetryBag: { customLogs: 0, proxyCalls: 0, durationMs: 0, memoryGb: 0 },
    abortSignal: run.abort.signal,
    log: log.log,
    setLogger: log.setLogger,
    ...connectionMethods(run, calls),
    ...httpMethods(run, calls),
    ...stateMethods(run, calls),
    ...otherMethods(run, calls, log),
  };
  if (isSync) {
    Object.assign(nango, {
      lastSyncDate: context.lastSyncDate === undefined ? undefined : new Date(context.lastSyncDate),
      track_deletes: context.trackDeletes ?? false,
      emptyCache: context.emptyCache ?? false,
      variant: context.variant ?? 'base',
      ...syncMethods(run, calls, log),
    });
  }
  return { nango, calls, log };
}

function connectionMethods(run: RunState, calls: Calls): Record<string, unknown> {
  const memo = new Map<string, { at: number; value: Promise<unknown> }>();

  function remembered<T>(key: string, lifeMs: number, load: () => Promise<T>): Promise<T> {
    const now = performance.now();
    const known = memo.get(key);
    if (known !== undefined && now - known.at < lifeMs) return known.value as Promise<T>;
    const value = load();
    memo.set(key, { at: now, value });
    // A failure is not remembered; whoever asked gets it.
    value.catch(() => memo.delete(key));
    return value;
  }
  function forget(): void {
    for (const key of memo.keys()) if (key.startsWith('connection ')) memo.delete(key);
  }

  async function getConnection(key?: string, id?: string, options?: ConnectionOptions): Promise<ConnectionView> {
    checkGoing(run);
    const load = (): Promise<ConnectionView> => calls.ask('getConnection', key ?? null, id ?? null, options ?? {});
    if (options !== undefined && Object.values(options).some(Boolean)) return load();
    return remembered(`connection ${JSON.stringify([key, id])}`, CONNECTION_MEMO_MS, load);
  }
  async function getMetadata(): Promise<unknown> {
    return (await getConnection()).metadata ?? {};
  }
  async function setMetadata(metadata: unknown): Promise<void> {
    await calls.ordered(() => calls.ask('setMetadata', metadata)).finally(forget);
  }
  async function updateMetadata(metadata: unknown): Promise<void> {
    await calls.ordered(() => calls.ask('updateMetadata', metadata)).finally(forget);
  }

  return {
    getConnection,
    getMetadata,
    setMetadata,
    updateMetadata,
    setFieldMapping: updateMetadata,
    getFieldMapping: getMetadata,
    async getToken(): Promise<unknown> {
      const { credentials } = await getConnection();
      if (credentials?.type === 'OAUTH2') return credentials.access_token;
      if (credentials?.type === 'OAUTH1') {
        return { oAuthToken: credentials.oauth_token, oAuthTokenSecret: credentials.oauth_token_secret };
      }
      return credentials;
    },
    async getIntegration(options?: { include?: string[] }): Promise<unknown> {
      checkGoing(run);
      const key = `integration ${JSON.stringify(options?.include ?? [])}`;
      return remembered(key, INTEGRATION_MEMO_MS, () => calls.ask('getIntegration', options ?? {}));
    },
    getWebhookURL: () => calls.ask('getWebhookURL'),
    getEnvironmentVariables: () => calls.ask('getEnvironmentVariables'),
    getFlowAttributes(): unknown {
      checkGoing(run);
      return run.context.attributes ?? {};
    },
  };
}

function httpMethods(run: RunState, calls: Calls): Record<string, unknown> {
  async function proxy(config: ProxyConfig): Promise<ScriptResponse> {
    checkGoing(run);
    const call = await proxyCallOf(config);
    let answer: ProxyAnswer;
    try {
      answer = await calls.ask<ProxyAnswer>('proxy', call);
    } catch (error) {
      const isNetwork = error instanceof ScriptError && error.code === 'script_network_error';
      throw isNetwork ? networkError(config, call, error) : error;
    }
    return responseOf(config, call, answer);
  }
  const by = (method: string) => (config: ProxyConfig) => proxy({ ...config, method });

  async function uncontrolledFetch(options: {
    url: URL | string;
    method?: string;
    headers?: Record<string, string>;
    body?: unknown;
  }): Promise<Response> {
    checkGoing(run);
    const method = (options.method ?? 'GET').toUpperCase();
    // Request knows every kind of body and its content type.
    const asked = new Request(options.url, {
      method,
      headers: options.headers ?? {},
      ...(options.body !== undefined &&
        options.body !== null && { body: options.body as NonNullable<RequestInit['body']> }),
    });
    const body =
      options.body === undefined || options.body === null ? undefined : Buffer.from(await asked.arrayBuffer());
    const answer =
      await calls.ask<{ status: number; statusText: string; headers: Record<string, string>; bodyBase64: string }>( // prettier-ignore
        'uncontrolledFetch',
        {
          url: asked.url,
          method,
          headers: Object.fromEntries(asked.headers),
          ...(body && { bodyBase64: body.toString('base64') }),
        },
      );
    const isEmpty = [101, 204, 205, 304].includes(answer.status) || method === 'HEAD';
    const { status, statusText, headers } = answer;
    const response = new Response(isEmpty ? null : Buffer.from(answer.bodyBase64, 'base64'), {
      status,
      statusText,
      headers,
    });
    Object.defineProperty(response, 'url', { value: asked.url });
    return response;
  }

  return {
    proxy,
    get: by('GET'),
    post: by('POST'),
    put: by('PUT'),
    patch: by('PATCH'),
    delete: by('DELETE'),
    paginate: (config: ProxyConfig) => paginate(config, run.context.paginate, proxy),
    uncontrolledFetch,
  };
}

function stateMethods(run: RunState, calls: Calls): Record<string, unknown> {
  function checkKey(key: unknown): void {
    if (typeof key !== 'string' || key.length === 0 || key.length > LOCK_KEY_CHARS_MAX) {
      throw new ScriptError('invalid_lock', `The key of a lock is a text of 1 to ${LOCK_KEY_CHARS_MAX} characters.`);
    }
  }
  return {
    async tryAcquireLock({ key, ttlMs }: { key: string; ttlMs: number }): Promise<boolean> {
      checkKey(key);
      if (!Number.isFinite(ttlMs) || ttlMs <= 0) throw new ScriptError('invalid_lock', '`ttlMs` is a number above 0.');
      return calls.ask('tryAcquireLock', { key, ttlMs });
    },
    async releaseLock({ key }: { key: string }): Promise<boolean> {
      checkKey(key);
      return calls.ask('releaseLock', { key });
    },
    async releaseAllLocks(): Promise<void> {
      await calls.ask('releaseAllLocks');
    },
    getCheckpoint: () => calls.ordered(() => calls.ask('getCheckpoint')),
    async saveCheckpoint(checkpoint: Record<string, unknown>): Promise<void> {
      checkFlat(checkpoint);
      await calls.ordered(() => calls.ask('saveCheckpoint', checkpoint));
      if (performance.now() < run.softEndsAtMs) return;
      const text = 'The run reached its soft time limit. Its checkpoint is saved; the next run goes on from there.';
      throw new ScriptAbort('script_interrupted', text);
    },
    async clearCheckpoint(): Promise<void> {
      await calls.ordered(() => calls.ask('clearCheckpoint'));
    },
  };
}

function checkFlat(checkpoint: unknown): void {
  if (typeof checkpoint !== 'object' || checkpoint === null || Array.isArray(checkpoint)) {
    throw new ScriptError('invalid_checkpoint', 'A checkpoint is a flat object of texts, numbers and booleans.');
  }
  for (const [name, value] of Object.entries(checkpoint)) {
    if (['string', 'number', 'boolean'].includes(typeof value) || value === undefined || value === null) continue;
    if (value instanceof Date) continue; // written as text
    const text = `\`${name}\` of the checkpoint is no text, number or boolean. A checkpoint is a flat object.`;
    throw new ScriptError('invalid_checkpoint', text);
  }
}

interface Issue {
  message: string;
  path: PropertyKey[];
  code?: string;
}

function otherMethods(run: RunState, calls: Calls, log: ScriptLog): Record<string, unknown> {
  return {
    triggerAction: (key: string, connectionId: string, name: string, input?: unknown) =>
      calls.ask('triggerAction', key, connectionId, name, input),
    async triggerSync(key: string, connectionId: string, sync: unknown, options?: unknown): Promise<void> {
      await calls.ask('triggerSync', key, connectionId, sync, options);
    },
    async startSync(key: string, syncs: unknown, connectionId?: string): Promise<void> {
      await calls.ask('startSync', key, syncs, connectionId);
    },
    async zodValidateInput({ zodSchema, input }: { zodSchema: unknown; input: unknown }): Promise<unknown> {
      checkGoing(run);
      const schema = zodSchema as {
        safeParse(value: unknown): { success: boolean; error?: { issues: Issue[] } };
      };
      const parsed = schema.safeParse(input);
      if (parsed.success) return parsed;
      const issues = parsed.error?.issues ?? [];
      for (const issue of issues) {
        log.write('error', [`Invalid input at ${issue.path.map(String).join('.') || 'the top'}: ${issue.message}`]);
      }
      const errors = issues.map(({ message, path, code }) => ({ message, path: path.map(String), code }));
      throw new ActionError({ message: 'Invalid input provided', errors });
    },
  };
}
