import type { Calls } from './calls.ts';
import { jsonOf } from './json.ts';
import type { ScriptLog } from './log.ts';
import { checkGoing, type RunState } from './run-state.ts';
import { ScriptError } from './script-error.ts';

interface Page {
  records: unknown[];
  nextCursor: string | null;
}

/** The methods that only syncs have (wire contract F.4). */
export function syncMethods(run: RunState, calls: Calls, log: ScriptLog): Record<string, unknown> {
  const { batchRecordsMax, batchBytesMax, recordBytesMax, depthMax, idsMax } = run.limits;
  const { models } = run.context;
  const withStrategy = new Set<string>();

  function checkModel(model: unknown): void {
    checkGoing(run);
    if (typeof model !== 'string' || model === '')
      throw new ScriptError('unknown_model', 'Name the model of the records.');
    if (models !== undefined && !models.includes(model)) {
      const known = models.join(', ') || 'none';
      throw new ScriptError('unknown_model', `The sync has no model "${model}". Its \`models\`: ${known}.`);
    }
  }

  /** JSON of each record, without our own field; checked here so that the error names the record. */
  function prepared(records: unknown, model: string, method: string): string[] {
    if (!Array.isArray(records)) throw new ScriptError('invalid_sync_record', `${method} takes a list of records.`);
    return records.map((record: unknown, index) => {
      const what = `Record ${index} of ${model}`;
      if (typeof record !== 'object' || record === null || Array.isArray(record)) {
        throw new ScriptError('invalid_sync_record', `${what} is no object.`);
      }
      const own = withoutMetadata(record as Record<string, unknown>);
      const { id } = own;
      if ((typeof id !== 'string' && typeof id !== 'number') || id === '' || Number.isNaN(id)) {
        throw new ScriptError(
          'invalid_sync_record',
          `${what} has no \`id\`; every record needs one, a text or a number.`,
        );
      }
      const limits = { bytesMax: recordBytesMax, depthMax };
      return jsonOf(own, `${what} (id ${String(id).slice(0, 64)})`, 'invalid_sync_record', limits);
    });
  }

  async function write(method: string, records: unknown, model: string): Promise<boolean> {
    checkModel(model);
    if (records === null || records === undefined || (Array.isArray(records) && records.length === 0)) return true;
    // Written out now: a script may change its list while the write waits.
    const chunks = chunksOf(prepared(records, model, method), batchRecordsMax, batchBytesMax);
    await calls.ordered(async () => {
      for (const chunk of chunks) {
        checkGoing(run);
        await run.call(method, [`[${chunk.join(',')}]`, JSON.stringify(model)]);
      }
    });
    return true;
  }

  const batchSave = (records: unknown, model: string): Promise<boolean> => write('batchSave', records, model);
  const afterWrites = <T>(model: string, method: string, ...more: unknown[]): Promise<T> => {
    checkModel(model);
    return calls.ordered(() => calls.ask<T>(method, ...more, model));
  };

  return {
    batchSave,
    batchSend: batchSave,
    batchUpdate: (records: unknown, model: string) => write('batchUpdate', records, model),
    batchDelete: (records: unknown, model: string) => write('batchDelete', records, model),
    async getRecordsByIds(ids: (string | number)[], model: string): Promise<Map<string | number, unknown>> {
      checkModel(model);
      const given = new Map(ids.map((id) => [String(id), id]));
      const texts = [...given.keys()];
      const found = new Map<string | number, unknown>();
      for (let from = 0; from < texts.length; from += idsMax) {
        const some = texts.slice(from, from + idsMax);
        const pairs = await calls.ordered(() => calls.ask<[string, unknown][]>('getRecordsByIds', some, model));
        for (const [id, record] of pairs) found.set(given.get(id) ?? id, record);
      }
      return found;
    },
    async *listRecords(model: string, options?: { cursor?: string }): AsyncGenerator<unknown> {
      checkModel(model);
      let cursor: string | null = options?.cursor ?? null;
      do {
        const from: string | null = cursor;
        const page: Page = await calls.ordered(() => calls.ask<Page>('listRecords', model, from));
        yield* page.records;
        cursor = page.nextCursor;
      } while (cursor !== null);
    },
    async trackDeletesStart(model: string): Promise<void> {
      await afterWrites(model, 'trackDeletesStart');
    },
    trackDeletesEnd: async (model: string) => afterWrites(model, 'trackDeletesEnd'),
    deleteRecordsFromPreviousExecutions: async (model: string) =>
      afterWrites(model, 'deleteRecordsFromPreviousExecutions'),
    async setMergingStrategy(merging: { strategy: string }, model: string): Promise<void> {
      checkModel(model);
      if (merging?.strategy !== 'override' && merging?.strategy !== 'ignore_if_modified_after') {
        throw new ScriptError('invalid_merging_strategy', 'The strategy is "override" or "ignore_if_modified_after".');
      }
      if (withStrategy.has(model)) {
        return log.write('warn', [`The merging strategy of ${model} is set already; the first one stays.`]);
      }
      withStrategy.add(model);
      await afterWrites(model, 'setMergingStrategy', { strategy: merging.strategy });
    },
  };
}

/** Copies only where it has to: copies of a thousand records are slow to make and slow to write as JSON. */
function withoutMetadata(record: Record<string, unknown>): Record<string, unknown> {
  if (!Object.hasOwn(record, '_nango_metadata')) return record;
  const { _nango_metadata: _ours, ...own } = record;
  return own;
}

function chunksOf(records: readonly string[], countMax: number, bytesMax: number): string[][] {
  const chunks: string[][] = [];
  let bytes = 0;
  for (const record of records) {
    const last = chunks.at(-1);
    if (last === undefined || last.length >= countMax || bytes + record.length > bytesMax) {
      chunks.push([record]);
      bytes = record.length;
    } else {
      last.push(record);
      bytes += record.length;
    }
  }
  return chunks;
}
