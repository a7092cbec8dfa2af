/**
 * @module emulators/engine/knob-table
 *
 * The knobs that the engine itself reads, and how a definition's own knobs and defaults join them.
 */
import type { EmulatorDefinition } from './definition.ts';
import type { KnobSpec } from './knobs.ts';
import { WEBHOOK_KNOBS } from './webhook-habit.ts';

/** Knobs that every emulator has. */
const COMMON_KNOBS: KnobSpec[] = [
  {
    name: 'denyErrorCode',
    kind: 'text',
    default: 'access_denied',
    about: 'Value of `error` when the customer denies.',
  },
  {
    name: 'sendErrorDescription',
    kind: 'boolean',
    default: false,
    about: 'Adds `error_description` to the redirect that reports a failure.',
  },
  { name: 'echoState', kind: 'boolean', default: true, about: 'Sends `state` back on the redirect.' },
  { name: 'codeTtlSec', kind: 'number', default: 300, about: 'Seconds for which a code can be exchanged.' },
  {
    name: 'tokenErrorShape',
    kind: 'enum',
    options: ['error', 'errors', 'message', 'oauth2'],
    default: 'error',
    about: 'Body of a token error: {error}, {errors: []}, {message} or RFC 6749 {error, error_description}.',
  },
  {
    name: 'tokenBodyFormats',
    kind: 'choices',
    options: ['form', 'json'],
    default: ['form', 'json'],
    about: 'Content types that the token endpoint reads.',
  },
  {
    name: 'requireUserAgent',
    kind: 'boolean',
    default: false,
    about: 'Answers 403 to token and API calls without a User-Agent header.',
  },
  {
    name: 'rateLimit.perMinute',
    kind: 'number',
    default: null,
    about: 'API calls allowed per minute. Empty: the provider’s own limit.',
  },
  { name: 'rateLimit.body', kind: 'json', default: null, about: 'Body of a 429. Empty: the provider’s own.' },
  {
    name: 'idempotencyWindow',
    kind: 'number',
    default: null,
    about: 'Hours for which an Idempotency-Key is remembered. Empty: the provider’s own.',
  },
  { name: 'clockSkew', kind: 'number', default: 0, about: 'Seconds by which the emulator’s clock is ahead.' },
];

/** Knobs of providers whose tokens expire and refresh. */
const REFRESH_KNOBS: KnobSpec[] = [
  {
    name: 'refreshRotation',
    kind: 'enum',
    options: ['same', 'rotate', 'grace', 'family'],
    default: 'rotate',
    about:
      'What a refresh does to the refresh token: it stays; it dies at once; it works on for graceSeconds; it dies and its reuse revokes the grant.',
  },
  {
    name: 'graceSeconds',
    kind: 'number',
    default: 60,
    about: 'Seconds a replaced refresh token lives on with `grace`.',
  },
  { name: 'refreshRequiresSecret', kind: 'boolean', default: true, about: 'A refresh must carry the client secret.' },
  { name: 'accessTokenTtlSec', kind: 'number', default: 3600, about: 'Seconds for which an access token works.' },
];

const CREDENTIALING_KNOB: KnobSpec = {
  name: 'credentialing',
  kind: 'enum',
  options: ['by-account', 'already', 'early-event', 'after', 'never'],
  default: 'by-account',
  about:
    'When an account may order after it is connected: as it is; at once; at once with the event before the token answer; credentialAfterSec later; never.',
};

const CREDENTIAL_AFTER_KNOB: KnobSpec = {
  name: 'credentialAfterSec',
  kind: 'number',
  default: 5,
  about: 'Seconds from the token answer to readiness, with credentialing = after.',
};

/** All knobs of an emulator with its defaults: the slice's, the provider's own, and the engine's. */
export function knobSpecs(definition: EmulatorDefinition): KnobSpec[] {
  const declared = [
    ...definition.knobs.own,
    ...(definition.token.refresh ? REFRESH_KNOBS : []),
    ...(definition.readiness.announced ? [CREDENTIALING_KNOB, CREDENTIAL_AFTER_KNOB] : []),
    ...(definition.webhooks === undefined ? [] : [...(definition.webhooks.knobs ?? []), ...WEBHOOK_KNOBS]),
    ...COMMON_KNOBS,
  ];
  const names = new Set(declared.map((spec) => spec.name));
  const ofSlice = Object.entries(definition.rest.knobs)
    .filter(([name]) => !names.has(name))
    .map(([name, value]): KnobSpec => ({ name, kind: kindOf(value), default: value, about: 'Behaviour of the API.' }));
  return [...ofSlice, ...declared].map((spec) => ({
    ...spec,
    default: definition.knobs.defaults[spec.name] ?? definition.rest.knobs[spec.name] ?? spec.default,
  }));
}

function kindOf(value: unknown): KnobSpec['kind'] {
  if (typeof value === 'boolean') return 'boolean';
  if (typeof value === 'number') return 'number';
  return typeof value === 'string' ? 'text' : 'json';
}
