import { defineErrors } from '../../base/errors.ts';

export const syncErrors = defineErrors({
  no_syncs_found: {
    status: 400,
    message: 'No sync of this name is deployed for this integration. List them with GET /scripts/config.',
  },
  unknown_sync: { status: 400, message: 'This connection has no sync of this name and variant.' },
  invalid_variant: { status: 400, message: '`base` is the variant every connection has; choose another name.' },
  sync_variant_already_exists: { status: 400, message: 'This connection has a variant of this name already.' },
  resource_capped: { status: 400, message: 'A sync of one connection may have 100 variants. Delete one first.' },
  sync_interval_too_short: {
    status: 400,
    message: 'A sync may run every 30 seconds at most, and every 31 days at least.',
  },
  missing_provider_config_key: {
    status: 400,
    message: 'Name the integration: `provider_config_key` in the body or the Provider-Config-Key header.',
  },
  invalid_body: { status: 400, message: 'The body does not fit. See `errors`.' },
  not_found: { status: 404, message: 'This connection has no variant of this name.' },
  unknown_model: { status: 400, message: 'The sync does not declare this model. Add it to `models` and deploy.' },
  no_generation: {
    status: 400,
    message: 'trackDeletesEnd needs trackDeletesStart for the same model before the first save.',
  },
});
