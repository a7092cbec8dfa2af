/**
 * @module emulators/derived
 *
 * Emulators made from provider files: whatever an entry of the catalogue declares, the server demands, and everything
 * else it refuses. For the conformance of entries, and for tests of users whose provider has no emulator of its own.
 * Hosts are not seen: all of a provider's hosts are one address here.
 */
import type { ProviderSpec } from '../../catalogue/_spec/index.ts';
import type { Clock } from '../../src/base/clock.ts';
import { createHandle, type EmulatorHandle } from '../engine/handle.ts';
import type { HttpRequest } from '../engine/http.ts';
import type { EmulatorLog, Mount } from '../engine/mount.ts';
import { startEngine } from '../engine/server.ts';
import { deriveDefinition } from './definition.ts';

export { deriveDefinition } from './definition.ts';
export { FOREIGN_ORIGIN_KNOB, TOKEN_PLACE_KNOB } from './knobs.ts';

export interface DerivedOptions {
  /** Provider name → values of its `integrationConfig`, for those that a developer sets up. */
  settings?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Default 0: any free port. */
  port?: number;
  /** Default `127.0.0.1`. */
  host?: string;
  /** Default: the machine's clock. */
  clock?: Clock;
  /** Address that browsers and clients see, when it is not `http://host:port`. */
  publicUrl?: string;
  /** Default: the process's standard error. */
  log?: EmulatorLog;
}

/** A request as it arrived, values and all: everything here is made up. */
export interface SeenRequest {
  method: string;
  /** Below the emulator's mount, without query. */
  path: string;
  query: Record<string, string>;
  /** Lower-case names. */
  headers: Record<string, string>;
  body: string;
  /** 0 when the connection was cut without an answer. */
  status: number;
}

export interface DerivedHandle extends EmulatorHandle {
  /** What the owner of the first account types into the provider's form, for modes that have one. */
  customer(): Record<string, string>;
  /** What was asked so far, oldest first, at most the last 200. */
  seen(): SeenRequest[];
}

export interface Derived {
  /** Address of the server without trailing slash; each provider lives below its name, or that of its own emulator. */
  readonly url: string;
  /** One provider by its name. Errors: `Error` when it was not started. */
  get(provider: string): DerivedHandle;
  /** Gives a provider other settings; what it remembers stays. Errors: `Error` when they cannot be played. */
  change(provider: string, settings: Readonly<Record<string, string>>): DerivedHandle;
  close(): Promise<void>;
}

/** Requests kept per provider; the oldest goes first. */
const SEEN_MAX = 200;

/**
 * Starts emulators for one provider file or several, on one port.
 * Errors: `Error` for a provider that cannot be played, `StartupError` for a taken port.
 */
export async function startDerived(
  specs: ProviderSpec | readonly ProviderSpec[],
  options: DerivedOptions = {},
): Promise<Derived> {
  const { settings = {}, ...rest } = options;
  const list: readonly ProviderSpec[] = Array.isArray(specs) ? specs : [specs as ProviderSpec];
  const seen = new Map<string, SeenRequest[]>();
  const definitions = list.map((spec) => deriveDefinition(spec, withDefaults(spec, settings[spec.name] ?? {})));
  const engine = await startEngine({
    ...rest,
    definitions,
    alone: false,
    onRequest(name, request, status) {
      const requests = seen.get(name) ?? [];
      requests.push(seenRequest(request, status));
      seen.set(name, requests.slice(-SEEN_MAX));
    },
  });
  const handles = new Map<string, DerivedHandle>();
  const open = (spec: ProviderSpec, mount: Mount): DerivedHandle => {
    const handle: DerivedHandle = {
      ...createHandle(mount),
      seen: () => [...(seen.get(mount.definition.name) ?? [])],
      customer() {
        const [account] = mount.state.accounts.values();
        return account === undefined ? {} : (mount.definition.form?.(account) ?? {});
      },
    };
    handles.set(spec.name, handle);
    return handle;
  };
  for (const spec of list) {
    const mount = engine.mounts.get(spec.emulator ?? spec.name);
    if (mount !== undefined) open(spec, mount);
  }
  return {
    url: engine.url,
    get(provider) {
      const handle = handles.get(provider);
      if (handle === undefined) throw new Error(`No emulator of "${provider}" was started.`);
      return handle;
    },
    change(provider, given) {
      const spec = list.find(({ name }) => name === provider);
      if (spec === undefined) throw new Error(`No emulator of "${provider}" was started.`);
      return open(spec, engine.open(deriveDefinition(spec, withDefaults(spec, given))));
    },
    close: () => engine.close(),
  };
}

/** The developer's settings, with what the provider file presets. */
export function withDefaults(
  spec: ProviderSpec,
  given: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const usual = Object.entries(spec.integrationConfig ?? {}).flatMap(([name, field]) =>
    field.default === undefined ? [] : [[name, field.default] as const],
  );
  return { ...Object.fromEntries(usual), ...given };
}

function seenRequest(request: HttpRequest, status: number): SeenRequest {
  return {
    method: request.method,
    path: request.path,
    query: Object.fromEntries(request.query),
    headers: { ...request.headers },
    body: request.rawBody,
    status,
  };
}
