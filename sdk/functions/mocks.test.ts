import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { NangoActionMock, NangoSyncMock } from './test.ts';

const dirname = mkdtempSync(join(tmpdir(), 'hawser-mocks-'));
afterAll(() => rmSync(dirname, { recursive: true }));
const record = (name: string, recording: object): { dirname: string; name: string } => {
  writeFileSync(join(dirname, `${name}.test.json`), JSON.stringify(recording));
  return { dirname, name };
};

describe('recordings', () => {
  it('are replayed to an action, by path, parameters and body', async () => {
    const nango = new NangoActionMock(
      record('create', {
        input: { email: 'a@b.c' },
        output: { id: '1' },
        nango: { getConnection: { connection_id: 'c', metadata: { plan: 'gold' } } },
        api: {
          POST: { contacts: { response: { id: '1' }, status: 201, data: { email: 'a@b.c' } } },
          GET: {
            '/contacts': [
              { response: { page: 1 }, params: { page: '1' } },
              { response: { page: 2 }, params: { page: '2' } },
            ],
            missing: { response: { error: 'gone' }, status: 404 },
          },
        },
      }),
    );
    expect(await nango.getInput()).toEqual({ email: 'a@b.c' });
    expect(await nango.getMetadata()).toEqual({ plan: 'gold' });
    expect((await nango.post({ endpoint: '/contacts', data: { email: 'a@b.c' } })).data).toEqual({ id: '1' });
    await expect(nango.post({ endpoint: '/contacts', data: { email: 'other' } })).rejects.toThrow(
      'other params or data',
    );
    expect((await nango.get({ endpoint: 'contacts', params: { page: 2 } })).data).toEqual({ page: 2 });
    expect((await nango.get({ endpoint: '/contacts?page=2' })).data).toEqual({ page: 2 });
    await expect(nango.get({ endpoint: '/missing' })).rejects.toMatchObject({
      isAxiosError: true,
      response: { status: 404 },
    });
    await expect(nango.get({ endpoint: '/never' })).rejects.toThrow('Record it anew');
    await expect(nango.triggerAction('k', 'c', 'other')).rejects.toThrow('has no nango.triggerAction');
    const zodSchema = z.object({ email: z.string() });
    expect(await nango.zodValidateInput({ zodSchema, input: { email: 'x' } })).toMatchObject({ data: { email: 'x' } });
    await expect(nango.zodValidateInput({ zodSchema, input: {} })).rejects.toThrow('Invalid input provided');
  });

  it('are replayed to a sync, which keeps what it wrote', async () => {
    const nango = new NangoSyncMock(
      record('contacts', {
        nango: { batchSave: { Contact: [{ id: '1' }, { id: '2' }] }, lastSyncDate: '2026-01-01T00:00:00.000Z' },
        api: { GET: { 'v1/contacts': [{ response: { data: [{ id: '1' }] } }, { response: { data: [{ id: '2' }] } }] } },
      }),
    );
    for await (const page of nango.paginate({ endpoint: '/v1/contacts', paginate: { response_path: 'data' } })) {
      await nango.batchSave(page, 'Contact');
    }
    await nango.saveCheckpoint({ page: 2 });
    expect(nango.written.batchSave['Contact']).toEqual(await nango.getBatchSaveData('Contact'));
    expect(await nango.getCheckpoint()).toEqual({ page: 2 });
    expect(nango.lastSyncDate?.getUTCFullYear()).toBe(2026);
  });

  it('that are not there are told with the way to make them', () => {
    expect(() => new NangoActionMock({ dirname, name: 'none' })).toThrow('hawser dryrun none');
  });
});
