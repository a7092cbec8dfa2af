/** Runs one function of a project in the sandbox: against a live connection, or against its recording. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { StartupError } from '../../base/errors.ts';
import type { Compiled } from '../../features/functions/index.ts';
import { createProviders } from '../../features/providers/index.ts';
import type { Sandbox, SandboxResult } from '../../platform/sandbox/index.ts';
import type { Client } from '../cli/client.ts';
import { runChecked } from './checked.ts';
import { CLI_ENVIRONMENT_ID } from './compile.ts';
import { liveHost, replayHost, type Effects, type Host } from './hosts.ts';
import { canonical, type Recording } from './recording.ts';

/** As long as a synchronous action may take at a server. */
const DRYRUN_TIMEOUT_MS = 15 * 60_000;

type ProjectFunction = Compiled['functions'][number];

export interface DryrunOptions {
  connectionId: string;
  environment: string;
  input: unknown;
  metadata?: Record<string, unknown> | undefined;
  checkpoint?: unknown;
  lastSyncDate?: string | undefined;
  variant?: string | undefined;
}

export interface DryrunResult {
  result: SandboxResult;
  effects: Effects;
}

/** The function a name means. Errors: {@link StartupError} when there is none, or several. */
export function pickFunction(
  functions: readonly ProjectFunction[],
  name: string,
  integration: string | undefined,
): ProjectFunction {
  const found = functions.filter(
    (fn) => fn.name === name && (integration === undefined || fn.integrationKey === integration),
  );
  const [only, ...others] = found;
  if (only === undefined) {
    const known = functions.map((fn) => `${fn.integrationKey}/${fn.name}`).join(', ');
    throw new StartupError(`The project has no function "${name}".`, `It has: ${known}.`);
  }
  if (others.length > 0) {
    throw new StartupError(`Several functions are called "${name}".`, 'Name the integration with --integration-id.');
  }
  return only;
}

/**
 * Runs against a connection of the server. Nothing is stored; what the script sends to the provider is really sent.
 * Input and output of an action are checked as the server checks them.
 */
export async function dryrun(
  sandbox: Sandbox,
  client: Client,
  fn: ProjectFunction,
  options: DryrunOptions,
): Promise<DryrunResult> {
  const key = encodeURIComponent(fn.integrationKey);
  const connection = (await client.json(
    'GET',
    `/connections/${encodeURIComponent(options.connectionId)}?provider_config_key=${key}`,
  )) as { id: number; provider: string };
  const effects: Effects = { recording: { nango: {}, api: {} }, lines: [] };
  const target = {
    integrationKey: fn.integrationKey,
    connectionId: options.connectionId,
    checkpoint: options.checkpoint,
    metadata: options.metadata,
  };
  const result = await runChecked(fn, options.input, () =>
    run(sandbox, fn, options, connection, liveHost(client, target, effects)),
  );
  const { recording } = effects;
  // What the script object tells without a call: a replay has no connection to ask.
  const paginate = createProviders().get(connection.provider)?.api.paginate;
  Object.assign(recording.nango, {
    connectionId: options.connectionId,
    providerConfigKey: fn.integrationKey,
    provider: connection.provider,
    ...(paginate !== undefined && { paginate }),
  });
  if (options.input !== undefined) recording.input = options.input;
  if (options.lastSyncDate !== undefined) recording.nango['lastSyncDate'] = options.lastSyncDate;
  if (options.checkpoint !== undefined) recording.nango['getCheckpoint'] = options.checkpoint;
  if (result.ok && fn.kind === 'action') recording.output = result.output;
  return { result, effects };
}

function run(
  sandbox: Sandbox,
  fn: ProjectFunction,
  options: DryrunOptions,
  connection: { id: number; provider: string },
  host: Host,
): Promise<SandboxResult> {
  const paginate = createProviders().get(connection.provider)?.api.paginate;
  return sandbox.run({
    environmentId: CLI_ENVIRONMENT_ID,
    bundle: { hash: createHash('sha256').update(fn.code.js).digest('hex'), code: fn.code.js },
    entry: 'exec',
    input: options.input ?? null,
    context: {
      kind: fn.kind,
      name: fn.name,
      connectionId: options.connectionId,
      providerConfigKey: fn.integrationKey,
      provider: connection.provider,
      environmentName: options.environment,
      environmentId: CLI_ENVIRONMENT_ID,
      nangoConnectionId: connection.id,
      runId: 'dryrun',
      isCLI: true,
      loggerLevel: 'debug',
      attributes: fn.definition.attributes,
      ...(paginate !== undefined && { paginate: { ...paginate } }),
      ...(fn.kind === 'sync' && {
        syncId: 'dryrun',
        variant: options.variant ?? 'base',
        models: fn.definition.models,
        trackDeletes: fn.definition.trackDeletes,
        ...(options.lastSyncDate !== undefined && { lastSyncDate: options.lastSyncDate }),
      }),
    },
    limits: { timeoutMs: DRYRUN_TIMEOUT_MS },
    host,
    alone: true,
  });
}

/** Where the recording of a function lies. */
export function recordingPath(root: string, fn: Pick<ProjectFunction, 'integrationKey' | 'name'>): string {
  return join(root, fn.integrationKey, 'tests', `${fn.name}.test.json`);
}

export async function saveRecording(root: string, fn: ProjectFunction, recording: Recording): Promise<string> {
  const path = recordingPath(root, fn);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `${JSON.stringify(recording, undefined, 2)}\n`);
  return path;
}

/** Runs a function against its recording. Resolves to what differs; undefined when it has no recording. */
export async function replay(sandbox: Sandbox, root: string, fn: ProjectFunction): Promise<string[] | undefined> {
  const path = recordingPath(root, fn);
  if (!existsSync(path)) return undefined;
  const read = JSON.parse(readFileSync(path, 'utf8')) as Partial<Recording>;
  const recording: Recording = { ...read, nango: read.nango ?? {}, api: read.api ?? {} };
  const effects: Effects = { recording: { nango: {}, api: {} }, lines: [] };
  const connection = recording.nango['getConnection'] as { id?: number; provider?: string; connection_id?: string };
  const told = (name: string): string | undefined => recording.nango[name] as string | undefined;
  const result = await run(
    sandbox,
    fn,
    {
      connectionId: connection?.connection_id ?? told('connectionId') ?? 'test-connection',
      environment: 'dev',
      input: recording.input,
      lastSyncDate: recording.nango['lastSyncDate'] as string | undefined,
    },
    { id: connection?.id ?? 1, provider: connection?.provider ?? told('provider') ?? 'test-provider' },
    replayHost(recording, effects),
  );
  if (!result.ok) return [`${result.error.code}: ${result.error.message}`];
  const differences: string[] = [];
  if (fn.kind === 'action' && canonical(result.output ?? null) !== canonical(recording.output ?? null)) {
    differences.push(`output is ${JSON.stringify(result.output)}, recorded was ${JSON.stringify(recording.output)}`);
  }
  for (const method of ['batchSave', 'batchUpdate', 'batchDelete']) {
    const now = effects.recording.nango[method];
    if (canonical(now) !== canonical(recording.nango[method])) {
      differences.push(
        `${method} wrote ${JSON.stringify(now)}, recorded was ${JSON.stringify(recording.nango[method])}`,
      );
    }
  }
  return differences;
}
