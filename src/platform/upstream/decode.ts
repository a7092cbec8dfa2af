import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate, inflateRaw } from 'node:zlib';
import { codeOf, failure } from './failure.ts';

/** An honest document does not shrink by more; zeros shrink 1,000-fold. */
const RATIO_MAX = 200;

/** Below this the ratio is not looked at: a few hundred equal bytes are no bomb. */
const RATIO_FREE_BYTES = 16 * 1024;

/** Encodings stacked on one body. Nobody sends two; more are an attack. */
const LAYERS_MAX = 2;

const gunzipAsync = promisify(gunzip);
const brotliAsync = promisify(brotliDecompress);
const inflateAsync = promisify(inflate);
const inflateRawAsync = promisify(inflateRaw);

/**
 * Undoes `Content-Encoding` (gzip, br, deflate). Inflating stops at `bytesMax` and at 200 times the packed size.
 * Errors: `UpstreamFailure` of kind `too_large`, or `protocol` for an unknown encoding or damaged data.
 * Source: RFC 9110 8.4.
 */
export async function decodeBody(
  body: Buffer,
  encoding: string | undefined,
  bytesMax: number,
  host: string,
): Promise<Buffer> {
  const layers = (encoding ?? '')
    .toLowerCase()
    .split(',')
    .map((layer) => layer.trim())
    .filter((layer) => layer !== '' && layer !== 'identity');
  if (layers.length === 0 || body.length === 0) return body;
  if (layers.length > LAYERS_MAX) throw failure('protocol', 'ERR_CONTENT_ENCODING', host, { requestSent: true });
  let plain = body;
  for (const layer of layers.toReversed()) {
    const maxOutputLength = Math.min(bytesMax, Math.max(plain.length * RATIO_MAX, RATIO_FREE_BYTES));
    try {
      plain = await unpack(plain, layer, maxOutputLength);
    } catch (error) {
      const tooLarge = codeOf(error) === 'ERR_BUFFER_TOO_LARGE';
      throw failure(tooLarge ? 'too_large' : 'protocol', tooLarge ? 'ERR_BODY_TOO_LARGE' : codeOf(error), host, {
        requestSent: true,
        cause: error,
      });
    }
  }
  return plain;
}

async function unpack(packed: Buffer, layer: string, maxOutputLength: number): Promise<Buffer> {
  switch (layer) {
    case 'gzip':
    case 'x-gzip':
      return await gunzipAsync(packed, { maxOutputLength });
    case 'br':
      return await brotliAsync(packed, { maxOutputLength });
    case 'deflate':
      // Half of the servers send the bare stream without the zlib wrapper that RFC 9110 8.4.1.2 asks for.
      return isZlib(packed)
        ? await inflateAsync(packed, { maxOutputLength })
        : await inflateRawAsync(packed, { maxOutputLength });
    default:
      throw Object.assign(new Error('unknown content encoding'), { code: 'ERR_CONTENT_ENCODING' });
  }
}

/** RFC 1950 2.2: method 8 in the low bits, and the two header bytes are a multiple of 31. */
function isZlib(packed: Buffer): boolean {
  return packed.length >= 2 && ((packed[0] as number) & 0x0f) === 8 && packed.readUInt16BE(0) % 31 === 0;
}
