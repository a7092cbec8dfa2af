/**
 * @module emulators/engine/state-file
 *
 * Keeps the state of all emulators of one server in one file, so that a restart does not end any connection. A change
 * is announced with `changed()`; `settle()` resolves when every one announced before it is on disk. Concurrent
 * callers share one write.
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock } from '../../src/base/clock.ts';
import { StartupError } from '../../src/base/errors.ts';
import type { StateData } from './state.ts';
import type { Json } from './types.ts';

/** What is kept of one emulator. */
export interface MountData {
  state: StateData;
  knobs: Record<string, Json>;
}

interface FileData {
  version: 1;
  mounts: Record<string, MountData>;
}

/** REST data changes are gathered this long before they are written: nobody relies on them across a crash. */
const GATHER_MS = 200;

export class StateFile {
  readonly #path: string | undefined;
  readonly #clock: Clock;
  readonly #snapshot: () => Record<string, MountData>;
  readonly #onError: (error: unknown) => void;
  #changes = 0;
  /** Number of the last change that a reply must wait for. */
  #firm = 0;
  #written = 0;
  #writing: Promise<void> | undefined;
  #gathering = false;
  readonly #closing = new AbortController();

  /** Without `path` everything is kept in memory only and `settle` resolves at once. */
  constructor(options: {
    path: string | undefined;
    clock: Clock;
    snapshot: () => Record<string, MountData>;
    onError: (error: unknown) => void;
  }) {
    this.#path = options.path;
    this.#clock = options.clock;
    this.#snapshot = options.snapshot;
    this.#onError = options.onError;
  }

  /** Announces a change that must be on disk before anybody is told of it. */
  changed(): void {
    this.#changes += 1;
    this.#firm = this.#changes;
    this.#gather();
  }

  /** Announces a change that may be written a little later. */
  changedSoon(): void {
    this.#changes += 1;
    this.#gather();
  }

  /** Writes a little later, for changes that no reply waits for (REST data, calls inside the process). */
  #gather(): void {
    if (this.#path === undefined || this.#gathering) return;
    this.#gathering = true;
    this.#clock
      .sleep(GATHER_MS, this.#closing.signal)
      .catch(() => undefined) // Closing: written at once instead of later.
      .then(() => {
        this.#gathering = false;
        return this.#writeUpTo(this.#changes);
      })
      .catch(this.#onError);
  }

  /** Resolves when every change announced by `changed` so far is on disk. Errors: the file system's. */
  async settle(): Promise<void> {
    await this.#writeUpTo(this.#firm);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#writeUpTo(this.#changes);
  }

  async #writeUpTo(wanted: number): Promise<void> {
    if (this.#path === undefined) return;
    while (this.#written < wanted) {
      this.#writing ??= this.#write(this.#path).finally(() => {
        this.#writing = undefined;
      });
      await this.#writing;
    }
  }

  async #write(path: string): Promise<void> {
    const upTo = this.#changes;
    const data: FileData = { version: 1, mounts: this.#snapshot() };
    const temporary = `${path}.tmp`;
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await writeFile(temporary, JSON.stringify(data), { mode: 0o600 });
    await rename(temporary, path);
    this.#written = upTo;
  }
}

/**
 * Reads a state file; resolves to undefined when there is none. Errors: `StartupError` when it is not one of ours.
 */
export async function readStateFile(path: string): Promise<Record<string, MountData> | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new StartupError(`The emulator state file ${path} cannot be read.`, 'Check its owner and mode.', error);
  }
  const hint = 'Move it away: the emulators then start with fresh accounts, and connections must be made again.';
  let data: Partial<FileData>;
  try {
    data = JSON.parse(text) as Partial<FileData>;
  } catch (error) {
    throw new StartupError(`The emulator state file ${path} is damaged.`, hint, error);
  }
  if (data.version !== 1 || typeof data.mounts !== 'object' || data.mounts === null) {
    throw new StartupError(`The emulator state file ${path} is of another version.`, hint);
  }
  return data.mounts;
}
