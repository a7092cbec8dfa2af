import { HawserError } from '../../base/errors.ts';
import type { UpstreamFailure } from '../../platform/upstream/index.ts';
import { proxyErrors } from './errors.ts';
import type { Call } from './read-call.ts';

/** The error for an address that may not be called; undefined for every other failure. */
export function egressRefusal(failure: UpstreamFailure, call: Call): HawserError | undefined {
  if (failure.kind !== 'egress_refused') return undefined;
  const code = call.baseUrlOverride === undefined ? 'egress_refused' : 'base_url_override_not_allowed';
  const message = failure.cause instanceof HawserError ? failure.cause.message : failure.message;
  return proxyErrors.fail(code, { message, cause: failure });
}
