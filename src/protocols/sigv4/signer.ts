import type { SigV4Spec } from '../../../catalogue/_spec/index.ts';
import type { Signable, Signer } from '../signable.ts';
import { amzDate, sha256Hex, sigV4Header, UNSIGNED_PAYLOAD, type AwsKeys } from './signature.ts';

/** Signs calls with temporary keys. `service` and `region` name the place the signature is good for. */
export function sigV4Signer(spec: SigV4Spec, keys: AwsKeys, place: { service: string; region: string }): Signer {
  const mayStream = spec.unsignedPayload?.includes(place.service) === true;
  return {
    needsBody: () => !mayStream,
    sign: (request) => sign(request, keys, place),
  };
}

function sign(request: Signable, keys: AwsKeys, place: { service: string; region: string }): Record<string, string> {
  const payloadHash = request.streamed ? UNSIGNED_PAYLOAD : sha256Hex(request.body);
  const added = {
    'x-amz-date': amzDate(request.nowMs),
    'x-amz-content-sha256': payloadHash,
    ...(keys.sessionToken !== undefined && { 'x-amz-security-token': keys.sessionToken }),
  };
  // All of these must be signed; others need not be, and may be changed on their way.
  const own = Object.entries(request.headers).filter(
    ([name]) => (name === 'content-type' || name.startsWith('x-amz-')) && !Object.hasOwn(added, name),
  );
  const authorization = sigV4Header({
    method: request.method,
    path: request.path ?? request.url.pathname,
    query: request.query ?? request.url.search.slice(1),
    headers: { ...Object.fromEntries(own), ...added, host: request.url.host },
    payloadHash,
    keys,
    ...place,
  });
  return { ...added, authorization };
}
