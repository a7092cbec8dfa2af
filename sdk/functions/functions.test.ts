import { describe, expect, expectTypeOf, it } from 'vitest';
import { z } from 'zod';
import {
  ActionError,
  createAction,
  createOnEvent,
  createSync,
  type NangoSync,
  type ProxyConfiguration,
} from './index.ts';

const Contact = z.object({ id: z.string(), email: z.string(), tags: z.array(z.string()).optional() });

const sync = createSync({
  description: 'Contacts',
  frequency: 'every hour',
  models: { Contact, Deal: z.object({ id: z.string(), amount: z.number() }) },
  metadata: z.object({ region: z.string() }),
  checkpoint: z.object({ page: z.number() }),
  async exec(nango) {
    const { region } = await nango.getMetadata();
    const page = (await nango.getCheckpoint())?.page ?? 0;
    const config: ProxyConfiguration = { endpoint: '/contacts', params: { region, page, all: true }, retries: 3 };
    for await (const rows of nango.paginate<{ id: string; mail: string }>(config)) {
      await nango.batchSave(
        rows.map((row) => ({ id: row.id, email: row.mail })),
        'Contact',
      );
    }
    // @ts-expect-error no such model
    await nango.batchSave([], 'Contacts');
    // @ts-expect-error an amount is a number
    await nango.batchSave([{ id: '1', amount: 'x' }], 'Deal');
    await nango.batchUpdate([{ id: '1', amount: 2 }], 'Deal');
    await nango.batchDelete([{ id: '1' }], 'Deal');
    // @ts-expect-error the checkpoint has a page
    await nango.saveCheckpoint({ at: 1 });
    await nango.saveCheckpoint({ page: 2 });
    const found = await nango.getRecordsByIds(['1'], 'Deal');
    expectTypeOf(found.get('1')?.amount).toEqualTypeOf<number | undefined>();
  },
  onWebhook: async (nango, payload) => {
    await nango.batchSave([payload.contact], 'Contact');
  },
});
export type NangoSyncLocal = Parameters<(typeof sync)['exec']>[0];

const action = createAction({
  description: 'Creates a contact',
  input: z.object({ email: z.string() }),
  output: z.object({ id: z.string() }),
  exec: async (nango, input): Promise<{ id: string }> => {
    expectTypeOf(input).toEqualTypeOf<{ email: string }>();
    const connection = await nango.getConnection();
    if (!('access_token' in connection.credentials)) throw new nango.ActionError({ message: 'no token' });
    const headers = {
      Authorization: `Basic ${Buffer.from(`${connection.credentials.access_token}:`).toString('base64')}`,
    };
    const { data } = await nango.post({ endpoint: '/contacts', data: input, headers });
    const checked = await nango.zodValidateInput({ zodSchema: z.object({ id: z.string() }), input: data });
    return { id: checked.data.id };
  },
});

describe('definitions', () => {
  it('are their own argument with a type', () => {
    expect(sync).toMatchObject({ type: 'sync', frequency: 'every hour' });
    expect(action).toMatchObject({ type: 'action', description: 'Creates a contact' });
    const exec = (): void => undefined;
    expect(createOnEvent({ description: 'x', event: 'validate-connection', exec })).toEqual({
      type: 'onEvent',
      description: 'x',
      event: 'validate-connection',
      exec,
    });
  });

  it('give the script object the types of the models', () => {
    expectTypeOf<NangoSyncLocal['lastSyncDate']>().toEqualTypeOf<NangoSync['lastSyncDate']>();
    expectTypeOf<Parameters<NangoSyncLocal['trackDeletesStart']>>().toEqualTypeOf<['Contact' | 'Deal']>();
  });

  it('refuse what is missing', () => {
    // @ts-expect-error an action says what it returns
    const bad = createAction({ description: 'x', input: z.void(), exec: () => undefined });
    expect(bad.type).toBe('action');
  });

  it('ActionError keeps its argument', () => {
    expect(new ActionError({ message: 'no', field: 1 })).toMatchObject({
      message: 'no',
      payload: { message: 'no', field: 1 },
    });
    expect(new ActionError('text')).toMatchObject({ message: 'text', type: 'action_script_runtime_error' });
  });
});
