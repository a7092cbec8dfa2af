import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { ROTATION_GRACE_MS } from '../limits.ts';
import { graceHours } from '../wire.ts';
import type { OutboundRouteDeps } from './index.ts';

const HOUR_MS = 3_600_000;

/** Makes a new key for `X-Nango-Hmac-Sha256` and `X-Nango-Signature` (wire contract B.12). `grace_hours` is ours. */
export function renewSigningKeyRoute({ outbound }: OutboundRouteDeps) {
  return defineRoute({
    method: 'POST',
    path: '/environment/webhook-signing-key/rotate',
    summary: 'Rotate the webhook signing key of the environment',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.signingKeyRotate },
    query: z.strictObject({}),
    body: z.strictObject({ grace_hours: graceHours.optional() }).nullish(),
    errors: [],
    async handle(request) {
      const hours = request.body?.grace_hours;
      const graceMs = hours === undefined ? ROTATION_GRACE_MS : hours * HOUR_MS;
      const key = await outbound.endpoints.rotateSigningKey(environmentOf(request).id, graceMs);
      return { body: { data: { webhook_signing_key: key } } };
    },
  });
}
