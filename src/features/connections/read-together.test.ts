/** Connections asked for by their public ids at the same moment: few statements, and each caller gets its own. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { aConnection, anIntegration, buildCore, NOWHERE, type Core } from '../../../test/support/build.ts';
import type { Integration } from '../integrations/index.ts';

const CREDENTIAL = { type: 'OAUTH2', access_token: 'token', raw: {} } as const;
/** Under the names of both integrations, so that a wrong pairing shows. */
const NAMES = Array.from({ length: 12 }, (_, index) => `customer-${index}`);

let core: Core;
let integrations: Integration[];

beforeAll(async () => {
  core = await buildCore();
  integrations = [
    await anIntegration(core, NOWHERE, { key: 'one' }),
    await anIntegration(core, NOWHERE, { key: 'other' }),
  ];
  for (const integration of integrations) {
    for (const connectionId of NAMES) await aConnection(core.node, integration, CREDENTIAL, { connectionId });
  }
});
afterAll(() => core?.close());

it('are each what they are alone, in whatever company they were asked for', async () => {
  const { connections, db } = core.node;
  const environmentId = core.environment.id;
  const asked = [...NAMES, 'nobody', ...NAMES.toReversed(), '', 'customer-0'].flatMap((connectionId) =>
    [...integrations.map(({ id }) => id), 987_654].map((integrationId) => ({ integrationId, connectionId })),
  );
  const together = await Promise.all(
    asked.map(({ integrationId, connectionId }) => connections.byPublicId(environmentId, integrationId, connectionId)),
  );
  expect(together.filter((one) => one !== undefined).length).toBe(integrations.length * (2 * NAMES.length + 1));
  for (const [at, { integrationId, connectionId }] of asked.entries()) {
    expect(together[at]).toEqual(await connections.byPublicId(environmentId, integrationId, connectionId, db));
  }
  expect(await connections.byPublicId(environmentId + 1, integrations[0]?.id ?? 0, 'customer-0')).toBeUndefined();
});

it('see what was committed before they were asked for, also when they had to wait for others', async () => {
  const { connections } = core.node;
  const [integration] = integrations as [Integration];
  const read = (connectionId: string) => connections.byPublicId(core.environment.id, integration.id, connectionId);
  for (let round = 0; round < 20; round += 1) {
    const others = NAMES.map(read);
    const made = await aConnection(core.node, integration, CREDENTIAL, { connectionId: `late-${round}` });
    const more = NAMES.map(read);
    expect((await read(made.connectionId))?.id).toBe(made.id);
    await Promise.all([...others, ...more]);
  }
});

it('fail alone: a name that the database cannot read takes nobody with it', async () => {
  const { connections } = core.node;
  const [integration] = integrations as [Integration];
  const names = [...NAMES, 'not\0text', ...NAMES];
  const ends = await Promise.allSettled(
    names.map((connectionId) => connections.byPublicId(core.environment.id, integration.id, connectionId)),
  );
  expect(ends.map(({ status }) => status === 'rejected')).toEqual(names.map((name) => name.includes('\0')));
});
