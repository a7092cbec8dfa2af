/**
 * Reads the answers of one HTTP/1.1 connection, strictly: what two readers could take for different messages is refused,
 * because the next answer on the same connection belongs to somebody else.
 *
 * Source: RFC 9112 (4 status line, 5 fields, 6 body length, 7.1 chunked). Obsolete line folding, a bare LF, spaces before
 * a colon, several lengths, and a length beside chunks are refused.
 */
import type { HeaderRecord } from './stream.ts';

/** What is read, in order: any number of interim answers, one head, pieces of the body, one end. */
export interface AnswerEvents {
  /** A status below 200. */
  onInterim(): void;
  /** `bodyBytes`: undefined when only the end of the body tells its length; 0 also for answers that have no body. */
  onHead(status: number, headers: HeaderRecord, reason: string, bodyBytes: number | undefined): void;
  /** The chunk may be kept. */
  onBody(chunk: Buffer): void;
  /** `reusable`: the connection is in a known state and may carry another exchange. */
  onComplete(trailers: HeaderRecord, reusable: boolean): void;
}

/** An answer that is not valid HTTP. Its text never repeats what was read. */
export class AnswerError extends Error {
  readonly code: 'HPE_INVALID' | 'UND_ERR_HEADERS_OVERFLOW';

  constructor(code: AnswerError['code'], message: string) {
    super(message);
    this.name = 'AnswerError';
    this.code = code;
  }
}

/** Head of an answer, and its trailers. Twice Node's default: some providers send long security policies and cookies. */
export const HEADER_BYTES_MAX = 32 * 1024;

/** A chunk's size with its extensions, which nobody uses. */
const SIZE_LINE_BYTES_MAX = 1024;

const LINE_END = Buffer.from('\r\n');
const HEAD_END = Buffer.from('\r\n\r\n');

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?$/;
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const LENGTH = /^[0-9]{1,15}$/;
/** Extensions are read over. Source: RFC 9112 7.1.1, without the blanks of its "bad" variant. */
const SIZE =
  /^([0-9a-fA-F]{1,12})(?:;[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:=(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+|"[\t\x20\x21\x23-\x5b\x5d-\x7e]*"))?)*$/;

type State = 'idle' | 'head' | 'counted' | 'until-close' | 'size' | 'chunk' | 'chunk-end' | 'trailers';

export class AnswerReader {
  readonly #events: AnswerEvents;
  #state: State = 'idle';
  #isHead = false;
  #left = 0;
  #keepsOpen = false;
  // The beginning of a head, a size line or a trailer whose end has not come yet.
  #kept: Buffer | undefined;
  #keptBytes = 0;
  #text = '';

  constructor(events: AnswerEvents) {
    this.#events = events;
  }

  /** A request is sent: its answer may come. `isHead`: the answer to HEAD has no body whatever its head says. */
  expect(isHead: boolean): void {
    this.#state = 'head';
    this.#isHead = isHead;
  }

  /** Reads no more, also when called from within an event. */
  stop(): void {
    this.#state = 'idle';
  }

  /** Throws {@link AnswerError}, and what an event threw. */
  read(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      switch (this.#state) {
        case 'head':
          at = this.#upTo(HEAD_END, bytes, at, HEADER_BYTES_MAX);
          if (at === -1) return;
          this.#readHead(at === bytes.length);
          break;
        case 'counted':
        case 'chunk': {
          const end = Math.min(bytes.length, at + this.#left);
          const piece = at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end);
          this.#left -= end - at;
          at = end;
          this.#events.onBody(piece);
          if (this.#left === 0) this.#endPiece(at === bytes.length);
          break;
        }
        case 'until-close':
          this.#events.onBody(at === 0 ? bytes : bytes.subarray(at));
          return;
        case 'size':
          at = this.#upTo(LINE_END, bytes, at, SIZE_LINE_BYTES_MAX);
          if (at === -1) return;
          this.#readSize();
          break;
        case 'chunk-end':
          at = this.#upTo(LINE_END, bytes, at, 0);
          if (at === -1) return;
          this.#state = 'size';
          break;
        case 'trailers':
          at = this.#readTrailer(bytes, at);
          if (at === -1) return;
          break;
        case 'idle':
          return;
      }
    }
  }

  /** The connection has ended. True when this is how the body ends; it is then complete. */
  end(): boolean {
    if (this.#state !== 'until-close') return false;
    this.#complete({}, false);
    return true;
  }

  /** Where `bytes` go on behind the next `mark`, with the text before it in `#text`; -1 when more is needed. */
  #upTo(mark: Buffer, bytes: Buffer, at: number, bytesMax: number): number {
    if (this.#kept === undefined) {
      const end = bytes.indexOf(mark, at);
      if (end !== -1 && end - at <= bytesMax) {
        this.#text = bytes.toString('latin1', at, end);
        return end + mark.length;
      }
    }
    return this.#upToKept(mark, bytes, at, bytesMax);
  }

  /** The same over several reads. What is kept doubles, so that a head that drips costs no more than its length. */
  #upToKept(mark: Buffer, bytes: Buffer, at: number, bytesMax: number): number {
    const before = this.#keptBytes;
    const added = Math.min(bytes.length - at, bytesMax + mark.length - before);
    const size = before + added;
    if (this.#kept === undefined || this.#kept.length < size) {
      const larger = Buffer.allocUnsafe(Math.max(size, Math.min(bytesMax + mark.length, 2 * before)));
      this.#kept?.copy(larger, 0, 0, before);
      this.#kept = larger;
    }
    bytes.copy(this.#kept, before, at, at + added);
    const found = this.#kept.subarray(0, size).indexOf(mark, Math.max(0, before - mark.length + 1));
    if (found === -1) {
      if (size === bytesMax + mark.length) throw overflow(bytesMax);
      this.#keptBytes = size;
      return -1;
    }
    this.#text = this.#kept.toString('latin1', 0, found);
    this.#kept = undefined;
    this.#keptBytes = 0;
    return at + found + mark.length - before;
  }

  #readHead(atEnd: boolean): void {
    const text = this.#text;
    const lineEnd = text.indexOf('\r\n');
    const found = STATUS_LINE.exec(lineEnd === -1 ? text : text.slice(0, lineEnd));
    if (found === null) throw invalid('the status line');
    const status = Number(found[2]);
    const headers = lineEnd === -1 ? {} : readFields(text, lineEnd + 2);
    // An upgrade that nobody asked for.
    if (status === 101) throw invalid('the status');
    const chunked = isChunked(headers);
    const length = lengthOf(headers);
    if (chunked && length !== undefined) throw invalid('the length');
    if (status < 200) {
      this.#events.onInterim();
      return;
    }
    // A server may send the body of a HEAD by mistake: nothing else travels on this connection.
    this.#keepsOpen = !this.#isHead && keepsOpen(headers, found[1] === '1', chunked);
    const isEmpty = this.#isHead || status === 204 || status === 304;
    const bodyBytes = isEmpty ? 0 : length;
    this.#state = bodyBytes !== undefined ? 'counted' : chunked ? 'size' : 'until-close';
    this.#left = bodyBytes ?? 0;
    this.#events.onHead(status, headers, found[3] ?? '', bodyBytes);
    if (this.#state === 'counted' && this.#left === 0) this.#complete({}, this.#keepsOpen && atEnd);
  }

  #endPiece(atEnd: boolean): void {
    if (this.#state === 'chunk') this.#state = 'chunk-end';
    else if (this.#state === 'counted') this.#complete({}, this.#keepsOpen && atEnd);
  }

  #readSize(): void {
    const found = SIZE.exec(this.#text);
    if (found === null) throw invalid('the size of a chunk');
    this.#left = parseInt(found[1] as string, 16);
    this.#state = this.#left === 0 ? 'trailers' : 'chunk';
  }

  /** An empty line, or fields that end with one. */
  #readTrailer(bytes: Buffer, from: number): number {
    // Without trailers the two bytes are all there is; they may come one by one.
    if (this.#kept === undefined && bytes.length - from >= 2 && bytes[from] === 0x0d && bytes[from + 1] === 0x0a) {
      this.#complete({}, this.#keepsOpen && from + 2 === bytes.length);
      return from + 2;
    }
    if (this.#kept !== undefined && this.#keptBytes === 1 && this.#kept[0] === 0x0d && bytes[from] === 0x0a) {
      this.#kept = undefined;
      this.#keptBytes = 0;
      this.#complete({}, this.#keepsOpen && from + 1 === bytes.length);
      return from + 1;
    }
    const at = this.#upTo(HEAD_END, bytes, from, HEADER_BYTES_MAX);
    if (at !== -1) this.#complete(readFields(this.#text, 0), this.#keepsOpen && at === bytes.length);
    return at;
  }

  #complete(trailers: HeaderRecord, reusable: boolean): void {
    this.#state = 'idle';
    this.#events.onComplete(trailers, reusable);
  }
}

/** Fields from `at` to the end of the text, names in lower case; several of one name are a list. */
function readFields(text: string, at: number): HeaderRecord {
  const headers: HeaderRecord = {};
  for (let start = at; start <= text.length;) {
    const found = text.indexOf('\r\n', start);
    const end = found === -1 ? text.length : found;
    const colon = text.indexOf(':', start);
    if (colon === -1 || colon >= end) throw invalid('a header');
    const name = text.slice(start, colon).toLowerCase();
    const value = text.slice(...trimmed(text, colon + 1, end));
    if (!NAME.test(name) || !VALUE.test(value)) throw invalid('a header');
    add(headers, name, value);
    start = end + 2;
  }
  return headers;
}

function add(headers: HeaderRecord, name: string, value: string): void {
  const before = headers[name];
  if (before === undefined) headers[name] = value;
  else if (!Object.hasOwn(headers, name)) {
    // Assigning would miss a header that is called `__proto__`.
    Object.defineProperty(headers, name, { value, enumerable: true, configurable: true, writable: true });
  } else if (typeof before === 'string') headers[name] = [before, value];
  else before.push(value);
}

/** Blanks and tabs around a value are not part of it. */
function trimmed(text: string, from: number, to: number): [number, number] {
  let start = from;
  let end = to;
  while (start < end && isBlank(text.charCodeAt(start))) start += 1;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1;
  return [start, end];
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/** Errors: any coding but `chunked`. The proxy passes no coding of one hop on, so nobody could read the body. */
function isChunked(headers: HeaderRecord): boolean {
  const coding = headers['transfer-encoding'];
  if (coding === undefined) return false;
  if (typeof coding === 'string' && coding.toLowerCase() === 'chunked') return true;
  throw invalid('the transfer coding');
}

function lengthOf(headers: HeaderRecord): number | undefined {
  const length = headers['content-length'];
  if (length === undefined) return undefined;
  if (typeof length !== 'string' || !LENGTH.test(length)) throw invalid('the length');
  return Number(length);
}

/** RFC 9112 9.3; chunks from an HTTP/1.0 server are faulty (6.1), so nothing follows on that connection. */
function keepsOpen(headers: HeaderRecord, isOne: boolean, chunked: boolean): boolean {
  const { connection } = headers;
  if (connection === undefined) return isOne;
  if (connection === 'keep-alive') return isOne || !chunked;
  const tokens = String(connection)
    .toLowerCase()
    .split(',')
    .map((token) => token.trim());
  if (tokens.includes('close')) return false;
  return isOne || (tokens.includes('keep-alive') && !chunked);
}

function invalid(what: string): AnswerError {
  return new AnswerError('HPE_INVALID', `${what} of the answer is not valid`);
}

function overflow(bytesMax: number): AnswerError {
  return bytesMax === HEADER_BYTES_MAX
    ? new AnswerError('UND_ERR_HEADERS_OVERFLOW', 'the head of the answer is too large')
    : invalid('the framing');
}
