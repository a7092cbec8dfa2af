/** Runs for tests: a whole server beside them, functions written as plain closures, a sandbox that calls these. */
import type { Sandbox, SandboxRun } from '../../platform/sandbox/index.ts';
import { HawserError } from '../../base/errors.ts';
import { randomId } from '../../base/ids.ts';
import { noKillPoints } from '../../platform/kill-points.ts';
import type { Database } from '../../platform/postgres/index.ts';
import type { Services } from '../../shell/node.ts';
import type { TestApp } from '../../../test/support/app.ts';
import type { Connection } from '../connections/index.ts';
import type { DeployedFunction, FunctionDefinition, FunctionKind, Functions } from '../functions/index.ts';
import type { Integration } from '../integrations/index.ts';
import { createScriptCalls } from '../proxy/index.ts';
import { createRuns, type RunsDeps } from './index.ts';

export interface ScriptedCall {
  input: unknown;
  context: SandboxRun['context'];
  host: SandboxRun['host'];
  signal: AbortSignal;
}

/** What a function does. Resolves to its output; a HawserError is its failure. */
export type Script = (call: ScriptedCall) => Promise<unknown>;

/** Functions kept in memory, and a sandbox that runs them. */
export class Scripts {
  readonly #scripts = new Map<string, Script>();
  readonly #deployed = new Map<number, DeployedFunction>();

  add(
    integration: Pick<Integration, 'environmentId' | 'id'>,
    kind: FunctionKind,
    name: string,
    script: Script,
    definition: Partial<FunctionDefinition> = {},
  ): DeployedFunction {
    const id = this.#deployed.size + 1;
    const fn: DeployedFunction = {
      environmentId: integration.environmentId,
      id,
      uuid: randomId(),
      integrationId: integration.id,
      kind,
      name,
      version: '1',
      enabled: true,
      source: 'repo',
      codeHash: `hash-${id}`,
      deployedAt: new Date(0),
      definition: {
        models: [],
        autoStart: false,
        trackDeletes: false,
        endpoints: [],
        webhookSubscriptions: [],
        jsonSchema: undefined,
        features: [],
        attributes: {},
        metadata: {},
        ...definition,
      },
    };
    this.#deployed.set(id, fn);
    this.#scripts.set(fn.codeHash, script);
    return fn;
  }

  readonly functions: Pick<Functions, 'byName' | 'byId' | 'code' | 'list'> = {
    byName: async (environmentId, integrationId, kind, name) =>
      this.#all(environmentId).find((fn) => fn.integrationId === integrationId && fn.kind === kind && fn.name === name),
    byId: async (environmentId, id) => this.#all(environmentId).find((fn) => fn.id === id),
    code: async (_environmentId, hash) => ({ js: hash, ts: '' }),
    list: async (environmentId, filter = {}) =>
      this.#all(environmentId).filter(
        (fn) =>
          (filter.integrationId === undefined || fn.integrationId === filter.integrationId) &&
          (filter.kind === undefined || fn.kind === filter.kind),
      ),
  };

  readonly sandbox: Pick<Sandbox, 'run'> = {
    run: async ({ bundle, input, context, host, signal }) => {
      const script = this.#scripts.get(bundle.hash) as Script;
      const aborted = signal ?? new AbortController().signal;
      try {
        // As the child does it: values cross as JSON.
        const output = await script({ input: copy(input), context, host: carry(host), signal: aborted });
        return { ok: true, output: copy(output) };
      } catch (error) {
        if (!(error instanceof HawserError)) {
          return { ok: false, error: { code: 'script_internal_error', message: (error as Error).message } };
        }
        const { code, message, payload } = error;
        return { ok: false, error: { code, message, ...(payload !== undefined && { payload }) } };
      }
    },
  };

  #all(environmentId: number): DeployedFunction[] {
    return [...this.#deployed.values()].filter((fn) => fn.environmentId === environmentId);
  }
}

function carry(host: SandboxRun['host']): SandboxRun['host'] {
  return async (method, args) => copy(await host(method, args.map(copy)));
}

function copy(value: unknown): unknown {
  const text = JSON.stringify(value);
  return text === undefined ? undefined : JSON.parse(text);
}

/** A failure as a script throws it. */
export function failWith(code: string, message: string, payload?: unknown): HawserError {
  return new HawserError(code, { status: 500, message }, { payload });
}

/** Everything a node gives to runs; `db` of its own for a second node. */
export function runsDeps(
  services: Services,
  scripts: Pick<Scripts, 'functions' | 'sandbox'>,
  more: Partial<RunsDeps> & { db?: Database } = {},
): RunsDeps {
  const { clock, log, upstream, environments, integrations, connections, credentials, activity } = services;
  const db = more.db ?? services.db;
  return {
    db,
    clock,
    log,
    vault: environments.vault,
    environments,
    integrations,
    connections,
    credentials,
    upstream,
    functions: scripts.functions,
    sandbox: scripts.sandbox,
    calls: createScriptCalls({
      db,
      clock,
      log,
      upstream,
      integrations,
      connections,
      credentials,
      activity,
      baseUrlOverride: { allow: [] },
    }),
    killPoints: noKillPoints,
    nodeId: randomId(),
    syncControl: () => undefined,
    webhookUrl: () => undefined,
    serverUrl: () => services.publicUrl().origin,
    ...more,
  };
}

/** A living connection with a credential, without asking a provider. */
export async function makeConnection(
  app: Pick<TestApp, 'services' | 'db'>,
  integrationKey: string,
  connectionId: string,
  token = `token-${randomId()}`,
): Promise<{ integration: Integration; connection: Connection; token: string }> {
  const { environments, integrations, connections, credentials } = app.services;
  const environment = await environments.byName('dev');
  const environmentId = (environment as { id: number }).id;
  const integration = (await integrations.byKey(environmentId, integrationKey)) as Integration;
  const connection = await app.db.transaction(async (tx) => {
    const made = await connections.upsert(tx, {
      environmentId,
      integrationId: integration.id,
      connectionId,
      connectionConfig: {},
    });
    await credentials.write(tx, {
      connection: made.connection,
      credential: { type: 'OAUTH2', access_token: token, raw: { access_token: token } },
      facts: { scope: undefined, expiresAt: undefined },
    });
    return made.connection;
  });
  return { integration, connection, token };
}

export { createRuns };
