/**
 * @module emulators/engine/webhook-habit
 *
 * What a provider's folder says about its webhooks, and the knobs that bend them.
 */
import type { KnobReader } from './definition.ts';
import type { KnobSpec } from './knobs.ts';
import type { Account, App, EmulatorEvent, JsonObject } from './types.ts';

/** Where an event goes. */
export interface WebhookTarget {
  url: string;
  /** What signs; null: there is no key, and the provider says so in the header. */
  key: string | null;
  /** False: only a reference to the resource is sent. */
  whole: boolean;
}

/** Facts of one message, beside the event itself. */
export interface WebhookFacts {
  /** Random hex of 32 characters; the provider cuts its event id from it. The same for all targets of an event. */
  id: string;
  target: WebhookTarget;
  app: App | undefined;
  /** ISO 8601. */
  at: string;
  knob: KnobReader;
}

export interface WebhookHabit {
  /** Event types that it announces, for the page. */
  types: readonly string[];
  userAgent: string;
  /** Waits after each failed try, in seconds; after the last one it gives up. */
  retryAfterSeconds: readonly number[];
  /** Name of the header with the signature. */
  signatureHeader: string;
  /** What stands in that header when there is no key, or with knob `webhookSignature` = sentence. */
  sentence: string;
  /** The key for webhooks of an application. `account`: the account that the event is about, where there is one. */
  appKey(app: App, account: Account | undefined, knob: KnobReader): string | null;
  /** Value of the signature header. `nonce`: whole seconds of the wall clock. */
  sign(body: string, key: string, nonce: string): string;
  /** The body; undefined when the provider does not tell this. */
  write(event: EmulatorEvent, facts: WebhookFacts): string | undefined;
  /** A made-up resource for an event of this type. `id`: hex of 32 characters. */
  example(type: string, id: string): JsonObject;
  /** Addresses that an account registered for itself. */
  accountTargets?(account: Account, knob: KnobReader): WebhookTarget[];
  /** The provider's own knobs about webhooks. */
  knobs?: KnobSpec[];
}

/** Knobs of every emulator that sends webhooks. */
export const WEBHOOK_KNOBS: KnobSpec[] = [
  {
    name: 'webhookTimeScale',
    kind: 'number',
    default: 1,
    about: 'How many times faster than the provider a failed webhook is tried again.',
  },
  { name: 'webhookTimeoutMs', kind: 'number', default: 10_000, about: 'Milliseconds granted to the receiver.' },
  { name: 'webhookDuplicates', kind: 'number', default: 0, about: 'How many times more each webhook is sent.' },
  {
    name: 'webhookReorder',
    kind: 'boolean',
    default: false,
    about: 'Every second webhook waits a second (by webhookTimeScale), so that the next one overtakes it.',
  },
  {
    name: 'webhookSignature',
    kind: 'enum',
    options: ['good', 'wrong', 'missing', 'sentence', 'upper-case'],
    default: 'good',
    about: 'The signature: right; of another key; not there; a sentence instead; right in upper case.',
  },
];
