/**
 * @module hawser/functions/test
 *
 * Script objects for tests: they replay what `hawser dryrun --save` recorded in `<name>.test.json` and reach nothing.
 * They need no test runner; their methods are ordinary properties, so that one may spy on them.
 *
 * The file (wire contract F.9): `{ input, output, nango: { <method>: … }, api: { <METHOD>: { <path>: … } } }`.
 * `nango.batchSave`, `batchUpdate` and `batchDelete` hold lists by model; other methods hold what they gave, or
 * `{ "<JSON of the arguments>": … }` under `$calls`. A path holds `{ response, status?, headers?, params?, data? }`, or a
 * list of these: the first that fits `params` and `data` and was not yet used, else the last that fits.
 *
 * @example
 * ```ts
 * import { NangoActionMock } from 'hawser/functions/test';
 * import action from '../actions/create-contact.ts';
 *
 * const nango = new NangoActionMock({ dirname: import.meta.dirname, name: 'create-contact' });
 * expect(await action.exec(nango, await nango.getInput())).toEqual(await nango.getOutput());
 * ```
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ActionError } from './index.ts';
import type { Pagination, ProxyConfiguration, ScriptResponse } from './http.ts';
import type { Untyped } from './types.ts';

export interface MockOptions {
  /** Folder of the test; the recording lies in it, or beside it under `mocks`. */
  dirname: string;
  name: string;
  /** Name of the output's model; kept for tests that give it. */
  Model?: string;
}

/** One recorded answer. */
export interface RecordedAnswer {
  response: unknown;
  status?: number;
  headers?: Record<string, string>;
  params?: unknown;
  data?: unknown;
}

export interface Recording {
  input?: unknown;
  output?: unknown;
  nango?: Record<string, Untyped>;
  api?: Record<string, Record<string, RecordedAnswer | RecordedAnswer[]>>;
}

/** Plays the part of the script object of an action or an event handler. */
export class NangoActionMock {
  readonly name: string;
  readonly recording: Recording;
  readonly ActionError = ActionError;
  readonly isCLI = true;
  readonly connectionId: string;
  readonly providerConfigKey: string;
  readonly provider: string;
  readonly environmentId = 1;
  readonly environmentName = 'dev';
  readonly abortSignal = new AbortController().signal;
  /** Lines given to `log`. */
  readonly logged: unknown[][] = [];
  #used = new Set<RecordedAnswer>();
  #checkpoint: unknown;

  constructor(options: MockOptions) {
    this.name = options.name;
    this.recording = load(options);
    this.connectionId = this.#told('connectionId') ?? 'test-connection';
    this.providerConfigKey = this.#told('providerConfigKey') ?? 'test-integration';
    this.provider = this.#told('provider') ?? 'test-provider';
    this.#checkpoint = this.#told('getCheckpoint') ?? null;
  }

  #told(name: string): Untyped {
    return this.recording.nango?.[name];
  }

  /** What a method gave in the dry run. Errors: Error when it was not called there. */
  #replay(method: string, args: unknown[]): Untyped {
    const told = this.#told(method);
    const calls = (told as { $calls?: Record<string, unknown> } | undefined)?.$calls;
    const key = JSON.stringify(args);
    if (calls !== undefined && Object.hasOwn(calls, key)) return structuredClone(calls[key]);
    if (told === undefined || calls !== undefined) throw new Error(`The recording of ${this.name} has no nango.${method}(${key.slice(1, -1)}). Record it anew.`); // prettier-ignore
    return structuredClone(told);
  }

  getInput = async (): Promise<Untyped> => structuredClone(this.recording.input);
  getOutput = async (): Promise<Untyped> => structuredClone(this.recording.output);
  getConnection = async (...args: unknown[]): Promise<Untyped> => this.#replay('getConnection', args);
  getMetadata = async (): Promise<Untyped> => structuredClone(this.#told('getMetadata') ?? this.#told('getConnection')?.metadata ?? {}); // prettier-ignore
  getIntegration = async (...args: unknown[]): Promise<Untyped> => this.#replay('getIntegration', args);
  getToken = async (): Promise<Untyped> => this.#replay('getToken', []);
  getWebhookURL = async (): Promise<Untyped> => this.#replay('getWebhookURL', []);
  getEnvironmentVariables = async (): Promise<Untyped> => this.#told('getEnvironmentVariables') ?? null;
  getFlowAttributes = (): Untyped => this.#told('getFlowAttributes') ?? {};
  setMetadata = async (_metadata: unknown): Promise<void> => undefined;
  updateMetadata = async (_metadata: unknown): Promise<void> => undefined;
  triggerAction = async (...args: unknown[]): Promise<Untyped> => this.#replay('triggerAction', args);
  triggerSync = async (..._args: unknown[]): Promise<void> => undefined;
  startSync = async (..._args: unknown[]): Promise<void> => undefined;
  tryAcquireLock = async (_lock: { key: string; ttlMs: number }): Promise<boolean> => true;
  releaseLock = async (_lock: { key: string }): Promise<boolean> => true;
  releaseAllLocks = async (): Promise<void> => undefined;
  setLogger = (_options: { level: string }): void => undefined;
  log = (...args: unknown[]): void => void this.logged.push(args);
  getCheckpoint = async (): Promise<Untyped> => structuredClone(this.#checkpoint);
  saveCheckpoint = async (checkpoint: unknown): Promise<void> => {
    this.#checkpoint = structuredClone(checkpoint);
  };
  clearCheckpoint = async (): Promise<void> => {
    this.#checkpoint = null;
  };
  zodValidateInput = async ({ zodSchema, input }: { zodSchema: unknown; input: unknown }): Promise<Untyped> => {
    const parsed = (zodSchema as { safeParse(value: unknown): { success: boolean; error?: unknown } }).safeParse(input);
    if (!parsed.success) throw new ActionError({ message: 'Invalid input provided', errors: parsed.error });
    return parsed;
  };

  proxy = async (config: ProxyConfiguration): Promise<ScriptResponse> => this.#answer(config);
  get = (config: ProxyConfiguration): Promise<ScriptResponse> => this.proxy({ ...config, method: 'GET' });
  post = (config: ProxyConfiguration): Promise<ScriptResponse> => this.proxy({ ...config, method: 'POST' });
  put = (config: ProxyConfiguration): Promise<ScriptResponse> => this.proxy({ ...config, method: 'PUT' });
  patch = (config: ProxyConfiguration): Promise<ScriptResponse> => this.proxy({ ...config, method: 'PATCH' });
  delete = (config: ProxyConfiguration): Promise<ScriptResponse> => this.proxy({ ...config, method: 'DELETE' });

  /** The recorded answers of the path, each a page. */
  paginate = async function* (this: NangoActionMock, config: ProxyConfiguration): AsyncGenerator<Untyped[]> {
    const pages: Pagination = { ...this.#told('paginate'), ...config.paginate };
    for (const answer of this.#recorded(config)) {
      const response = responseOf(answer);
      const page = pages.response_path ? at(response.data, pages.response_path) : response.data;
      if (!Array.isArray(page) || page.length === 0) return;
      yield page;
      await pages.on_page?.({ response });
    }
  };

  uncontrolledFetch = async (options: { url: URL | string; method?: string }): Promise<Response> => {
    const answer = await this.#answer({ endpoint: String(options.url), method: (options.method ?? 'GET') as 'GET' });
    const body = typeof answer.data === 'string' ? answer.data : JSON.stringify(answer.data);
    return new Response(body, { status: answer.status, headers: answer.headers });
  };

  #recorded(config: ProxyConfiguration): RecordedAnswer[] {
    const method = (config.method ?? 'GET').toUpperCase();
    const paths = this.recording.api?.[method] ?? {};
    const wanted = plainPath(config.endpoint);
    const found = Object.entries(paths).find(([path]) => plainPath(path) === wanted)?.[1];
    if (found === undefined) throw new Error(`The recording of ${this.name} has no ${method} ${config.endpoint}. Record it anew.`); // prettier-ignore
    return Array.isArray(found) ? found : [found];
  }

  async #answer(config: ProxyConfiguration): Promise<ScriptResponse> {
    const fits = this.#recorded(config).filter(
      (each) => isSame(each.params, paramsOf(config)) && isSame(each.data, config.data),
    );
    const chosen = fits.find((each) => !this.#used.has(each)) ?? fits.at(-1);
    if (chosen === undefined)
      throw new Error(`The recording of ${this.name} has ${config.endpoint} with other params or data.`);
    this.#used.add(chosen);
    const response = responseOf(chosen);
    if (response.status < 200 || response.status > 299) {
      const message = `Request failed with status code ${response.status}`;
      throw Object.assign(new Error(message), { isAxiosError: true, response, status: response.status });
    }
    return response;
  }
}

/** Plays the part of the script object of a sync. */
export class NangoSyncMock extends NangoActionMock {
  readonly lastSyncDate: Date | undefined;
  readonly variant = 'base';
  /** What the sync wrote, by method and model. */
  readonly written: Record<'batchSave' | 'batchUpdate' | 'batchDelete', Record<string, unknown[]>> = {
    batchSave: {},
    batchUpdate: {},
    batchDelete: {},
  };

  constructor(options: MockOptions) {
    super(options);
    const last: unknown = this.recording.nango?.['lastSyncDate'];
    this.lastSyncDate = typeof last === 'string' ? new Date(last) : undefined;
  }

  #write(method: 'batchSave' | 'batchUpdate' | 'batchDelete', records: unknown[], model: string): boolean {
    (this.written[method][model] ??= []).push(...structuredClone(records ?? []));
    return true;
  }
  batchSave = async (records: unknown[], model: string): Promise<boolean> => this.#write('batchSave', records, model);
  batchUpdate = async (records: unknown[], model: string): Promise<boolean> =>
    this.#write('batchUpdate', records, model);
  batchDelete = async (records: unknown[], model: string): Promise<boolean> =>
    this.#write('batchDelete', records, model);
  batchSend = this.batchSave;
  trackDeletesStart = async (_model: string): Promise<void> => undefined;
  trackDeletesEnd = async (_model: string): Promise<{ deletedKeys: string[] }> => ({ deletedKeys: [] });
  deleteRecordsFromPreviousExecutions = this.trackDeletesEnd;
  setMergingStrategy = async (_merging: unknown, _model: string): Promise<void> => undefined;
  getRecordsByIds = async (ids: (string | number)[], model: string): Promise<Map<string | number, Untyped>> => {
    const known: { id: unknown }[] = this.recording.nango?.['getRecordsByIds']?.[model] ?? [];
    return new Map(
      ids.flatMap((id) => known.filter((each) => String(each.id) === String(id)).map((each) => [id, each])),
    );
  };
  listRecords = async function* (this: NangoSyncMock, model: string): AsyncGenerator<Untyped> {
    yield* this.recording.nango?.['listRecords']?.[model] ?? [];
  };

  /** What the dry run saved of a model. */
  getBatchSaveData = async (model: string): Promise<Untyped> => this.recording.nango?.['batchSave']?.[model];
  getBatchUpdateData = async (model: string): Promise<Untyped> => this.recording.nango?.['batchUpdate']?.[model];
  getBatchDeleteData = async (model: string): Promise<Untyped> => this.recording.nango?.['batchDelete']?.[model];
}

function load({ dirname, name }: MockOptions): Recording {
  const file = `${name}.test.json`;
  for (const path of [join(dirname, file), join(dirname, 'mocks', file), join(dirname, '..', 'tests', file)]) {
    try {
      return JSON.parse(readFileSync(path, 'utf8')) as Recording;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  throw new Error(`There is no ${file} in ${dirname}. Make it with \`hawser dryrun ${name} <connection> --save\`.`);
}

function responseOf(answer: RecordedAnswer): ScriptResponse {
  const { status = 200, headers = {}, response } = answer;
  return { data: structuredClone(response), status, statusText: '', headers, config: {} };
}

/** Parameters of the endpoint and those beside it, as they were recorded. */
function paramsOf({ endpoint, params }: ProxyConfiguration): Record<string, unknown> {
  const inPath = Object.fromEntries(new URLSearchParams(endpoint.split('?').slice(1).join('?')));
  return { ...inPath, ...(typeof params === 'string' ? Object.fromEntries(new URLSearchParams(params)) : params) };
}

const plainPath = (path: string): string => path.replace(/^\//, '').split('?')[0] ?? '';

/** Unrecorded values fit everything; numbers and their texts are the same in a query. */
function isSame(recorded: unknown, given: unknown): boolean {
  return recorded === undefined || canonical(recorded) === canonical(given);
}

function canonical(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  const entries = Object.entries(value).filter(([, each]) => each !== undefined);
  return `{${entries
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, each]) => `${name}:${canonical(each)}`)
    .join(',')}}`;
}

function at(value: unknown, path: string): unknown {
  let found = value;
  for (const key of path.split('.')) found = (found as Record<string, unknown> | undefined | null)?.[key];
  return found;
}
