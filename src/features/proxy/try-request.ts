import type { Clock } from '../../base/clock.ts';
import type { StreamRequest } from '../../platform/upstream/index.ts';
import type { CallerBody } from './caller-body.ts';
import type { ProxyLimits } from './limits.ts';
import type { Dispatchable } from './prepare.ts';
import { signedHeaders } from './signed-headers.ts';

/** What one try sends. Made anew for each, because a signature is good for one. */
export function tryRequest(
  method: string,
  dispatchable: Dispatchable,
  body: CallerBody,
  limits: ProxyLimits,
  clock: Clock,
): StreamRequest {
  const { target, signer, tls } = dispatchable;
  const { isStreamed: streamed, bytes, length } = body;
  let { headers } = dispatchable;
  if (streamed && length !== undefined) headers = [...headers, ['content-length', String(length)]];
  if (signer !== undefined) {
    const nowMs = clock.now();
    headers = [...headers, ...signedHeaders(signer, { method, target, headers, body: bytes, streamed, nowMs })];
  }
  return {
    method,
    url: target.base,
    requestTarget: target.requestTarget,
    headers,
    body: streamed ? body.request : bytes,
    headersTimeoutMs: limits.headersTimeoutMs,
    bodyIdleTimeoutMs: limits.bodyIdleTimeoutMs,
    bodyBytesMax: limits.responseBytesMax,
    tls,
  };
}
