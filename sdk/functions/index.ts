/**
 * @module hawser/functions
 *
 * What functions are written with. A file exports one definition as its default; `hawser compile` checks and bundles it,
 * `hawser deploy` sends it. The import `from 'nango'` is the same module, so scripts written for that package run.
 *
 * @example
 * ```ts
 * import { createSync } from 'hawser/functions';
 * import { z } from 'zod';
 *
 * const Contact = z.object({ id: z.string(), email: z.string() });
 *
 * export default createSync({
 *   description: 'Contacts of the account',
 *   frequency: 'every hour',
 *   models: { Contact },
 *   checkpoint: z.object({ since: z.string() }),
 *   async exec(nango) {
 *     const since = (await nango.getCheckpoint())?.since;
 *     for await (const page of nango.paginate({ endpoint: '/contacts', params: { since } })) {
 *       await nango.batchSave(page.map(({ id, email }) => ({ id, email })), 'Contact');
 *     }
 *     await nango.saveCheckpoint({ since: nango.lastSyncDate?.toISOString() ?? '' });
 *   },
 * });
 * ```
 */
import type { z } from 'zod';
import type { ModelSchemas, NangoAction, NangoSync, Untyped } from './types.ts';

export type * from './types.ts';
export type * from './http.ts';

type Optional = z.ZodType | undefined;
type Infer<Schema, Else> = Schema extends z.ZodType ? z.infer<Schema> : Else;

/** Where `/v1` serves a function. Deprecated by the wire contract; understood. */
export interface Endpoint {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  path: string;
  group?: string;
}

interface Common<Metadata extends Optional, Checkpoint extends Optional> {
  /** One sentence for people. */
  description: string;
  /** Default: the previous version + 1 whenever the code changes. */
  version?: string;
  /** Schema of the connection's metadata, as far as the function reads it. */
  metadata?: Metadata;
  /** Flat object of texts, numbers and booleans; turns checkpoints on. */
  checkpoint?: Checkpoint;
  /** For documentation only. */
  scopes?: string[];
}

export interface SyncProps<
  Models extends ModelSchemas,
  Metadata extends Optional,
  Checkpoint extends Optional,
> extends Common<Metadata, Checkpoint> {
  /** `every hour`, `every 30s`, `5m`; from 30 seconds to 31 days. */
  frequency: string;
  /** What the sync saves: schema by model name; each has an `id`. */
  models: Models;
  /** Starts for every connection as soon as it is made. Default false. */
  autoStart?: boolean;
  /** @deprecated One per model. */
  endpoints?: Endpoint[];
  /** @deprecated */
  syncType?: 'full' | 'incremental';
  /** @deprecated Use nango.trackDeletesStart and trackDeletesEnd. */
  trackDeletes?: boolean;
  /** Event types that call `onWebhook`; `['*']` for all. */
  webhookSubscriptions?: string[];
  exec(nango: NangoSync<Models, Metadata, Checkpoint>): Promise<void> | void;
  onWebhook?(nango: NangoSync<Models, Metadata, Checkpoint>, payload: Untyped): Promise<void> | void;
}

export interface ActionProps<
  Input extends z.ZodType,
  Output extends z.ZodType,
  Metadata extends Optional,
  Checkpoint extends Optional,
> extends Common<Metadata, Checkpoint> {
  /** Checked before the action runs. */
  input: Input;
  /** Checked before the caller gets it. */
  output: Output;
  /** @deprecated */
  endpoint?: Endpoint;
  exec(
    nango: NangoAction<Metadata, Checkpoint>,
    input: Infer<Input, undefined>,
  ): Promise<Infer<Output, undefined>> | Infer<Output, undefined>;
}

export interface OnEventProps<Metadata extends Optional, Checkpoint extends Optional> extends Common<
  Metadata,
  Checkpoint
> {
  /** `validate-connection`: a throw refuses the connection with that message. */
  event: 'post-connection-creation' | 'pre-connection-deletion' | 'validate-connection';
  exec(nango: NangoAction<Metadata, Checkpoint>): Promise<void> | void;
}

/** Defines a sync: reads a provider on a schedule and keeps the records. */
export function createSync<
  const Models extends ModelSchemas,
  Metadata extends Optional = undefined,
  Checkpoint extends Optional = undefined,
>(props: SyncProps<Models, Metadata, Checkpoint>): SyncProps<Models, Metadata, Checkpoint> & { type: 'sync' } {
  return { type: 'sync', ...props };
}

/** Defines an action: does one thing at the provider when the app asks, and answers. */
export function createAction<
  Input extends z.ZodType,
  Output extends z.ZodType,
  Metadata extends Optional = undefined,
  Checkpoint extends Optional = undefined,
>(
  props: ActionProps<Input, Output, Metadata, Checkpoint>,
): ActionProps<Input, Output, Metadata, Checkpoint> & { type: 'action' } {
  return { type: 'action', ...props };
}

/** Defines an event handler: runs when a connection is made, checked or deleted. */
export function createOnEvent<Metadata extends Optional = undefined, Checkpoint extends Optional = undefined>(
  props: OnEventProps<Metadata, Checkpoint>,
): OnEventProps<Metadata, Checkpoint> & { type: 'onEvent' } {
  return { type: 'onEvent', ...props };
}

/** Fails a run with data for the caller, who gets the argument as `payload`. */
export class ActionError extends Error {
  readonly type = 'action_script_runtime_error';
  readonly payload: unknown;
  constructor(payload?: Record<string, unknown> | string) {
    const message = typeof payload === 'string' ? payload : payload?.['message'];
    super(typeof message === 'string' ? message : 'The function ended with an ActionError');
    this.name = 'ActionError';
    this.payload = payload;
  }
}
