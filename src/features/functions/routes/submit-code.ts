import { z } from 'zod';
import { defineRoute, environmentOf, type Route } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { PROVIDER_CONFIG_KEY } from '../../integrations/index.ts';
import { bundleSource } from '../compile/bundle.ts';
import { compileFunctions } from '../compile/compile.ts';
import { problemText, type CompileProblem } from '../compile/problem.ts';
import { functionErrors } from '../errors.ts';
import type { FunctionRouteDeps } from '../find.ts';
import { SOURCE_BYTES_MAX } from '../limits.ts';
import type { FunctionInput, FunctionKind } from '../model.ts';
import type { FunctionTask } from '../tasks.ts';
import { FUNCTION_NAME, FUNCTION_TYPE } from '../wire.ts';

const code = z.string().min(1).max(SOURCE_BYTES_MAX);
const taskParams = z.object({ id: z.uuid() });
const BODY_BYTES_MAX = 2 * SOURCE_BYTES_MAX;

const deploymentBody = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('function'),
    integration_id: PROVIDER_CONFIG_KEY,
    function_name: FUNCTION_NAME,
    function_type: FUNCTION_TYPE,
    code,
    version: z.string().max(255).optional(),
    allow_destructive: z.boolean().optional(),
  }),
  z.strictObject({
    type: z.literal('template'),
    integration_id: PROVIDER_CONFIG_KEY,
    template: z.string().max(255),
    function_type: FUNCTION_TYPE.optional(),
  }),
]);

const dryrunBody = z.strictObject({
  integration_id: PROVIDER_CONFIG_KEY,
  function_type: z.enum(['action', 'sync']),
  code,
  connection_id: z.string().min(1).max(255),
  input: z.unknown().optional(),
  metadata: z.record(z.string(), z.unknown()).optional(),
  checkpoint: z.record(z.string(), z.unknown()).optional(),
  last_sync_date: z.iso.datetime({ offset: true }).optional(),
});

/** Functions whose TypeScript comes over the wire: compiled, tried and deployed at the server. */
export function submitCodeRoutes({ functions, integrations, remote }: FunctionRouteDeps): Route[] {
  const { sandbox, tasks, clock, dryrun } = remote;

  async function compile(
    environmentId: number,
    fn: { integration: string; kind: FunctionKind; name: string; source: string },
  ): Promise<FunctionInput> {
    const file = { ...fn, file: `${fn.name}.ts` };
    const compiled = await compileFunctions(sandbox, environmentId, [file], (one) =>
      bundleSource(one.source, one.file),
    );
    const [only] = compiled.functions;
    if (only === undefined) throw compilationError(compiled.problems);
    return only;
  }

  const compileRoute = defineRoute({
    method: 'POST',
    path: '/functions/compile',
    summary: 'Bundle the TypeScript of one function',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.functionsCompile },
    body: z.strictObject({ code }),
    bodyBytesMax: BODY_BYTES_MAX,
    errors: ['compilation_error'],
    async handle(request) {
      const bundled = await bundleSource(request.body.code);
      if (!bundled.ok) throw compilationError(bundled.problems);
      return {
        body: {
          bundle_size_bytes: Buffer.byteLength(bundled.js),
          bundled_js: bundled.js,
          compiled_at: new Date(clock.now()).toISOString(),
        },
      };
    },
  });

  const deployRoute = defineRoute({
    method: 'POST',
    path: '/functions/deployments',
    summary: 'Compile and deploy one function',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.deploy },
    body: deploymentBody,
    bodyBytesMax: BODY_BYTES_MAX,
    errors: ['integration_not_found', 'not_implemented'],
    async handle(request) {
      const { body } = request;
      const { id } = environmentOf(request);
      const integration = await integrations.byKey(id, body.integration_id);
      if (integration === undefined) throw functionErrors.fail('integration_not_found');
      if (body.type === 'template') {
        throw functionErrors.fail('not_implemented', { message: 'Hawser has no templates. Send the code.' });
      }
      const task = await tasks.start(
        id,
        { kind: 'deployment', integrationKey: body.integration_id, functionType: body.function_type },
        async () => {
          const fn = await compile(id, {
            integration: body.integration_id,
            kind: body.function_type,
            name: body.function_name,
            source: body.code,
          });
          const change = await functions.deploy(id, {
            functions: [{ ...fn, version: body.version ?? fn.version }],
            scope: { mode: 'none' },
            source: 'standalone',
          });
          const deployed = [...change.created, ...change.updated.map(({ after }) => after), ...change.unchanged];
          return { deployed: true, deployed_functions: deployed.map(({ name, version }) => ({ name, version })) };
        },
      );
      return { body: started(task) };
    },
  });

  const dryrunRoute = defineRoute({
    method: 'POST',
    path: '/functions/dryruns',
    summary: 'Compile and run one function against a connection; nothing is stored',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.functionsDryrun },
    body: dryrunBody,
    bodyBytesMax: BODY_BYTES_MAX,
    errors: ['integration_not_found', 'connection_not_found'],
    async handle(request) {
      const { body } = request;
      const { id } = environmentOf(request);
      const integration = await integrations.byKey(id, body.integration_id);
      if (integration === undefined) throw functionErrors.fail('integration_not_found');
      const prepared = await dryrun(id, integration, body.connection_id);
      if (prepared === undefined) throw functionErrors.fail('connection_not_found');
      const task = await tasks.start(
        id,
        { kind: 'dryrun', integrationKey: body.integration_id, functionType: body.function_type },
        async () => {
          const fn = await compile(id, {
            integration: body.integration_id,
            kind: body.function_type,
            name: 'dryrun',
            source: body.code,
          });
          return prepared({
            fn,
            input: body.input,
            metadata: body.metadata,
            checkpoint: body.checkpoint,
            lastSyncDate: body.last_sync_date,
          });
        },
      );
      return { body: started(task) };
    },
  });

  const readRoute = (kind: FunctionTask['kind'], path: string, scope: readonly string[]) =>
    defineRoute({
      method: 'GET',
      path,
      summary: `Outcome of a ${kind}`,
      auth: { by: 'key', anyOf: scope },
      params: taskParams,
      query: z.strictObject({}),
      errors: [`${kind}_not_found`],
      async handle(request) {
        const task = await tasks.find(environmentOf(request).id, kind, request.params.id);
        if (task === undefined) throw functionErrors.fail(`${kind}_not_found`);
        return { body: taskToWire(task) };
      },
    });

  const invokeRoute = defineRoute({
    method: 'POST',
    path: '/functions/invocations',
    summary: 'Not supported: call an action, or trigger a sync',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.functionsInvocations },
    body: z.record(z.string(), z.unknown()),
    errors: ['not_implemented'],
    handle() {
      throw functionErrors.fail('not_implemented', { message: 'Use POST /action/trigger or POST /sync/trigger.' });
    },
  });

  return [
    compileRoute,
    deployRoute,
    readRoute('deployment', '/functions/deployments/:id', ENVIRONMENT_SCOPES.deploy),
    dryrunRoute,
    readRoute('dryrun', '/functions/dryruns/:id', ENVIRONMENT_SCOPES.functionsDryrun),
    invokeRoute,
  ];
}

function compilationError(problems: readonly CompileProblem[]) {
  return functionErrors.fail('compilation_error', {
    message: problems.map(problemText).slice(0, 5).join('\n'),
    payload: { problems },
  });
}

function started(task: FunctionTask): Record<string, unknown> {
  return { id: task.id, status: 'running', created_at: task.createdAt.toISOString() };
}

function taskToWire(task: FunctionTask): Record<string, unknown> {
  const { startedAt, completedAt } = task;
  return {
    id: task.id,
    status: task.state,
    integration_id: task.integrationKey,
    function_type: task.functionType,
    created_at: task.createdAt.toISOString(),
    updated_at: (completedAt ?? startedAt ?? task.createdAt).toISOString(),
    ...(startedAt !== undefined && { started_at: startedAt.toISOString() }),
    ...(completedAt !== undefined && { completed_at: completedAt.toISOString() }),
    ...(startedAt !== undefined &&
      completedAt !== undefined && { duration_ms: completedAt.getTime() - startedAt.getTime() }),
    ...task.result,
    ...(task.error !== undefined && { error: task.error }),
  };
}
