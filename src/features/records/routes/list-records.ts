import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import type { RecordMetadata } from '../model.ts';
import { readStamp } from '../place.ts';
import { RECORD_ID_CHARS_MAX } from '../read-records.ts';
import { connectionHeaders, modelSchema, placeOf, variantSchema } from '../wire.ts';
import type { RecordRouteDeps } from './index.ts';

/** Wire contract B.7 and G.6. */
const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 10_000;
const IDS_MAX = 100;
const CURSOR_CHARS_MAX = 1_000;

const stamp = z
  .string()
  .max(64)
  .transform((text, context) => {
    const micros = readStamp(text);
    if (micros !== undefined) return micros;
    context.addIssue({ code: 'custom', message: 'Must be a time like 2026-01-31T12:00:00.000Z' });
    return z.NEVER;
  });

const ACTIONS = new Set<string>(['ADDED', 'UPDATED', 'DELETED']);

const filter = z
  .string()
  .max(100)
  .transform((text, context) => {
    const actions = text.split(',').map((part) => part.trim().toUpperCase());
    if (actions.every((action) => ACTIONS.has(action))) return actions as RecordMetadata['last_action'][];
    context.addIssue({ code: 'custom', message: 'Must be added, updated, deleted, or several with commas between' });
    return z.NEVER;
  });

const id = z
  .string()
  .min(1)
  .max(RECORD_ID_CHARS_MAX + 1);

/** Records of one model, in the order of their modification. */
export function listRecordsRoute(deps: RecordRouteDeps) {
  return defineRoute({
    method: 'GET',
    path: '/records',
    summary: 'List the records of a model, in the order of their modification',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.recordsRead },
    headers: connectionHeaders,
    query: z.strictObject({
      model: modelSchema,
      variant: variantSchema,
      modified_after: stamp.optional(),
      delta: stamp.optional(),
      limit: z.coerce.number().int().min(1).max(LIMIT_MAX).optional(),
      filter: filter.optional(),
      cursor: z.string().max(CURSOR_CHARS_MAX).optional(),
      ids: z.union([id, z.array(id).max(IDS_MAX)]).optional(),
    }),
    errors: ['unknown_provider_config', 'unknown_connection', 'invalid_cursor'],
    async handle(request) {
      const { query } = request;
      const place = await placeOf(deps, environmentOf(request).id, request.headers, query);
      const { recordsJson, nextCursor } = await deps.records.page({
        ...place,
        limit: query.limit ?? LIMIT_DEFAULT,
        cursor: query.cursor === '' ? undefined : query.cursor,
        // The old name wins when both are given (G.3).
        modifiedAfterMicros: query.delta ?? query.modified_after,
        actions: query.filter,
        ids: query.ids === undefined ? undefined : [...new Set([query.ids].flat())],
      });
      const end = Buffer.from(`,"next_cursor":${JSON.stringify(nextCursor)}}`);
      return {
        body: Buffer.concat([RECORDS, recordsJson, end]),
        headers: { 'content-type': 'application/json; charset=utf-8' },
      };
    },
  });
}

const RECORDS = Buffer.from('{"records":');
