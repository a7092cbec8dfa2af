/**
 * The file of a backup. One line of text: `HAWSER-BACKUP ` and the header as JSON. Then a gzip stream of frames, each one
 * byte of kind, four of length (big endian) and the payload. Last, 32 bytes: SHA-256 of everything before them.
 *
 * Kinds: `T` a table begins (JSON: name, columns), `D` bytes of its COPY text, `E` it ends (JSON: rows), `Z` the end of
 * all (JSON: sequences). A file without `Z` was cut off.
 */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Transform } from 'node:stream';
import { createGunzip, createGzip, type Gzip } from 'node:zlib';
import { StartupError } from '../../base/errors.ts';
import { recoveryErrors } from './errors.ts';
import type { BackupHeader } from './model.ts';

export type FrameKind = 'T' | 'D' | 'E' | 'Z';
export interface Frame {
  kind: FrameKind;
  payload: Buffer;
}

const MAGIC = 'HAWSER-BACKUP ';
const CHECKSUM_BYTES = 32;
/** A header of some hundred tables; longer is no header. */
const HEADER_BYTES_MAX = 1_048_576;
/** Larger than any piece the database sends: one row; PostgreSQL allows 1 GB. */
const FRAME_BYTES_MAX = 0x4000_0000;
/** Sealed values do not shrink; their hexadecimal form halves already at the cheapest level. */
const GZIP_LEVEL = 1;
const OWNER_ONLY = 0o600;

export interface BackupWriter {
  frame(kind: FrameKind, payload: Buffer | object): Promise<void>;
  /** On the disk when it resolves. Resolves to the size in bytes. */
  end(): Promise<number>;
  /** Closes the file, whatever is in it. */
  abandon(): Promise<void>;
}

/** Errors: {@link StartupError} when the file cannot be made; later ones are those of the disk. */
export async function createBackupFile(path: string, header: BackupHeader): Promise<BackupWriter> {
  const handle = await open(path, 'wx', OWNER_ONLY).catch((error: unknown) => {
    throw new StartupError(
      `No file can be made in ${dirname(path)} (${(error as { code?: string }).code}).`,
      'Name a file in a folder that is there and that you may write to.',
      error,
    );
  });
  const hash = createHash('sha256');
  let bytes = 0;
  const write = async (chunk: Buffer): Promise<void> => {
    hash.update(chunk);
    bytes += chunk.length;
    await handle.appendFile(chunk);
  };
  await write(Buffer.from(`${MAGIC}${JSON.stringify(header)}\n`));
  const gzip = createGzip({ level: GZIP_LEVEL });
  const pumped = pump(gzip, write);
  pumped.catch(() => {}); // thrown to whoever writes the next frame
  let failure: unknown;
  pumped.catch((error: unknown) => {
    failure = error;
    gzip.destroy();
  });
  return {
    async frame(kind, payload) {
      if (failure !== undefined) throw failure;
      const body = Buffer.isBuffer(payload) ? payload : Buffer.from(JSON.stringify(payload));
      const head = Buffer.alloc(5);
      head.write(kind, 0, 'latin1');
      head.writeUInt32BE(body.length, 1);
      gzip.write(head);
      if (!gzip.write(body)) await Promise.race([pumped, drained(gzip)]);
      if (failure !== undefined) throw failure;
    },
    async end() {
      gzip.end();
      await pumped;
      await handle.appendFile(hash.digest());
      await handle.sync();
      await handle.close();
      return bytes + CHECKSUM_BYTES;
    },
    async abandon() {
      gzip.destroy();
      await handle.close();
    },
  };
}

async function pump(gzip: Gzip, write: (chunk: Buffer) => Promise<void>): Promise<void> {
  for await (const chunk of gzip) await write(chunk as Buffer);
}

function drained(gzip: Gzip): Promise<void> {
  return new Promise((resolve) => gzip.once('drain', resolve));
}

/** Reads the header and proves the checksum of the whole file. Errors: `backup_unreadable`, those of the disk. */
export async function checkBackupFile(
  path: string,
  onProgress: (bytes: number, total: number) => void = () => {},
): Promise<BackupHeader> {
  const handle = await open(path, 'r');
  try {
    const { size } = await handle.stat();
    if (size < MAGIC.length + CHECKSUM_BYTES) throw unreadable('it is too short');
    const { header } = await readHeader(handle);
    const stored = Buffer.alloc(CHECKSUM_BYTES);
    await handle.read(stored, 0, CHECKSUM_BYTES, size - CHECKSUM_BYTES);
    const hash = createHash('sha256');
    await hashFile(path, size - CHECKSUM_BYTES, hash, (bytes) => onProgress(bytes, size));
    if (!hash.digest().equals(stored)) throw unreadable('its checksum is wrong: it was cut off or changed');
    return header;
  } finally {
    await handle.close();
  }
}

async function hashFile(path: string, length: number, hash: Hash, onBytes: (bytes: number) => void): Promise<void> {
  let bytes = 0;
  for await (const chunk of createReadStream(path, { end: length - 1 })) {
    hash.update(chunk as Buffer);
    bytes += (chunk as Buffer).length;
    onBytes(bytes);
  }
}

async function readHeader(handle: FileHandle): Promise<{ header: BackupHeader; bodyAt: number }> {
  const start = Buffer.alloc(HEADER_BYTES_MAX);
  const { bytesRead } = await handle.read(start, 0, HEADER_BYTES_MAX, 0);
  const end = start.subarray(0, bytesRead).indexOf(0x0a);
  const line = start.subarray(0, Math.max(end, 0)).toString('utf8');
  if (!line.startsWith(MAGIC)) throw unreadable('it does not begin like one');
  let header: BackupHeader;
  try {
    header = JSON.parse(line.slice(MAGIC.length)) as BackupHeader;
  } catch (cause) {
    throw unreadable('its first line is damaged', cause);
  }
  if (header.format !== 1) throw recoveryErrors.fail('backup_newer');
  return { header, bodyAt: end + 1 };
}

/** The frames of a file whose checksum holds. Errors: `backup_unreadable`. */
export async function* readFrames(
  path: string,
  onProgress: (bytes: number, total: number) => void = () => {},
): AsyncGenerator<Frame> {
  const handle = await open(path, 'r');
  let bodyAt: number;
  let size: number;
  try {
    ({ size } = await handle.stat());
    ({ bodyAt } = await readHeader(handle));
  } finally {
    await handle.close();
  }
  let bytes = bodyAt;
  const counter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      onProgress(bytes, size);
      done(undefined, chunk);
    },
  });
  const source = createReadStream(path, { start: bodyAt, end: size - CHECKSUM_BYTES - 1 });
  const gunzip = createGunzip();
  source.on('error', (error) => gunzip.destroy(error));
  source.pipe(counter).pipe(gunzip);
  const take = reader(gunzip[Symbol.asyncIterator]() as AsyncIterator<Buffer>);
  try {
    for (;;) {
      const head = await take(5);
      if (head === undefined) throw unreadable('its end is missing');
      const length = head.readUInt32BE(1);
      if (length > FRAME_BYTES_MAX) throw unreadable('a part of it is too long');
      const payload = await take(length);
      if (payload === undefined) throw unreadable('its end is missing');
      const kind = head.toString('latin1', 0, 1) as FrameKind;
      yield { kind, payload };
      if (kind === 'Z') return;
    }
  } catch (error) {
    if ((error as { code?: string }).code?.startsWith('Z_') === true) throw unreadable('it is damaged', error);
    throw error;
  } finally {
    source.destroy();
    gunzip.destroy();
  }
}

/** Takes exactly so many bytes from a stream; undefined when it ends before. */
function reader(chunks: AsyncIterator<Buffer>): (length: number) => Promise<Buffer | undefined> {
  let held: Buffer = Buffer.alloc(0);
  return async (length) => {
    const parts = [held];
    let bytes = held.length;
    while (bytes < length) {
      const { value, done } = await chunks.next();
      if (done === true) return undefined;
      parts.push(value);
      bytes += value.length;
    }
    const all = parts.length === 1 ? held : Buffer.concat(parts, bytes);
    held = all.subarray(length);
    return all.subarray(0, length);
  };
}

function unreadable(why: string, cause?: unknown): Error {
  return recoveryErrors.fail('backup_unreadable', {
    message: `The file is no whole backup of Hawser: ${why}. Nothing was written.`,
    cause,
  });
}
