/** `uncontrolledFetch`: any public address, without credential, under the same guard as every outbound call. */
import { HawserError } from '../../../base/errors.ts';
import { UpstreamFailure } from '../../../platform/upstream/index.ts';
import { hopByHopHeaders, validHeader } from '../../../protocols/http.ts';
import { runErrors } from '../errors.ts';
import { asObject } from './args.ts';
import type { HostDeps, HostMethods, HostRun } from './model.ts';

const TIMEOUT_MS = 120_000;
const ANSWER_BYTES_MAX = 100 * 1024 ** 2;
/** Written by us for each hop. */
const OWN_HEADERS: ReadonlySet<string> = new Set([...hopByHopHeaders, 'host', 'content-length', 'expect']);

export function fetchMethods(deps: HostDeps, host: HostRun): HostMethods {
  return {
    async uncontrolledFetch(request: unknown) {
      const { url: address, method, headers, bodyBase64 } = asObject(request);
      const url = URL.parse(String(address));
      if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
        throw runErrors.fail('invalid_script_call', { message: 'uncontrolledFetch needs an http or https URL.' });
      }
      try {
        const answer = await deps.upstream.call({
          method: typeof method === 'string' ? method : 'GET',
          url,
          headers: readHeaders(headers),
          ...(typeof bodyBase64 === 'string' && { body: Buffer.from(bodyBase64, 'base64') }),
          timeoutMs: TIMEOUT_MS,
          bodyBytesMax: ANSWER_BYTES_MAX,
          signal: host.signal,
        });
        const flat = Object.entries(answer.headers).map(([name, value]) => [name, [value].flat().join(', ')]);
        return {
          status: answer.status,
          statusText: '',
          headers: Object.fromEntries(flat) as Record<string, string>,
          bodyBase64: answer.body.toString('base64'),
        };
      } catch (error) {
        if (!(error instanceof UpstreamFailure)) throw error;
        if (error.cause instanceof HawserError) throw error.cause;
        const row = { status: 500, message: error.message };
        throw new HawserError('script_network_error', row, { payload: { code: error.code }, cause: error });
      }
    },
  };
}

function readHeaders(given: unknown): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [key, raw] of Object.entries(asObject(given ?? {}))) {
    const name = key.toLowerCase();
    if (OWN_HEADERS.has(name)) continue;
    const value = String(raw);
    if (!validHeader(name, value)) {
      throw runErrors.fail('invalid_script_call', { message: `The header ${name.slice(0, 100)} is not valid.` });
    }
    headers[name] = value;
  }
  return headers;
}
