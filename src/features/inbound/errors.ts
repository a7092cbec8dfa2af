import { defineErrors } from '../../base/errors.ts';

/** Codes of the gateway (wire contract E) and of the routes about events. */
export const inboundErrors = defineErrors({
  unknown_environment: { status: 404, message: 'No environment has this id. Check the webhook URL.' },
  unknown_webhook_url: { status: 404, message: 'This webhook URL belongs to no connection.' },
  webhook_closed: {
    status: 403,
    message:
      'This integration takes no webhooks: set its webhook secret, or `webhook_trust` to `none` in its custom settings.',
  },
  webhook_no_challenge: { status: 405, message: 'The provider of this integration asks nothing in this way.' },
  webhook_missing_signature: { status: 401, message: 'The webhook carries no signature.' },
  webhook_missing_token: { status: 401, message: 'The webhook carries no token.' },
  webhook_invalid_signature: { status: 401, message: 'The signature of the webhook is wrong, or its time is over.' },
  webhook_limited: {
    status: 429,
    message: 'Too many webhooks from this address have proven nothing. Those that are proven are taken all the same.',
  },
  webhook_invalid_payload: { status: 400, message: 'The body of the webhook cannot be read.' },
  unknown_inbound_event: { status: 404, message: 'No inbound event has this id.' },
});
