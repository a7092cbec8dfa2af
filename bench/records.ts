/**
 * Records: saving them, saving them again unchanged, and reading them page by page, beside what PostgreSQL could do:
 * ready rows upserted in the same batches into the same table, and COPY out of it. The sides take turns batch by batch,
 * so that a busy machine slows both; the CPU time beside the rates does not depend on who else works.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLog } from '../src/base/log.ts';
import { readConfig } from '../src/config.ts';
import { createEnvironments } from '../src/features/environments/index.ts';
import { createIntegrations } from '../src/features/integrations/index.ts';
import { createProviders } from '../src/features/providers/index.ts';
import { createRecords, type RecordPlace, type Records } from '../src/features/records/index.ts';
import { systemClock } from '../src/platform/clock.ts';
import { generateKey, keyringFrom, type Keyring } from '../src/platform/keyring/index.ts';
import { openCopyClient, type Database } from '../src/platform/postgres/index.ts';
import { createUpstream } from '../src/platform/upstream/index.ts';
import { openPlatformDatabase } from '../src/shell/start/platform.ts';
import { cpuUs, processTree } from './support/cpu.ts';
import { median, numbers, printTable, shown, verdict, type Report } from './support/report.ts';
import { COPY_OUT, createRawTable, newConnectionRow, settleRecords, upsertRaw } from './support/store-records.ts';

const BATCH = 1_000;
const RECORD_CHARS = 500;
const SMALL = 10_000;
/** Readers of different apps at once: one waits for the database while another one's page is opened. */
const READERS = 2;

/** Time and CPU of one kind of work. */
interface Spent {
  records: number;
  ms: number;
  cpuUs: number;
  databaseCpuUs: number;
}

export async function benchRecords(args: string[]): Promise<Report> {
  const { records: count, max } = numbers(args, { records: 100_000, max: 1_000_000 });
  const dataDir = await mkdtemp(join(tmpdir(), 'hawser-bench-'));
  const platform = await openPlatformDatabase({
    config: readConfig('start', { HAWSER_DATA_DIR: dataDir }),
    log: silentLog,
    clock: systemClock,
    onLost(error) {
      throw error;
    },
  });
  try {
    const { db } = platform;
    const stage = await createStage(db);
    await createRawTable(db);
    const meter = createMeter();
    const work = await stage.newPlace();
    const kinds: Record<string, () => Promise<Spent[]>> = {
      'first save': () => writeAll(stage, work, meter, count, 1, 0),
      'save, unchanged': () => writeAll(stage, work, meter, count, 2, 0),
      'save, 10 % changed': () => writeAll(stage, work, meter, count, 3, 0.1),
    };
    const results: Record<string, { ours: Spent; limit: Spent }> = {};
    for (const [name, run] of Object.entries(kinds)) {
      const [ours, limit] = (await run()) as [Spent, Spent];
      results[name] = { ours, limit };
      await settleRecords(db);
    }
    await readAll(stage.records, work, 1);
    const paging = await meter(count * READERS, async () => {
      await Promise.all(Array.from({ length: READERS }, () => readAll(stage.records, work, Number.POSITIVE_INFINITY)));
    });
    const copy = await copyOut(platform.url, meter, count);
    results[`pages of 1,000, ${READERS} readers`] = { ours: paging, limit: copy };
    printTable(
      ['', 'records/s', 'limit', 'ratio', 'us CPU each', 'of it database'],
      Object.entries(results).map(([name, { ours, limit }]) => [
        name,
        shown(rate(ours)),
        shown(rate(limit)),
        shown(rate(ours) / rate(limit)),
        shown((ours.cpuUs + ours.databaseCpuUs) / ours.records, 1),
        shown(ours.databaseCpuUs / ours.records, 1),
      ]),
    );
    const growth = await pagesOfSizes(stage, max);
    console.log(
      `  a page of 1,000 in a model of ${SMALL}: ${shown(growth.smallMs)} ms, of ${max}: ${shown(growth.largeMs)} ms`,
    );
    const rateOf = (name: string): number => rate((results[name] as { ours: Spent }).ours);
    return {
      bench: 'records',
      results: { ...results, growth },
      verdicts: [
        verdict('first save, records/s', rateOf('first save'), 'at least', 25_000),
        verdict('unchanged, records/s', rateOf('save, unchanged'), 'at least', 40_000),
        verdict('paging, records/s', rate(paging), 'at least', 100_000),
        verdict(`a page of ${max} records beside one of ${SMALL}`, growth.largeMs / growth.smallMs, 'at most', 1.2),
      ],
    };
  } finally {
    await platform.close();
    await rm(dataDir, { recursive: true, force: true });
  }
}

interface Stage {
  db: Database;
  records: Records;
  newPlace(): Promise<RecordPlace>;
}

async function createStage(db: Database): Promise<Stage> {
  const keyring = keyringFrom(generateKey()) as Keyring;
  const clock = systemClock;
  const { vault, ...environments } = await createEnvironments({ db, keyring, clock, log: silentLog });
  const { id: environmentId } = await environments.create({ name: 'bench', isProduction: false });
  const upstream = createUpstream({ policy: () => ({ allow: [] }), clock, userAgent: 'bench' });
  const integrations = await createIntegrations({
    db,
    vault,
    providers: createProviders(),
    upstream,
    clock,
    emulatorUrl: () => undefined,
  });
  const integration = await integrations.create(environmentId, {
    provider: 'private-api-bearer',
    uniqueKey: 'bench',
    integrationConfig: { base_url: 'https://api.example' },
  });
  await upstream.close();
  let made = 0;
  return {
    db,
    records: createRecords({ db, vault, clock, log: silentLog }),
    async newPlace() {
      made += 1;
      const connectionId = await newConnectionRow(db, environmentId, integration.id, `bench-${made}`);
      return { environmentId, connectionId, model: 'Thing' };
    },
  };
}

type Meter = (records: number, work: () => Promise<void>) => Promise<Spent>;

function createMeter(): Meter {
  const own = process.pid;
  return async (records, work) => {
    // PostgreSQL has one process per connection: they come with the first use.
    const pids = processTree(own).filter((pid) => pid !== own);
    const databaseBefore = cpuUs(pids) ?? 0;
    const ownBefore = process.cpuUsage();
    const startedAtMs = performance.now();
    await work();
    const ms = performance.now() - startedAtMs;
    const { user, system } = process.cpuUsage(ownBefore);
    return { records, ms, cpuUs: user + system, databaseCpuUs: (cpuUs(pids) ?? 0) - databaseBefore };
  };
}

function add(sum: Spent, one: Spent): void {
  sum.records += one.records;
  sum.ms += one.ms;
  sum.cpuUs += one.cpuUs;
  sum.databaseCpuUs += one.databaseCpuUs;
}

const rate = ({ records, ms }: Spent): number => (records / ms) * 1_000;

/** What a provider could answer: about 500 bytes of JSON. */
function recordOf(id: number, version: number): Record<string, unknown> {
  const record = {
    id: `rec_${String(id).padStart(9, '0')}`,
    email: `person.${id}@customer.example`,
    status: version % 2 === 0 ? 'pending' : 'complete',
    version,
    created_at: '2026-01-31T12:00:00Z',
    address: {
      city: 'Springfield',
      zip: String(10_000 + (id % 90_000)),
      lines: ['1 Main Street', `Apartment ${id % 99}`],
    },
    note: '',
  };
  record.note = 'n'.repeat(RECORD_CHARS - JSON.stringify(record).length);
  return record;
}

/** Ours and the limit in turn. `changed`: share of the records that are new in this version. */
async function writeAll(
  stage: Stage,
  place: RecordPlace,
  meter: Meter,
  count: number,
  version: number,
  changed: number,
): Promise<Spent[]> {
  const ours: Spent = { records: 0, ms: 0, cpuUs: 0, databaseCpuUs: 0 };
  const limit: Spent = { ...ours };
  for (let from = 0; from < count; from += BATCH) {
    const isChanged = (n: number): boolean => changed > 0 && (from + n) % Math.round(1 / changed) === 0;
    const list = Array.from({ length: BATCH }, (_, n) => recordOf(from + n, isChanged(n) ? version : 1));
    const hex = (n: number, of: number): string => `${of}${String(from + n).padStart(30, '0')}0`;
    const sealed = randomBytes(BATCH * (RECORD_CHARS + 50));
    const raw = {
      ids: list.map((_, n) => hex((n * 7_919) % BATCH, 1)),
      hashes: list.map((_, n) => hex(n, isChanged(n) ? version : 1)),
      sealed,
      bytes: RECORD_CHARS + 50,
      first: version * 1e9 + from,
    };
    add(limit, await meter(BATCH, () => upsertRaw(stage.db, raw)));
    add(
      ours,
      await meter(BATCH, async () => {
        await stage.records.write({ ...place, action: 'save', records: list, syncId: 1, generation: version });
      }),
    );
  }
  return [ours, limit];
}

async function readAll(records: Records, place: RecordPlace, pages: number): Promise<void> {
  let cursor: string | undefined;
  for (let page = 0; page < pages; page += 1) {
    const { nextCursor } = await records.page({ ...place, limit: BATCH, cursor });
    if (nextCursor === null) return;
    cursor = nextCursor;
  }
}

async function copyOut(url: string, meter: Meter, count: number): Promise<Spent> {
  const client = await openCopyClient({ url, log: silentLog, clock: systemClock });
  try {
    let bytes = 0;
    const spent = await meter(count, async () => {
      await client.copyOut(COPY_OUT, (chunk) => {
        bytes += chunk.length;
      });
    });
    if (bytes < count * RECORD_CHARS) throw new Error('COPY gave less than there is');
    return spent;
  } finally {
    await client.close();
  }
}

/** One page in the middle of a small and of a large model, in turn. */
async function pagesOfSizes(stage: Stage, max: number): Promise<{ smallMs: number; largeMs: number }> {
  const [small, large] = [await stage.newPlace(), await stage.newPlace()];
  const cursors = new Map<RecordPlace, string>();
  for (const [place, size] of [[small, SMALL] as const, [large, max] as const]) {
    for (let from = 0; from < size; from += BATCH) {
      const list = Array.from({ length: BATCH }, (_, n) => recordOf(from + n, 1));
      await stage.records.write({ ...place, action: 'save', records: list, syncId: 1, generation: 1 });
      if (from === Math.floor(size / 2 / BATCH) * BATCH) {
        const page = await stage.records.list({ ...place, limit: 1, ids: [(list[0] as { id: string }).id] });
        cursors.set(place, page.records[0]?._nango_metadata.cursor as string);
      }
    }
  }
  await settleRecords(stage.db);
  const times = new Map<RecordPlace, number[]>([
    [small, []],
    [large, []],
  ]);
  for (let round = 0; round < 60; round += 1) {
    for (const [place, list] of times) {
      const startedAtMs = performance.now();
      await stage.records.page({ ...place, limit: BATCH, cursor: cursors.get(place) });
      // The first ones fill caches.
      if (round >= 10) list.push(performance.now() - startedAtMs);
    }
  }
  return { smallMs: median(times.get(small) ?? []) as number, largeMs: median(times.get(large) ?? []) as number };
}
