import { execFile } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { TestProject } from 'vitest/node';
import { isFresh, MADE_FROM } from '../../bin/fresh.js';
import { silentLog } from '../../src/base/log.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { migrate, openDatabase, startEmbeddedPostgres } from '../../src/platform/postgres/index.ts';
import { forgetBundles } from '../chaos/process.ts';
import { useMemoryFolder } from './memory-folder.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Server for {@link createTestDatabase}; `problem` says why there is no template. */
    testServer: { url: string; template: string; problem?: string };
  }
}

const MIGRATIONS = fileURLToPath(new URL('../../migrations', import.meta.url));

/**
 * One PostgreSQL per vitest run, with one migrated template database. `HAWSER_TEST_DATABASE_URL` names a server to use
 * instead; its user must be allowed to create databases.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const forgetMemoryFolder = await useMemoryFolder();
  await makeStartFile();
  const given = process.env.HAWSER_TEST_DATABASE_URL;
  const server = given === undefined ? await startTemporary() : { url: given, close: async () => {} };
  const template = `hawser_template_${process.pid}`;
  const url = withDatabase(server.url, template);
  const admin = await openDatabase({ url: server.url, poolSize: 1, log: silentLog, clock: systemClock });
  await admin.query(`DROP DATABASE IF EXISTS ${template}`);
  await admin.query(`CREATE DATABASE ${template}`);
  let problem: string | undefined;
  try {
    await migrate({ url, directory: MIGRATIONS, log: silentLog, clock: systemClock });
  } catch (error) {
    // Tests that need no database must still run; the others fail with this sentence.
    problem = error instanceof Error ? error.message : String(error);
  }
  project.provide('testServer', { url: server.url, template, problem });
  return async () => {
    if (given !== undefined) await admin.query(`DROP DATABASE IF EXISTS ${template} WITH (FORCE)`);
    await admin.close();
    await server.close();
    await forgetMemoryFolder();
    forgetBundles();
  };
}

/** What `npm ci` makes, and every edit outdates: tests start the program a hundred times, from one file or from 600. */
async function makeStartFile(): Promise<void> {
  const at = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
  if (isFresh(at('node_modules/.cache/hawser/start.mjs'), MADE_FROM.map(at))) return;
  // Without it the program starts from its sources, and the tests say what is wrong with those.
  await promisify(execFile)(process.execPath, [at('scripts/build-start.ts')]).catch(console.warn);
}

async function startTemporary(): Promise<{ url: string; close: () => Promise<void> }> {
  const dataDir = await mkdtemp(join(tmpdir(), 'hawser-test-'));
  // mkdtemp makes it private; as root PostgreSQL runs as another user, who must get through.
  await chmod(dataDir, 0o711);
  const postgres = await startEmbeddedPostgres({
    dataDir,
    log: silentLog,
    clock: systemClock,
    // Thrown away at the end: speed is all that counts. Many test files open pools at the same moment.
    settings: { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: '200' },
  });
  return {
    url: postgres.url,
    async close() {
      await postgres.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

function withDatabase(url: string, database: string): string {
  const result = new URL(url);
  result.pathname = `/${database}`;
  return result.href;
}
