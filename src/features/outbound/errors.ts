import { defineErrors } from '../../base/errors.ts';
import { ENDPOINTS_MAX } from './limits.ts';

export const outboundErrors = defineErrors({
  unknown_endpoint: { status: 404, message: 'No such endpoint. List them with GET /endpoints.' },
  unknown_delivery: { status: 404, message: 'No such delivery. List them with GET /deliveries.' },
  endpoint_exists: { status: 409, message: 'The environment has this endpoint already. Change it instead.' },
  too_many_endpoints: { status: 400, message: `An environment has at most ${ENDPOINTS_MAX} endpoints.` },
  endpoint_disabled: { status: 409, message: 'The endpoint is disabled. Enable it first; what waits is sent then.' },
  delivery_parked: {
    status: 409,
    message: 'The body of this event could not be read, so there is nothing to send again.',
  },
});
