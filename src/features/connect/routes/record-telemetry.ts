import { z } from 'zod';
import { defineRoute } from '../../../base/route.ts';
import { isSessionToken } from '../access.ts';
import type { ConnectDeps } from '../deps.ts';
import { errors } from '../errors.ts';

/** Source: wire contract B.6. */
const EVENTS = [
  'open',
  'view:list',
  'view:integration',
  'view:unknown_error',
  'view:credentials_error',
  'view:success',
  'click:integration',
  'click:doc',
  'click:doc_section',
  'click:connect',
  'click:close',
  'click:finish',
  'click:outside',
  'popup:blocked_by_browser',
  'popup:closed_early',
] as const;

/** A beacon older or newer than this is a broken clock or a replay. Source: wire contract B.6. */
const SKEW_MS_MAX = 2 * 60 * 60_000;

const bodySchema = z.strictObject({
  token: z.string().refine(isSessionToken, 'This is no connect session token.'),
  event: z.enum(EVENTS),
  timestamp: z.coerce.date(),
  dimensions: z.strictObject({ integration: z.string().max(255).optional() }).optional(),
});

/**
 * Takes the Connect page's beacons (wire contract B.6). They are checked and logged at debug level, nothing more: who
 * clicked what in a login window is not ours to keep.
 */
export function recordTelemetryRoute(deps: ConnectDeps) {
  return defineRoute({
    method: 'POST',
    path: '/connect/telemetry',
    summary: 'Take a beacon of the Connect page; nothing is stored',
    auth: {
      by: 'public',
      why: 'navigator.sendBeacon cannot send headers; the token is in the body and grants nothing',
    },
    query: z.strictObject({}),
    body: bodySchema,
    bodyBytesMax: 4_096,
    errors: ['invalid_body'],
    handle({ body }) {
      if (Math.abs(body.timestamp.getTime() - deps.clock.now()) > SKEW_MS_MAX) {
        const message = 'The timestamp is more than two hours off.';
        throw errors.fail('invalid_body', { errors: [{ code: 'custom', message, path: ['timestamp'] }] });
      }
      deps.log.debug('connect page', { event: body.event, integration: body.dimensions?.integration });
      return { status: 204 };
    },
  });
}
