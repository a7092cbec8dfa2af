/**
 * @module emulators
 *
 * Fake providers for tests, demos and users' own tests: whole OAuth servers with consent pages, a slice of each API,
 * rate limits, idempotency keys and faults. Nothing here talks to a real provider.
 */
import type { Clock } from '../src/base/clock.ts';
import { StartupError } from '../src/base/errors.ts';
import type { ProviderSpec } from '../catalogue/_spec/index.ts';
import { checkbook, checkbookSandbox } from './checkbook/index.ts';
import { deriveDefinition, withDefaults } from './derived/index.ts';
import { checkr, checkrStaging } from './checkr/index.ts';
import { createHandle, type EmulatorHandle } from './engine/handle.ts';
import type { EmulatorLog } from './engine/mount.ts';
import { startEngine } from './engine/server.ts';
import { xref } from './xref/index.ts';

export {
  startDerived,
  type Derived,
  type DerivedHandle,
  type DerivedOptions,
  type SeenRequest,
} from './derived/index.ts';
export { AppError, type AppFields } from './engine/apps.ts';
export type { Decision } from './engine/authorize.ts';
export {
  type ActiveFault,
  type Fault,
  FAULT_ENDPOINTS,
  FAULT_NAMES,
  type FaultEndpoint,
  FaultError,
  type FaultName,
  type RateLimitDialect,
} from './engine/faults.ts';
export type { EmulatorHandle } from './engine/handle.ts';
export { KnobError } from './engine/knobs.ts';
export { createManualClock, type ManualClock } from './engine/manual-clock.ts';
export type { EmulatorLog, EventListener } from './engine/mount.ts';
export type { RecordedRequest } from './engine/recorder.ts';
export type { Account, App, EmulatorEvent, Grant, Json, Play, User } from './engine/types.ts';
export type { Webhook, WebhookAttempt } from './engine/webhooks.ts';

const DEFINITIONS = {
  checkr,
  'checkr-staging': checkrStaging,
  xref,
  checkbook,
  'checkbook-sandbox': checkbookSandbox,
};

export type EmulatorName = keyof typeof DEFINITIONS;

/** Every emulator there is. */
export const EMULATOR_NAMES = Object.keys(DEFINITIONS) as EmulatorName[];

export interface EmulatorOptions {
  /** Default 0: any free port. */
  port?: number;
  /** Default `127.0.0.1`: the emulators hold made-up secrets only, but they are not meant for a network. */
  host?: string;
  /** Starts one emulator alone, at `/` of the address instead of below its name. */
  only?: EmulatorName;
  /** Default: the machine's clock. See {@link createManualClock}. */
  clock?: Clock;
  /** File (mode 0600) that keeps apps, accounts, users, grants and tokens across restarts. Default: memory only. */
  stateFile?: string;
  /** Address that browsers and clients see, when it is not `http://host:port`. */
  publicUrl?: string;
  /** Default: the process's standard error. */
  log?: EmulatorLog;
}

export interface Emulators {
  /** Address of the server without trailing slash. */
  readonly url: string;
  /** One emulator. Errors: `Error` when it was not started. */
  get(name: EmulatorName): EmulatorHandle;
  /**
   * The emulator that plays this provider: its own where there is one, else one derived from the provider file, started
   * at the first call. `settings`: values of its `integrationConfig`. Errors: `Error` for a provider that cannot be
   * played.
   */
  play(provider: ProviderSpec, settings?: Readonly<Record<string, string>>): EmulatorHandle;
  /** Stops the server, ends what waits, and writes the state file once more. */
  close(): Promise<void>;
}

/** Starts all emulators on one port, or one alone. Errors: `StartupError` for a taken port or a damaged state file. */
export async function startEmulators(options: EmulatorOptions = {}): Promise<Emulators> {
  const { only, ...rest } = options;
  if (only !== undefined && !EMULATOR_NAMES.includes(only)) {
    throw new StartupError(`There is no emulator "${String(only)}".`, `Known: ${EMULATOR_NAMES.join(', ')}.`);
  }
  const names = only === undefined ? EMULATOR_NAMES : [only];
  const definitions = names.map((name) => DEFINITIONS[name]);
  const engine = await startEngine({ ...rest, definitions, alone: only !== undefined });
  const handles = new Map([...engine.mounts].map(([name, mount]) => [name, createHandle(mount)]));
  /** Derived ones: name → the settings they were made with, and their handle. */
  const derived = new Map<string, { made: string; handle: EmulatorHandle }>();
  return {
    url: engine.url,
    play(provider, settings = {}) {
      const name = provider.emulator ?? provider.name;
      const own = handles.get(name);
      if (own !== undefined) return own;
      const made = JSON.stringify(settings);
      let played = derived.get(name);
      if (played?.made !== made) {
        const mount = engine.open(deriveDefinition(provider, withDefaults(provider, settings)));
        played = { made, handle: createHandle(mount) };
        derived.set(name, played);
      }
      return played.handle;
    },
    get(name) {
      const handle = handles.get(name);
      if (handle === undefined) throw new Error(`The emulator "${name}" was not started.`);
      return handle;
    },
    close: () => engine.close(),
  };
}
