/**
 * Runs one node from settings to the last goodbye: `hawser dev` with emulators and seed, `hawser start` without.
 */
import { readFileSync } from 'node:fs';
import { systemClock } from '../../platform/clock.ts';
import { watchEventLoop } from '../../platform/watchdog.ts';
import { errorText, type Log } from '../../base/log.ts';
import { StartupError } from '../../base/errors.ts';
import type { Config } from '../../config.ts';
import { findEnvironment } from '../../features/environments/index.ts';
import { createLog } from '../../platform/log/index.ts';
import { startEmulators, type Emulators } from '../../../emulators/index.ts';
import { seedExampleFunctions } from '../dev/example-functions.ts';
import { createPlayer } from '../dev/play.ts';
import { devRoutes } from '../dev/routes.ts';
import { seedDev, seedEndpoint } from '../dev/seed.ts';
import { startHawser, type Hawser } from '../node.ts';
import { projectIn } from '../project/folder.ts';
import { watchProject } from '../project/watch.ts';
import {
  generatePassword,
  loadKeyring,
  prepareDataDir,
  readHawserFile,
  writeHawserFile,
  type HawserFile,
} from './data-dir.ts';
import { ensureEnvironments } from './environments.ts';
import { openPlatformDatabase, packageDir } from './platform.ts';

/** A node that runs. */
export interface Running {
  hawser: Hawser;
  emulators: Emulators | undefined;
  file: HawserFile;
  config: Config;
  /** What this start made and the operator must keep. */
  generated: { encryptionKey: boolean; apiKeys: boolean; password: boolean };
  embeddedDatabase: boolean;
  close(): Promise<void>;
}

export function packageVersion(): string {
  return (JSON.parse(readFileSync(`${packageDir()}/package.json`, 'utf8')) as { version: string }).version;
}

/**
 * Brings everything up. On failure what was started is stopped again.
 * Errors: {@link StartupError} with one sentence and what to do.
 */
export async function runNode(
  config: Config,
  options: { log?: Log; onLost?: (error: Error) => void } = {},
): Promise<Running> {
  const log = options.log ?? createLog({ level: config.logLevel, format: process.stderr.isTTY ? 'pretty' : 'json' });
  const clock = systemClock;
  const isDev = config.mode === 'dev';
  const closers: (() => Promise<void>)[] = [];
  const closeAll = async (): Promise<void> => {
    for (const close of closers.splice(0).toReversed()) {
      await close().catch((error: unknown) => log.warn('a part did not stop cleanly', { error: errorText(error) }));
    }
  };
  const stopWatching = watchEventLoop({ log, clock });
  closers.push(async () => stopWatching());
  try {
    await prepareDataDir(config.dataDir);
    const known = await readHawserFile(config.dataDir);
    const { keyring, generated: encryptionKey } = await loadKeyring({
      ...config,
      mayGenerate: isDev && config.databaseUrl === undefined,
    });
    const password = config.dashboardPassword ?? known?.dashboardPassword ?? generatePassword();
    const database = await openPlatformDatabase({
      config,
      log,
      clock,
      onLost: (error) => options.onLost?.(error),
    });
    closers.push(() => database.close());

    const ownEmulators = isDev && config.emulatorUrl === undefined;
    const emulators = ownEmulators
      ? await startEmulators({ port: config.emulatorPort, stateFile: `${config.dataDir}/emulators.json` })
      : undefined;
    if (emulators !== undefined) closers.push(() => emulators.close());

    const version = packageVersion();
    const file: HawserFile = {
      url: '',
      emulatorUrl: emulators?.url ?? config.emulatorUrl,
      environments: {},
      dashboardPassword: password,
    };
    let hawserUrl = '';
    let isSeeding = emulators !== undefined;
    const play = emulators && createPlayer({ emulators, url: () => hawserUrl, log });
    const hawser = await startHawser({
      config: { ...config, dashboardPassword: config.dashboardPassword ?? (isDev ? password : undefined) },
      db: database.db,
      keyring,
      log,
      version,
      emulatorUrl: emulators?.url,
      embeddedDatabase: database.embedded,
      onEmulated: play && ((integration) => void play(integration)),
      devRoutes: isDev
        ? (services) =>
            devRoutes({
              services,
              emulators: () => emulators,
              play: play ?? (() => undefined),
              isSeeding: () => isSeeding,
              apiKey: () => file.environments['dev']?.apiKey ?? '',
              dashboardPassword: password,
              dataDir: config.dataDir,
              version,
            })
        : undefined,
    });
    closers.push(() => hawser.close());
    hawserUrl = hawser.url;

    const { entries, created } = await ensureEnvironments(hawser.services.environments, known);
    file.url = hawser.url;
    file.environments = entries;
    if (emulators !== undefined) {
      await seedDev(hawser.services, emulators, new URL('/oauth/callback', hawser.url).href);
    }
    if (config.devWebhookUrl !== undefined) await seedEndpoint(hawser.services, config.devWebhookUrl);
    const project = isDev ? projectIn('.') : undefined;
    const environment = project === undefined ? undefined : await findEnvironment(database.db, 'dev');
    if (project !== undefined && environment !== undefined) {
      log.info('functions of this folder are deployed when they are saved', { folder: project });
      const { functions, sandbox } = hawser.services;
      const tell = (line: string): void => log.info(line);
      closers.push(watchProject(project, { functions, sandbox, clock, environmentId: environment.id, tell }));
    }
    // Last: a script that sees the file finds everything there.
    await writeHawserFile(config.dataDir, file);
    // Who brings functions wants those.
    if (emulators !== undefined && project === undefined && !hawser.services.recovery.isQuarantined()) {
      // Compiling takes seconds the first time; nobody waits for it, but a stop lets it end.
      const examples = seedExampleFunctions(hawser.services, {
        cacheFile: `${packageDir()}/node_modules/.cache/hawser/example-functions.json`,
      })
        .catch((error: unknown) => log.warn('the example functions were not deployed', { error: errorText(error) }))
        .finally(() => (isSeeding = false));
      closers.push(() => examples);
    } else isSeeding = false;
    return {
      hawser,
      emulators,
      file,
      config,
      generated: {
        encryptionKey,
        apiKeys: created,
        password: known === undefined && config.dashboardPassword === undefined,
      },
      embeddedDatabase: database.embedded,
      close: closeAll,
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

/** How long a stop may take before the process ends anyway: the drain budget of a deploy (threats 3.1, row 12). */
const STOP_TIMEOUT_MS = 30_000;
const REPEATED_SIGNAL_MS = 1_000;

/**
 * Runs until a signal. Resolves to the exit code: 0 after SIGINT or SIGTERM, 1 when a part was lost.
 */
export async function runUntilSignal(config: Config, onReady: (running: Running) => void): Promise<number> {
  let stop: (reason: { code: number; error?: Error }) => void = () => {};
  const stopped = new Promise<{ code: number; error?: Error }>((resolve) => {
    stop = resolve;
  });
  let firstSignalMs: number | undefined;
  const onSignal = (): void => {
    const now = systemClock.monotonicMs();
    // A terminal signals the whole group and npm passes it on: the same Ctrl-C arrives twice. A later one is
    // impatience and does not wait for anything.
    if (firstSignalMs !== undefined && now - firstSignalMs > REPEATED_SIGNAL_MS) process.exit(130);
    firstSignalMs ??= now;
    stop({ code: 0 });
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  const running = await runNode(config, { onLost: (error) => stop({ code: 1, error }) });
  if (firstSignalMs === undefined) onReady(running);
  const { code, error } = await stopped;
  const closed = new AbortController();
  systemClock.sleep(STOP_TIMEOUT_MS, closed.signal).then(
    () => process.exit(1),
    () => undefined, // closed in time
  );
  await running.close();
  closed.abort();
  if (error !== undefined) throw error instanceof StartupError ? error : new Error('a part was lost', { cause: error });
  return code;
}
