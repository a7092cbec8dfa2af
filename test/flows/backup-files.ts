/** Takes backups apart and puts them together again. */
import { createHash } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';

const CHECKSUM_BYTES = 32;

/** Everything in a backup that is not compressed any more. */
export function unpacked(file: Buffer): Buffer {
  const at = file.indexOf(0x0a) + 1;
  return Buffer.concat([file.subarray(0, at), gunzipSync(file.subarray(at, -CHECKSUM_BYTES))]);
}

/** The same backup with another header, of only these tables if any are named, and a checksum that holds. */
export function resealed(file: Buffer, header: object, tables?: readonly string[]): Buffer {
  const body = gunzipSync(file.subarray(file.indexOf(0x0a) + 1, -CHECKSUM_BYTES));
  const kept: Buffer[] = [];
  let isKept = true;
  for (let at = 0; at < body.length;) {
    const end = at + 5 + body.readUInt32BE(at + 1);
    const kind = body.toString('latin1', at, at + 1);
    if (kind === 'T') {
      const { name } = JSON.parse(body.toString('utf8', at + 5, end)) as { name: string };
      isKept = tables?.includes(name) ?? true;
    }
    if (isKept || kind === 'Z') kept.push(body.subarray(at, end));
    at = end;
  }
  const whole = Buffer.concat([
    Buffer.from(`HAWSER-BACKUP ${JSON.stringify(header)}\n`),
    gzipSync(Buffer.concat(kept)),
  ]);
  return Buffer.concat([whole, createHash('sha256').update(whole).digest()]);
}
