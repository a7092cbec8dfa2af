/** Shapes of the function routes (wire contract B.4, B.10, B.14, F.7). */
import { z } from 'zod';
import { PROVIDER_CONFIG_KEY } from '../integrations/index.ts';
import { functionErrors } from './errors.ts';
import type { DeployedFunction, FunctionDefinition, FunctionInput } from './model.ts';

export const FUNCTION_NAME = z
  .string()
  .max(255)
  .regex(/^[a-zA-Z0-9_-]+$/, 'Letters, digits, _ and - only.');
export const FUNCTION_TYPE = z.enum(['sync', 'action', 'on-event']);
export const functionParams = z.object({ uniqueKey: PROVIDER_CONFIG_KEY, name: FUNCTION_NAME });

const fileBody = z.object({ js: z.string(), ts: z.string() });
const schemas = z.object({ definitions: z.record(z.string(), z.unknown()) });
const eventName = z.enum(['post-connection-creation', 'pre-connection-deletion', 'validate-connection']);

/** Other releases of the client send more; what is not known is left out. */
const flowConfig = z.object({
  type: z.enum(['sync', 'action']),
  syncName: FUNCTION_NAME,
  providerConfigKey: PROVIDER_CONFIG_KEY,
  models: z.array(z.string().max(255)).max(100),
  runs: z.string().max(255).nullish(),
  auto_start: z.boolean().nullish(),
  attributes: z.record(z.string(), z.unknown()).nullish(),
  metadata: z
    .object({ description: z.string().nullish(), scopes: z.array(z.string()).nullish() })
    .catchall(z.unknown())
    .nullish(),
  input: z.string().max(600).nullish(),
  fileBody,
  version: z.string().max(255).nullish(),
  track_deletes: z.boolean().nullish(),
  sync_type: z.string().max(50).nullish(),
  endpoints: z
    .array(z.object({ method: z.string().max(10), path: z.string().max(2_048), group: z.string().max(255).nullish() }))
    .nullish(),
  webhookSubscriptions: z.array(z.string().max(255)).nullish(),
  models_json_schema: schemas.nullish(),
  features: z.array(z.string().max(100)).nullish(),
});

export const deployBody = z.object({
  flowConfigs: z.array(flowConfig),
  onEventScriptsByProvider: z
    .array(
      z.object({
        providerConfigKey: PROVIDER_CONFIG_KEY,
        scripts: z.array(
          z.object({ name: FUNCTION_NAME, event: eventName, fileBody, version: z.string().max(255).nullish() }),
        ),
      }),
    )
    .nullish(),
  deployMode: z.enum(['all', 'single', 'integration']).optional(),
  /** Clients before `deployMode`. */
  singleDeployMode: z.boolean().optional(),
  reconcile: z.boolean(),
  debug: z.boolean().optional(),
  nangoYamlBody: z.string().nullish(),
  sdkVersion: z.string().max(100).optional(),
  source: z.enum(['repo', 'catalog', 'standalone']).optional(),
});
export type DeployBody = z.output<typeof deployBody>;

/** Bodies with all code of a project (wire contract J.2). */
export const DEPLOY_BYTES_MAX = 75 * 1024 * 1024;

/** What the wire calls a deploy, as {@link Functions.deploy} takes it. Errors: `invalid_cli_version`, `invalid_body`. */
export function readDeploy(body: DeployBody): {
  functions: FunctionInput[];
  scope: { mode: 'all' } | { mode: 'integration'; integrationKey: string } | { mode: 'none' };
  source: DeployedFunction['source'];
} {
  if (body.sdkVersion !== undefined && !body.sdkVersion.includes('-zero')) {
    throw functionErrors.fail('invalid_cli_version', {
      message: `This client (${body.sdkVersion}) compiles projects with nango.yaml. Use release 0.70 or newer, without nango.yaml.`,
    });
  }
  const functions = body.flowConfigs.map((flow): FunctionInput => ({
    integrationKey: flow.providerConfigKey,
    kind: flow.type,
    name: flow.syncName,
    version: flow.version ?? undefined,
    code: flow.fileBody,
    definition: {
      description: flow.metadata?.description ?? undefined,
      scopes: flow.metadata?.scopes ?? undefined,
      models: flow.models,
      runs: flow.runs ?? undefined,
      autoStart: flow.auto_start === true,
      input: flow.input ?? undefined,
      trackDeletes: flow.track_deletes === true,
      syncType: flow.sync_type === 'full' || flow.sync_type === 'incremental' ? flow.sync_type : undefined,
      endpoints: (flow.endpoints ?? []).map(({ method, path, group }) => ({ method, path, group: group ?? undefined })),
      webhookSubscriptions: flow.webhookSubscriptions ?? [],
      jsonSchema: flow.models_json_schema ?? undefined,
      features: flow.features ?? [],
      attributes: flow.attributes ?? {},
      metadata: flow.metadata ?? {},
      sdkVersion: body.sdkVersion,
    },
  }));
  for (const { providerConfigKey, scripts } of body.onEventScriptsByProvider ?? []) {
    for (const { name, event, fileBody: code, version } of scripts) {
      functions.push({
        integrationKey: providerConfigKey,
        kind: 'on-event',
        name,
        version: version ?? undefined,
        code,
        definition: { ...NO_DEFINITION, event, sdkVersion: body.sdkVersion },
      });
    }
  }
  return { functions, scope: scopeOf(body, functions), source: body.source ?? 'repo' };
}

/** The other way round: what a client of ours sends. */
export function deployToWire(
  functions: readonly FunctionInput[],
  options: { deployMode: 'all' | 'single' | 'integration'; reconcile: boolean; sdkVersion: string },
): Record<string, unknown> {
  const handlers = functions.filter((fn) => fn.kind === 'on-event');
  return {
    flowConfigs: functions
      .filter((fn) => fn.kind !== 'on-event')
      .map(({ integrationKey, kind, name, version, code, definition }) => ({
        type: kind,
        syncName: name,
        providerConfigKey: integrationKey,
        models: definition.models,
        runs: definition.runs ?? null,
        auto_start: definition.autoStart,
        attributes: definition.attributes,
        metadata: definition.metadata,
        input: definition.input,
        fileBody: code,
        version,
        track_deletes: definition.trackDeletes,
        sync_type: definition.syncType,
        endpoints: definition.endpoints,
        webhookSubscriptions: definition.webhookSubscriptions,
        models_json_schema: definition.jsonSchema,
        features: definition.features,
      })),
    onEventScriptsByProvider: [...new Set(handlers.map((fn) => fn.integrationKey))].map((providerConfigKey) => ({
      providerConfigKey,
      scripts: handlers
        .filter((fn) => fn.integrationKey === providerConfigKey)
        .map(({ name, version, code, definition }) => ({ name, event: definition.event, fileBody: code, version })),
    })),
    debug: false,
    nangoYamlBody: '',
    source: 'repo',
    ...options,
  };
}

/** A function that declares nothing. */
export const NO_DEFINITION: FunctionDefinition = {
  models: [],
  autoStart: false,
  trackDeletes: false,
  endpoints: [],
  webhookSubscriptions: [],
  jsonSchema: undefined,
  features: [],
  attributes: {},
  metadata: {},
};

function scopeOf(body: DeployBody, functions: readonly FunctionInput[]): ReturnType<typeof readDeploy>['scope'] {
  const mode = body.deployMode ?? (body.singleDeployMode === true ? 'single' : 'all');
  if (mode === 'all') return { mode: 'all' };
  const keys = [...new Set(functions.map((fn) => fn.integrationKey))];
  // The payload names the integration only by its functions: with none or several, nothing else may go.
  if (mode === 'single' || keys.length !== 1) return { mode: 'none' };
  return { mode: 'integration', integrationKey: keys[0] as string };
}

/** A function of an integration (wire contract B.4). */
export function functionToWire(fn: DeployedFunction): Record<string, unknown> {
  const { definition } = fn;
  const common = {
    name: fn.name,
    type: fn.kind,
    ...(definition.description !== undefined && { description: definition.description }),
    ...(definition.scopes !== undefined && { scopes: definition.scopes }),
    id: fn.id,
    version: fn.version,
    enabled: fn.enabled,
    last_deployed: fn.deployedAt.toISOString(),
    source: fn.source,
  };
  if (fn.kind === 'on-event') return { ...common, event: definition.event };
  const typed = {
    ...common,
    ...(definition.input !== undefined && { input: definition.input }),
    returns: definition.models,
    json_schema: definition.jsonSchema ?? null,
  };
  if (fn.kind === 'action') return typed;
  return {
    ...typed,
    runs: definition.runs ?? null,
    auto_start: definition.autoStart,
    track_deletes: definition.trackDeletes,
  };
}

/** A function in `GET /scripts/config` (wire contract B.10). */
export function scriptToWire(fn: DeployedFunction): Record<string, unknown> {
  const { definition } = fn;
  return {
    ...functionToWire(fn),
    returns: definition.models,
    endpoints: definition.endpoints,
    metadata: {
      ...(definition.description !== undefined && { description: definition.description }),
      ...(definition.scopes !== undefined && { scopes: definition.scopes }),
    },
    attributes: definition.attributes,
    ...(fn.kind === 'sync' && { webhookSubscriptions: definition.webhookSubscriptions }),
    ...(definition.syncType !== undefined && { sync_type: definition.syncType }),
    json_schema: definition.jsonSchema ?? null,
    sdk_version: definition.sdkVersion ?? null,
    features: definition.features,
    is_public: false,
    pre_built: false,
  };
}
