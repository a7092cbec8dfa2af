import type { Signer } from '../../protocols/signing.ts';
import type { Target } from './endpoint.ts';

/** Headers that sign one try of a call; made anew for each, because a nonce or a date is good for one. */
export function signedHeaders(
  signer: Signer,
  request: {
    method: string;
    target: Target;
    headers: readonly [string, string][];
    body: Buffer | null;
    /** The body is sent as it comes and not at hand. */
    streamed: boolean;
    nowMs: number;
  },
): [string, string][] {
  const { target } = request;
  const at = target.requestTarget.indexOf('?');
  const signed = signer.sign({
    method: request.method,
    url: target.url,
    path: at === -1 ? target.requestTarget : target.requestTarget.slice(0, at),
    query: at === -1 ? '' : target.requestTarget.slice(at + 1),
    headers: Object.fromEntries(request.headers),
    body: request.body ?? Buffer.alloc(0),
    streamed: request.streamed,
    nowMs: request.nowMs,
  });
  return Object.entries(signed);
}
