import { afterAll, beforeAll, expect, it } from 'vitest';
import { anIntegration, buildCore, NOWHERE, type Core } from '../../../test/support/build.ts';

let core: Core;
beforeAll(async () => {
  core = await buildCore();
});
afterAll(() => core?.close());

it('merges the config but for what another grant told and this one may tell anew', async () => {
  const integration = await anIntegration(core, NOWHERE);
  const put = async (connectionConfig: Record<string, unknown>, configForgotten?: readonly string[]) => {
    const { connection } = await core.db.transaction((tx) =>
      core.node.connections.upsert(tx, {
        environmentId: integration.environmentId,
        integrationId: integration.id,
        connectionId: 'customer-1',
        connectionConfig,
        configForgotten,
      }),
    );
    return connection.connectionConfig;
  };
  expect(await put({ team: 't-1', bot: 'b-1', chosen: 'by the app' }, ['bot'])).toEqual({
    team: 't-1',
    bot: 'b-1',
    chosen: 'by the app',
  });
  expect(await put({ team: 't-2', bot: 'b-2' }, ['bot'])).toEqual({ team: 't-2', bot: 'b-2', chosen: 'by the app' });
  expect(await put({ team: 't-2' }, ['bot'])).toEqual({ team: 't-2', chosen: 'by the app' });
  expect(await put({ team: 't-3' })).toEqual({ team: 't-3', chosen: 'by the app' });
});
