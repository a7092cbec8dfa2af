/**
 * Functions as people write them for the published `nango` package: together they use every method of the script object
 * (wire contract F.3 to F.5). By path in a project folder.
 */
const action = (body: string, input = 'z.void()', output = 'z.void()', more = ''): string =>
  `import { createAction } from 'nango';
import * as z from 'zod';

const action = createAction({
    description: 'Tries a part of the script object.',
    version: '1.0.0',
    ${more}input: ${input},
    output: ${output},
    exec: async (nango, input) => {
        ${body}
    }
});

export type NangoActionLocal = Parameters<(typeof action)['exec']>[0];
export default action;
`;

/** Models are unique per integration. */
const sync = (Item: string, body: string, more = ''): string =>
  `import { createSync } from 'nango';
import * as z from 'zod';

const ${Item} = z.object({ id: z.string(), name: z.string() });

const sync = createSync({
    description: 'Tries a part of the script object.',
    version: '1.0.0',
    frequency: 'every hour',
    autoStart: false,
    ${more.replaceAll("'Item'", `'${Item}'`)}models: { ${Item} },
    exec: async (nango) => {
        ${body.replaceAll("'Item'", `'${Item}'`)}
    }
});

export type NangoSyncLocal = Parameters<(typeof sync)['exec']>[0];
export default sync;
`;

const onEvent = (event: string): string =>
  `import { createOnEvent } from 'nango';

export default createOnEvent({
    event: '${event}',
    description: 'Tells that it ran.',
    exec: async (nango) => {
        await nango.log('ran', { connection: nango.connectionId });
    }
});
`;

const paginated = (paginate: string): string =>
  action(
    `const config: ProxyConfiguration = { endpoint: '/items', retries: 2, paginate: ${paginate} };
        let count = 0;
        for await (const page of nango.paginate(config)) {
            count += page.length;
        }
        return { count };`,
    'z.void()',
    'z.object({ count: z.number() })',
  )
    .replace("import { createAction } from 'nango';", "import { createAction, type ProxyConfiguration } from 'nango';")
    .replace('(nango, input)', '(nango)');

const without = (source: string): string => source.replace('(nango, input)', '(nango)');

/** Below the integration `checkr-partner`. */
export const SCRIPTS: Readonly<Record<string, string>> = {
  'shared/names.ts': `export function fullName(first: string, last: string): string {
    return \`\${first} \${last}\`;
}
`,
  'actions/verbs.ts': without(
    action(`const config = { endpoint: '/v1/candidates', headers: { 'x-a': 'b' }, params: { limit: 1 }, retries: 1, retryOn: [409] };
        await nango.get<{ data: unknown[] }>(config);
        await nango.post({ endpoint: '/v1/candidates', data: { email: 'a@example.com' } });
        await nango.put({ endpoint: '/v1/candidates/1', data: {} });
        await nango.patch({ endpoint: '/v1/candidates/1', data: {} });
        await nango.delete({ endpoint: '/v1/candidates/1' });
        const response = await nango.proxy({ method: 'GET', endpoint: '/v1/account', responseType: 'json', decompress: true });
        await nango.log(String(response.status));`),
  ),
  'actions/cursor.ts': paginated(
    "{ type: 'cursor', cursor_path_in_response: 'next', cursor_name_in_request: 'cursor', limit_name_in_request: 'limit', limit: 10, response_path: 'items' }",
  ),
  'actions/link.ts': paginated("{ type: 'link', link_rel_in_response_header: 'next', response_path: 'items' }"),
  'actions/offset.ts': paginated(
    "{ type: 'offset', offset_name_in_request: 'offset', offset_start_value: 0, offset_calculation_method: 'by-response-size', limit_name_in_request: 'limit', limit: 10, response_path: 'items' }",
  ),
  'actions/connection.ts': without(
    action(
      `const connection = await nango.getConnection();
        const fresh = await nango.getConnection(undefined, undefined, { forceRefresh: true });
        const token = await nango.getToken();
        const integration = await nango.getIntegration({ include: ['webhook'] });
        return { id: connection.connection_id + fresh.connection_id, kind: typeof token, integration: integration.unique_key };`,
      'z.void()',
      'z.object({ id: z.string(), kind: z.string(), integration: z.string() })',
    ),
  ),
  'actions/metadata.ts': without(
    action(
      `const before = await nango.getMetadata();
        await nango.setMetadata({ team: 'a' });
        await nango.updateMetadata({ team: 'b' });
        await nango.setFieldMapping({ team: 'c' });
        const mapping = await nango.getFieldMapping();
        await nango.log('metadata', { before, mapping });`,
      'z.void()',
      'z.void()',
      'metadata: z.object({ team: z.string() }),\n    ',
    ),
  ),
  'actions/environment.ts': without(
    action(
      `const variables = await nango.getEnvironmentVariables();
        const url = await nango.getWebhookURL();
        const attributes = nango.getFlowAttributes();
        return { count: variables?.length ?? 0, url: url ?? null, attributes: attributes !== null };`,
      'z.void()',
      'z.object({ count: z.number(), url: z.string().nullable(), attributes: z.boolean() })',
    ),
  ),
  'actions/properties.ts': without(
    action(
      `nango.setLogger({ level: 'debug' });
        await nango.log('one', { a: 1 }, { level: 'warn' });
        return {
            text: [nango.connectionId, nango.providerConfigKey, nango.provider, nango.environmentName].join(),
            aborted: nango.abortSignal?.aborted ?? false
        };`,
      'z.void()',
      'z.object({ text: z.string(), aborted: z.boolean() })',
    ),
  ),
  'actions/others.ts': without(
    action(`await nango.triggerAction('checkr-partner', nango.connectionId, 'validate', { name: 'x' });
        await nango.triggerSync('checkr-partner', nango.connectionId, 'save', 'full_refresh');
        await nango.startSync('checkr-partner', ['save', { name: 'save', variant: 'other' }], nango.connectionId);`),
  ),
  'actions/validate.ts': action(
    `const parsed = await nango.zodValidateInput({ zodSchema: z.object({ name: z.string().min(1) }), input });
        return { name: parsed.data.name };`,
    'z.object({ name: z.string() })',
    'z.object({ name: z.string() })',
  ),
  'actions/fetch.ts': without(
    action(
      `const response = await nango.uncontrolledFetch({ url: new URL('https://example.com/'), method: 'GET' });
        return { status: response.status };`,
      'z.void()',
      'z.object({ status: z.number() })',
    ),
  ),
  'actions/locks.ts': without(
    action(
      `const acquired = await nango.tryAcquireLock({ key: 'one', ttlMs: 5000 });
        const released = await nango.releaseLock({ key: 'one' });
        await nango.releaseAllLocks();
        return { acquired, released };`,
      'z.void()',
      'z.object({ acquired: z.boolean(), released: z.boolean() })',
    ),
  ),
  'actions/steps.ts': without(
    action(
      `const checkpoint = await nango.getCheckpoint();
        await nango.saveCheckpoint({ step: (checkpoint?.step ?? 0) + 1 });
        await nango.clearCheckpoint();`,
      'z.void()',
      'z.void()',
      'checkpoint: z.object({ step: z.number() }),\n    ',
    ),
  ),
  'actions/refuse.ts': action(
    `throw new nango.ActionError({ type: 'refused', message: \`No \${fullName(input.name, 'x')}\` });`,
    'z.object({ name: z.string() })',
    'z.void()',
  ).replace("import * as z from 'zod';", "import * as z from 'zod';\nimport { fullName } from '../shared/names.js';"),
  'syncs/save.ts': sync(
    'SaveItem',
    `await nango.batchSave([{ id: '1', name: 'one' }], 'Item');
        await nango.log('last', { at: nango.lastSyncDate ?? null, variant: nango.variant });`,
  ),
  'syncs/update.ts': sync('UpdateItem', `await nango.batchUpdate([{ id: '1', name: 'two' }], 'Item');`),
  'syncs/remove.ts': sync('RemoveItem', `await nango.batchDelete([{ id: '1', name: 'two' }], 'Item');`),
  'syncs/read.ts': sync(
    'ReadItem',
    `const known = await nango.getRecordsByIds(['1', '2'], 'Item');
        for await (const record of nango.listRecords('Item')) {
            await nango.log('record', { record, isKnown: known.size > 0 });
        }`,
  ),
  'syncs/generation.ts': sync(
    'GenerationItem',
    `await nango.trackDeletesStart('Item');
        await nango.batchSave([{ id: '1', name: 'one' }], 'Item');
        await nango.trackDeletesEnd('Item');`,
  ),
  'syncs/previous.ts': sync(
    'PreviousItem',
    `await nango.batchSave([{ id: '1', name: 'one' }], 'Item');
        await nango.deleteRecordsFromPreviousExecutions('Item');`,
  ),
  'syncs/merge.ts': sync(
    'MergeItem',
    `await nango.setMergingStrategy({ strategy: 'ignore_if_modified_after' }, 'Item');
        await nango.batchSave([{ id: '1', name: 'one' }], 'Item');`,
  ),
  'syncs/resume.ts': sync(
    'ResumeItem',
    `const checkpoint = await nango.getCheckpoint();
        await nango.saveCheckpoint({ page: (checkpoint?.page ?? 0) + 1 });`,
    'checkpoint: z.object({ page: z.number() }),\n    ',
  ),
  'syncs/told.ts': sync(
    'ToldItem',
    `await nango.batchSave([], 'Item');`,
    `webhookSubscriptions: ['report.*'],
    onWebhook: async (nango, payload) => {
        await nango.log('told', { payload });
    },
    `,
  ),
  'on-events/connected.ts': onEvent('post-connection-creation'),
  'on-events/leaving.ts': onEvent('pre-connection-deletion'),
  'on-events/check.ts': onEvent('validate-connection'),
};

/** Functions among {@link SCRIPTS}. */
export const SCRIPT_COUNT = Object.keys(SCRIPTS).filter((path) => !path.startsWith('shared/')).length;
