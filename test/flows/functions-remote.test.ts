/** Code that is sent alone: compiled, tried and deployed at the server (wire contract B.14). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestApp, type TestApp } from '../support/app.ts';
import { connectAccount } from '../support/connect.ts';

let app: TestApp;
let connectionId: string;
beforeAll(async () => {
  app = await startTestApp();
  ({ connectionId } = await connectAccount(app, 'checkr-partner'));
});
afterAll(() => app?.close());

const SURROUNDINGS = `import { createAction } from 'nango';
import * as z from 'zod';
export default createAction({
  description: 'Looks around.',
  input: z.void(),
  output: z.any(),
  exec: async (nango) => {
    let packages = 0;
    // One a page: only who knows how the provider pages finds them all.
    for await (const page of nango.paginate({ endpoint: '/v1/packages', params: { per_page: 1 } })) packages += page.length;
    const integration = await nango.getIntegration();
    return {
      environment: nango.environmentName,
      variables: await nango.getEnvironmentVariables(),
      key: integration.unique_key,
      packages,
    };
  },
});
`;

const ACTION = `import { createAction } from 'nango';
import * as z from 'zod';
export default createAction({
  description: 'Reads the account.',
  input: z.object({ note: z.string() }),
  output: z.object({ object: z.string(), note: z.string() }),
  exec: async (nango, input) => {
    const { data } = await nango.get({ endpoint: '/v1/account' });
    const { metadata } = await nango.getConnection();
    await nango.log('seen', { metadata });
    if (input.note === 'fail') throw new nango.ActionError({ message: 'No.' });
    return { object: data.object, note: input.note };
  },
});
`;

async function ended(path: string) {
  let body: { status: string; [key: string]: unknown } = { status: '' };
  await expect
    .poll(
      async () => {
        body = (await app.api('GET', path)).body;
        return body.status;
      },
      { timeout: 30_000 },
    )
    .toMatch(/success|failed/);
  return body;
}

describe('remote functions', () => {
  it('compile gives the bundle, or what is wrong with line and column', async () => {
    const compiled = await app.api('POST', '/functions/compile', { code: ACTION });
    expect(compiled.status).toBe(200);
    expect(compiled.body.bundle_size_bytes).toBe(Buffer.byteLength(compiled.body.bundled_js));
    const wrong = await app.api('POST', '/functions/compile', { code: "import a from 'fs';\nexport default a;" });
    expect([wrong.status, wrong.body.error.code]).toEqual([400, 'compilation_error']);
    expect(wrong.body.error.payload.problems).toMatchObject([{ file: 'function.ts', line: 1, column: 15 }]);
  });

  it('a deployment is compiled and deployed alone; mistakes are its outcome', async () => {
    const body = { type: 'function', integration_id: 'checkr-partner', function_name: 'read', function_type: 'action', code: ACTION }; // prettier-ignore
    const asked = await app.api('POST', '/functions/deployments', body);
    expect(asked.body).toMatchObject({ id: expect.any(String), status: 'running', created_at: expect.any(String) });
    expect(await ended(`/functions/deployments/${asked.body.id}`)).toMatchObject({
      status: 'success',
      integration_id: 'checkr-partner',
      function_type: 'action',
      deployed: true,
      deployed_functions: [{ name: 'read', version: '1' }],
    });
    const run = await app.api('POST', '/action/trigger', { action_name: 'read', input: { note: 'x' } }, { 'provider-config-key': 'checkr-partner', 'connection-id': connectionId }); // prettier-ignore
    expect(run.body).toEqual({ object: 'account', note: 'x' });

    const wrong = await app.api('POST', '/functions/deployments', { ...body, code: 'export default 1;' });
    expect(await ended(`/functions/deployments/${wrong.body.id}`)).toMatchObject({
      status: 'failed',
      error: { code: 'compilation_error', message: expect.stringContaining('read.ts:1:1 The default export') },
    });
    const template = await app.api('POST', '/functions/deployments', { type: 'template', integration_id: 'checkr-partner', template: 't' }); // prettier-ignore
    expect(template.status).toBe(501);
  });

  it('a dry run pages as the provider does, and sees the environment', async () => {
    await app.services.runs.variables.set(1, 'TEAM', 'red');
    const asked = await app.api('POST', '/functions/dryruns', {
      integration_id: 'checkr-partner',
      function_type: 'action',
      code: SURROUNDINGS,
      connection_id: connectionId,
    });
    const done = await ended(`/functions/dryruns/${asked.body.id}`);
    expect(done['error']).toBeUndefined();
    expect(done['result']).toMatchObject({
      environment: 'dev',
      variables: [{ name: 'TEAM', value: 'red' }],
      key: 'checkr-partner',
      packages: 4,
    });
  });

  it('a dry run calls the provider, stores nothing and tells its outcome, to its own environment only', async () => {
    const body = {
      integration_id: 'checkr-partner',
      function_type: 'action',
      code: ACTION,
      connection_id: connectionId,
    };
    const asked = await app.api('POST', '/functions/dryruns', {
      ...body,
      input: { note: 'y' },
      metadata: { team: 'a' },
    });
    const done = await ended(`/functions/dryruns/${asked.body.id}`);
    expect(done).toMatchObject({ status: 'success', result: { object: 'account', note: 'y' } });
    expect(done['output']).toContain('"team":"a"');
    expect(JSON.stringify(await app.db.query('SELECT * FROM function_task'))).not.toContain('team');
    const foreign = await fetch(`${app.url}/functions/dryruns/${asked.body.id}`, { headers: { authorization: `Bearer ${app.prodApiKey}` } }); // prettier-ignore
    expect(foreign.status).toBe(404);

    const failed = await app.api('POST', '/functions/dryruns', { ...body, input: { note: 'fail' } });
    expect(await ended(`/functions/dryruns/${failed.body.id}`)).toMatchObject({
      status: 'failed',
      error: { code: 'dryrun_error', payload: { code: 'action_script_runtime_error', payload: { message: 'No.' } } },
    });
    const unfit = await app.api('POST', '/functions/dryruns', { ...body, input: { note: 7 } });
    expect(await ended(`/functions/dryruns/${unfit.body.id}`)).toMatchObject({
      status: 'failed',
      error: { payload: { code: 'invalid_action_input', payload: [{ path: ['note'] }] } },
    });
    const nobody = await app.api('POST', '/functions/dryruns', { ...body, connection_id: 'nobody' });
    expect([nobody.status, nobody.body.error.code]).toEqual([404, 'connection_not_found']);
  });
});
